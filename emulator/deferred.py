"""Loads that are not made: a copy from HBM to SRAM waits until somebody needs it, and mostly nobody does.

A large copy (rows that say `copies`, equal dtypes) into SRAM becomes a Deferred. Instructions that read what it was
to write get views of the source instead; before anything else happens to those bytes, or to the source, all that is
deferred is copied, in order. Only the fast path defers. Whoever leaves it settles, so that nobody outside can see the
difference; at the end of a kernel, whose SRAM hardly anyone looks at, what comes from sources that cannot change waits
until somebody does, or until the next launch forgets it. Of low-precision sources that no program can write, float32
copies are kept (Widened).

Each view of SRAM has a Cover, shared by all that lie alike to the byte ranges of such copies: `view.cover.live` is
the newest Deferred whose bytes the view has, MIXED when they come from more than one place, or None.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sohu.isa import Space, Tile
from sohu.isa.numerics import widen

if TYPE_CHECKING:
    from sohu.emulator.memory import Allocation, Memories, View

SMALLEST = 2048  # bytes; a smaller copy costs no more than what deferring it does
_KEPT_VIEWS = 4096  # of SRAM, and
_KEPT_RANGES = 64  # of copies; beyond them, all are forgotten at the next launch, or at once when they are many more
_BLOCK = 8192  # elements that are widened at once


class Deferred:
    """One copy: from `src` in HBM to `dst` in SRAM, of the same dtype and shape."""

    __slots__ = ("arrays", "dense", "dst", "range", "rests", "src")

    def __init__(self, dst: View, src: View) -> None:
        self.dst = dst
        self.src = src
        self.dense = is_dense(dst)  # it writes all the bytes of `range`
        self.range = dst.low, dst.high
        self.arrays: dict[tuple[View, bool], NDArray[Any] | None] = {}
        self.rests: dict[Range, _Rest | None] = {}

    def array(self, view: View, wide: bool, deferrals: Deferrals) -> NDArray[Any] | None:
        """What `view`, which lies within `dst`, would hold, as a view of the source; None where that is no view.

        wide: as float32, of a source that stays as it is, if memory allows it.
        """
        key = view, wide
        if key not in self.arrays:
            tile = translated(view.tile, self.dst.tile, self.src.tile)
            array = None
            if tile is not None:
                array = deferrals.widened(tile, self.src) if wide else deferrals.memories.view(tile).array
            self.arrays[key] = array
        return self.arrays[key]

    def rest(self, low: int, high: int, memories: Memories) -> _Rest | None:
        """What is left to do when the bytes [low, high) are not wanted any more; None where that is not simple."""
        if (low, high) not in self.rests:
            self.rests[low, high] = self._rest(low, high, memories) if self.dense else None
        return self.rests[low, high]

    def _rest(self, low: int, high: int, memories: Memories) -> _Rest | None:
        dst, src = self.dst.tile, self.src.tile
        rows, row = dst.dims[0], dst.strides[0] * dst.dtype.itemsize
        if rows * row != self.dst.high - self.dst.low:
            return None  # its first dimension is not the slowest
        first, last = max(low - dst.base, 0), min(high, self.dst.high) - dst.base
        kept = [(0, first // row), (-(-last // row), rows)]
        torn = {first // row} if first % row else set()
        torn |= {last // row} if last % row else set()
        return _Rest(
            [
                Deferred(memories.view(dst.slice(0, a, b - a)), memories.view(src.slice(0, a, b - a)))
                for a, b in kept
                if a < b
            ],
            [(self.dst.array[i : i + 1], self.src.array[i : i + 1]) for i in sorted(torn)],
        )


class _Rest(NamedTuple):
    """Of a copy that something has been written over in part: copies of whole rows, and rows to be copied at once."""

    deferred: list[Deferred]
    now: list[tuple[NDArray[Any], NDArray[Any]]]


class _Mixed(Deferred):
    """Stands for several copies, or for one that covers a part only."""

    __slots__ = ()

    def __init__(self) -> None:
        pass

    def array(self, view: View, wide: bool, deferrals: Deferrals) -> NDArray[Any] | None:
        """Never a view of one source."""
        return None


MIXED = _Mixed()
Range = tuple[int, int]  # bytes of SRAM that some copy writes


class Cover:
    """How views lie to the ranges of copies: those they overlap, and whether a range holds them entirely."""

    __slots__ = ("live", "parts")

    def __init__(self, parts: dict[Range, bool]) -> None:
        self.parts = parts
        self.live: Deferred | None = None

    def refresh(self, live: list[Deferred]) -> None:
        """Look for the newest copy that matters to these views."""
        self.live = None
        for d in reversed(live):
            within = self.parts.get(d.range)
            if within is not None:
                self.live = d if within else MIXED
                return


NOWHERE = Cover({})  # of views that no copy touches
UNKNOWN = Cover({})  # of views that have been forgotten: their cover is looked up when they are used again
UNKNOWN.live = MIXED


def translated(tile: Tile, dst: Tile, src: Tile) -> Tile | None:
    """The tile of the source that holds what `tile` does when `src` has been copied to `dst`; None if there is none.

    Nor where its axes lie in another order than the tile's: sums depend on that in their last bits, and a program is to
    give the same ones when copies are made.
    """
    if tile.dtype != dst.dtype or (tile.base - dst.base) % dst.dtype.itemsize:
        return None
    left = (tile.base - dst.base) // dst.dtype.itemsize
    axes = sorted((i for i, d in enumerate(dst.dims) if d > 1), key=lambda i: -dst.strides[i])
    first: dict[int, int] = {}  # axis of dst -> where the tile starts along it
    base = src.base
    for i in axes:
        if dst.strides[i] <= 0:
            return None
        first[i], left = divmod(left, dst.strides[i])
        base += first[i] * src.strides[i] * src.dtype.itemsize
    if left:
        return None
    strides = []
    for d, s in zip(tile.dims, tile.strides, strict=True):
        if d <= 1:
            strides.append(0)
            continue
        at = next((i for i in axes if dst.strides[i] == s), None)
        if at is None or first[at] + d > dst.dims[at]:
            return None
        axes.remove(at)
        strides.append(src.strides[at])
    if any(not 0 <= first[i] < dst.dims[i] for i in first):
        return None
    found = Tile(Space.HBM, src.dtype, base, tile.dims, strides)
    return found if _alike(tile, strides) else None


def _alike(tile: Tile, strides: list[int]) -> bool:
    """Whether axes with these strides lie as the tile's: in the same order and directions, with the same neighbours."""
    axes = [(t, s) for d, t, s in zip(tile.dims, tile.strides, strides, strict=True) if d > 1 and t != s]
    if not axes:
        return True
    axes = [(t, s) for d, t, s in zip(tile.dims, tile.strides, strides, strict=True) if d > 1]
    if any((t > 0) != (s > 0) or (abs(t) == 1) != (abs(s) == 1) for t, s in axes):
        return False
    steps = [abs(s) for _, s in sorted(axes, key=lambda axis: abs(axis[0]))]
    return steps == sorted(steps)


def is_dense(view: View) -> bool:
    """Whether a view's elements are all the bytes of its range."""
    return view.array.nbytes == view.high - view.low


class Widened:
    """Float32 copies of the elements of one block of HBM, made as they are asked for."""

    def __init__(self, allocation: Allocation, stored: NDArray[Any], memories: Memories) -> None:
        self.allocation = allocation
        self.memories = memories
        self.start = allocation.start
        self.stored = stored
        self.floats = np.empty(stored.size, np.float32)
        self.done = bytearray(-(-stored.size // _BLOCK))

    def array(self, tile: Tile, low: int, high: int, strides: list[int]) -> NDArray[Any]:
        """The elements of a tile in this block, which covers the bytes low..high."""
        size = self.stored.itemsize
        for i in range((low - self.start) // size // _BLOCK, ((high - self.start) // size - 1) // _BLOCK + 1):
            if not self.done[i]:
                at = slice(i * _BLOCK, (i + 1) * _BLOCK)
                self.floats[at] = widen(self.stored[at])
                self.done[i] = 1
        self.memories.hbm.release(self.allocation, low, high)  # nobody reads them any more
        offset = (tile.base - self.start) // size * 4
        out: NDArray[Any] = np.ndarray(tile.dims, np.float32, self.floats, offset, strides)
        return out


class Deferrals:
    """All that is deferred in one chip's memories."""

    def __init__(self, memories: Memories, keep: int | None = None) -> None:
        """keep: bytes of float32 copies at most; None: half of what the host has free at the first one."""
        self.memories = memories
        self.keep = keep
        # Memory counts more than time: pages of files are not kept either, where converting takes longer than reading.
        self.frugal = keep == 0
        self.live: list[Deferred] = []  # oldest first
        self.sourced: list[Deferred] = []  # those of `live` whose source the program can write
        self._views: list[View] = []
        self._covers: dict[tuple[tuple[Range, bool], ...], Cover] = {}
        self._ranges: dict[Range, list[Cover]] = {}

    # -- what is deferred --------------------------------------------------------------------------

    def defer(self, d: Deferred) -> None:
        """Take the place of the copy; what it overwrites entirely need not be copied any more."""
        low, high = d.range
        live = self.live
        gone = [p for p in live if p.dst is d.dst or (d.dense and p.dst.low >= low and p.dst.high <= high)]
        if gone:
            self._drop(gone)
        live.append(d)
        assert d.src.allocation is not None
        if not d.src.allocation.constant:
            self.sourced.append(d)
        for cover in self._ranges.get(d.range) or self._new_range(d.range):
            cover.live = d if cover.parts[d.range] else MIXED

    def _drop(self, gone: list[Deferred]) -> None:
        for p in gone:
            self.live.remove(p)
            if p in self.sourced:
                self.sourced.remove(p)
            block = p.src.allocation
            if self.frugal and block is not None and block.mapped and p.src.array.dtype.itemsize < 4:
                self.memories.hbm.release(block, p.src.low, p.src.high)

    def settle(self) -> None:
        """Make every copy that is outstanding, in order."""
        for d in self.live:
            d.dst.array[...] = d.src.array
        self.forget_all()

    def forget_all(self) -> None:
        """Drop every copy: what SRAM holds does not matter any more."""
        for d in self.live:
            for cover in self._ranges[d.range]:
                cover.live = None
        self.live.clear()
        self.sourced.clear()
        if len(self._views) > _KEPT_VIEWS or len(self._ranges) > _KEPT_RANGES:
            self._forget_views()

    def settle_changing(self) -> None:
        """Make the copies whose source may change, and those that they would overwrite."""
        made: list[Deferred] = []
        for d in reversed(self.live):
            if d in self.sourced or any(d.dst.low < m.dst.high and m.dst.low < d.dst.high for m in made):
                made.append(d)
        for d in reversed(made):
            d.dst.array[...] = d.src.array
        self._drop(made)
        for d in made:
            for cover in self._ranges[d.range]:
                cover.refresh(self.live)

    def contents(self, view: View, *, wide: bool = False) -> NDArray[Any]:
        """The elements of a tile as a program finds them, to read; of a copy that has not been made, its source's.

        wide: narrow floats of a constant source may come as float32, as products have them.
        """
        live = view.cover.live
        if live is None:
            return view.array
        narrow = view.tile.dtype.is_float and view.tile.dtype.itemsize < 4
        array = live.array(view, True, self) if wide and narrow else None
        if array is None:
            array = live.array(view, False, self)
        if array is None:
            self.settle()
            array = view.array
        return array

    def freed(self, block: Allocation) -> None:
        """A block of HBM is about to be given back: copies from there are made first."""
        if any(d.src.allocation is block for d in self.live):
            self.settle()
        if self.keep is not None:
            self.keep += sum(w.floats.nbytes for w in block.widened.values())

    def forget(self, ranges: list[Range]) -> list[Deferred] | None:
        """Bytes of SRAM are about to be written, all of them: drop the copies to there, or what they have there.

        Gives those that are gone; None when that is not simple: then all copies have been made instead.
        """
        touched = [p for p in self.live if any(p.dst.low < high and low < p.dst.high for low, high in ranges)]
        whole = [p for p in touched if any(low <= p.dst.low and p.dst.high <= high for low, high in ranges)]
        parts: list[tuple[Deferred, _Rest]] = []
        for p in touched:
            if p in whole:
                continue
            rest = p.rest(*ranges[0], self.memories) if len(ranges) == 1 else None
            alone = not any(q is not p and q.dst.low < p.dst.high and p.dst.low < q.dst.high for q in self.live)
            if rest is None or not alone:
                self.settle()
                return None
            parts.append((p, rest))
        if any(p not in self.live for p in touched):  # views of the rest were too many
            return None
        for p, rest in parts:
            for to, source in rest.now:
                to[...] = source
            at = self.live.index(p)
            self.live[at : at + 1] = [p, *rest.deferred]
            if p in self.sourced:
                self.sourced += rest.deferred
            for d in rest.deferred:
                if d.range not in self._ranges:
                    self._new_range(d.range)
        gone = [*whole, *(p for p, _ in parts)]
        self._drop(gone)
        changed = {d.range for d in [*gone, *(d for _, rest in parts for d in rest.deferred)]}
        for cover in [c for r in changed for c in self._ranges[r]]:
            cover.refresh(self.live)
        return gone

    def hbm_write(self, low: int, high: int) -> None:
        """Bytes of HBM are about to be written: copies of them are made first."""
        if any(d.src.low < high and low < d.src.high for d in self.sourced):
            self.settle()

    # -- views of SRAM -----------------------------------------------------------------------------

    def register(self, view: View) -> None:
        """A view of SRAM has been made, or is used again after it was forgotten."""
        if len(self._views) >= 4 * _KEPT_VIEWS:
            self.settle()
            self._forget_views()
        self._views.append(view)
        self._cover(view)

    def _forget_views(self) -> None:
        """Sizes that grow with every token leave views and ranges behind that nobody uses again."""
        for view in self._views:
            view.cover = UNKNOWN
        self._views.clear()
        self._covers.clear()
        self._ranges.clear()

    def _cover(self, view: View) -> None:
        low, high = view.low, view.high
        parts = tuple([(r, r[0] <= low and high <= r[1]) for r in self._ranges if low < r[1] and r[0] < high])
        cover = self._covers.get(parts) if parts else NOWHERE
        if cover is None:
            cover = self._covers[parts] = Cover(dict(parts))
            for r, _ in parts:
                self._ranges[r].append(cover)
            cover.refresh(self.live)
        view.cover = cover

    def _new_range(self, range: Range) -> list[Cover]:
        covers = self._ranges[range] = []
        for view in self._views:
            if view.low < range[1] and range[0] < view.high:
                self._cover(view)
        return covers

    def may_defer(self, dst: View, src: View) -> bool:
        """Whether a copy between two views can wait: HBM to SRAM, the same dtype and shape, and large."""
        return (
            dst.tile.space is Space.SRAM
            and src.tile.space is Space.HBM
            and dst.tile.dtype == src.tile.dtype
            and dst.tile.dims == src.tile.dims
            and dst.array.nbytes >= SMALLEST
        )

    # -- float32 copies ----------------------------------------------------------------------------

    def widened(self, tile: Tile, src: View) -> NDArray[Any] | None:
        """The elements of a tile in a source that no program can write, as float32; None when memory is short."""
        block = src.allocation
        assert block is not None
        if not block.constant or block.start % tile.dtype.itemsize:
            return None
        known = block.widened.get(tile.dtype.code)
        if known is None:
            count = (block.end - block.start) // tile.dtype.itemsize
            if self.keep is None:
                self.keep = _free_memory() // 2
            if count * 4 > self.keep:
                return None
            self.keep -= count * 4
            stored = np.frombuffer(self.memories.hbm.map, tile.dtype.np, count, block.start)
            known = block.widened[tile.dtype.code] = Widened(block, stored, self.memories)
        return known.array(tile, *tile.extent(), list(self.memories.strides(tile, 4)))


def _free_memory() -> int:
    """Bytes that the host can give without swapping."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) << 10
    except (OSError, ValueError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
