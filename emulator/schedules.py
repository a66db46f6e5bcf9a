"""Schedules: which of the legal orders a machine moves in.

What may move is defined once: the sequencer by `Machine.may_issue`, a queue by `Machine.ready`. A schedule only
chooses among those; timed order lets the timer choose.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

from sohu.emulator.translate import Deadlock, Op
from sohu.isa import Signal, SohuError

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.parts import Queue

Spec = int | Literal["timed"] | None  # how a schedule is asked for

_ODDS = (1.0, 4.0, 32.0)


class ProgramOrder:
    """An instruction executes when it issues, if it can; what must wait parks in its queue, and executes as soon
    as a signal lets it.
    """

    timed = False

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def reset(self) -> None:
        """A launch begins."""

    def lead(self) -> None:
        """The machine has another timer."""

    def before(self, op: Op) -> None:
        """Let engines move, at least until `op` may issue; raises Deadlock when it never may."""
        while not self.machine.may_issue(op):
            if not self.one():
                raise Deadlock

    def pump(self) -> None:
        """After an instruction has issued, or a signal has come from elsewhere: all that can execute, does."""
        m = self.machine
        while m.parked:
            q = next((q for q in m.queues if m.ready(q)), None)  # the first again, whoever has signalled
            if q is None:
                return
            m.execute(q)

    def drain(self) -> bool:
        """Execute what is queued; False when some of it cannot execute."""
        while self.one():
            pass
        return not self.machine.parked

    def one(self) -> bool:
        """Execute the head of one queue that may; False when none may."""
        ready = [q for q in self.machine.queues if self.machine.ready(q)]
        if ready:
            self.machine.execute(self.pick(ready))
        return bool(ready)

    def pick(self, ready: list[Queue]) -> Queue:
        """The queue that moves next, of those that may."""
        return ready[0]


class RandomOrder(ProgramOrder):
    """At each turn, one of the sequencer and the queues that may move is drawn.

    weights: odds of each queue and, last, of the sequencer. They are drawn too: unequal ones make some engines lag
    far behind, which even odds would hardly ever do.
    """

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine)
        self.seed = seed
        self.random = random.Random()
        self.weights: list[float] = []

    def reset(self) -> None:
        """A launch begins: it repeats, whatever ran before."""
        self.random.seed(self.seed)
        self.weights = [self.random.choice(_ODDS) for _ in range(len(self.machine.queues) + 1)]

    def before(self, op: Op) -> None:
        """Let engines move, until `op` may issue and the sequencer is drawn; raises Deadlock when it never may."""
        super().before(op)
        m = self.machine
        while m.parked:
            ready = [q for q in m.queues if m.ready(q)]
            if not ready:
                return
            mine = self.weights[-1]
            if self.random.random() * (mine + sum(self.weights[q.place] for q in ready)) < mine:
                return
            m.execute(self.pick(ready))

    def pump(self) -> None:
        """Nothing: engines move when they are drawn."""

    def pick(self, ready: list[Queue]) -> Queue:
        """The queue that moves next, of those that may."""
        if len(ready) == 1:
            return ready[0]
        return self.random.choices(ready, [self.weights[q.place] for q in ready])[0]


class TimedOrder(ProgramOrder):
    """What the timer says: an instruction takes effect when it completes, and its signal is sent then.

    Queues are as deep as the chip's. `run(until_cycle=...)` stops between instructions of the sequencer, with all
    effects up to that cycle.
    """

    timed = True

    def reset(self) -> None:
        """A launch begins."""
        self.lead()

    def lead(self) -> None:
        """The machine has another timer: be called by it."""
        assert self.machine.timer is not None
        self.machine.timer.completed = self._completed

    def before(self, op: Op) -> None:
        """Nothing: engines move when the timer comes to the end of what they do."""

    def pump(self) -> None:
        """Nothing, likewise."""

    def drain(self) -> bool:
        """Execute what is queued; False when some of it cannot execute, or not before the timer's limit."""
        assert self.machine.timer is not None
        return self.machine.timer.drain()

    def _completed(self, place: int, signal: Signal | None) -> None:
        m = self.machine
        if place >= 0:
            m.execute(m.queues[place])
        elif signal is not None:
            m.add(signal, m.hooks.op)


def schedule_of(spec: Spec, machine: Machine) -> ProgramOrder:
    """The schedule that is asked for: None for program order, a seed for a random one, "timed".

    Raises SohuError for anything else.
    """
    if spec is None:
        return ProgramOrder(machine)
    if spec == "timed":
        return TimedOrder(machine)
    if isinstance(spec, int):
        return RandomOrder(machine, spec)
    raise SohuError(f"there is no schedule {spec!r}", help="there are None (program order), a seed, and 'timed'")
