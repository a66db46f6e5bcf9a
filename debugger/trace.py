"""What has executed, instruction by instruction: recorded while it is on, in compact arrays of bounded size.

Each instruction of the run has one row, at the position (instructions since the launch) at which it was executed or
issued. What runs again after going back is the same, and is not recorded again; what was recorded beyond a place where
somebody changed the machine is forgotten. While it is on, the machine goes instruction by instruction.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from math import nan
from typing import TYPE_CHECKING, Any, NamedTuple

from sohu.emulator import Listener

if TYPE_CHECKING:
    from sohu.emulator import Machine
    from sohu.emulator.bind import Bound
    from sohu.emulator.timing import Timer
    from sohu.emulator.translate import Issued, Op

MAX_ROWS = 1 << 20  # about 70 MB
_KEPT_BOUNDS = 1 << 15
_LOOK_BACK = 1 << 14  # rows among which those of instructions in queues are looked for
NOWHERE = -1
FOREVER = 1 << 62


class Row(NamedTuple):
    """One instruction.

    n: position before it. executed: position at which an engine executed it, None while it waits, or when it did so in
    what had been recorded before; n for what the sequencer executes. issued, start, end: cycles, None where they are
    not counted or not known yet. queue: "" for the sequencer. shapes: of its tiles. bytes: of these tiles.
    """

    n: int
    pc: int
    queue: str
    executed: int | None
    issued: float | None
    start: float | None
    end: float | None
    shapes: str
    bytes: int


class Trace(Listener):
    """The recorder of one machine. lost: rows dropped because there were more than `limit`."""

    def __init__(self, machine: Machine, limit: int = MAX_ROWS) -> None:
        self.machine = machine
        self.limit = limit
        self.lost = 0
        self.version = 0  # changes when rows are dropped
        self.filled = 0  # grows when a row that has been read gets more
        self._read = 0
        self._n, self._pc, self._executed, self._bytes = (array("q") for _ in range(4))
        self._queue, self._shape = array("b"), array("l")
        self._issued, self._start, self._end = (array("d") for _ in range(3))
        self._columns = (
            self._n, self._pc, self._executed, self._bytes, self._queue, self._shape, self._issued, self._start,
            self._end,
        )  # fmt: skip
        self._spans: list[list[int]] = []  # positions that are recorded: [first, end), sorted and apart
        self._span: list[int] | None = None  # the one that grows now; None where all is known
        self._next = FOREVER  # where the span after it begins
        self._at = NOWHERE  # position at which the machine is expected
        self._inside = False  # an instruction has been announced, and has not been counted yet
        self._row = NOWHERE  # of the instruction at hand
        self._pending: list[deque[int]] = [deque() for _ in machine.queues]
        self._times: dict[tuple[int, float], int] = {}  # rows that have issued and not started, by queue and cycle
        self._texts: dict[str, int] = {"": 0}
        self._bounds: dict[int, tuple[Bound, int, int]] = {}
        self._names = [q.name for q in machine.queues]

    def __len__(self) -> int:
        return len(self._n)

    @property
    def on(self) -> bool:
        """True while it records."""
        return self in self.machine.listeners

    def switch(self, on: bool) -> None:
        """Begin to record, or end."""
        if on and not self.on:
            self._at = NOWHERE
            self.machine.listeners.append(self)
        elif not on and self.on:
            self.machine.listeners.remove(self)
            self._detach(self.machine.timer)

    def rows(self, start: int = 0) -> Iterator[Row]:
        """All rows from one on, in the order in which they were recorded."""
        texts = list(self._texts)
        self._read = len(self._n)
        for i in range(start, len(self._n)):
            queue, executed = self._queue[i], self._executed[i]
            yield Row(
                self._n[i],
                self._pc[i],
                "" if queue < 0 else self._names[queue],
                None if executed < 0 else executed,
                _known(self._issued[i]),
                _known(self._start[i]),
                _known(self._end[i]),
                texts[self._shape[i]],
                self._bytes[i],
            )

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The positions that are recorded: from the first up to, without, the second."""
        out: list[tuple[int, int]] = []
        for a, b in self._spans:
            if out and out[-1][1] == a:
                out[-1] = out[-1][0], b
            elif a < b:
                out.append((a, b))
        return out

    def cut(self, position: int) -> None:
        """Forget all from a position on: somebody has changed the machine there, or the launch is a new one."""
        kept = [i for i, n in enumerate(self._n) if n < position]
        if len(kept) < len(self._n):
            self._keep(kept)
        self._spans = [[a, min(b, position)] for a, b in self._spans if a < position]
        self._span = None
        self._at = NOWHERE
        if not position:
            self._times.clear()

    # -- the machine's hooks -----------------------------------------------------------------------

    def will_issue(self, machine: Machine, op: Op) -> None:
        """The sequencer takes an instruction: it gets a row, unless it has one."""
        n = machine.instructions
        if n != self._at or self._span is None or n >= self._next:
            self._find(n)
        self._inside = True
        self._row = NOWHERE
        if self._span is None:
            return
        if len(self._n) >= self.limit:
            self._drop()
        elif len(self._n) and self._n[-1] == n:  # it was announced, and then the machine was put elsewhere
            self._keep(list(range(len(self._n) - 1)))
        timer = machine.timer
        self._row = row = len(self._n)
        place = NOWHERE if op.queue is None else op.queue.place
        self._n.append(n)
        self._pc.append(op.pc)
        self._queue.append(place)
        self._executed.append(n if op.queue is None else NOWHERE)
        self._shape.append(0)
        self._bytes.append(0)
        now = nan if timer is None else timer.now
        self._issued.append(now)
        self._start.append(now if op.queue is None else nan)
        self._end.append(nan)
        if place >= 0:
            self._pending[place].append(row)
            if timer is not None:
                timer.began = self._began
                self._times[place, now] = row

    def did_issue(self, machine: Machine, op: Op) -> None:
        """It has taken it."""
        self._inside = False
        self._at = machine.instructions
        if self._row == NOWHERE or self._span is None:
            return
        self._span[1] = self._at
        if op.queue is None and machine.timer is not None:
            self._end[self._row] = machine.timer.now

    def did_execute(self, machine: Machine, issued: Issued) -> None:
        """An engine has executed the head of its queue."""
        n = machine.instructions
        if n != self._at or self._span is None:
            self._find(n, executing=issued)
        if self._span is None:
            return
        queue = issued.op.queue
        assert queue is not None
        pending = self._pending[queue.place]
        row = pending.popleft() if pending else NOWHERE
        if row == NOWHERE:
            return
        self._executed[row] = n if self._inside else n - 1
        self._shape[row], self._bytes[row] = self._sizes(issued.bound)
        self.filled += row < self._read

    def _began(self, place: int, issued: float, start: float, end: float) -> None:
        row = self._times.pop((place, issued), NOWHERE)
        if 0 <= row < len(self._n):
            self._start[row], self._end[row] = start, end
            self.filled += row < self._read

    def _detach(self, timer: Timer | None) -> None:
        if timer is not None:
            timer.began = None

    # -- rows and what they cover ------------------------------------------------------------------

    def _find(self, n: int, executing: Issued | None = None) -> None:
        """The machine has come to a position by another way than from the one before it, or to what is known."""
        self._at = n
        self._inside = False
        i = bisect_right(self._spans, n, key=_first) - 1
        span = self._spans[i] if i >= 0 else None
        if span is not None and n < span[1]:
            self._span = None  # it is there
            return
        if span is None or span[1] != n:
            i += 1
            span = [n, n]
            self._spans.insert(i, span)
        self._span = span
        self._next = self._spans[i + 1][0] if i + 1 < len(self._spans) else FOREVER
        self._resume(n, executing)

    def _resume(self, n: int, executing: Issued | None) -> None:
        """Find the rows of what waits in queues, as far as there are some. executing: has just left its queue."""
        for q in self.machine.queues:
            entries = [e.op.pc for e in q.entries]
            if executing is not None and executing.op.queue is q:
                entries.insert(0, executing.op.pc)
            rows: list[int] = []
            for i in range(len(self._n) - 1, max(-1, len(self._n) - _LOOK_BACK), -1) if entries else ():
                if len(rows) == len(entries):
                    break
                if self._queue[i] == q.place and self._n[i] < n:
                    rows.append(i)
            rows.sort(key=self._n.__getitem__)
            rows = [NOWHERE] * (len(entries) - len(rows)) + rows
            known = [r if r >= 0 and self._pc[r] == pc else NOWHERE for r, pc in zip(rows, entries, strict=True)]
            self._pending[q.place] = deque(known)

    def _drop(self) -> None:
        """Half of the rows, the oldest, and those that are not of the stretch at hand."""
        assert self._span is not None
        first = self._span[0]
        order = [i for i, n in enumerate(self._n) if n >= first]
        order = order[-self.limit // 2 :] if len(order) > self.limit // 2 else order
        self.lost += len(self._n) - len(order)
        self._span[0] = self._n[order[0]] if order else self._span[1]
        self._spans = [self._span]
        self._next = FOREVER
        self._keep(order)

    def _keep(self, rows: list[int]) -> None:
        """Keep these rows, and no others."""
        self.version += 1
        place = {old: new for new, old in enumerate(rows)}
        for column in self._columns:
            values: list[Any] = [column[i] for i in rows]
            del column[:]
            column.extend(values)
        self._pending = [deque(place.get(r, NOWHERE) for r in q) for q in self._pending]
        self._times = {k: place[r] for k, r in self._times.items() if r in place}

    def _sizes(self, bound: Bound) -> tuple[int, int]:
        """The number of the text of some tiles' shapes, and their bytes."""
        known = self._bounds.get(id(bound))
        if known is None:
            if len(self._bounds) >= _KEPT_BOUNDS:
                self._bounds.clear()
            tiles = bound.tiles
            text = " ".join(f"{t.dtype}[{','.join(map(str, t.dims))}]" for t in tiles)
            number = self._texts.setdefault(text, len(self._texts))
            known = bound, number, sum(t.size * t.dtype.itemsize for t in tiles)
            self._bounds[id(bound)] = known
        return known[1], known[2]


def _first(span: list[int]) -> int:
    return span[0]


def _known(x: float) -> float | None:
    return None if x != x else x
