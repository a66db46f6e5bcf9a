"""What is not as it was at the last stop: registers, semaphores, tiles. Cheap enough for every stop.

A tile's contents are compared byte by byte up to WHOLE bytes. Of a larger one a sample is, of about SAMPLE bytes,
evenly spread; and what straight code between the two stops has written counts as changed without a look. Tensors that
programs may not write are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.isa import INSTRUCTION_BYTES, Fault, Flow, Space, Tile

if TYPE_CHECKING:
    from sohu.debugger.session import Session

WHOLE = 128 << 10
SAMPLE = 32 << 10
STRAIGHT = 256  # instructions between two stops up to which one looks what they write


@dataclass(frozen=True)
class TileChange:
    """A tile register that holds another descriptor (`moved`), or whose elements differ.

    elements: how many elements differ, None where only a sample was compared, or none was.
    """

    reg: int
    tile: Tile
    moved: bool
    elements: int | None = None


@dataclass(frozen=True)
class Changes:
    """Old and new values by number; tiles in the order of their registers."""

    registers: dict[int, tuple[int, int]] = field(default_factory=dict)
    semaphores: dict[int, tuple[int, int]] = field(default_factory=dict)
    tiles: tuple[TileChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.registers or self.semaphores or self.tiles)


@dataclass(frozen=True)
class _Tile:
    """A tile at a stop. `data`: of its elements, those that are compared; None: they cannot be read, or not change."""

    tile: Tile
    resolved: Tile | None
    data: NDArray[Any] | None
    whole: bool


@dataclass(frozen=True)
class _Seen:
    launch: object
    pc: int
    instructions: int
    x: tuple[int, ...]
    sems: tuple[int, ...]
    tiles: dict[int, _Tile]


class Observer:
    """Remembers a session's machine from one stop to the next."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._seen: _Seen | None = None

    def observe(self) -> Changes:
        """What has changed since the last call; nothing the first time, and in another launch."""
        now = self._look()
        before, self._seen = self._seen, now
        if before is None or now is None or before.launch is not now.launch:
            return Changes()
        if before.instructions == now.instructions and before.pc == now.pc and before.x == now.x:
            written: list[Tile] = []
        else:
            written = self._written(before, now)
        return Changes(
            _differing(before.x, now.x),
            _differing(before.sems, now.sems),
            tuple(c for reg, t in now.tiles.items() if (c := _compare(reg, before.tiles.get(reg), t, written))),
        )

    def forget(self) -> None:
        """The next call finds no changes."""
        self._seen = None

    def _look(self) -> _Seen | None:
        session = self.session
        if not session.running:
            return None
        machine = session.machine
        tiles = {reg: self._tile(t) for reg, t in enumerate(machine.t) if t is not None}
        x, sems = tuple(machine.x), tuple(machine.sems)
        return _Seen(session._given, session.pc, machine.instructions, x, sems, tiles)

    def _tile(self, tile: Tile) -> _Tile:
        machine = self.session.machine
        try:
            array = machine.view(tile)
            resolved = tile.resolve(machine.x)
        except Fault:
            return _Tile(tile, None, None, False)
        view = machine.memories.view(resolved)
        if array.size == 0 or (view.allocation is not None and not view.allocation.writable):
            return _Tile(tile, resolved, None, True)
        whole = array.nbytes <= WHOLE
        data = np.ascontiguousarray(array if whole else sample(array))
        if data.base is not None or data is array:
            data = data.copy()  # else it would change with the machine
        return _Tile(tile, resolved, data.view(f"u{data.itemsize}") if data.itemsize in (1, 2, 4, 8) else data, whole)

    def _written(self, before: _Seen, now: _Seen) -> list[Tile]:
        """The tiles that were written on the straight way from one stop to the other; [] where it is another way."""
        count = now.instructions - before.instructions
        pcs = range(before.pc, now.pc, INSTRUCTION_BYTES)
        if not 0 < count == len(pcs) <= STRAIGHT:
            return []
        out: list[Tile] = []
        for pc in pcs:
            inst = self.session.symbols.inst(pc)
            if inst is None or inst.row.flow is not Flow.NEXT:
                return []
            for at, _, kind in inst.row.data:
                held = now.tiles.get(inst.values[at]) if kind.writes_data else None
                if held is not None and held.resolved is not None:
                    out.append(held.resolved)
        return out


def sample(array: NDArray[Any], nbytes: int = SAMPLE) -> NDArray[Any]:
    """Elements of an array, evenly spread along its axes, of about so many bytes; a view."""
    while array.nbytes > nbytes:
        axis = int(np.argmax(array.shape))
        step = min(ceil(array.nbytes / nbytes), max(2, array.shape[axis] // 8)) | 1  # odd, to meet every column
        index: list[slice] = [slice(None)] * array.ndim
        index[axis] = slice(None, None, step)
        array = array[tuple(index)]
    return array


def _differing(before: Collection[int], now: Collection[int]) -> dict[int, tuple[int, int]]:
    return {i: (a, b) for i, (a, b) in enumerate(zip(before, now, strict=True)) if a != b}


def _compare(reg: int, before: _Tile | None, now: _Tile, written: list[Tile]) -> TileChange | None:
    tile = now.resolved or now.tile
    if before is None or before.resolved != now.resolved or before.tile != now.tile:
        return TileChange(reg, tile, True)
    if now.data is not None and before.data is not None:
        count = int(np.count_nonzero(now.data != before.data))
        if count:
            return TileChange(reg, tile, False, count if now.whole else None)
        if now.whole:
            return None
    if now.data is not None and now.resolved is not None and any(_overlap(now.resolved, t) for t in written):
        return TileChange(reg, tile, False)
    return None


def _overlap(a: Tile, b: Tile) -> bool:
    if a.space is not b.space:
        return False
    (low, high), (start, end) = a.extent(), b.extent()
    return low < end and start < high


def by_name(session: Session) -> Callable[[int], str]:
    """The name of a tile register: the variable that lives there, else that of the kernel, else t5."""
    names = {reg: name for name, reg in session.names.tile_registers().items()}
    names |= {reg: found[0][0] for (file, reg), found in session.names.variables.registers().items() if file == "t"}
    return lambda reg: names.get(reg, f"t{reg}")


def describe_place(tile: Tile) -> str:
    """`sram 0x4000`"""
    return f"{Space(tile.space)} {tile.base:#x}"
