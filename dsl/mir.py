"""Machine IR: instructions with virtual registers, between the SSA IR and assembly text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sohu.dsl.errors import Loc
from sohu.dsl.ir import Op, Value
from sohu.isa import DType, Row, Space


@dataclass(eq=False)
class VReg:
    """A virtual register: bank "x" (scalar) or "t" (tile). `fixed`: the register it must be."""

    bank: str
    hint: str = ""
    fixed: int | None = None
    pinned: bool = False  # never spilled


@dataclass(eq=False)
class Alias:
    """Another shape of what lies in a buffer, with a descriptor of its own."""

    name: str
    caps: tuple[int, ...]
    reg: VReg
    sizes: tuple[object, ...] = ()


@dataclass(eq=False)
class Buffer:
    """A place in SRAM or ACC that holds one tile at a time; its descriptor has a register of its own."""

    name: str
    space: Space
    dtype: DType
    caps: tuple[int, ...]
    reg: VReg
    sizes: tuple[object, ...] = ()  # of its tiles: numbers, or the values that only the run knows
    loc: Loc | None = None  # of the first tile it holds
    address: int = 0
    aliases: list[Alias] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        """Bytes at full capacity."""
        n = self.dtype.itemsize
        for c in self.caps:
            n *= c
        return n


@dataclass(frozen=True)
class Tensor:
    """The HBM tensor of a parameter, as something that is read and written."""

    name: str


Place = Buffer | Tensor
Operand = VReg | int | float | str


@dataclass(eq=False)
class MWait:
    """`wait s>=reg+imm`, reg None for the immediate alone."""

    sem: int
    reg: VReg | None
    imm: int


@dataclass(eq=False)
class MInst:
    """One instruction. engine: None for the sequencer, else (engine name, queue).

    op: the IR operation that it is for; makes: the values that are there when it is done.
    """

    row: Row
    operands: list[Operand]
    loc: Loc | None
    engine: tuple[str, int] | None = None
    reads: list[Place] = field(default_factory=list)
    writes: list[Place] = field(default_factory=list)
    wait: MWait | None = None
    signal: int | None = None
    op: Op | None = None
    makes: tuple[Value, ...] = ()

    @property
    def defines(self) -> VReg | None:
        """The register it writes."""
        for o, v in zip(self.row.operands, self.operands, strict=True):
            if o.kind.writes and isinstance(v, VReg):
                return v
        return None

    def uses(self) -> Iterator[VReg]:
        """Registers it reads, the wait's too."""
        for o, v in zip(self.row.operands, self.operands, strict=True):
            if isinstance(v, VReg) and not o.kind.writes:
                yield v
        if self.wait is not None and self.wait.reg is not None:
            yield self.wait.reg


@dataclass(eq=False)
class MLoop:
    """A hardware loop."""

    count: Operand
    body: list[MNode]
    loc: Loc | None
    op: Op | None = None


MNode = MInst | MLoop


@dataclass(eq=False)
class MKernel:
    """A kernel on its way to text.

    homes: the register of each scalar and view, and the buffer of each tile; spilled: what lives in memory instead,
    by the register with the address and an offset.
    """

    name: str
    nodes: list[MNode]
    params: dict[str, VReg]
    buffers: list[Buffer]
    homes: dict[Value, VReg | Buffer] = field(default_factory=dict)
    spilled: dict[VReg, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """Where something is live: positions in the linear order."""

    start: int
    end: int


def positions(nodes: list[MNode]) -> tuple[list[tuple[MInst | MLoop, int]], dict[MLoop, Span]]:
    """Linear order of all instructions (a loop counts as one at its head), and each loop's extent."""
    order: list[tuple[MInst | MLoop, int]] = []
    extents: dict[MLoop, Span] = {}

    def visit(block: list[MNode]) -> None:
        for n in block:
            at = len(order)
            order.append((n, at))
            if isinstance(n, MLoop):
                visit(n.body)
                extents[n] = Span(at, len(order) - 1)

    visit(nodes)
    return order, extents


class Liveness:
    """Live spans of registers and buffers; what enters a loop from outside lives to the loop's end."""

    def __init__(self, nodes: list[MNode], entry: Iterable[VReg] = ()) -> None:
        """`entry`: registers that are set before the first instruction."""
        order, self.loops = positions(nodes)
        self.first: dict[object, int] = dict.fromkeys(entry, -1)
        self.touched: dict[object, list[int]] = {v: [-1] for v in entry}
        for n, at in order:
            if isinstance(n, MLoop):
                if isinstance(n.count, VReg):
                    self._touch(n.count, at)
                continue
            for v in (*n.uses(), *([n.defines] if n.defines else [])):
                self._touch(v, at)
            for p in (*n.reads, *n.writes):
                if isinstance(p, Buffer):
                    self._touch(p, at)

    def _touch(self, thing: object, at: int) -> None:
        self.first.setdefault(thing, at)
        self.touched.setdefault(thing, []).append(at)

    def span(self, thing: object) -> Span:
        """From the first touch to the last, extended over loops that began in between."""
        start, end = self.first[thing], self.touched[thing][-1]
        for at in self.touched[thing]:
            for extent in self.loops.values():
                if start < extent.start < at <= extent.end:
                    end = max(end, extent.end)
        return Span(start, end)

    def spans(self, kind: type) -> dict[object, Span]:
        """Spans of all things of a class."""
        return {t: self.span(t) for t in self.first if isinstance(t, kind)}
