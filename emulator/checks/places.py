"""Places in memory, as checkers see them: one object per geometry, exact overlap, names for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from sohu.asm.program import TileSymbol
from sohu.emulator.memory import Allocation, Memories, View
from sohu.isa import Tile

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Op

KEPT = 1 << 15  # bindings and places of one checker; beyond that all are forgotten
_WORK = 1 << 16  # candidates NumPy may try when it decides whether two strided tiles overlap


class Place:
    """The bytes of a tile: [low, high) of a memory, all of them when `dense`."""

    __slots__ = ("block", "dense", "high", "low", "space", "tile")

    def __init__(self, tile: Tile, low: int, high: int, block: Allocation | None) -> None:
        self.tile = tile
        self.space = tile.space
        self.low = low
        self.high = high
        self.block = block
        self.dense = tile.size * tile.dtype.itemsize == high - low


def overlap(memories: Memories, a: Place, b: Place) -> bool:
    """Whether two places of one memory share a byte, exactly."""
    if a.low >= b.high or b.low >= a.high:
        return False
    if (a.dense and b.dense) or (a.low, a.tile.dims, a.tile.strides) == (b.low, b.tile.dims, b.tile.strides):
        return True
    if (a.dense and a.low <= b.low and b.high <= a.high) or (b.dense and b.low <= a.low and a.high <= b.high):
        return True
    x, y = memories.view(a.tile).array, memories.view(b.tile).array
    try:
        return bool(np.shares_memory(x, y, max_work=_WORK))  # type: ignore[arg-type]  # stubs: only -1, 0
    except np.exceptions.TooHardError:
        low, high = min(a.low, b.low), max(a.high, b.high)
        masks = []
        for p in (a, b):
            mask = np.zeros(high - low, np.uint8)
            bytes_of(mask, p.tile, low)[...] = 1
            masks.append(mask)
        return bool((masks[0] & masks[1]).any())


def bytes_of(
    shadow: np.ndarray[tuple[int], np.dtype[np.uint8]], tile: Tile, start: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The bytes of a tile in an array that holds one of each byte from address `start` on: [*dims, bytes]."""
    n = tile.dtype.itemsize
    strides = (*(s * n for s in tile.strides), 1)
    return np.ndarray((*tile.dims, n), np.uint8, shadow, tile.base - start, strides)


P = TypeVar("P", bound=Place)


class Places(Generic[P]):
    """Places by geometry: tiles with the same bytes in the same order share one."""

    def __init__(self, kind: type[P], memories: Memories) -> None:
        self.kind = kind
        self.memories = memories
        self.known: dict[tuple[object, ...], P] = {}

    def of(self, tile: Tile) -> P | None:
        """The place of a resolved tile that has passed binding; None when it is empty."""
        view = self.memories.view(tile)
        if view.low == view.high:
            return None
        key = _key(tile, view)
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self.kind(tile, view.low, view.high, view.allocation)
        return found

    def have(self, place: P) -> None:
        """A place that has been forgotten."""
        self.known[_key(place.tile, self.memories.view(place.tile))] = place


def _key(tile: Tile, view: View) -> tuple[object, ...]:
    return tile.space, view.low, tile.dims, tile.strides, tile.dtype.itemsize, view.allocation


def declared(machine: Machine) -> tuple[TileSymbol, ...]:
    """The tiles that the running kernel declares."""
    kernel = machine.program.kernel_at(machine.entry)
    return kernel.tiles if kernel is not None else ()


def name_of(machine: Machine, place: Place) -> str:
    """`a` (sram 0x0..0x100), by the declared tile that holds the place, or the tensor."""
    where = f"{place.space} {place.low:#x}..{place.high:#x}"
    if place.block is not None:
        return f"`{place.block.name}` ({where})" if place.block.name else where
    best = None
    for symbol in declared(machine):
        if symbol.tile.space is not place.space:
            continue
        low, high = symbol.tile.extent()
        if symbol.tile.dimregs is not None and 0 in symbol.tile.dims:
            high = low + 1  # no room is said for it
        if low <= place.low < high and (best is None or (low, -high) > best[0]):
            best = (low, -high), symbol.name
    return f"`{best[1]}` ({where})" if best else where


def name_of_tile(machine: Machine, tile: Tile) -> str:
    """The name of the place of a resolved tile."""
    view = machine.memories.view(tile)
    return name_of(machine, Place(tile, view.low, view.high, view.allocation))


def who(op: Op) -> str:
    """Who executes an instruction."""
    if op.queue is None:
        return "the sequencer"
    return op.queue.name
