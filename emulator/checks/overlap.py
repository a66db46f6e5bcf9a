"""Elements of one declared tile that are overwritten through another one before they are read.

Only for tiles that a kernel has placed so that they overlap in part: which of them is meant is then known by where an
access lies. Tiles that lie within each other are one memory under several names, on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sohu.asm.program import TileSymbol
from sohu.emulator.checks.places import KEPT, Place, Places, declared, name_of, overlap
from sohu.emulator.checks.registry import Check, check
from sohu.emulator.memory import Allocation
from sohu.isa import Fault, Note, Tile

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Op


class _Part(Place):
    """A place within one declared tile; `owner` is the number of that, -1 when it is in several or in none."""

    __slots__ = ("at", "op", "owner")

    def __init__(self, tile: Tile, low: int, high: int, block: Allocation | None) -> None:
        super().__init__(tile, low, high, block)
        self.owner = -2  # not known yet
        self.at = 0  # number of the last write
        self.op: Op | None = None


@check("overlap", "overlap", "elements of a tile overwritten through one that overlaps it, and then read")
class Overlap(Check):
    """Does nothing for kernels whose tiles do not overlap in part."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.places = Places(_Part, machine.memories)
        self.plans: dict[Bound, tuple[list[_Part], list[_Part]]] = {}
        self.of: tuple[object, int] = (None, -1)
        self.tiles: list[TileSymbol] = []
        self.rivals: dict[int, set[int]] = {}
        self.written: dict[int, dict[_Part, None]] = {}  # by owner, in this launch
        self.count = 0

    def launch(self) -> None:
        m = self.machine
        if (m.program, m.entry) != self.of or len(self.plans) > KEPT:
            self.of = (m.program, m.entry)
            self.plans.clear()
            self.places.known.clear()
            self.tiles = [t for t in declared(m) if t.tile.dimregs is None or all(t.tile.dims)]
            self.rivals = _partly(self.tiles)
        self.written.clear()
        self.count = 0

    def save(self) -> tuple[Any, ...]:
        written = {owner: [(p, p.at, p.op) for p in parts] for owner, parts in self.written.items()}
        return self.of, self.tiles, self.rivals, self.count, written

    def load(self, state: tuple[Any, ...]) -> None:
        of, self.tiles, self.rivals, self.count, written = state
        if of != self.of:
            self.of = of
            self.plans.clear()
            self.places.known.clear()
        self.written = {owner: dict.fromkeys(p for p, _, _ in parts) for owner, parts in written.items()}
        for parts in written.values():
            for part, at, op in parts:
                part.at, part.op = at, op

    def before(self, op: Op, bound: Bound, value: int) -> None:
        if not self.rivals:
            return
        plan = self.plans.get(bound) or self._plan(op, bound)
        for part in plan[0]:
            self._read(op, part)
        for part in plan[1]:
            self.count += 1
            part.at = self.count
            part.op = op
            self.written.setdefault(part.owner, {})[part] = None

    def _plan(self, op: Op, bound: Bound) -> tuple[list[_Part], list[_Part]]:
        reads: list[_Part] = []
        writes: list[_Part] = []
        assert op.inst is not None
        for (_, _, kind), tile in zip(op.inst.row.data, bound.tiles, strict=True):
            part = self.places.of(tile)
            if part is None:
                continue
            if part.owner == -2:
                around = [
                    i
                    for i, t in enumerate(self.tiles)
                    if t.tile.space is tile.space and t.tile.extent()[0] <= part.low and part.high <= t.tile.extent()[1]
                ]
                part.owner = around[0] if len(around) == 1 else -1
            if part.owner in self.rivals:
                if kind.reads_data:
                    reads.append(part)
                if kind.writes_data:
                    writes.append(part)
        made = self.plans[bound] = reads, writes
        return made

    def _read(self, op: Op, part: _Part) -> None:
        memories = self.machine.memories
        mine = [w for w in self.written.get(part.owner, ()) if overlap(memories, w, part)]
        if not mine:
            return
        for rival in self.rivals[part.owner]:
            for w in self.written.get(rival, ()):
                if not overlap(memories, w, part):
                    continue
                hit = [m for m in mine if overlap(memories, m, w)]
                if hit and all(m.at < w.at for m in hit):
                    assert w.op is not None and hit[-1].op is not None
                    self.found(
                        Fault(
                            "overlap",
                            f"{name_of(self.machine, part)} is read, and a part of it has been overwritten through "
                            f"{name_of(self.machine, w)}",
                            notes=[Note("read", op.pc), Note("overwrite", w.op.pc), Note("write", hit[-1].op.pc)],
                            help="place the tiles apart, or use one after the other",
                        )
                    )


def _partly(tiles: list[TileSymbol]) -> dict[int, set[int]]:
    """Which tiles overlap which in part, neither within the other."""
    out: dict[int, set[int]] = {}
    extents = [t.tile.extent() for t in tiles]
    for i, (low, high) in enumerate(extents):
        for j, (start, end) in enumerate(extents[:i]):
            apart = low >= end or start >= high or tiles[i].tile.space is not tiles[j].tile.space
            within = (low <= start and end <= high) or (start <= low and high <= end)
            if not apart and not within:
                out.setdefault(i, set()).add(j)
                out.setdefault(j, set()).add(i)
    return out
