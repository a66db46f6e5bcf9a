"""Parts of a machine that others hold too: its queues, what listens to it, why it stopped."""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING

from sohu.isa import Engine

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op


class Stop(enum.Enum):
    """Why `run` came back."""

    HALTED = "halted"
    BREAKPOINT = "breakpoint"
    INTERRUPTED = "interrupted"
    CYCLE = "cycle"  # the one to run to
    BLOCKED = "blocked"  # until another chip of its group has moved


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


class Listener:
    """What a debugger or tracer overrides. It may look at everything, and must change nothing."""

    def will_issue(self, machine: Machine, op: Op) -> None:
        """The sequencer is about to execute `op`, or to hand it to its queue."""

    def did_issue(self, machine: Machine, op: Op) -> None:
        """It has done so; machine.pc is the next instruction."""

    def will_execute(self, machine: Machine, issued: Issued) -> None:
        """An engine is about to execute an instruction: its tiles are in issued.bound.tiles."""

    def did_execute(self, machine: Machine, issued: Issued) -> None:
        """It has done so; its signal has not been sent yet."""
