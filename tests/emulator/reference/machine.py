"""The second executor: whole programs, one element at a time, in plain Python, as the manual says.

It takes decoding and operand lists from the table of rows, and nothing else: shapes, descriptors, memories, queues and
all arithmetic are written again from docs/isa/. Where the manual leaves bits open it knows bounds; given what another
executor wrote, it checks that against them and goes on with it, so that one open sum does not blur all that follows.
"""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sohu.isa import EncodingError, Inst, Row, decode
from sohu.isa.machine import REACHES, Engine, Flow
from sohu.isa.operands import XF, XFI, XI, Data, FImm, Reg, T, X

from tests.emulator.reference.formats import CODES, SIZES, code, is_float, value
from tests.emulator.reference.sequencer import SEQUENCER
from tests.emulator.reference.values import Nd, Stopped, match, same_results

HBM, SRAM, ACC = 0, 1, 2
DEPTH = 8
LIMIT = 100_000
_DESCRIPTOR = struct.Struct("<QBBBB4B4I4q")
_MASK = (1 << 64) - 1
_NUMERIC = {"f32", "bf16", "f16", "i32"}


class Mismatch(Exception):
    """Another executor did something that the manual does not allow."""


@dataclass
class Block:
    """Some memory, from an address on."""

    start: int
    data: bytearray
    writable: bool = True

    @property
    def end(self) -> int:
        """One past its last address."""
        return self.start + len(self.data)


@dataclass(frozen=True)
class Tile:
    """A descriptor. `regs`: for each dimension the register that holds its size, or 0."""

    space: int
    dtype: str
    base: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    regs: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for d in self.dims:
            n *= d
        return n

    def addresses(self) -> list[int]:
        """Of all elements, in row-major order."""
        out = [self.base]
        for d, s in zip(self.dims, self.strides, strict=True):
            step = s * SIZES[self.dtype]
            out = [a + i * step for a in out for i in range(d)]
        return out

    def pack(self) -> bytes:
        """Its 64 bytes."""
        rank, number = len(self.dims), next(c for c, name in CODES.items() if name == self.dtype)
        zeros = (0,) * (4 - rank)
        return _DESCRIPTOR.pack(
            self.base, self.space, number, rank, 0, *self.regs, *zeros, *self.dims, *zeros, *self.strides, *zeros
        )


def unpack(data: bytes) -> Tile:
    """A descriptor from its bytes."""
    base, space, number, rank, zero, *rest = _DESCRIPTOR.unpack(data)
    regs, dims, strides = rest[:4], rest[4:8], rest[8:]
    if space > ACC or number not in CODES or not 1 <= rank <= 4 or zero:
        raise Stopped("operand")
    if any((*regs[rank:], *dims[rank:], *strides[rank:])) or any(r > 31 for r in regs):
        raise Stopped("operand")
    return Tile(space, CODES[number], base, tuple(dims[:rank]), tuple(strides[:rank]), tuple(regs[:rank]))


@dataclass
class Issued:
    """An engine's instruction with its operands resolved."""

    row: Row
    pc: int
    tiles: dict[str, Tile]
    scalars: dict[str, Any]
    tails: bool  # a size came from a register
    wait: tuple[int, int] | None
    signal: tuple[int, int] | None


@dataclass
class Observed:
    """What another executor wrote: per queue, for each instruction in its order, the codes of its outputs; for each
    `sld`, what it loaded; the counts of `sdcycle`."""

    outputs: dict[str, list[dict[str, list[int]]]] = field(default_factory=dict)
    loaded: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)


class Machine:
    """One chip that runs one kernel. x, t, sems, memories as in the manual; `cells` counts what was executed."""

    def __init__(
        self,
        text: bytes,
        blocks: Sequence[Block],
        sram: int,
        acc: int,
        *,
        strings: Callable[[int], str] = lambda offset: "",
        observed: Observed | None = None,
        semantics: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.text = text
        self.blocks = sorted(blocks, key=lambda b: b.start)
        self.spaces = {SRAM: Block(0, bytearray(sram)), ACC: Block(0, bytearray(acc))}
        self.x = [0] * 32
        self.t: list[Tile | None] = [None] * 64
        self.sems = [0] * 64
        self.loops: list[list[int]] = []  # start, end, rounds left
        self.queues: dict[str, deque[Issued]] = {}
        self.pc = 0
        self.halted = False
        self.drained = True
        self.instructions = 0
        self.printed: list[str] = []
        self.observed = observed
        self.executed: Counter[str] = Counter()  # per queue
        self.cells: Counter[tuple[Row, tuple[str, ...], bool]] = Counter()
        self.at_fault = -1  # pc of the instruction that stopped it
        self.strings = strings
        self._semantics = semantics
        self._decoded: dict[int, Inst] = {}

    # -- running -----------------------------------------------------------------------------------

    def run(self) -> str:
        """To the end of the program; "" or the category of the fault that stopped it."""
        try:
            while not self.halted:
                if self.instructions > LIMIT:
                    raise Stopped("limit")
                self._step()
            self.drain()
        except Stopped as e:
            if self.at_fault < 0:
                self.at_fault = self.pc
            return e.category
        return ""

    def _fetch(self) -> Inst:
        if not 0 <= self.pc < len(self.text):
            raise Stopped("out-of-bounds")
        if self.pc not in self._decoded:
            try:
                self._decoded[self.pc] = decode(int.from_bytes(self.text[self.pc : self.pc + 16], "little"))
            except EncodingError:
                raise Stopped("illegal-instruction") from None
        return self._decoded[self.pc]

    def _step(self) -> None:
        inst = self._fetch()
        row = inst.row
        if row.engine in (Engine.SEQ, Engine.DEBUG):
            if inst.wait and self.sems[inst.wait.sem] < self.x[inst.wait.reg] + inst.wait.imm:
                raise Stopped("deadlock")  # all that could run has run
            self._sequence(inst)
            self.instructions += 1
            if inst.signal:
                self._signal(inst.signal.sem, inst.signal.inc)
            return
        issued = self._resolve(inst)
        self.drained = False
        name = self._queue_of(inst)
        queue = self.queues.setdefault(name, deque())
        wait = issued.wait
        if queue or (wait and self.sems[wait[0]] < wait[1]):
            if len(queue) == DEPTH:
                raise Stopped("deadlock")
            queue.append(issued)
        else:
            self._execute(name, issued)
        self.instructions += 1
        self.pc = self._arrive(self.pc + 16)

    def _queue_of(self, inst: Inst) -> str:
        number = next((v for o, v in zip(inst.row.operands, inst.values, strict=True) if o.name == "q"), 0)
        return f"{inst.row.engine.value}{number}" if inst.row.engine is Engine.DMA else inst.row.engine.value

    def _pump(self) -> None:
        moved = True
        while moved:
            moved = False
            for name, queue in self.queues.items():
                while queue and (queue[0].wait is None or self.sems[queue[0].wait[0]] >= queue[0].wait[1]):
                    moved = True
                    issued = queue.popleft()
                    self._execute(name, issued, pump=False)

    def _signal(self, sem: int, n: int, pump: bool = True) -> None:
        self.sems[sem] += n
        if self.sems[sem] >= 1 << 32:
            raise Stopped("semaphore")
        if pump:
            self._pump()

    def drain(self) -> None:
        """Until all queues are empty."""
        self._pump()
        if any(self.queues.values()):
            raise Stopped("deadlock")
        self.drained = True

    def _arrive(self, pc: int) -> int:
        while self.loops and self.loops[-1][1] == pc:
            self.loops[-1][2] -= 1
            if self.loops[-1][2] > 0:
                return self.loops[-1][0]
            self.loops.pop()
        return pc

    # -- the sequencer -----------------------------------------------------------------------------

    def _sequence(self, inst: Inst) -> None:
        row = inst.row
        pc = self.pc
        values = {o.name: self._scalar(o.kind, v) for o, v in zip(row.operands, inst.values, strict=True)}
        if row.data:
            self._check(row, {o.name: values[o.name] for _, o, _ in row.data})
            self.cells[row, tuple(values[o.name].dtype for _, o, _ in row.data), self._tails(inst)] += 1
        else:
            self.cells[row, (), False] += 1
        result = SEQUENCER[row.mnemonic](self, **values)
        goes = pc + 16
        target = pc + next(
            (v for o, v in zip(row.operands, inst.values, strict=True) if o.name in ("target", "end")), 0
        )
        if row.flow is Flow.BRANCH and result:
            goes = target
        elif row.flow in (Flow.JUMP, Flow.CALL):
            if row.flow is Flow.CALL:
                self.x[1] = goes
            goes = target
        elif row.flow is Flow.RET:
            goes = self.x[1]
            if goes % 16:
                raise Stopped("misaligned")
            if not 0 <= goes < len(self.text):
                raise Stopped("out-of-bounds")
        elif row.flow is Flow.LOOP:
            if result <= 0 or target == goes:
                goes = target
            elif len(self.loops) == 8:
                raise Stopped("operand")
            else:
                self.loops.append([goes, target, result])
                self.pc = goes
                return
        elif row.flow is Flow.HALT:
            self.halted = True
            return
        for o, v in zip(row.operands, inst.values, strict=True):
            if o.kind.writes and isinstance(o.kind, X):
                if v:
                    self.x[v] = (result & _MASK) - (1 << 64 if result & _MASK >> 1 != result & _MASK else 0)
            elif o.kind.writes:
                self.t[v] = result
        self.pc = self._arrive(goes)

    def _scalar(self, kind: Any, v: Any) -> Any:
        """What an operand means: a number, or a resolved tile; None for what is written."""
        if kind.writes:
            return None
        if isinstance(kind, T):
            return self.tile(v)
        if isinstance(kind, XFI):
            return value("f32", self.x[v.index] & 0xFFFFFFFF) if isinstance(v, Reg) else float(v)
        if isinstance(kind, XI):
            return self.x[v.index] if isinstance(v, Reg) else v
        if isinstance(kind, XF):
            return value("f32", self.x[v] & 0xFFFFFFFF)
        if isinstance(kind, X):
            return self.x[v]
        if isinstance(kind, FImm):
            return code("f32", v)
        return v

    def tile(self, reg: int) -> Tile:
        """What a tile register holds, its sizes read from the scalar registers."""
        t = self.t[reg]
        if t is None:
            raise Stopped("operand")
        dims = []
        for d, r in zip(t.dims, t.regs, strict=True):
            size = self.x[r] if r else d
            if not 0 <= size < 1 << 32:
                raise Stopped("operand")
            if r and d and size > d:
                raise Stopped("out-of-bounds")
            dims.append(size)
        return Tile(t.space, t.dtype, t.base, tuple(dims), t.strides, (0,) * len(dims))

    # -- memory ------------------------------------------------------------------------------------

    def block(self, space: int, low: int, high: int) -> Block:
        """The memory that holds the bytes low to high - 1."""
        if space != HBM:
            b = self.spaces[space]
            if low >= 0 and high <= b.end:
                return b
            raise Stopped("out-of-bounds")
        for b in self.blocks:
            if b.start <= low and high <= b.end:
                return b
        raise Stopped("out-of-bounds")

    def load(self, address: int, size: int = 8) -> bytes:
        """Some bytes of HBM."""
        if address % 8:
            raise Stopped("misaligned")
        b = self.block(HBM, address, address + size)
        return bytes(b.data[address - b.start : address - b.start + size])

    def store(self, address: int, data: bytes) -> None:
        """Write some bytes of HBM."""
        if address % 8:
            raise Stopped("misaligned")
        b = self.block(HBM, address, address + len(data))
        if not b.writable:
            raise Stopped("read-only")
        b.data[address - b.start : address - b.start + len(data)] = data

    def read(self, tile: Tile) -> list[int]:
        """The codes of a tile's elements, in row-major order."""
        n, at = SIZES[tile.dtype], tile.addresses()
        if not at:
            return []
        b = self.block(tile.space, min(at), max(at) + n)
        return [int.from_bytes(b.data[a - b.start : a - b.start + n], "little") for a in at]

    def write(self, tile: Tile, codes: Sequence[int]) -> None:
        """Set a tile's elements."""
        n, at = SIZES[tile.dtype], tile.addresses()
        if not at:
            return
        b = self.block(tile.space, min(at), max(at) + n)
        for a, c in zip(at, codes, strict=True):
            b.data[a - b.start : a - b.start + n] = c.to_bytes(n, "little")

    # -- engines -----------------------------------------------------------------------------------

    def _resolve(self, inst: Inst) -> Issued:
        row = inst.row
        tiles: dict[str, Tile] = {}
        scalars: dict[str, Any] = {}
        for o, v in zip(row.operands, inst.values, strict=True):
            if isinstance(o.kind, Data):
                tiles[o.name] = self.tile(v)
            else:
                scalars[o.name] = self._scalar(o.kind, v)
        self._check(row, tiles)
        wait = None if inst.wait is None else (inst.wait.sem, self.x[inst.wait.reg] + inst.wait.imm)
        signal = None if inst.signal is None else (inst.signal.sem, inst.signal.inc)
        return Issued(row, self.pc, tiles, scalars, self._tails(inst), wait, signal)

    def _tails(self, inst: Inst) -> bool:
        """Whether a size of a tile comes from a register."""
        held = [self.t[inst.values[i]] for i, _, _ in inst.row.data]
        return any(t is not None and any(t.regs) for t in held)

    def _check(self, row: Row, tiles: dict[str, Tile]) -> None:
        """What must hold when an instruction uses tiles (docs/isa/machine.md, Tiles)."""
        for _, o, k in row.data:
            tile = tiles[o.name]
            if tile.base % SIZES[tile.dtype]:
                raise Stopped("misaligned")
            if tile.space not in {int(s) for s in (k.spaces or REACHES[row.engine])}:
                raise Stopped("operand")
            if tile.dtype not in {d.name for d in k.dtypes}:
                raise Stopped("operand")
            at = tile.addresses()
            if at:
                b = self.block(tile.space, min(at), max(at) + SIZES[tile.dtype])
                if k.writes_data and not b.writable:
                    raise Stopped("read-only")
        match([(k.pattern.text, tiles[o.name].dims) for _, o, k in row.data])
        numeric, packed = set(), set()
        for _, o, k in row.data:
            takes, mine = {d.name for d in k.dtypes}, tiles[o.name].dtype
            if takes == _NUMERIC:
                numeric.add(is_float(mine))
            if "fp4x2" in takes and len(takes) > 1:
                packed.add(mine == "fp4x2")
        if len(numeric) > 1 or len(packed) > 1:
            raise Stopped("operand")
        written: dict[int, set[int]] = {}
        for _, o, k in row.data:
            if not k.writes_data:
                continue
            tile = tiles[o.name]
            reach = 0
            for s, d in sorted((abs(s), d) for s, d in zip(tile.strides, tile.dims, strict=True) if d > 1):
                if s <= reach:
                    raise Stopped("operand")
                reach += s * (d - 1)
            bytes_of = {a + i for a in tile.addresses() for i in range(SIZES[tile.dtype])}
            if bytes_of & written.setdefault(tile.space, set()):
                raise Stopped("operand")
            written[tile.space] |= bytes_of

    def _execute(self, queue: str, issued: Issued, pump: bool = True) -> None:
        row, place = issued.row, self.executed[queue]
        try:
            operands: dict[str, Any] = dict(issued.scalars)
            for name, tile in issued.tiles.items():
                operands[name] = Nd(tile.dims, tile.dtype, self.read(tile))
            results = self._semantics[row.mnemonic](operands)
            self._compare(queue, place, issued, results)
            self.executed[queue] += 1
            if issued.signal:
                self._signal(*issued.signal, pump=pump)
        except Stopped:
            if self.at_fault < 0:
                self.at_fault = issued.pc
            raise
        if row.data and all(t.size for t in issued.tiles.values()):
            self.cells[row, tuple(t.dtype for t in issued.tiles.values()), issued.tails] += 1
        elif not row.data:
            self.cells[row, (), False] += 1

    def _compare(self, queue: str, place: int, issued: Issued, results: Mapping[str, Any]) -> None:
        written = [o.name for _, o, k in issued.row.data if k.writes_data]
        assert set(results) == set(written), issued.row
        seen = None
        if self.observed is not None:
            of_queue = self.observed.outputs.get(queue, [])
            if place >= len(of_queue):
                raise Mismatch(f"{self.place(issued)}: the other executor has not executed it")
            seen = of_queue[place]
            if set(seen) != set(written):
                raise Mismatch(f"{self.place(issued)}: the other executor wrote {set(seen)}")
        for name in written:
            tile = issued.tiles[name]
            codes, wrong = same_results(tile.dtype, results[name], None if seen is None else seen[name], tile.size)
            if wrong is not None:
                at, wants = wrong
                assert seen is not None
                got = value(tile.dtype, seen[name][at])
                where = f"element {at} of {name} {tile.dtype}{list(tile.dims)}"
                operands = {n: f"{t.dtype}{list(t.dims)}" for n, t in issued.tiles.items()}
                raise Mismatch(
                    f"{self.place(issued)}: {where} is {got!r} ({seen[name][at]:#x}), wants {wants}\n"
                    f"  {operands} {issued.scalars}\n{self._inputs(issued)}"
                )
            self.write(tile, codes)

    def _inputs(self, issued: Issued) -> str:
        out = []
        for _, o, k in issued.row.data:
            if k.reads_data:
                tile = issued.tiles[o.name]
                shown = [value(tile.dtype, c) for c in self.read(tile)[:64]]
                out.append(f"  {o.name} = {shown}")
        return "\n".join(out)

    def place(self, issued: Issued) -> str:
        """Which instruction it is."""
        return f"pc {issued.pc:#x} {issued.row.mnemonic}"
