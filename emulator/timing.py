"""The scoreboard timer: cycles of a run, from the instructions that issue and nothing of their data.

It is a small simulation of its own beside the functional one. The sequencer issues one instruction a cycle
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
from typing import TYPE_CHECKING, NamedTuple

from sohu.isa import NUM_SEMAPHORES, Chip, CostArgs, DType, Engine, Row, Signal, Space
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
    signal: Signal | None
    issued: float


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


class Timer:
    """Cycles of one launch. `now` is the sequencer's time; `places` are the queues, in the machine's order."""

    def __init__(self, chip: Chip, places: Sequence[tuple[Engine, str]]) -> None:
        self.chip = chip
        self._no_latency = dataclasses.replace(chip, hbm_latency=0)
        self._queues = [_Queue(engine, name) for engine, name in places]
        self._costs: dict[tuple[Row, tuple[Shape, ...], tuple[DType, ...], tuple[Space, ...]], tuple[float, float]] = {}
        self.reset()

    def reset(self) -> None:
        """Time zero, nothing issued."""
        self.now = 0.0
        self._sems = [0] * NUM_SEMAPHORES
        self._events: list[tuple[float, int, int]] = []  # finish, order, queue
        self._signals: dict[int, Signal | None] = {}  # of what runs, by order
        self._order = 0
        self._hbm_free = 0.0
        for q in self._queues:
            q.reset()

    @property
    def cycles(self) -> int:
        """When the sequencer and everything that has started so far are done."""
        return round(max([self.now, *(at for at, _, _ in self._events)]))

    def stats(self) -> dict[str, float]:
        """Per queue that did something: cycles busy, and cycles its head waited for a semaphore."""
        out: dict[str, float] = {}
        for q in self._queues:
            if q.busy or q.stalled:
                out[f"busy.{q.name}"] = q.busy
                out[f"stall.{q.name}"] = q.stalled
        return out

    # -- fed by the machine ------------------------------------------------------------------------

    def issue(self, op: Op, bound: Bound | None, place: int | None, value: int | None) -> None:
        """The next instruction of the stream.

        `place` is its queue, None for the sequencer; `value` what its semaphore must reach.
        """
        assert op.inst is not None
        wait, signal = op.inst.wait, op.inst.signal
        latency, transfer = self._cost(op, bound)
        if place is None:
            if wait is not None and value is not None:
                self._advance_until(lambda: self._sems[wait.sem] >= value)
            self.now += latency + transfer
            self._advance(self.now)
            if signal is not None:
                self._signal(signal, self.now)
            return
        q = self._queues[place]
        self._advance(self.now)
        self._advance_until(lambda: len(q.entries) < self.chip.queue_depth)
        q.entries.append(_Entry(latency, transfer, -1 if wait is None else wait.sem, value or 0, signal, self.now))
        self._start(place, self.now)
        self.now += 1.0

    def drain(self) -> None:
        """The sequencer waits until every engine is idle."""
        while self._events:
            self._advance(self._events[0][0])
        self.now = max([self.now, *(q.until for q in self._queues)])

    def reset_semaphore(self, sem: int) -> None:
        """A semaphore becomes zero."""
        self._sems[sem] = 0

    # -- the simulation ----------------------------------------------------------------------------

    def _advance(self, time: float) -> None:
        """Let the engines run up to and including `time`."""
        events = self._events
        while events and events[0][0] <= time:
            at, order, place = heapq.heappop(events)
            self._queues[place].running = False
            signal = self._signals.pop(order)
            self._start(place, at)
            if signal is not None:
                self._signal(signal, at)

    def _advance_until(self, met: Callable[[], bool]) -> None:
        """Let the engines run until `met()`; the sequencer's time becomes that moment."""
        while not met() and self._events:
            at = self._events[0][0]
            self.now = max(self.now, at)
            self._advance(at)

    def _signal(self, signal: Signal, at: float) -> None:
        self._sems[signal.sem] += signal.inc
        for place, q in enumerate(self._queues):
            if q.entries and q.entries[0].sem == signal.sem:
                self._start(place, at)

    def _start(self, place: int, at: float) -> None:
        """Start the head of a queue at `at`, if it may."""
        q = self._queues[place]
        if q.running or not q.entries:
            return
        e = q.entries[0]
        if e.sem >= 0 and self._sems[e.sem] < e.value:
            return
        q.entries.popleft()
        q.stalled += at - max(e.issued, q.until)
        end = at + e.latency
        if e.transfer:
            self._hbm_free = max(self._hbm_free, at) + e.transfer
            end = self._hbm_free + e.latency
        q.running = True
        q.busy += end - at
        q.until = end
        heapq.heappush(self._events, (end, self._order, place))
        self._signals[self._order] = e.signal
        self._order += 1

    # -- costs -------------------------------------------------------------------------------------

    def _cost(self, op: Op, bound: Bound | None) -> tuple[float, float]:
        """Cycles of an instruction: what overlaps with other transfers, and what shares HBM's bandwidth."""
        if bound is None:
            if op.cost is None:
                op.cost = self._compute(op, (), (), (), {})
            return op.cost
        if bound.cost is None:
            assert op.inst is not None
            shapes, dtypes = tuple(t.dims for t in bound.tiles), tuple(t.dtype for t in bound.tiles)
            spaces = tuple(t.space for t in bound.tiles)
            key = (op.inst.row, shapes, dtypes, spaces)
            if len(self._costs) >= _KEPT_COSTS:
                self._costs.clear()
            known = self._costs.get(key)
            if known is None:
                known = self._costs[key] = self._compute(op, shapes, dtypes, spaces, bound.dims)
            bound.cost = known
        return bound.cost

    def _compute(
        self,
        op: Op,
        shapes: tuple[Shape, ...],
        dtypes: tuple[DType, ...],
        spaces: tuple[Space, ...],
        dims: dict[str, int],
    ) -> tuple[float, float]:
        assert op.inst is not None
        cost = op.inst.row.cost
        whole = cost(CostArgs(self.chip, shapes, dtypes, spaces, dims))
        if op.inst.row.engine is not Engine.DMA or Space.HBM not in spaces:
            return whole, 0.0
        transfer = min(whole, cost(CostArgs(self._no_latency, shapes, dtypes, spaces, dims)))
        return whole - transfer, transfer
