"""The recorded past of a launch, put aside and taken up again: for whoever goes back to where they have been."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.emulator.errors import MachineError

if TYPE_CHECKING:
    from sohu.emulator.memory import Allocation
    from sohu.emulator.timeline import Checkpoint, Timeline


@dataclass(frozen=True)
class History:
    """What a timeline knows of the way to a position. Its checkpoints share their pages with those that are kept."""

    checkpoints: tuple[Checkpoint, ...]
    pardons: Mapping[int, MachineError]
    fresh: tuple[tuple[Allocation, bool], ...]
    prints: int
    clock: float


def put_aside(timeline: Timeline) -> History:
    """The way to where the machine stands."""
    at = timeline.position
    made = tuple(c for c in timeline._made if c.instruction < at or (c.edited and c.instruction == at))
    pardons = {p: e for p, e in timeline._pardons.items() if p < at}
    return History(made, pardons, tuple(timeline._fresh), timeline._prints, timeline._clock)


def take_up(timeline: Timeline, history: History) -> None:
    """Have a machine that has been put back have come there by the way that was put aside."""
    timeline._made = list(history.checkpoints)
    timeline._pardons = dict(history.pardons)
    timeline._fresh = list(history.fresh)
    timeline._prints = timeline._told = history.prints
    timeline._clock, timeline._since = history.clock, 0.0
    timeline._end, timeline._last, timeline._between = None, timeline.position, -1
    timeline._held = timeline.nbytes
    if not any(c.instruction == timeline.position for c in timeline._made):
        timeline._checkpoint()
