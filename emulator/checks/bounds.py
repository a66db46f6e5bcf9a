"""Tiles that reach out of the room of the tile they were made of.

A descriptor can be given any size (tset) and any base (tbase), and memory on the chip is one piece. A tile that begins
within a tile that the kernel declares, and ends in another one or nowhere, is at fault; one that begins where
nothing is declared belongs to the program alone. Bounds of memories and of allocations are always checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.asm import Program
from sohu.emulator.checks.places import KEPT, declared
from sohu.emulator.checks.registry import Check, check
from sohu.isa import Fault, Space, Tile

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Op

_KERNELS = 1024
Extent = tuple[int, int, str]


@check("bounds", "out-of-bounds", "a tile that reaches out of the room of the declared tile it begins in")
class Bounds(Check):
    """Looks at each combination of tiles once."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.good: set[Bound] = set()
        self.rooms: dict[Space, list[Extent]] = {}
        self.kernels: dict[tuple[int, int], set[Bound]] = {}  # what is good in each
        self.programs: list[Program] = []  # kept, so that their ids stay theirs

    def launch(self) -> None:
        program, entry = self.machine.program, self.machine.entry
        known = self.kernels.get((id(program), entry))
        if known is None or known is not self.good or len(known) > KEPT:
            if len(self.kernels) > _KERNELS:
                self.kernels.clear()
                self.programs.clear()
            if known is None or len(known) > KEPT:
                known = self.kernels[id(program), entry] = set()
                self.programs.append(program)
            self.good = known
            self.rooms = {}
            for s in declared(self.machine):
                if s.tile.dimregs is None or all(s.tile.dims):  # else nothing says how much room it has
                    self.rooms.setdefault(s.tile.space, []).append((*s.tile.extent(), s.name))

    def before(self, op: Op, bound: Bound, value: int) -> None:
        if bound in self.good:
            return
        assert op.inst is not None
        for (_, o, _), tile in zip(op.inst.row.data, bound.tiles, strict=True):
            rooms = self.rooms.get(tile.space)
            if rooms and tile.space is not Space.HBM:
                self._look(o.name, tile, rooms)
        if not self.machine.pardoned:
            self.good.add(bound)

    def save(self) -> tuple[set[Bound], dict[Space, list[Extent]]]:
        return self.good, self.rooms  # what is good stays so

    def load(self, state: tuple[set[Bound], dict[Space, list[Extent]]]) -> None:
        self.good, self.rooms = state

    def _look(self, operand: str, tile: Tile, rooms: list[Extent]) -> None:
        low, high = tile.extent()
        around = [r for r in rooms if r[0] <= low < r[1]]
        if low == high or not around or any(high <= end for _, end, _ in around):
            return
        _, end, name = max(around, key=lambda r: (r[1], -r[0]))
        into = [n for start, stop, n in rooms if start < high and stop > end and n != name]
        whose = f", into `{into[0]}`" if into else ""
        self.found(
            Fault(
                "out-of-bounds",
                f"{tile} covers {low:#x}..{high:#x} and reaches {high - end} bytes past the end of `{name}`{whose}",
                operand=operand,
                help="was a dimension set larger than the tile was declared?",
            )
        )
