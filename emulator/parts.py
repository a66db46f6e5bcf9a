"""Parts of a machine that others hold too: its queues, and why it stopped."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sohu.isa import Engine

if TYPE_CHECKING:
    from sohu.emulator.translate import Issued


class Stop(enum.Enum):
    """Why `run` came back."""

    HALTED = "halted"
    BREAKPOINT = "breakpoint"
    INTERRUPTED = "interrupted"
    CYCLE = "cycle"  # the one to run to
    BLOCKED = "blocked"  # until another chip of its group has moved


@dataclass(frozen=True)
class Hit:
    """What a hook has stopped a run for: `what` is the hook's own, `pc` that of the instruction that did it.

    The run comes back when the sequencer's instruction is over within which that happened.
    """

    pc: int
    what: Any = None


class Queue:
    """One in-order queue of an engine: what has issued and not executed yet, in timed order with what is executing."""

    __slots__ = ("depth", "engine", "entries", "name", "number", "place")

    def __init__(self, engine: Engine, number: int, depth: int, place: int) -> None:
        self.place = place  # among the machine's queues
        self.engine = engine
        self.number = number
        self.depth = depth
        self.name = f"{engine.value}{number}" if engine.queues > 1 else engine.value
        self.entries: deque[Issued] = deque()

    def __repr__(self) -> str:
        return f"<queue {self.name}: {len(self.entries)} of {self.depth}>"
