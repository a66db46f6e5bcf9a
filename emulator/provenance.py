"""Where an element comes from: which instruction wrote it, and which elements of its operands went into it.

Of no instruction is more known than its row. What only moves elements (Row.moves) is run on coordinates in place of
elements, and so tells where each comes from. Of others, shapes say which elements can matter: dimensions that the
result shares with an operand have its index, the others are whole. The semantics is then run on these alone, to see
that they suffice, and again with each of them changed a little, to see how much it counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isinf, isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.bind import traits_of
from sohu.emulator.checks.registry import Check
from sohu.emulator.checks.scalars import Held, Scalars, operands
from sohu.emulator.shadow import doubles
from sohu.isa import Fault, Row, Space, Tile
from sohu.isa.numerics import convert, widen
from sohu.isa.shapes import Pattern

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op

Index = tuple[int, ...]
_PROBES = 4096  # elements that are changed one by one to see how much they count,
_WORK = 1 << 23  # if the elements computed with for that are no more than this
_AT_ONCE = 1 << 18  # of them
_CLOSE = 2.0**-6  # relative, of what is computed anew from what the machine has
_STEP = 2.0**-12  # relative, of a change
_MAIN = 8.0  # times as much counts an operand of the shape of the result
_REFUSALS = (Fault, ValueError, TypeError, IndexError, ArithmeticError, AttributeError)


@dataclass(frozen=True)
class Place:
    """The bytes of one element."""

    space: Space
    low: int
    high: int


def place_of(tile: Tile, index: Index) -> Place:
    """Where an element of a resolved tile lies."""
    n = tile.dtype.itemsize
    low = tile.base + sum(i * s for i, s in zip(index, tile.strides, strict=True)) * n
    return Place(tile.space, low, low + n)


def index_of(tile: Tile, place: Place) -> Index | None:
    """The element of a resolved tile that has one of these bytes; None when none has."""
    if tile.space is not place.space or not tile.size:
        return None
    n = tile.dtype.itemsize
    low, high = tile.extent()
    if place.low >= high or place.high <= low:
        return None
    for address in range(place.low // n * n, place.high, n):
        found = _element(tile, (address - tile.base) // n)
        if found is not None:
            return found
    return None


def _element(tile: Tile, offset: int) -> Index | None:
    """The index with this offset in elements."""
    axes = sorted(
        (i for i, d in enumerate(tile.dims) if d > 1 and tile.strides[i]), key=lambda i: -abs(tile.strides[i])
    )
    index = [0] * tile.rank
    for i in axes:  # as if all strides were positive
        if tile.strides[i] < 0:
            offset -= tile.strides[i] * (tile.dims[i] - 1)

    def walk(left: int, at: int) -> bool:
        if at == len(axes):
            return left == 0
        i = axes[at]
        stride = abs(tile.strides[i])
        most = sum(abs(tile.strides[j]) * (tile.dims[j] - 1) for j in axes[at + 1 :])
        first = min(left // stride, tile.dims[i] - 1)
        for k in range(first, -1, -1):
            rest = left - k * stride
            if rest > most:
                return False
            index[i] = k if tile.strides[i] > 0 else tile.dims[i] - 1 - k
            if walk(rest, at + 1):
                return True
        return False

    return tuple(index) if offset >= 0 and walk(offset, 0) else None


@dataclass(frozen=True)
class Part:
    """An element that went into another one. share: what it contributes, to first order; None where that is unknown."""

    operand: str
    tile: Tile
    index: Index
    value: float
    share: float | None = None


@dataclass(frozen=True)
class Origin:
    """What an instruction made an element of.

    kind: "moved" (parts: the one element), "made" (of no element: a constant, random bits), "computed", or "kept": it
    has not written this element. parts: the most important first; of: how many elements went into it in all, of
    which only some are named. about: the form, such as "sum of products".
    """

    kind: str
    parts: tuple[Part, ...] = ()
    of: int = 0
    about: str = ""


class _Tile:
    """An operand with what it holds when its instruction is about to execute."""

    __slots__ = ("array", "name", "pattern", "reads", "region", "tile", "writes")

    def __init__(self, name: str, tile: Tile, array: NDArray[Any], pattern: Pattern, reads: bool, writes: bool) -> None:
        self.name = name
        self.tile = tile
        self.array = array
        self.pattern = pattern
        self.reads = reads
        self.writes = writes
        self.region: list[int | None] = []  # per dimension: the index that can matter; None: all


class Instruction:
    """An instruction that is about to execute, to be asked about elements of its results.

    arrays: what its tiles hold then; scalars: what registers give it; t, x: registers of the machine.
    """

    def __init__(
        self, machine: Machine, op: Op, bound: Bound, arrays: Sequence[NDArray[Any]], scalars: Held
    ) -> None:  # fmt: skip
        assert op.inst is not None
        self.machine = machine
        self.row: Row = op.inst.row
        self.fixed = operands(op, scalars)
        specs = traits_of(self.row).specs
        self.tiles = [
            _Tile(s.name, t, a, s.data.pattern, s.reads, s.writes)
            for s, t, a in zip(specs, bound.tiles, arrays, strict=True)
        ]
        self.extra = bound.recipe.extra

    def origin(self, output: int, index: Index, value: float) -> Origin:
        """Of what an element of a tile operand is made, which then has `value`."""
        with np.errstate(all="ignore"):
            if self.row.moves:
                found = self._moved(output, index)
                if found is not None:
                    return found
            return self._computed(output, index, value)

    def _call(self, arrays: Sequence[NDArray[Any]], *, extra: bool = False) -> None:
        values = dict(self.fixed)
        for t, array, more in zip(self.tiles, arrays, self.extra, strict=True):
            given = array[(0,) * more] if extra and more else array
            values[t.name] = [given] if self.row.collective else given
        first = (self.machine,) if self.row.takes_machine else ()
        self.row.semantics(*first, *(values[o.name] for o in self.row.operands))

    # -- what only moves ---------------------------------------------------------------------------

    def _moved(self, output: int, index: Index) -> Origin | None:
        """By its coordinates, one axis after the other. None when its semantics takes no coordinates."""
        out = self.tiles[output]
        if out.name not in self.row.moves and not any(t.name in self.row.moves for t in self.tiles):
            return None
        for t in self.tiles:
            if t.name not in self.row.moves or t is out:
                continue
            at: list[int] = []
            for axis in range(t.array.ndim):
                shape = [1] * t.array.ndim
                shape[axis] = -1
                numbers = np.arange(1, t.array.shape[axis] + 1).reshape(shape)
                arrays = [
                    np.broadcast_to(numbers, o.array.shape)
                    if o is t
                    else np.zeros(o.array.shape, np.int64)
                    if o.writes or o.name in self.row.moves
                    else o.array
                    for o in self.tiles
                ]
                try:
                    self._call(arrays, extra=True)
                except _REFUSALS:
                    return None
                at.append(int(arrays[output][index]) - 1)
            if min(at) >= 0:
                source = tuple(at)
                return Origin("moved", (Part(t.name, t.tile, source, _number(t.array[source])),), 1)
        return Origin("kept" if out.reads else "made")

    # -- what computes -----------------------------------------------------------------------------

    def _computed(self, output: int, index: Index, value: float) -> Origin:
        self._regions(output, index)
        inputs = [t for t in self.tiles if t.reads and t.array.size]
        if not inputs:
            return Origin("made")
        out = self.tiles[output]
        names = [d.name for d in out.pattern.dims]
        for kept in ((), tuple(names[-1:]), tuple(names[-2:]), None):
            part = _Reduced(self, output, index, kept)
            if part.matches(value):
                return part.origin(value)
        part.sure = False
        return part.origin(value)

    def _regions(self, output: int, index: Index) -> None:
        """Which elements of each operand can matter, by the names of dimensions."""
        out = self.tiles[output]
        rank = len(out.pattern.dims)
        lead = index[: len(index) - rank]
        known = {d.name: (d.divisor, i) for d, i in zip(out.pattern.dims, index[len(index) - rank :], strict=True)}
        for t in self.tiles:
            shape = t.array.shape
            named = t.pattern.dims[max(len(t.pattern.dims) - len(shape), 0) :]
            more = len(shape) - len(named)
            own = lead[max(len(lead) - more, 0) :]
            own = (0,) * (more - len(own)) + own
            t.region = [0 if size == 1 else i for i, size in zip(own, shape[:more], strict=True)]
            for d, size in zip(named, shape[more:], strict=True):
                divisor, i = known.get(d.name, (0, -1))
                at = i if divisor == d.divisor else i * divisor // d.divisor if divisor == 1 else None
                t.region.append(0 if size == 1 else at if at is not None and at >= 0 and d.name != "1" else None)


class _Reduced:
    """The instruction on the elements that can matter for one of its results, `kept` dimensions left whole.

    kept: names; None: everything is whole.
    """

    def __init__(self, whole: Instruction, output: int, index: Index, kept: tuple[str, ...] | None) -> None:
        self.whole = whole
        self.row = whole.row
        self.output = output
        self.sure = True
        self.tiles = whole.tiles
        self.firsts: list[Index] = []
        self.arrays: list[NDArray[Any]] = []
        divided = {d.name for t in self.tiles for d in t.pattern.dims if d.divisor > 1}
        for t in self.tiles:
            first, cut = [], []
            more = t.array.ndim - len(t.pattern.dims)
            for axis, at in enumerate(t.region):
                name = t.pattern.dims[axis - more].name if axis >= more else ""
                if at is None or kept is None or name in kept or name in divided:
                    first.append(0)
                    cut.append(slice(None))
                else:
                    first.append(at)
                    cut.append(slice(at, at + 1))
            self.firsts.append(tuple(first))
            array = t.array[tuple(cut)]
            floats = t.tile.dtype.is_float and (t.tile.dtype.itemsize > 1 or t.reads)
            self.arrays.append(doubles(array) if floats else array.copy())
        self.index = tuple(i - f for i, f in zip(index, self.firsts[output], strict=True))

    def run(self, arrays: Sequence[NDArray[Any]]) -> Any:
        """The result of the semantics for some elements: all of them."""
        given = [a.copy() if t.writes else a for t, a in zip(self.tiles, arrays, strict=True)]
        self.whole._call(given, extra=True)
        return given[self.output]

    def matches(self, value: float) -> bool:
        """Whether these elements suffice for what the machine has."""
        try:
            got = self.run(self.arrays)[self.index]
        except _REFUSALS:
            return False
        tile = self.tiles[self.output].tile
        if tile.dtype.numbers > 1:
            return True
        if got.dtype != tile.dtype.np:
            got = convert(np.array([got]), tile.dtype.np, saturate=tile.dtype.itemsize == 1)[0]
        return _alike(_number(got), value)

    # -- which count -------------------------------------------------------------------------------

    def origin(self, value: float) -> Origin:
        """The elements that went into it, the most important first."""
        cells = [(n, t, a) for n, (t, a) in enumerate(zip(self.tiles, self.arrays, strict=True)) if t.reads and a.size]
        count = sum(a.size for _, _, a in cells)
        parts: list[Part] = []
        about = ""
        if isfinite(value):
            found = self._products(cells, value) or self._reduction(cells, value) or self._weighed(cells, count)
            if found is not None:
                parts, about = found
        if not parts:
            for n, _, a in cells:
                parts += self._largest(n, a, value)
        bad = _badness(value)
        shape = self.tiles[self.output].tile.dims

        def weight(p: Part) -> float:
            """What is as large as the result comes before scales and weights, which matter as much everywhere."""
            return abs(p.share or 0.0) * (_MAIN if p.tile.dims == shape else 1.0)

        parts.sort(key=lambda p: (-bad(p.value), -weight(p)))
        return Origin("computed", tuple(parts), count, about)

    def _part(self, n: int, flat: int, share: float | None = None) -> Part:
        array = self.arrays[n]
        at = np.unravel_index(int(flat), array.shape)
        index = tuple(int(i) + f for i, f in zip(at, self.firsts[n], strict=True))
        return Part(self.tiles[n].name, self.tiles[n].tile, index, _number(array[at]), share)

    def _largest(self, n: int, array: NDArray[Any], value: float) -> list[Part]:
        """Those that are NaN or infinite, where the result is, and the largest one."""
        flat = array.reshape(-1)
        if flat.dtype.kind != "f":
            return [self._part(n, int(np.argmax(np.abs(flat.astype(np.int64)))))]
        wild = np.flatnonzero(~np.isfinite(flat))
        if wild.size and not isfinite(value):
            nans = np.flatnonzero(np.isnan(flat))
            first = nans[0] if nans.size and isnan(value) else wild[0]
            return [self._part(n, int(first))]
        largest = int(np.nanargmax(np.abs(np.where(np.isfinite(flat), flat, 0))))
        return [self._part(n, largest)]

    def _products(self, cells: list[tuple[int, _Tile, NDArray[Any]]], value: float) -> tuple[list[Part], str] | None:
        """A sum of products of two operands along one dimension, and perhaps what was there before."""
        before = [(n, a) for n, t, a in cells if t.writes and n == self.output]
        pair = [(n, a) for n, t, a in cells if not t.writes]
        if len(pair) != 2 or len(before) > 1 or pair[0][1].size != pair[1][1].size or pair[0][1].size < 2:
            return None
        if [self._free(n) for n, _ in pair].count(None):
            return None
        (n, a), (m, b) = pair
        terms = a.reshape(-1).astype(np.float64) * b.reshape(-1)
        old = float(before[0][1][self.index]) if before else 0.0
        if self._free(n) != self._free(m) or not _alike(float(terms.sum()) + old, value, 1e-2):
            return None
        parts = []
        for k in np.argsort(-np.abs(terms), kind="stable")[:3]:
            parts += [self._part(n, int(k), float(terms[k])), self._part(m, int(k), float(terms[k]))]
        if before:
            k = int(np.ravel_multi_index(self.index, before[0][1].shape))
            parts.append(self._part(before[0][0], k, old))
        return parts, f"sum of {terms.size} products"

    def _free(self, n: int) -> str | None:
        """The one dimension along which an operand of a product is whole; None when it is another number of them."""
        t, array = self.tiles[n], self.arrays[n]
        more = array.ndim - len(t.pattern.dims)
        free = [axis for axis, size in enumerate(array.shape) if size > 1]
        return t.pattern.dims[free[0] - more].name if len(free) == 1 and free[0] >= more else None

    def _reduction(self, cells: list[tuple[int, _Tile, NDArray[Any]]], value: float) -> tuple[list[Part], str] | None:
        """One of the elements of a single operand, or the sum of them."""
        if len(cells) != 1 or cells[0][2].size < 2:
            return None
        n, _, array = cells[0]
        flat = array.reshape(-1).astype(np.float64)
        same = np.flatnonzero(flat == value)
        if same.size:
            return [self._part(n, int(same[0]), value)], f"one of {flat.size}"
        if _alike(float(flat.sum()), value, 1e-2):
            largest = np.argsort(-np.abs(flat), kind="stable")[:3]
            return [self._part(n, int(k), float(flat[k])) for k in largest], f"sum of {flat.size}"
        return None

    def _weighed(self, cells: list[tuple[int, _Tile, NDArray[Any]]], count: int) -> tuple[list[Part], str] | None:
        """Each times what the result changes with it."""
        cells = [c for c in cells if c[2].dtype.kind == "f"]
        size = sum(a.size for _, _, a in cells)
        if not cells or count > _PROBES or self.arrays[self.output].dtype.kind != "f":
            return None
        stacks = all(t.pattern.leading for t in self.tiles) and not any(self.whole.extra)
        if count * (size if stacks else size + 256) > _WORK:
            return None
        parts = []
        try:
            for n, _, array in cells:
                shares = self._shares(n, array, stacks)
                for k in np.argsort(-np.abs(shares), kind="stable")[:3]:
                    if shares[k] or array.size == 1:
                        parts.append(self._part(n, int(k), float(shares[k])))
        except _REFUSALS:
            return None
        return parts, "" if count <= len(cells) else f"of {count} elements"

    def _shares(self, n: int, array: NDArray[Any], stacks: bool) -> NDArray[np.float64]:
        flat = array.reshape(-1)
        steps = np.maximum(np.abs(flat), 1e-3) * _STEP
        steps[~np.isfinite(steps)] = 1.0
        base = float(self.run(self.arrays)[self.index])
        out = np.empty(flat.size)
        each = max(1, _AT_ONCE // max(1, sum(a.size for a in self.arrays))) if stacks else 1
        for start in range(0, flat.size, each):
            some = range(start, min(start + each, flat.size))
            if stacks:
                arrays = [np.broadcast_to(a, (len(some), *a.shape)) for a in self.arrays]
                changed = np.repeat(array[None], len(some), axis=0)
                changed.reshape(len(some), -1)[np.arange(len(some)), list(some)] += steps[start : some.stop]
                arrays[n] = changed
                out[start : some.stop] = self.run(arrays)[(slice(None), *self.index)]
            else:
                changed = array.copy()
                changed.reshape(-1)[start] += steps[start]
                arrays = list(self.arrays)
                arrays[n] = changed
                out[start] = self.run(arrays)[self.index]
        shares: NDArray[np.float64] = (out - base) / steps * flat
        shares[~np.isfinite(shares)] = 0
        return shares


def _number(x: Any) -> float:
    """An element as a number."""
    return float(x) if np.asarray(x).dtype.itemsize > 2 else float(widen(np.asarray(x)[None])[0])


def _alike(a: float, b: float, close: float = _CLOSE) -> bool:
    if isnan(a) or isnan(b):
        return isnan(a) and isnan(b)
    return a == b or abs(a - b) <= close * abs(b) + 1e-12


def _badness(value: float) -> Callable[[float], int]:
    """How much an element's value is to blame for a result that is NaN or infinite."""
    if isnan(value):
        return lambda v: 2 if isnan(v) else 1 if isinf(v) else 0
    if isinf(value):
        return lambda v: 2 if isinf(v) else 1 if isnan(v) else 0
    return lambda v: 0


# -- who wrote it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Write:
    """An instruction that has written an element: the `number`-th of its piece of history, its output and the index.

    output: position among its tile operands; None for a store of the sequencer.
    """

    number: int
    op: Op
    bound: Bound | None
    output: int | None
    index: Index


class Entry(NamedTuple):
    """An instruction that has executed, or (bound is None) bytes [low, high) of HBM that the sequencer has stored.

    at: a position between two instructions, after which it executed, and all after it in the log. t, x: registers of
    the machine then; arrays: what its tiles held before it, None where that is too much to keep.
    """

    op: Op
    bound: Bound | None
    low: int
    high: int
    at: int
    scalars: Held
    t: list[Tile | None]
    x: list[int]
    arrays: list[NDArray[Any]] | None

    def instruction(self, machine: Machine) -> Instruction | None:
        """To be asked, if enough of it has been kept."""
        if self.bound is None or self.arrays is None:
            return None
        return Instruction(machine, self.op, self.bound, self.arrays, self.scalars)


class Recorder(Check):
    """Writes down what engines execute, with what their tiles hold as far as `memory` bytes suffice for it, and what
    the sequencer stores. Of one instruction, number `target`, everything is kept; the run stops there.
    """

    stops = True

    def __init__(self, machine: Machine, memory: int = 256 << 20) -> None:
        super().__init__(machine)
        self.memory = memory
        self.log: list[Entry] = []
        self.scalars = Scalars()
        self.count = machine.count
        self.target = -1
        self.left = memory
        self._outputs: dict[int, tuple[Any, list[tuple[int, Tile, int, int]]]] = {}

    def begin(self, target: int = -1) -> None:
        """A piece of history is about to run."""
        self.log = []
        self.left = self.memory
        self.scalars.clear()
        self.target = target
        for q in self.machine.queues:
            for issued in q.entries:
                self.scalars.park(issued)

    def moved(self) -> None:
        """The machine has been put back."""
        self.begin(self.target)

    def parked(self, issued: Issued) -> None:
        self.scalars.park(issued)

    def before(self, op: Op, bound: Bound, value: int) -> None:
        held = self.scalars.take(op) if self.scalars.parked else None
        if held is None:
            held = {name: read() for name, read in op.scalars} if op.scalars else {}
        m = self.machine
        asked = len(self.log) == self.target
        arrays = self._arrays(bound, asked) if asked or self.target < 0 else None
        self.log.append(Entry(op, bound, 0, 0, self.count[0], held, m.t.copy(), m.x.copy(), arrays))
        if asked:
            self.stop_for(None, op)

    def _arrays(self, bound: Bound, asked: bool) -> list[NDArray[Any]] | None:
        """What the tiles hold; copies, but of what cannot change."""
        contents = self.machine.memories.deferrals.contents
        out = []
        for s, v in zip(bound.recipe.specs, bound.views, strict=True):
            if not s.reads:
                out.append(v.array)
                continue
            live = v.cover.live
            block = v.allocation if live is None else getattr(getattr(live, "src", None), "allocation", None)
            array = contents(v)
            if block is None or not block.constant:
                if not asked and array.nbytes > self.left:
                    return None
                self.left -= array.nbytes
                array = array.copy()
            out.append(array)
        return out

    def touched(self, op: Op, low: int, high: int, write: bool) -> None:
        if write:
            self.log.append(Entry(op, None, low, high, self.count[0], {}, [], [], None))

    def last(self, log: Sequence[Entry], place: Place, before: int) -> Write | None:
        """The latest write to an element in a log, of those before number `before`."""
        space, low, high = place.space, place.low, place.high
        outputs = self._outputs
        for number in range(min(before, len(log)) - 1, -1, -1):
            op, bound, start, end = log[number][:4]
            if bound is None:
                if space is Space.HBM and low < end and start < high:
                    return Write(number, op, None, None, ())
                continue
            known = outputs.get(id(bound))
            if known is None:
                known = outputs[id(bound)] = bound, _written(op, bound)
            for at, tile, first, last in known[1]:
                if tile.space is space and low < last and first < high:
                    index = index_of(tile, place)
                    if index is not None:
                        return Write(number, op, bound, at, index)
        return None


def _written(op: Op, bound: Bound) -> list[tuple[int, Tile, int, int]]:
    assert op.inst is not None
    return [
        (i, t, v.low, v.high)
        for i, ((_, _, kind), t, v) in enumerate(zip(op.inst.row.data, bound.tiles, bound.views, strict=True))
        if kind.writes_data and t.size
    ]
