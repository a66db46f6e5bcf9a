"""The SSA IR between Python and assembly.

A kernel is one block of ops; `for` ops hold a block each. Types are dependent: a dimension's size may be
an SSA value, so that two shapes are equal when their sizes are the same value, and the tail of a loop is
a size like any other. A dimension also has a capacity, the most it can be, by which memory is given out.

Ops: scalar arithmetic and the descriptor instructions under their ISA names (`add`, `tslice`, ...),
every tile instruction under its own (`vexp`, `mm`, `dma.load`, ...), `const`, `for`, `yield`. An
instruction's Out operands in SRAM/ACC are results; Out operands in HBM are operands that it writes.
InOut operands in SRAM/ACC are both: consumed, and a result in the same place.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from sohu.dsl.errors import Loc, Scope
from sohu.isa import ROWS, Data, DType, Row, Space
from sohu.isa.operands import XF, XFI, XI, Kind, T, TOut, X, XOut


@dataclass(frozen=True)
class Dim:
    """A dimension: its size, and the most it can be (None: not known, so that it cannot lie in SRAM)."""

    size: int | Value
    cap: int | None

    def same(self, other: Dim) -> bool:
        """Provably the same size."""
        return self.size is other.size or (isinstance(self.size, int) and self.size == other.size)


@dataclass(frozen=True)
class ScalarType:
    """A 64-bit scalar register's content: `index`, or `f32` bits."""

    name: str


INDEX, FLOAT = ScalarType("index"), ScalarType("f32")


@dataclass(frozen=True)
class MemType:
    """A tensor in HBM, or a strided view of one."""

    dtype: DType
    dims: tuple[Dim, ...]


@dataclass(frozen=True)
class TileType:
    """A tile in SRAM or ACC (space None: not decided yet), or a strided view of one."""

    dtype: DType
    dims: tuple[Dim, ...]
    space: Space | None = None

    def same_shape(self, other: TileType) -> bool:
        """Same dtype and provably the same dimensions."""
        return (
            self.dtype == other.dtype
            and len(self.dims) == len(other.dims)
            and all(a.same(b) and a.cap == b.cap for a, b in zip(self.dims, other.dims, strict=True))
        )


Type = ScalarType | MemType | TileType


@dataclass(eq=False)
class Value:
    """An SSA value. `hint` is the Python name it was bound to, for people."""

    type: Type
    op: Op | None = field(default=None, repr=False)  # None: a block argument
    hint: str = ""

    @property
    def tile(self) -> TileType:
        """The type of a value known to be a tile."""
        assert isinstance(self.type, TileType)
        return self.type


@dataclass(eq=False)
class Block:
    """Ops in order, and what the block takes."""

    args: list[Value] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)


ORDER = itertools.count()


@dataclass(eq=False)
class Op:
    """One operation. attrs: numbers only. body: for loops."""

    name: str
    operands: list[Value]
    attrs: dict[str, int | float] = field(default_factory=dict)
    results: list[Value] = field(default_factory=list)
    body: Block | None = None
    loc: Loc | None = None
    order: int = field(default_factory=ORDER.__next__, repr=False)  # in which things came about

    @property
    def row(self) -> Row | None:
        """The instruction of that name, if there is one."""
        return ROWS.by_mnemonic.get(self.name)

    @property
    def result(self) -> Value:
        """The only result."""
        (value,) = self.results
        return value


@dataclass(eq=False)
class Param:
    """A kernel parameter: direction in, out, inout; or i64, f32 for scalars. dims: names or sizes."""

    name: str
    direction: str
    value: Value
    dims: tuple[str | int, ...] = ()


@dataclass(eq=False)
class Binding:
    """From here on in a block a Python name means these values; the first that can be found is the one to show.

    No values: it means nothing that a debugger could show. A number is known at compile time.
    """

    scope: Scope
    name: str
    values: list[Value] | int | float
    block: Block
    order: int


@dataclass(eq=False)
class Function:
    """A kernel. `dims` are the named dimensions of its parameters, each an index value."""

    name: str
    dims: dict[str, Value]
    params: list[Param]
    body: Block
    bounds: dict[str, int] = field(default_factory=dict)
    loc: Loc | None = None
    bindings: list[Binding] = field(default_factory=list)  # in order

    def __str__(self) -> str:
        from sohu.dsl.ir_text import print_function

        return print_function(self)


# The same bytes seen otherwise. All but `reshape` are instructions; that is a second descriptor of a place.
VIEW_OPS = frozenset({"tslice", "tswap", "tinsert", "tdrop", "reshape"})
SCALAR_OPS = frozenset({"add", "sub", "mul", "div", "rem", "min", "max"})


def walk(block: Block) -> Iterator[Op]:
    """Every op, a loop before its body."""
    for op in block.ops:
        yield op
        if op.body is not None:
            yield from walk(op.body)


def blocks(block: Block) -> list[Block]:
    """The block and those of all loops in it, the outer before the inner."""
    return [block, *(b for op in block.ops if op.body is not None for b in blocks(op.body))]


def type_values(t: Type) -> Iterator[Value]:
    """Values that a type depends on."""
    if not isinstance(t, ScalarType):
        for d in t.dims:
            if isinstance(d.size, Value):
                yield d.size


def uses(op: Op) -> Iterator[Value]:
    """Values an op depends on: its operands and the sizes in its results' types."""
    yield from op.operands
    for r in op.results:
        yield from type_values(r.type)
    for a in op.body.args if op.body else ():
        yield from type_values(a.type)


@dataclass(frozen=True)
class Slot:
    """How one operand of a row appears in the IR."""

    kind: Kind
    name: str
    operand: int | None  # position among the op's operands
    result: int | None  # position among its results
    attr: str | None  # or an attribute (immediates, queues)


@functools.cache
def slots(row: Row) -> tuple[Slot, ...]:
    """The row's operands as the IR has them: what is an operand, what a result, what an attribute."""
    out: list[Slot] = []
    operand = result = 0
    for o in row.operands:
        k = o.kind
        in_hbm = isinstance(k, Data) and row.spaces(k) == frozenset({Space.HBM})
        takes = (isinstance(k, Data) and (k.reads_data or in_hbm)) or type(k) in (X, XF, XI, XFI, T)
        gives = (isinstance(k, Data) and k.writes_data and not in_hbm) or type(k) in (XOut, TOut)
        out.append(
            Slot(
                k,
                o.name,
                operand if takes else None,
                result if gives else None,
                None if takes or gives else o.name,
            )
        )
        operand += takes
        result += gives
    return tuple(out)


def tied(op: Op) -> list[tuple[int, int]]:
    """(operand, result) pairs that share a place: the row's InOut tiles."""
    if op.row is None:
        return []
    return [(s.operand, s.result) for s in slots(op.row) if s.operand is not None and s.result is not None]


def writes_memory(op: Op) -> bool:
    """True when the op writes HBM (or anything else that outlives it)."""
    row = op.row
    if row is None:
        return False
    if row.engine.name in ("DEBUG", "CCE"):
        return True
    return any(isinstance(s.kind, Data) and s.kind.writes_data and s.result is None for s in slots(row))


def root(mem: Value) -> Value:
    """The tensor or tile of which a value is a view."""
    while mem.op is not None and mem.op.name in VIEW_OPS:
        mem = mem.op.operands[0]
    return mem


def written(op: Op) -> list[Value]:
    """The tensors in HBM that an op writes."""
    if op.row is None or not any(isinstance(v.type, MemType) for v in op.operands):
        return []
    places = (s for s in slots(op.row) if isinstance(s.kind, Data) and s.kind.writes_data)
    touched = (op.operands[s.operand] for s in places if s.operand is not None)
    return [root(v) for v in touched if isinstance(v.type, MemType)]


def no_reshape(source: Sequence[Dim], out: Sequence[Dim]) -> str | None:
    """Why a dense tile of the dimensions `source` cannot be seen as `out` where it lies; None when it can.

    Leading dimensions may have any sizes if they stay; behind them, those of both are known, and as many elements.
    """
    n = 0
    while n < min(len(source), len(out)) and source[n].same(out[n]) and source[n].cap == out[n].cap:
        n += 1
    counts = []
    for rest in (source[n:], out[n:]):
        sizes = [d.size for d in rest if isinstance(d.size, int)]
        if len(sizes) < len(rest):
            return "only leading dimensions that stay as they are may have sizes known at run time"
        counts.append(prod(sizes))
    have, want = counts
    return None if have == want else f"{have} elements do not become {want}"


def caps(dims: Sequence[Dim]) -> tuple[int, ...] | None:
    """Capacities, or None when one is unknown."""
    out = []
    for d in dims:
        if d.cap is None:
            return None
        out.append(d.cap)
    return tuple(out)
