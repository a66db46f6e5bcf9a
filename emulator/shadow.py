"""A second memory in float64: what engines have written, as it would be if nothing were ever rounded.

Each memory (each tensor, in HBM) has planes, one for each size of element, that hold a float64 for every element a
tile could have there: element `i` of that size is number `i` of the plane. So a tile's shadow is a view with the
tile's own dims and strides. Which bytes have a shadow, and of which dtype, is a list of ranges; everything else is
taken to be as it is stored. Ranges have no gaps: where a tile leaves some, they are filled with what is stored there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.memory import Allocation, Memories, _reserve
from sohu.isa import DType, Fault, Space, Tile, e8m0, i8, i32
from sohu.isa.numerics import format_of, widen

Doubles = NDArray[np.float64]
Saved = list[tuple[int, int, DType, float, bytes]]

_PIECE = 1 << 16  # elements converted at a time: large arrays that come and go cost more than what is done with them


def holds(dtype: DType) -> bool:
    """Whether elements of a dtype have shadows: not those that are scales, bits or two numbers in one."""
    return dtype in (i8, i32) or (dtype.is_float and dtype != e8m0)


def roundoff(dtype: DType) -> float:
    """Half the distance of neighbours, relative to the larger of two numbers; of i8, to its largest."""
    if dtype.np.kind in "iu":
        return 0.5 / float(np.iinfo(dtype.np).max)
    return float(2.0 ** (-format_of(dtype.np).fraction - 1))


def doubles(values: NDArray[Any]) -> Doubles:
    """Elements as stored, in float64, a new array."""
    if values.dtype.itemsize > 2:
        return values.astype(np.float64)
    return widen(values).astype(np.float64)


class Range:
    """Bytes [low, high) that have a shadow of one dtype. `roundoff`: of the coarsest dtype their values were in.

    kept: what it was saved as, if nothing has been written there since.
    """

    __slots__ = ("dtype", "high", "kept", "low", "roundoff")

    def __init__(self, low: int, high: int, dtype: DType, roundoff: float) -> None:
        self.low = low
        self.high = high
        self.dtype = dtype
        self.roundoff = roundoff
        self.kept: bytes | None = None


class Home:
    """The shadow of one memory, or of one tensor in HBM: the bytes [start, start + size)."""

    __slots__ = ("_planes", "ranges", "size", "space", "start", "starts", "version")

    def __init__(self, space: Space, start: int, size: int) -> None:
        self.space = space
        self.start = start
        self.size = size
        self.starts: list[int] = []
        self.ranges: list[Range] = []  # apart, by address
        self.version = 0  # changes whenever the ranges do
        self._planes: dict[int, Doubles] = {}

    def plane(self, itemsize: int) -> Doubles:
        """All numbers of one size of element; the host gives memory to what is written."""
        found = self._planes.get(itemsize)
        if found is None:
            try:
                plane = np.frombuffer(_reserve((self.size // itemsize + 1) * 8), np.float64)
            except OSError as e:
                raise Fault("limit", f"the host has no room for a float64 shadow: {e.strerror}") from None
            found = self._planes[itemsize] = plane
        return found

    def view(self, tile: Tile) -> Doubles:
        """The shadow of a tile, whether or not there is one now."""
        n = tile.dtype.itemsize
        at = (tile.base - self.start) // n * 8
        return np.ndarray(tile.dims, np.float64, self.plane(n), at, [s * 8 for s in tile.strides])

    def overlapping(self, low: int, high: int) -> list[Range]:
        """The ranges that share bytes with these."""
        first = max(bisect_right(self.starts, low) - 1, 0)
        last = bisect_left(self.starts, high)
        return [r for r in self.ranges[first:last] if low < r.high]

    def forget(self) -> None:
        """Nothing has a shadow."""
        self.starts.clear()
        self.ranges.clear()
        self.version += 1

    def cut(self, low: int, high: int) -> None:
        """These bytes have no shadow any more."""
        hit = self.overlapping(low, high)
        if not hit:
            return
        kept = []
        if hit[0].low < low:
            kept.append(Range(hit[0].low, low, hit[0].dtype, hit[0].roundoff))
        if hit[-1].high > high:
            kept.append(Range(high, hit[-1].high, hit[-1].dtype, hit[-1].roundoff))
        self._replace(hit, kept)

    def _replace(self, old: list[Range], new: list[Range]) -> None:
        at = self.ranges.index(old[0]) if old else bisect_left(self.starts, new[0].low)
        self.ranges[at : at + len(old)] = new
        self.starts[at : at + len(old)] = [r.low for r in new]
        self.version += 1

    def add(self, low: int, high: int, dtype: DType, roundoff: float) -> None:
        """These bytes have a shadow of this dtype now."""
        self.cut(low, high)
        self._replace([], [Range(low, high, dtype, roundoff)])

    def save(self) -> Saved:
        """The ranges and what their numbers are, for `load`."""
        out = []
        for r in self.ranges:
            if r.kept is None:
                r.kept = self._of(r).tobytes()
            out.append((r.low, r.high, r.dtype, r.roundoff, r.kept))
        return out

    def load(self, saved: Saved) -> None:
        """What `save` gave."""
        self.ranges = [Range(low, high, dtype, u) for low, high, dtype, u, _ in saved]
        self.starts = [r.low for r in self.ranges]
        self.version += 1
        for r, (*_, kept) in zip(self.ranges, saved, strict=True):
            self._of(r)[...] = np.frombuffer(kept, np.float64)
            r.kept = kept

    def _of(self, r: Range) -> Doubles:
        n = r.dtype.itemsize
        return self.plane(n)[(r.low - self.start) // n : -(-(r.high - self.start) // n)]


class Spot:
    """A tile of one geometry in its home. `view`: its shadow; `state` is right in `version` of the home."""

    __slots__ = ("dense", "dtype", "high", "home", "low", "range", "state", "tile", "version", "view")

    def __init__(self, home: Home, tile: Tile, low: int, high: int) -> None:
        self.home = home
        self.tile = tile
        self.dtype = tile.dtype
        self.low = low
        self.high = high
        self.dense = tile.size * tile.dtype.itemsize == high - low
        self.view = home.view(tile)
        self.version = -1
        self.state = False  # all of it has a shadow of its dtype
        self.range: Range | None = None  # that holds it, where it has


class Shadows:
    """The shadows of all memories of a chip."""

    def __init__(self, memories: Memories) -> None:
        self.memories = memories
        chip = memories.chip
        self.chip = {
            Space.SRAM: Home(Space.SRAM, 0, chip.sram_bytes),
            Space.ACC: Home(Space.ACC, 0, chip.acc_bytes),
        }
        self.blocks: dict[Allocation, Home] = {}

    def forget(self) -> None:
        """Everything is as it is stored."""
        for home in self.chip.values():
            home.forget()
        for block, home in list(self.blocks.items()):
            home.forget()
            if not block.live:
                del self.blocks[block]

    def spot(self, tile: Tile) -> Spot | None:
        """Where a resolved tile that has passed binding has its shadow; None for one that can have none."""
        view = self.memories.view(tile)
        if view.low == view.high or not holds(tile.dtype):
            return None
        return Spot(self.home(tile.space, view.allocation), tile, view.low, view.high)

    def home(self, space: Space, block: Allocation | None) -> Home:
        """The shadow of a memory, or of the tensor in which a tile lies."""
        if block is None:
            return self.chip[space]
        found = self.blocks.get(block)
        if found is None:
            found = self.blocks[block] = Home(Space.HBM, block.start, block.end - block.start)
        return found

    def of(self, spot: Spot) -> Doubles | None:
        """The shadow of a tile; None where it is as it is stored."""
        home = spot.home
        if spot.version != home.version:
            self._look(spot)
        return spot.view if spot.state else None

    def _look(self, spot: Spot) -> None:
        home = spot.home
        hit = home.overlapping(spot.low, spot.high)
        whole = len(hit) == 1 and hit[0].low <= spot.low and spot.high <= hit[0].high
        spot.state = bool(hit) and all(r.dtype == spot.dtype for r in hit)
        if spot.state and not whole:
            self._join(spot, hit)
            hit = home.overlapping(spot.low, spot.high)
        spot.range = hit[0] if spot.state else None
        spot.version = home.version

    def _join(self, spot: Spot, hit: list[Range]) -> None:
        """One range out of several of the same dtype, and of what lies between them within a tile."""
        home = spot.home
        low, high = min(spot.low, hit[0].low), max(spot.high, hit[-1].high)
        at = low
        for r in [*hit, None]:
            end = high if r is None else r.low
            if at < end:
                self._fill(home, at, end, spot.dtype)
            at = end if r is None else r.high
        home.add(low, high, spot.dtype, max(r.roundoff for r in hit))

    def _fill(self, home: Home, low: int, high: int, dtype: DType) -> None:
        """The shadow of these bytes becomes what is stored there."""
        n = dtype.itemsize
        low, high = low - (low - home.start) % n, high + -(high - home.start) % n
        if home.space is Space.SRAM:  # the only one to which copies are put off
            self.memories.settle()
        stored = np.frombuffer(self.memories.map(home.space), dtype.np, (high - low) // n, low)
        at = (low - home.start) // n
        plane = home.plane(n)[at : at + stored.size]
        for i in range(0, stored.size, _PIECE):
            plane[i : i + _PIECE] = stored[i : i + _PIECE] if n > 2 else widen(stored[i : i + _PIECE])

    def claim(self, spot: Spot, roundoff: float) -> Doubles:
        """The shadow of a tile that is about to be written whole; of what lies between its elements too."""
        home = spot.home
        if spot.version != home.version:
            self._look(spot)
        if spot.state:
            assert spot.range is not None
            spot.range.kept = None
            if roundoff > spot.range.roundoff or (roundoff < spot.range.roundoff and self._exactly(spot)):
                spot.range.roundoff = roundoff
            return spot.view
        if not spot.dense:
            hit = [r for r in home.overlapping(spot.low, spot.high) if r.dtype == spot.dtype]
            if hit:  # others of the same dtype between the elements stay
                for r in home.overlapping(spot.low, spot.high):
                    if r.dtype != spot.dtype:
                        home.cut(max(r.low, spot.low), min(r.high, spot.high))
                self._join(spot, hit)
                self._look(spot)
                return self.claim(spot, roundoff)
            self._fill(home, spot.low, spot.high, spot.dtype)
        home.add(spot.low, spot.high, spot.dtype, roundoff)
        self._look(spot)
        return spot.view

    def _exactly(self, spot: Spot) -> bool:
        r = spot.range
        return r is not None and spot.dense and (r.low, r.high) == (spot.low, spot.high)

    def drop(self, space: Space, block: Allocation | None, low: int, high: int) -> None:
        """These bytes are as they are stored."""
        home = self.chip.get(space) if block is None else self.blocks.get(block)
        if home is not None and home.ranges:
            home.cut(low, high)
