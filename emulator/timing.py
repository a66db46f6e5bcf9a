"""The scoreboard timer: cycles of a run, from the instructions that issue and nothing of their data.

It is a small simulation of its own: beside the functional one in program and random order, ahead of it in timed
order, where effects follow it. The sequencer issues one instruction a cycle
(debug instructions take none). An engine instruction starts when it heads its queue, the queue's previous
one has finished, and its semaphore has been reached; it finishes after the row's cost, and then signals. A
queue that is full stops the sequencer; an entry leaves its queue when it starts. Transfers that touch HBM
share its bandwidth: their bytes pass one after the other, their latencies overlap.

Since instructions are fed in program order and nothing issued later can act earlier, all state up to the
sequencer's time is final, so the count is the same whatever the functional schedule.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sohu.isa import NUM_SEMAPHORES, Chip, CostArgs, DType, Engine, Row, Signal, Space, Wait
from sohu.isa.shapes import Shape

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.translate import Op

_KEPT_COSTS = 8192


class _Entry(NamedTuple):
    """An instruction in a queue."""

    latency: float  # from its start, without what follows
    transfer: float  # cycles of HBM's bandwidth
    sem: int  # -1: no wait
    value: int
    signal: Signal | None  # to this chip
    issued: float
    joint: bool  # starts on all chips of a group at once


class _Queue:
    """The timed side of an engine queue."""

    __slots__ = ("busy", "engine", "entries", "name", "running", "stalled", "until")

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self.reset()

    def reset(self) -> None:
        self.entries: deque[_Entry] = deque()
        self.running = False
        self.busy = 0.0  # cycles in which an instruction ran
        self.stalled = 0.0  # cycles in which its head waited for a semaphore
        self.until = 0.0  # when its last instruction finished


class Links(Protocol):
    """What a timer asks of the group that its chip belongs to, where the group runs in timed order."""

    def size(self, op: Op) -> int:
        """How many chips a collective's group has; raises Fault (operand)."""

    def meet(self, place: int, at: float) -> None:
        """This chip has come to a collective, at the head of a queue; the last to come begins it on all."""


class Timer:
    """Cycles of one launch. `now` is the sequencer's time; `places` are the queues, in the machine's order.

    In timed order the timer leads and the machine follows: `completed(place, signal)` is called when the instruction
    that runs in a queue is done (place -1: a signal of another chip is there), before what depends on it starts. The
    engines run up to and including `limit`, and the sequencer takes no instruction at `until` or later. `time` is
    how far the engines have come; `waiting` says that the sequencer could not go on when it last tried.
    """

    def __init__(self, chip: Chip, places: Sequence[tuple[Engine, str]]) -> None:
        self.chip = chip
        self.completed: Callable[[int, Signal | None], None] | None = None
        self.links: Links | None = None
        self.began: Callable[[int, float, float, float], None] | None = None  # a tracer's: queue, issued, start, end
        self._no_latency = dataclasses.replace(chip, hbm_latency=0)
        self._queues = [_Queue(engine, name) for engine, name in places]
        self._costs: dict[
            tuple[Row, int, tuple[Shape, ...], tuple[DType, ...], tuple[Space, ...]], tuple[float, float]
        ] = {}
        self.reset()

    def reset(self) -> None:
        """Time zero, nothing issued."""
        self.now = self.time = 0.0
        self.limit = self.until = inf
        self.waiting = False
        self._sems = [0] * NUM_SEMAPHORES
        self._events: list[tuple[float, int, int]] = []  # finish, order, queue
        self._signals: dict[int, Signal | None] = {}  # of what runs, by order
        self._sent: Signal | None = None  # by the sequencer's last instruction, at `now`
        self._order = 0
        self._hbm_free = 0.0
        for q in self._queues:
            q.reset()

    @property
    def cycles(self) -> int:
        """When the sequencer and everything that has started so far are done."""
        return round(max([self.now, *(at for at, _, place in self._events if place >= 0)]))

    @property
    def next(self) -> float:
        """When something can happen next; infinity when that takes a signal from elsewhere."""
        at = self._events[0][0] if self._events else inf
        return at if self.waiting else min(at, self.now)

    def until_done(self, place: int) -> float | None:
        """When the instruction that a queue is executing is done; None when it executes none."""
        q = self._queues[place]
        return q.until if q.running else None

    def stats(self) -> dict[str, float]:
        """Per queue that did something: cycles busy, and cycles its head waited for a semaphore."""
        out: dict[str, float] = {}
        for q in self._queues:
            if q.busy or q.stalled:
                out[f"busy.{q.name}"] = q.busy
                out[f"stall.{q.name}"] = q.stalled
        return out

    # -- fed by the machine ------------------------------------------------------------------------

    def arrive(self, place: int | None, wait: Wait | None, value: int) -> bool:
        """The sequencer has come to an instruction: let the engines run until it can take it.

        `place` is the instruction's queue, None for the sequencer, whose wait is for `value`. False when it cannot,
        by `limit` or `until`, or because nothing runs any more.
        """
        if not self._settle() or self.now >= self.until:
            return False
        if place is not None:
            entries = self._queues[place].entries
            can = self._advance_until(lambda: len(entries) < self.chip.queue_depth)
        else:
            can = wait is None or self._advance_until(lambda: self._sems[wait.sem] >= value)
        return can and self.now < self.until

    def issue(self, op: Op, bound: Bound | None, place: int | None, value: int) -> None:
        """It takes the instruction. `value` is what its semaphore must reach."""
        assert op.inst is not None
        wait, signal = op.inst.wait, op.inst.signal
        latency, transfer = self._cost(op, bound)
        if place is None:
            self.now += latency + transfer
            self._sent = signal
            return
        row = op.inst.row
        if self.links is not None and row.remote:
            signal = None  # it goes by the group
        joint = self.links is not None and row.collective
        sem = -1 if wait is None else wait.sem
        self._queues[place].entries.append(_Entry(latency, transfer, sem, value, signal, self.now, joint))
        self._start(place, self.now)
        self.now += 1.0

    def drain(self) -> bool:
        """The sequencer waits until every engine is idle. False when that cannot be, or not by `limit`."""
        if not self._settle() or not self._advance_until(lambda: not any(q.running or q.entries for q in self._queues)):
            return False
        self.now = max([self.now, *(q.until for q in self._queues)])
        return True

    def reset_semaphore(self, sem: int) -> None:
        """A semaphore becomes zero."""
        self._sems[sem] = 0

    def put(self, sem: int, value: int) -> None:
        """Somebody outside gives a semaphore a value: what waits for it may start."""
        self._sems[sem] = value
        self._wake(sem, max(self.time, self.now))

    def catch_up(self) -> None:
        """Let the engines run up to `limit`, where the sequencer is there already, or waits."""
        if self._settle():
            self._advance(self.limit)

    def post(self, signal: Signal, at: float) -> None:
        """A signal of another chip will be here at that time."""
        self._push(at, -1, signal)

    # -- the simulation ----------------------------------------------------------------------------

    def _settle(self) -> bool:
        """Bring the engines to the sequencer's time; False when `limit` comes first."""
        self._advance(min(self.now, self.limit))
        if self.now > self.limit:
            return False
        if self._sent is not None:
            self._signal(self._sent, self.now)
            self._sent = None
        return True

    def _advance(self, time: float) -> None:
        """Let the engines run up to and including `time`."""
        events = self._events
        while events and events[0][0] <= min(time, self.limit):  # which a signal to another chip lowers
            at, order, place = heapq.heappop(events)
            self.time = max(self.time, at)
            signal = self._signals.pop(order)
            if self.completed is not None:
                self.completed(place, signal)
            if place >= 0:
                self._queues[place].running = False
                self._start(place, at)
            if signal is not None:
                self._signal(signal, at)
        self.time = max(self.time, time)

    def _advance_until(self, met: Callable[[], bool]) -> bool:
        """Let the engines run until `met()`; the sequencer's time becomes that moment. False when it never does."""
        self.waiting = True
        while not met():
            if not self._events or self._events[0][0] > self.limit:
                return False
            at = self._events[0][0]
            self.now = max(self.now, at)
            self._advance(at)
        self.waiting = False
        return True

    def _signal(self, signal: Signal, at: float) -> None:
        self._sems[signal.sem] += signal.inc
        self._wake(signal.sem, at)

    def _wake(self, sem: int, at: float) -> None:
        for place, q in enumerate(self._queues):
            if q.entries and q.entries[0].sem == sem:
                self._start(place, at)

    def _start(self, place: int, at: float) -> None:
        """Start the head of a queue at `at`, if it may."""
        q = self._queues[place]
        if q.running or not q.entries:
            return
        e = q.entries[0]
        if e.sem >= 0 and self._sems[e.sem] < e.value:
            return
        if e.joint:
            assert self.links is not None
            self.links.meet(place, at)
        else:
            self.begin(place, at)

    def begin(self, place: int, at: float) -> float:
        """The head of a queue starts; gives when it will be done."""
        q = self._queues[place]
        e = q.entries.popleft()
        q.stalled += at - max(e.issued, q.until)
        end = at + e.latency
        if e.transfer:
            self._hbm_free = max(self._hbm_free, at) + e.transfer
            end = self._hbm_free + e.latency
        q.running = True
        q.busy += end - at
        q.until = end
        if self.began is not None:
            self.began(place, e.issued, at, end)
        self._push(end, place, e.signal)
        return end

    def _push(self, at: float, place: int, signal: Signal | None) -> None:
        heapq.heappush(self._events, (at, self._order, place))
        self._signals[self._order] = signal
        self._order += 1

    # -- costs -------------------------------------------------------------------------------------

    def _cost(self, op: Op, bound: Bound | None) -> tuple[float, float]:
        """Cycles of an instruction: what overlaps with other transfers, and what shares HBM's bandwidth."""
        if bound is None:
            if op.cost is None:
                op.cost = self._compute(op, 1, (), (), (), {})
            return op.cost
        if bound.cost is None:
            assert op.inst is not None
            shapes, dtypes = tuple(t.dims for t in bound.tiles), tuple(t.dtype for t in bound.tiles)
            spaces = tuple(t.space for t in bound.tiles)
            group = self.links.size(op) if self.links is not None and op.inst.row.collective else 1
            key = (op.inst.row, group, shapes, dtypes, spaces)
            if len(self._costs) >= _KEPT_COSTS:
                self._costs.clear()
            known = self._costs.get(key)
            if known is None:
                known = self._costs[key] = self._compute(op, group, shapes, dtypes, spaces, bound.dims)
            bound.cost = known
        return bound.cost

    def _compute(
        self,
        op: Op,
        group: int,
        shapes: tuple[Shape, ...],
        dtypes: tuple[DType, ...],
        spaces: tuple[Space, ...],
        dims: dict[str, int],
    ) -> tuple[float, float]:
        assert op.inst is not None
        cost = op.inst.row.cost
        whole = cost(CostArgs(self.chip, shapes, dtypes, spaces, dims, group))
        if op.inst.row.engine is not Engine.DMA or Space.HBM not in spaces:
            return whole, 0.0
        transfer = min(whole, cost(CostArgs(self._no_latency, shapes, dtypes, spaces, dims, group)))
        return whole - transfer, transfer
