"""One definition per instruction: the @instruction decorator, the Row it makes, and the table of rows.

    @instruction("vexp", 0x301, Engine.VPU, cost=per_element(4))
    def vexp(dst: Out(Float), src: In(Float)):
        '''Natural exponential of each element.

        dst[i] = e ** src[i].
        '''
        np.exp(src, out=dst)

Parameter annotations are operand kinds (sohu.isa.operands); a parameter with a default is written
`name=value` and printed only when it differs. A first parameter annotated `Machine` gets the machine.
Everything else in the house is derived from the Row. A bad definition raises DefinitionError at import.

Encoding, 128 bits little-endian: opcode 0..11; for instructions that can wait and signal: wait 12..39
(valid, semaphore 6, register 5, signed immediate 16), signal 40..54 (valid, semaphore 6, increment 8);
then the operands in order, none across the middle of the word; at least 12 bits stay reserved, and are zero.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

from sohu.isa.chip import Chip
from sohu.isa.dtypes import DType
from sohu.isa.errors import DefinitionError, EncodingError
from sohu.isa.machine import REACHES, Engine, Flow, Space
from sohu.isa.operands import Data, Group, Kind, Label, Queue, Sem, _extend
from sohu.isa.packages import OWN, package_of
from sohu.isa.shapes import Pattern, Shape, unbound
from sohu.isa.tile import Tile

WORD_BITS = 128
OPCODE_BITS = 12
MIN_RESERVED = 12
EXTENSION_OPCODES = range(0xC00, 0x1000)
SYNC_START = 12
OPERANDS_AFTER_SYNC = 55
_EXAMPLE = re.compile(r"^Example:\n", re.MULTILINE)  # begins the last section of a row's documentation


class Machine(Protocol):
    """What the semantics of sequencer instructions may ask of the machine that executes them."""

    chip: int  # number of this chip
    chips: int  # how many run together

    def load64(self, address: int) -> int:
        """Eight bytes of HBM, signed; raises Fault (misaligned, out-of-bounds)."""

    def store64(self, address: int, value: int) -> None:
        """Write eight bytes of HBM; raises Fault (misaligned, out-of-bounds, read-only)."""

    def load_tile(self, address: int) -> Tile:
        """The descriptor at an HBM address; raises Fault (misaligned, out-of-bounds, operand)."""

    def store_tile(self, address: int, tile: Tile) -> None:
        """Write a descriptor to HBM; raises Fault (misaligned, out-of-bounds, read-only)."""

    def cycle(self) -> int:
        """Cycles since the launch at which the sequencer is; only for rows that say clock=True."""

    def drain(self) -> None:
        """Park the sequencer until every queue is empty and every engine idle; raises Fault (deadlock)."""

    def reset_semaphore(self, sem: int) -> None:
        """Set a semaphore to zero; raises Fault (semaphore) if an engine got an instruction since the last drain."""

    def string(self, offset: int) -> str:
        """Zero-terminated text in .rodata; raises Fault (out-of-bounds)."""

    def output(self, text: str) -> None:
        """A line from the program to whoever runs it."""


@dataclass(frozen=True)
class CostArgs:
    """What a cost function may look at.

    The chip; shapes, dtypes and spaces of tile operands; bound dimensions; how many chips a collective's group has.
    """

    chip: Chip
    shapes: tuple[Shape, ...]
    dtypes: tuple[DType, ...]
    spaces: tuple[Space, ...]
    dims: dict[str, int]
    group: int = 1


Cost = Callable[[CostArgs], float]  # cycles the engine is busy


@dataclass(frozen=True)
class Operand:
    """One operand of a row and the bits it occupies: [low, low + kind.bits)."""

    name: str
    kind: Kind
    low: int
    default: Any = inspect.Parameter.empty
    since: tuple[int, int] = (1, 0)  # ISA version

    @property
    def keyword(self) -> bool:
        """Written name=value, and left out when it has its default."""
        return self.default is not inspect.Parameter.empty


@dataclass(frozen=True)
class Wait:
    """Start only when semaphore `sem` has reached x[reg] + imm (reg 0: the immediate alone)."""

    sem: int
    reg: int = 0
    imm: int = 0


@dataclass(frozen=True)
class Signal:
    """Add `inc` to semaphore `sem` when the instruction has completed."""

    sem: int
    inc: int = 1


@dataclass(frozen=True, eq=False)
class Row:
    """One instruction: everything that is known of it."""

    mnemonic: str
    opcode: int
    engine: Engine
    operands: tuple[Operand, ...]
    semantics: Callable[..., Any]
    cost: Cost
    flow: Flow
    sync: bool  # can wait and signal
    takes_machine: bool
    collective: bool  # semantics get, per tile operand, a list with one view per chip of the group
    clock: bool  # asks the machine for the cycle counter
    doc: str
    where: str  # file:line of the definition
    reserved_mask: int
    since: tuple[int, int]  # ISA version
    package: str  # that defines it
    data: tuple[tuple[int, Operand, Data], ...] = field(repr=False, default=())
    nesting: int = 0  # of ranges: 1 opens one, -1 closes the innermost
    remote: str = ""  # the operand that names the chip whose semaphore the signal adds to; "": this chip's
    moves: tuple[str, ...] = ()  # tile operands whose elements go to the output as they are, only converted
    casts: bool = False  # ends by converting to its output's dtype; with a float32 output it gives what was converted
    split: int = 0  # from this rank of its first tile on, no index of the first axis looks at another; 0: they may
    copies: bool = False  # its first tile becomes what the second holds, bit by bit where their dtypes are equal
    decides: tuple[str, ...] = ()  # tile operands that say what is done, as masks do: never rounding errors
    precise: Callable[..., Any] | None = None  # the semantics on float64, where that is another function

    def __repr__(self) -> str:
        return f"<{self.mnemonic}>"

    @property
    def summary(self) -> str:
        """First line of the documentation."""
        return self.doc.split("\n", 1)[0]

    @property
    def description(self) -> str:
        """The documentation after its first line and before its example; may be empty."""
        return _EXAMPLE.split(self.doc.partition("\n")[2], maxsplit=1)[0].strip()

    @property
    def example(self) -> str:
        """The example of the documentation, a form of its own (sohu.isa.manual.examples); may be empty."""
        return inspect.cleandoc("\n" + "".join(_EXAMPLE.split(self.doc, maxsplit=1)[1:]))

    @property
    def used_bits(self) -> int:
        """Bits of the word that carry something."""
        return WORD_BITS - self.reserved_mask.bit_count()

    @property
    def patterns(self) -> tuple[tuple[str, Pattern], ...]:
        """Names and shape patterns of the tile operands, in order."""
        return tuple((o.name, k.pattern) for _, o, k in self.data)

    @property
    def queue_operand(self) -> int | None:
        """Position of the operand that picks the queue."""
        return next((i for i, o in enumerate(self.operands) if isinstance(o.kind, Queue)), None)

    @property
    def shared(self) -> bool:
        """True when other chips have a part in it."""
        return self.collective or bool(self.remote)

    @property
    def group_operand(self) -> int | None:
        """Position of the operand that says which chips take part."""
        return next((i for i, o in enumerate(self.operands) if isinstance(o.kind, Group)), None)

    @property
    def label_operand(self) -> int | None:
        """Position of the operand that is a place in .text."""
        return next((i for i, o in enumerate(self.operands) if isinstance(o.kind, Label)), None)

    def spaces(self, kind: Data) -> frozenset[Space]:
        """Memories in which this operand may lie."""
        return REACHES[self.engine] if kind.spaces is None else kind.spaces


@dataclass(frozen=True)
class Inst:
    """One instruction with its operand values, in the row's order."""

    row: Row
    values: tuple[Any, ...]
    wait: Wait | None = None
    signal: Signal | None = None

    def __repr__(self) -> str:
        sync = "".join(f", {n}={v!r}" for n, v in (("wait", self.wait), ("signal", self.signal)) if v)
        return f"Inst(ROWS[{self.row.mnemonic!r}], {self.values!r}{sync})"


class Table:
    """The instruction set: rows by mnemonic and by opcode."""

    def __init__(self) -> None:
        self.by_mnemonic: dict[str, Row] = {}
        self.by_opcode: dict[int, Row] = {}

    def add(self, row: Row) -> None:
        """Register a row; raises DefinitionError on a collision, by name."""
        for what, other in (
            ("mnemonic", self.by_mnemonic.get(row.mnemonic)),
            (f"opcode {row.opcode:#05x}", self.by_opcode.get(row.opcode)),
        ):
            if other is not None:
                mine, whose = (f" of {r.package}" if row.package != other.package else "" for r in (row, other))
                raise DefinitionError(
                    f"{what} of {row.mnemonic}{mine} is taken by {other.mnemonic}{whose} ({other.where})",
                    where=row.where,
                )
        self.by_mnemonic[row.mnemonic] = row
        self.by_opcode[row.opcode] = row

    def __getitem__(self, mnemonic: str) -> Row:
        return self.by_mnemonic[mnemonic]

    def __contains__(self, mnemonic: str) -> bool:
        return mnemonic in self.by_mnemonic

    def __iter__(self) -> Iterator[Row]:
        return iter(sorted(self.by_mnemonic.values(), key=lambda r: r.opcode))

    def __len__(self) -> int:
        return len(self.by_mnemonic)


ROWS = Table()


def no_cost(_: CostArgs) -> float:
    """Zero cycles."""
    return 0.0


def one_cycle(_: CostArgs) -> float:
    """One cycle."""
    return 1.0


def instruction(
    mnemonic: str,
    opcode: int,
    engine: Engine,
    *,
    cost: Cost | None = None,
    flow: Flow = Flow.NEXT,
    sync: bool | None = None,
    collective: bool = False,
    clock: bool = False,
    nesting: int = 0,
    remote: str = "",
    moves: tuple[str, ...] = (),
    casts: bool = False,
    split: int = 0,
    copies: bool = False,
    decides: tuple[str, ...] = (),
    precise: Callable[..., Any] | None = None,
    since: tuple[int, int] = (1, 0),
    added: Mapping[str, tuple[int, int]] = MappingProxyType({}),
    table: Table = ROWS,
) -> Callable[[Callable[..., Any]], Row]:
    """Define an instruction (see the module's documentation).

    `sync` defaults to: engine is asynchronous. `clock`: the semantics asks the machine for the cycle counter.
    `nesting`: 1 for what opens a range, -1 for what closes the innermost. `remote` names the operand that says which
    chip gets the signal. `copies`: the first tile becomes what the second holds, bit by bit where their dtypes are
    equal. `moves` and `casts` are for checkers: tile operands whose elements are only moved (the semantics must then
    work on any dtype), and that the last step is a conversion to the output's dtype, of which float32 would be none.
    `split`: from this rank of the first tile on, what is computed for an index of the first axis depends on no other
    index of it, so that executors may cut the work there; 0: it may. `decides` and `precise` are for what computes the
    same without rounding, on arrays of float64: operands that it takes as the machine has them (masks, what is compared
    or made a whole number); and the function it calls in place of the semantics, where that rounds by itself or makes
    scales: outputs then hold the machine's results when it begins. `since` is the ISA version that brought it.
    Packages other than this one have the opcodes EXTENSION_OPCODES, and only those. Raises DefinitionError for a bad
    row.
    """

    def define(semantics: Callable[..., Any]) -> Row:
        code = semantics.__code__
        where = f"{code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno}"

        def bad(why: str) -> DefinitionError:
            return DefinitionError(f"instruction {mnemonic!r}: {why}", where=where)

        can_sync = engine.is_async if sync is None else sync
        doc = inspect.getdoc(semantics) or ""
        if not 0 <= opcode < 1 << OPCODE_BITS:
            raise bad(f"opcode {opcode:#x} does not fit {OPCODE_BITS} bits")
        package = package_of(semantics.__module__)
        if table is ROWS and (opcode in EXTENSION_OPCODES) == (package == OWN):
            low, high = EXTENSION_OPCODES.start, EXTENSION_OPCODES.stop - 1
            raise bad(f"opcode {opcode:#05x} of package {package}; extensions have {low:#x} to {high:#x}")
        if len(doc.split()) < 3:
            raise bad("has no documentation")
        if engine.is_async and cost is None:
            raise bad("has no cost")
        operands, takes_machine = _operands(semantics, OPERANDS_AFTER_SYNC if can_sync else OPCODE_BITS, bad)
        operands = tuple(replace(o, since=added.get(o.name, since)) for o in operands)
        for o in operands:
            if o.since < since or (o.since > since and (not o.keyword or o.kind.encode(o.default))):
                raise bad(f"operand {o.name} of a later version wants a default that is encoded as zero")
        used = (1 << (OPERANDS_AFTER_SYNC if can_sync else OPCODE_BITS)) - 1
        for o in operands:
            used |= ((1 << o.kind.bits) - 1) << o.low
        reserved = ((1 << WORD_BITS) - 1) & ~used
        if reserved.bit_count() < MIN_RESERVED:
            raise bad(f"uses {used.bit_count()} bits; {MIN_RESERVED} of {WORD_BITS} must stay reserved")
        data = tuple((i, o, o.kind) for i, o in enumerate(operands) if isinstance(o.kind, Data))
        needs_label = flow in (Flow.BRANCH, Flow.JUMP, Flow.CALL, Flow.LOOP)
        if needs_label != any(isinstance(o.kind, Label) for o in operands):
            raise bad(f"flow {flow.value} and its label operand do not go together")
        if sum(o.kind.writes for o in operands) > 1:
            raise bad("writes more than one register")
        if engine.is_async and any(o.kind.writes for o in operands):
            raise bad(f"the {engine.value} engine cannot write a register: only the sequencer can")
        for _, o, k in data:
            if k.spaces is not None and not k.spaces <= REACHES[engine]:
                names = ", ".join(str(s) for s in sorted(k.spaces - REACHES[engine]))
                raise bad(f"operand {o.name}: the {engine.value} engine does not reach {names}")
        if (loose := unbound([k.pattern for _, _, k in data])) is not None:
            raise bad(f"shape pattern {loose!r} leans on a dimension that no earlier operand binds")
        if remote and not (can_sync and any(o.name == remote for o in operands)):
            raise bad(f"has no operand {remote} for a signal to go by")
        if collective != any(isinstance(o.kind, Group) for o in operands):
            raise bad("a collective, and nothing else, has an operand that names its group")
        if strange := set(moves) - {o.name for _, o, _ in data}:
            raise bad(f"moves {', '.join(sorted(strange))}, which is no tile operand")
        if strange := set(decides) - {o.name for _, o, _ in data}:
            raise bad(f"decides by {', '.join(sorted(strange))}, which is no tile operand")
        row = Row(
            mnemonic, opcode, engine, operands, semantics, cost or one_cycle, flow, can_sync, takes_machine,
            collective, clock, doc, where, reserved, since, package, data, nesting, remote, moves, casts, split, copies,
            decides, precise,
        )  # fmt: skip
        table.add(row)
        return row

    return define


def _operands(
    semantics: Callable[..., Any], low: int, bad: Callable[[str], DefinitionError]
) -> tuple[tuple[Operand, ...], bool]:
    operands: list[Operand] = []
    takes_machine = False
    for p in inspect.signature(semantics).parameters.values():
        kind = p.annotation
        if inspect.isclass(kind) and issubclass(kind, Kind):
            kind = kind()
        if kind is Machine and not operands:
            takes_machine = True
            continue
        if not isinstance(kind, Kind):
            raise bad(f"parameter {p.name}: {p.annotation!r} is no operand kind")
        if low < 64 < low + kind.bits:
            low = 64  # fields stay within one half, so that decoding vectorizes over u64
        if low + kind.bits > WORD_BITS:
            raise bad(f"operand {p.name} does not fit the word")
        if p.default is not p.empty:
            try:
                kind.encode(p.default)
            except EncodingError as e:
                raise bad(f"default of {p.name}: {e.message}") from None
        operands.append(Operand(p.name, kind, low, p.default))
        low += kind.bits
    return tuple(operands), takes_machine


# -- encoding ------------------------------------------------------------------------------------


def encode(inst: Inst) -> int:
    """The 128-bit word of an instruction; raises EncodingError naming the operand that does not fit."""
    row = inst.row
    word = row.opcode
    if len(inst.values) != len(row.operands):
        raise EncodingError(f"{row.mnemonic} takes {len(row.operands)} operands, not {len(inst.values)}")
    for o, v in zip(row.operands, inst.values, strict=True):
        try:
            word |= o.kind.encode(v) << o.low
        except EncodingError as e:
            message = f"{row.mnemonic}: operand {o.name}: {e.message}"
            raise EncodingError(message, operand=o.name, help=e.help) from None
    if inst.wait or inst.signal:
        if not row.sync:
            raise EncodingError(
                f"{row.mnemonic} is executed by the sequencer and can neither wait nor signal",
                operand="wait" if inst.wait else "signal",
                help="put the wait on an instruction of its own: sync wait ...",
            )
        word |= _encode_sync(inst.wait, inst.signal) << SYNC_START
    return word


def _encode_sync(wait: Wait | None, signal: Signal | None) -> int:
    return (encode_wait(wait.sem, wait.reg, wait.imm) if wait else 0) | (
        encode_signal(signal.sem, signal.inc) if signal else 0
    )


def encode_wait(sem: int, reg: int, imm: int) -> int:
    """The bits, from SYNC_START on, of a wait; raises EncodingError."""
    if not (0 <= reg < 32 and -(1 << 15) <= imm < 1 << 15):
        raise EncodingError(
            f"wait value {imm} does not fit 16 signed bits", operand="wait", help="put it in a register"
        )
    return 1 | _SEM.encode(sem) << 1 | reg << 7 | (imm & 0xFFFF) << 12


def encode_signal(sem: int, inc: int) -> int:
    """The bits, from SYNC_START on, of a signal; raises EncodingError."""
    if not 1 <= inc < 1 << 8:
        raise EncodingError(f"signal increment must be 1..255, not {inc}", operand="signal")
    return (1 | _SEM.encode(sem) << 1 | inc << 7) << 28


_SEM = Sem()


def decode(word: int, table: Table = ROWS) -> Inst:
    """The instruction of a word.

    Raises EncodingError for an opcode that no row defines and for reserved bits that are set (the
    message says which); `encode(decode(w)) == w` for every word it accepts.
    """
    row = table.by_opcode.get(word & ((1 << OPCODE_BITS) - 1))
    if row is None:
        raise EncodingError(f"opcode {word & 0xFFF:#05x} is no instruction")
    if word & row.reserved_mask:
        bits = [i for i in range(WORD_BITS) if (word & row.reserved_mask) >> i & 1]
        raise EncodingError(f"{row.mnemonic}: reserved bits {_ranges(bits)} are set")
    values = []
    for o in row.operands:
        try:
            values.append(o.kind.decode(word >> o.low & ((1 << o.kind.bits) - 1)))
        except EncodingError as e:
            raise EncodingError(f"{row.mnemonic}: operand {o.name}: {e.message}", operand=o.name) from None
    wait, signal = _decode_sync(word >> SYNC_START, row) if row.sync else (None, None)
    return Inst(row, tuple(values), wait, signal)


def _decode_sync(bits: int, row: Row) -> tuple[Wait | None, Signal | None]:
    wait = signal = None
    w, s = bits & ((1 << 28) - 1), bits >> 28 & ((1 << 15) - 1)
    if w & 1:
        wait = Wait(w >> 1 & 63, w >> 7 & 31, _extend(w >> 12, 16))
    elif w:
        raise EncodingError(f"{row.mnemonic}: reserved bits of an absent wait are set")
    if s & 1:
        signal = Signal(s >> 1 & 63, s >> 7)
        if not signal.inc:
            raise EncodingError(f"{row.mnemonic}: reserved: a signal by 0")
    elif s:
        raise EncodingError(f"{row.mnemonic}: reserved bits of an absent signal are set")
    return wait, signal


def _ranges(bits: Sequence[int]) -> str:
    out: list[list[int]] = []
    for b in bits:
        if out and out[-1][1] == b - 1:
            out[-1][1] = b
        else:
            out.append([b, b])
    return ", ".join(f"{a}" if a == b else f"{a}..{b}" for a, b in out)


def format_wait(sem: str, reg: int, imm: int) -> str:
    """`wait s1>=x20+3`."""
    if not reg:
        return f"wait {sem}>={imm}"
    return f"wait {sem}>=x{reg}{imm:+d}" if imm else f"wait {sem}>=x{reg}"


def format_signal(sem: str, inc: int) -> str:
    """`signal s2+=2`."""
    return f"signal {sem}+={inc}" if inc != 1 else f"signal {sem}"


def format_sync(inst: Inst, name: Callable[[int], str] = "s{}".format) -> str:
    """`wait s1>=x20+3  signal s2+=2` as the assembler reads them; `name` gives a semaphore's name."""
    wait = format_wait(name(inst.wait.sem), inst.wait.reg, inst.wait.imm) if inst.wait else ""
    signal = format_signal(name(inst.signal.sem), inst.signal.inc) if inst.signal else ""
    return "  ".join(filter(None, (wait, signal)))
