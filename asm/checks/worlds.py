"""What registers hold, as far as that is known before a program runs.

A kernel is followed once through all its instructions, in a few worlds at a time. What nobody knows before it runs
(sizes of parameters, loaded numbers, counters of loops) is another number in each of them. What comes out the same in
all worlds holds in every run; the rest is not known. So each instruction does here what its row says it does.

Addresses are told apart the same way: a parameter, or a declared tile, lies in a window of addresses of its own, far
above all memory. An address shows by its window what it belongs to.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import heappop, heappush
from typing import Any

import numpy as np
from sohu.asm.checks.code import Block, Code
from sohu.asm.program import PARAM_BYTES, Kernel
from sohu.isa import INSTRUCTION_BYTES, NUM_SCALARS, NUM_TILES, Fault, Inst, Space, Tile
from sohu.isa.machine import ARGS, GP, SP
from sohu.isa.operands import XF, XFI, XI, Data, FImm, Reg, T, X, bits_f32, f32_bits

WORLDS = 7
MAX_STEPS = 10_000  # that a kernel is followed for: some 0.2 s
_MERGE = 3  # steps that it takes to merge two descriptors
_WINDOW = 80  # bits of an address below its window
_GP, _ARGS, _SP = 1 << 60, 1 << 61, 1 << 62  # where the image, the parameters and the stack lie here

Numbers = tuple[int, ...]  # one scalar register, per world
Tiles = tuple[Tile, ...]  # one tile register, per world

# What semantics can raise for operands that cannot be; a user's own may be careless.
_FAILURES = (Fault, ArithmeticError, LookupError, TypeError, ValueError, AttributeError)


class Anything(int):
    """A size that is not known: it equals every other, so that nothing is said against it."""

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 0

    def __mul__(self, other: int) -> Anything:
        return self

    def __repr__(self) -> str:
        return "?"

    __str__ = __repr__


ANY = Anything()


_MOST = (1 << 32) - 1  # that a size can be


@cache
def unknown(*key: object) -> Numbers:
    """A number that is not known; the same for the same key.

    0, 1 and all ones tell remainders and masks of it apart; and it is less than some unknown size (`size`) in one
    world, more in another.
    """
    a, b = _random(key)
    return 0, 1, a, _MOST, 0, 1, b


@cache
def size(*key: object) -> Numbers:
    """A size of a tile that is not known."""
    a, b = _random(key)
    return 0, 1, a, _MOST, _MOST, b, 1


def _random(key: tuple[object, ...]) -> tuple[int, int]:
    number = zlib.crc32(repr(key).encode())
    return (1 << 10) + number % 1_000_003, (1 << 10) + number % 999_983


@dataclass(frozen=True)
class Touched:
    """A tile operand of an engine's instruction: what is known of it."""

    name: str
    kind: Data
    tile: Tile | None  # with ANY for sizes that are not known
    tiles: Tiles | None

    @property
    def owner(self) -> int | None:
        """The window of its address, if it has one: `declared(i)` or `parameter(i)`."""
        if self.tiles is None:
            return None
        owners = {t.base >> _WINDOW for t in self.tiles}
        return owners.pop() if len(owners) == 1 else None

    def is_in_image(self, code: Code) -> bool:
        """True when it begins in the program's own image."""
        size = code.program.image_bytes
        return self.tiles is not None and all(t.space is Space.HBM and 0 <= t.base - _GP < size for t in self.tiles)


def declared(i: int) -> int:
    """The window of the kernel's i-th declared tile."""
    return 1 + i


def parameter(i: int) -> int:
    """The window of the kernel's i-th parameter."""
    return 1 + NUM_TILES + i


@dataclass
class Seen:
    """What is known at one instruction, when it runs."""

    at: int
    inst: Inst
    touched: list[Touched]
    fault: Fault | None = None  # the instruction ends in it in every world
    writes: str = ""  # "image" or "parameters", where the sequencer stores there


@dataclass
class State:
    """Registers before an instruction."""

    x: list[Numbers]
    t: list[Tiles | None]


Reader = Callable[[State], Sequence[Any]]  # what an operand is, in every world


class _NotKnown(AttributeError):
    """The machine is asked for what is not known before it runs."""


class _Loader:
    """The machine, as far as it can be known: parameters and descriptors."""

    def __init__(self, kernel: Kernel, code: Code, world: int) -> None:
        self.kernel = kernel
        self.code = code
        self.world = world
        self.stored = ""
        self.tiles = {t.address: i for i, t in enumerate(kernel.tiles)}

    def load64(self, address: int) -> int:
        """A scalar parameter."""
        slot, rest = divmod(address - _ARGS, PARAM_BYTES)
        if rest or not 0 <= slot < len(self.kernel.params) or self.kernel.params[slot].is_tensor:
            raise _NotKnown
        return unknown(self.kernel.name, "parameter", slot)[self.world]

    def load_tile(self, address: int) -> Tile:
        """The descriptor of a parameter or of a declared tile."""
        slot, rest = divmod(address - _ARGS, PARAM_BYTES)
        if not rest and 0 <= slot < len(self.kernel.params):
            p = self.kernel.params[slot]
            if p.dtype is None:
                raise _NotKnown
            sizes = [size(self.kernel.name, d)[self.world] if isinstance(d, str) else d for d in p.dims]
            return Tile(Space.HBM, p.dtype, parameter(slot) << _WINDOW, sizes)
        i = self.tiles.get(address - _GP)
        if i is None:
            raise _NotKnown
        tile = self.kernel.tiles[i].tile
        base = (declared(i) << _WINDOW) + tile.base
        return Tile(tile.space, tile.dtype, base, tile.dims, tile.strides, tile.dimregs)

    def store64(self, address: int, value: int) -> None:
        """Notes where it goes."""
        program = self.code.program
        if 0 <= address - _GP < program.image_bytes:
            self.stored = "image"
        elif 0 <= address - _ARGS < PARAM_BYTES * len(self.kernel.params):
            self.stored = "parameters"

    def store_tile(self, address: int, tile: Tile) -> None:
        """Notes where it goes."""
        self.store64(address, 0)

    def __getattr__(self, name: str) -> Any:
        raise _NotKnown(name)


@dataclass(frozen=True, slots=True)
class _Step:
    """An instruction that the sequencer runs for its effect on registers, or on memory."""

    at: int
    inst: Inst
    written: int | None  # position of the operand that is written
    readers: list[tuple[str, Reader]]
    is_known: bool  # what it writes follows from what it reads


class Follower:
    """Follows one kernel."""

    def __init__(self, code: Code, kernel: Kernel, blocks: list[Block]) -> None:
        self.code = code
        self.kernel = kernel
        self.blocks = {b.start: b for b in blocks}
        self.machines = [_Loader(kernel, code, w) for w in range(WORLDS)]
        self.before: dict[int, State] = {}
        self.steps = {
            b.start: [s for at in range(b.start, b.end) if (s := _step(code, at)) is not None] for b in blocks
        }
        self.left = MAX_STEPS

    def run(self) -> Iterator[Seen]:
        """Every instruction that touches tiles or stores, in order, with what is known when it runs.

        None where it would take too long to find out.
        """
        if not self._settle():
            return
        for start, state in sorted(self.before.items()):
            now = State(state.x[:], state.t[:])
            block = self.blocks[start]
            steps = {s.at: s for s in self.steps[start]}
            for at in range(block.start, block.end):
                seen = None
                inst = self.code.inst(at)
                if inst is not None and inst.row.data:
                    seen = Seen(at, inst, [self._touch(o.name, k, inst.values[i], now) for i, o, k in inst.row.data])
                if (step := steps.get(at)) is not None:
                    fault, writes = self._take(step, now)
                    if fault is not None or writes:
                        seen = Seen(at, step.inst, [], fault, writes)
                if seen is not None:
                    yield seen

    def _settle(self) -> bool:
        """Find the registers before each block, until no way there adds anything; False if that takes too long."""
        entry = self.kernel.entry // INSTRUCTION_BYTES
        x: list[Numbers] = [(0,) * WORLDS] * NUM_SCALARS
        for reg, value in ((GP, _GP), (ARGS, _ARGS), (SP, _SP)):
            x[reg] = (value,) * WORLDS
        self.before[entry] = State(x, [None] * NUM_TILES)
        todo = [entry]
        waiting = {entry}
        while todo:
            start = heappop(todo)
            waiting.remove(start)
            block = self.blocks[start]
            now = State(self.before[start].x[:], self.before[start].t[:])
            self.left -= len(self.steps[start]) + 1
            if self.left < 0:
                return False
            for step in self.steps[start]:
                self._take(step, now)
            for ways in (block.calls, block.next):
                for to in ways:
                    if to in self.blocks and self._arrive(to, now) and to not in waiting:
                        waiting.add(to)
                        heappush(todo, to)
                if block.calls:
                    _forget(now, block.end)
        return True

    def _arrive(self, at: int, now: State) -> bool:
        """Add a way to a block; true if less is known there now."""
        old = self.before.get(at)
        if old is None:
            self.before[at] = State(now.x[:], now.t[:])
            return True
        changed = False
        if old.x != now.x:
            for reg, (a, b) in enumerate(zip(old.x, now.x, strict=True)):
                if a is not b and a != b and a != (fresh := unknown(at, "x", reg)):
                    old.x[reg] = fresh
                    changed = True
        if old.t != now.t:
            for reg, (s, t) in enumerate(zip(old.t, now.t, strict=True)):
                if s is not None and s is not t and s != t:
                    self.left -= _MERGE
                    old.t[reg] = merged = None if t is None else _merge(s, t, at, reg)
                    changed = changed or merged != s
        return changed

    def _take(self, step: _Step, now: State) -> tuple[Fault | None, str]:
        """Run an instruction in every world; changes `now`.

        Returns the fault it ends in in all of them, and what it stores to: "image", "parameters" or "".
        """
        inst, written = step.inst, step.written
        if not step.is_known:
            if written is not None and inst.values[written]:
                now.x[inst.values[written]] = unknown(step.at)
            return None, ""
        results, faults = self._results(step, now)
        fault = faults[0] if len(faults) == WORLDS and len({f.message for f in faults}) == 1 else None
        if written is None:
            stored = {m.stored for m in self.machines}
            return fault, stored.pop() if len(stored) == 1 else ""
        reg = inst.values[written]
        if isinstance(inst.row.operands[written].kind, T):
            now.t[reg] = None if None in results else tuple(results)
        elif reg:
            fresh = unknown(step.at)
            now.x[reg] = tuple([fresh[w] if v is None else _signed(v) for w, v in enumerate(results)])
        return fault, ""

    def _results(self, step: _Step, now: State) -> tuple[list[Any], list[Fault]]:
        """What the semantics returns, by world (None where it does not), and the operand faults it ends in."""
        row = step.inst.row
        results: list[Any] = []
        faults: list[Fault] = []
        names = [name for name, _ in step.readers]
        try:
            columns = [read(now) for _, read in step.readers]
        except _NotKnown:
            return [None] * WORLDS, []
        same = not row.takes_machine and all(c.count(c[0]) == WORLDS for c in columns)
        for world, machine in enumerate(self.machines):
            machine.stored = ""
            result = None
            try:
                values = {name: c[world] for name, c in zip(names, columns, strict=True)}
                result = row.semantics(machine, **values) if row.takes_machine else row.semantics(**values)
            except _NotKnown:
                pass
            except _FAILURES as e:
                if isinstance(e, Fault) and e.category == "operand":
                    faults.append(e)
            results.append(result)
            if same:
                return results * WORLDS, faults * WORLDS
        return results, faults

    def _touch(self, name: str, kind: Data, reg: int, now: State) -> Touched:
        tiles = now.t[reg]
        if tiles is None:
            return Touched(name, kind, None, None)
        if tiles[0].dimregs:
            try:
                tiles = _resolved(tiles, now)
            except Fault:  # a size that is not known is none that fits
                tiles = tuple(Tile(t.space, t.dtype, t.base, _loose(t, reg, w), t.strides) for w, t in enumerate(tiles))
        return Touched(name, kind, agreed(tiles), tiles)


def _step(code: Code, at: int) -> _Step | None:
    """What following an instruction takes; None where it changes nothing that is followed."""
    inst = code.inst(at)
    if inst is None:
        return None
    row = inst.row
    written = next((i for i, o in enumerate(row.operands) if o.kind.writes), None)
    if written is None and (row.data or not row.takes_machine):
        return None
    readers = [(o.name, _reader(o.kind, v)) for o, v in zip(row.operands, inst.values, strict=True)]
    return _Step(at, inst, written, readers, not row.data)


def _resolved(tiles: Tiles, now: State) -> Tiles:
    if not tiles[0].dimregs:
        return tiles
    return tuple([t.resolve([x[w] for x in now.x]) for w, t in enumerate(tiles)])


def agreed(tiles: Tiles) -> Tile | None:
    """What is the same of a tile in all worlds; None where even its kind is not. The base is that of one world."""
    first = tiles[0]
    if any((t.space, t.dtype, t.rank) != (first.space, first.dtype, first.rank) for t in tiles):
        return None
    if all(t == first for t in tiles):
        return first
    dims = [d[0] if len(set(d)) == 1 else ANY for d in zip(*(t.dims for t in tiles), strict=True)]
    return Tile(first.space, first.dtype, first.base, dims, first.strides)


def _loose(t: Tile, reg: int, world: int) -> list[int]:
    regs = t.dimregs or (0,) * t.rank
    return [unknown("size", reg, axis)[world] if r else d for axis, (d, r) in enumerate(zip(t.dims, regs, strict=True))]


def _merge(s: Tiles, t: Tiles, at: int, reg: int) -> Tiles | None:
    """A tile register to which two ways lead: what both agree on, the rest not known. None: not even its kind."""
    a, b = s[0], t[0]
    if (a.space, a.dtype, a.rank) != (b.space, b.dtype, b.rank) or a.dimregs != b.dimregs:
        return None
    if agreed(s) is None or agreed(t) is None:
        return None

    def columns(tiles: Tiles, what: str) -> list[Numbers]:
        return list(zip(*(getattr(tile, what) for tile in tiles), strict=True))

    pairs = zip(columns(s, "dims"), columns(t, "dims"), strict=True)
    dims = [d if d == e else size(at, reg, i) for i, (d, e) in enumerate(pairs)]
    pairs = zip(columns(s, "strides"), columns(t, "strides"), strict=True)
    strides = [d if d == e else unknown(at, reg, "stride", i) for i, (d, e) in enumerate(pairs)]
    base, other = tuple(x.base for x in s), tuple(x.base for x in t)
    if base != other:
        windows = {address >> _WINDOW for address in (*base, *other)}
        start = windows.pop() << _WINDOW if len(windows) == 1 else 0
        base = tuple(start + offset for offset in unknown(at, reg, "base"))
    return tuple(
        Tile(a.space, a.dtype, base[w], [d[w] for d in dims], [x[w] for x in strides], a.dimregs) for w in range(WORLDS)
    )


def _forget(now: State, at: int) -> None:
    """After a call only what the ABI fixes for good is known."""
    for reg in range(1, NUM_SCALARS):
        if reg not in (GP, SP, ARGS):
            now.x[reg] = unknown(at, "call", reg)
    now.t = [None] * NUM_TILES


def _signed(value: int) -> int:
    return (int(value) + (1 << 63)) % (1 << 64) - (1 << 63)


def _reader(kind: Any, value: Any) -> Reader:
    """What the semantics gets for an operand, in every world, as the emulator gives it."""
    constant = (None,) * WORLDS if kind.writes else (f32_bits(value) if isinstance(kind, FImm) else value,) * WORLDS
    if kind.writes:
        return lambda now: constant
    if isinstance(kind, T):
        return lambda now: _tiles(now, value)
    if isinstance(kind, XF):
        return lambda now: tuple(map(bits_f32, now.x[value]))
    if isinstance(kind, XI):
        if not isinstance(value, Reg):
            return lambda now: constant
        reg = value.index
        return (lambda now: tuple(map(bits_f32, now.x[reg]))) if isinstance(kind, XFI) else (lambda now: now.x[reg])
    if isinstance(kind, X):
        return lambda now: now.x[value]
    return lambda now: constant


def _tiles(now: State, reg: int) -> Tiles:
    tiles = now.t[reg]
    if tiles is None:
        raise _NotKnown
    try:
        return _resolved(tiles, now)
    except Fault:
        raise _NotKnown from None


def follow(code: Code) -> Sequence[tuple[Kernel, list[Seen]]]:
    """Every kernel that is followed, with what is known at its instructions; kept, since several checks want it."""
    if "followed" not in code.kept:
        with np.errstate(all="ignore"):  # as when the program runs
            code.kept["followed"] = [(k, list(Follower(code, k, blocks).run())) for k, blocks in code.followed()]
    found: Sequence[tuple[Kernel, list[Seen]]] = code.kept["followed"]
    return found
