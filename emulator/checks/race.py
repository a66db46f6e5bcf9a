"""Races: two accesses to the same bytes, at least one of them a write, that no queue, signal or drain orders.

Vector clocks. Each queue, and the sequencer as one more, counts its instructions; `known[q][p]` is the newest
instruction of p that is complete before what q executes now, in every legal schedule. A wait learns what must have
been known where the signals were sent without which its semaphore could not have the value: of one queue that alone
signals a semaphore, those of a prefix. The last write and the last reads of each place are remembered; who
accesses an overlapping place must know them. So what is found depends on the program, not on the schedule that ran.

When several queues signal one semaphore, a signal that comes later in this run may come earlier in another, and meet
a wait without those that met it here. Kernels that do so are recorded; at their end each wait is judged by all
signals that it is not itself before, and the record gone through again, until nothing changes.

A table of a gather or scatter counts as accessed whole.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from sohu.asm import Names, Program
from sohu.emulator.checks.places import KEPT, Place, Places, name_of, overlap, who
from sohu.emulator.checks.registry import Check, check
from sohu.emulator.memory import Allocation
from sohu.isa import DTYPES, INSTRUCTION_BYTES, Fault, Note, Space, Tile

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op

_HISTORY = 1 << 13  # signals of one semaphore that are remembered; what waits for older ones knows more than it should
_SPARE = 64  # places on the chip that are kept for other launches, beside four times those of the last one
_BYTE = DTYPES["u8"]
_RECORDED = 1 << 14  # hooks of a launch that are recorded at most; what is longer is judged as it runs, and only so
_ROUNDS = 8
_NOBODY, _SEVERAL, _REMOTE = -1, -2, -3  # in place of a queue's number; remote: of another chip
Clock = tuple[int, ...]


class _Access:
    """Who accessed a place: instruction `n` of queue `q`, issued as number `at`."""

    __slots__ = ("at", "n", "op", "q")

    def __init__(self, q: int, n: int, op: Op, at: int) -> None:
        self.q = q
        self.n = n
        self.op = op
        self.at = at


class _Region(Place):
    """A place with its last accesses in this launch, and the places that overlap it and were accessed."""

    __slots__ = ("fresh", "generation", "is_read", "is_written", "readers", "reads", "write", "writers")

    def __init__(self, tile: Tile, low: int, high: int, block: Allocation | None) -> None:
        super().__init__(tile, low, high, block)
        self.fresh = True  # not accessed in this launch
        self.write: _Access | None = None
        self.reads: dict[int, _Access] = {}  # by queue
        self.generation = 0  # of its home, in which it was found
        self.forget()

    def forget(self) -> None:
        self.is_read = self.is_written = False
        self.writers: list[_Region] = []  # overlapping, and written; itself too
        self.readers: list[_Region] = []


class _Home:
    """All accessed places of SRAM, ACC or one allocation of HBM.

    Those on the chip are mostly the same in every launch, and are kept until they are far more than one uses: sizes
    that change make new places for ever. Places in HBM come and go.
    """

    __slots__ = ("generation", "launch", "read", "used", "written")

    def __init__(self) -> None:
        self.generation = 1
        self.launch = 0
        self.used = 0  # in this launch
        self.read: list[_Region] = []
        self.written: list[_Region] = []


class _Semaphore:
    """What has been signalled: the values reached, by whom, and what was known there."""

    __slots__ = ("base", "clocks", "joined", "producer", "producers", "values")

    def __init__(self, queues: int) -> None:
        self.values: list[int] = []
        self.clocks: list[Clock] = []
        self.producers: list[int] = []
        self.base = 0  # value before those remembered
        self.producer = _NOBODY
        self.joined = [0] * queues  # the highest value that each queue has waited for


class _Wait:
    """A wait that has been met: by queue q, before its instruction n; `needed`: signals that it cannot do without."""

    __slots__ = ("n", "needed", "q", "sem", "value")

    def __init__(self, sem: _Semaphore, value: int, q: int, n: int, needed: list[int]) -> None:
        self.sem = sem
        self.value = value
        self.q = q
        self.n = n
        self.needed = needed


class _Plan:
    """What one binding means here."""

    __slots__ = ("q", "reads", "wait", "writes")

    def __init__(self, q: int, wait: int, reads: list[_Region], writes: list[_Region]) -> None:
        self.q = q
        self.wait = wait  # semaphore, -1 for none
        self.reads = reads
        self.writes = writes


@check("race", "race", "two accesses to the same bytes, one of them a write, that nothing orders")
class Race(Check):
    """Finds races by what must happen before what, whatever the schedule that runs."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.places = Places(_Region, machine.memories)
        self.plans: dict[Bound, _Plan] = {}
        self.bound: Bound | None = None  # of the instruction at hand
        self.size = len(machine.queues) + 1
        self.seq = self.size - 1
        self.number = {id(q): i for i, q in enumerate(machine.queues)}
        self.homes: dict[Space | Allocation, _Home] = {}
        self.used: list[_Region] = []
        self.launches = 0
        self.kernels: dict[tuple[int, int], tuple[Program, frozenset[int]]] = {}
        self.shared: frozenset[int] = frozenset()  # semaphores that several queues of the kernel signal
        self.record: list[tuple[Callable[..., None], tuple[Any, ...]]] | None = None
        self.judged: list[list[int]] | None = None  # what each wait needs, when a record is gone through again
        self.epoch = 0  # places are forgotten at its end
        self._begin()

    def launch(self) -> None:
        self.judged = None
        self.shared = self._shared()
        self.record = [] if self.shared and self.machine.group is None else None
        self._begin()

    def _begin(self) -> None:
        self.launches += 1
        for r in self.used:
            r.fresh = True
            r.write = None
            r.reads.clear()
        self.used.clear()
        if len(self.plans) > KEPT or len(self.places.known) > KEPT:
            self.plans.clear()
            self.places.known.clear()
            self.homes.clear()
            self.epoch += 1
        self.known = [[0] * self.size for _ in range(self.size)]
        self.issues = 0  # number of the newest issue or access of the sequencer: its own clock
        self.clock: Clock = (0,) * self.size  # what the sequencer knows of queues
        self.inherited = [self.clock] * self.size  # of it, what each queue has taken over last
        self.waiting: list[deque[tuple[int, Clock]]] = [deque() for _ in range(self.size)]
        self.sems: dict[int, _Semaphore] = {}
        self.waits: list[_Wait] = []

    def _shared(self) -> frozenset[int]:
        m = self.machine
        key = id(m.program), m.entry
        known = self.kernels.get(key)
        if known is None:
            kernel = m.program.kernel_at(m.entry)
            end = kernel.end if kernel is not None else len(m.program.text)
            ops = [m.op_at(i) for i in range(m.entry // INSTRUCTION_BYTES, end // INSTRUCTION_BYTES)[:_RECORDED]]
            by = {(op.signal.sem, id(op.queue)) for op in ops if op.signal is not None}
            count = Counter(sem for sem, _ in by)
            if len(self.kernels) > KEPT:
                self.kernels.clear()
            known = self.kernels[key] = m.program, frozenset(sem for sem, n in count.items() if n > 1)
        return known[1]

    def halted(self) -> None:
        record = self.record
        if record is None or len(record) >= _RECORDED:
            return
        self.record = None
        for _ in range(_ROUNDS):
            judged = [_without_which(w) for w in self.waits]
            if judged == [w.needed for w in self.waits]:
                break
            self.judged = judged
            self._begin()
            for hook, args in record:
                hook(*args)

    def save(self) -> tuple[Any, ...]:
        sems = [
            (number, s, (s.values[:], s.clocks[:], s.producers[:], s.base, s.producer, s.joined[:]))
            for number, s in self.sems.items()
        ]
        return (
            self.shared,
            (self.record, 0 if self.record is None else len(self.record)),
            [k[:] for k in self.known],
            self.issues,
            self.clock,
            self.inherited[:],
            [tuple(w) for w in self.waiting],
            sems,
            self.waits[:],
            [(r, r.write, dict(r.reads)) for r in self.used],
            self.epoch,
        )

    def load(self, state: tuple[Any, ...]) -> None:
        shared, (record, length), known, issues, clock, inherited, waiting, sems, waits, used, epoch = state
        self.judged = None
        self.shared, self.issues, self.clock = shared, issues, clock
        self.record = None if record is None else record[: min(length, _RECORDED)]
        self.known = [k[:] for k in known]
        self.inherited = inherited[:]
        self.waiting = [deque(w) for w in waiting]
        self.waits = waits[:]
        self.sems = {number: s for number, s, _ in sems}
        for _, s, (values, clocks, producers, s.base, s.producer, joined) in sems:
            s.values, s.clocks, s.producers, s.joined = values[:], clocks[:], producers[:], joined[:]
        for r in self.used:
            r.fresh = True
            r.write = None
            r.reads.clear()
        self.used = [r for r, _, _ in used]
        for r, write, reads in used:
            r.fresh = False
            r.write = write
            r.reads = dict(reads)
        forgotten = epoch != self.epoch
        if forgotten:
            self.plans.clear()
            self.places.known.clear()
            self.homes.clear()
        for r in self.used:
            home = self._home(r)
            home.launch = self.launches  # what it has is of this launch
            if forgotten or r.generation != home.generation:
                self.places.have(r)
                r.forget()
                r.generation = home.generation
                if r.reads:
                    self._first_read(r)
                if r.write is not None:
                    self._first_write(r)

    # -- the order of things -----------------------------------------------------------------------

    def parked(self, issued: Issued) -> None:
        if self.record is not None:
            self.record.append((self.parked, (issued,)))
        self.issues += 1
        self.waiting[self.number[id(issued.op.queue)]].append((self.issues, self.clock))

    def before(self, op: Op, bound: Bound, value: int) -> None:
        if self.record is not None:
            self.record.append(
                (
                    self.before,
                    (
                        op,
                        bound,
                        value,
                    ),
                )
            )
        plan = self.plans.get(bound) or self._plan(op, bound)
        self.bound = bound
        q = plan.q
        if q == self.seq:
            self.issues += 1
            self._access(plan, [*self.clock[:q], self.issues], self.issues, op, self.issues)
            return
        known = self.known[q]
        if self.waiting[q]:
            at, clock = self.waiting[q].popleft()
        else:
            self.issues = at = self.issues + 1
            clock = self.clock
        if clock is not self.inherited[q]:
            self.inherited[q] = clock
            known[:] = [a if a > b else b for a, b in zip(known, clock, strict=True)]
        known[self.seq] = at
        known[q] = n = known[q] + 1
        if plan.wait >= 0:
            sem = self.sems.get(plan.wait)
            if sem is not None and value > sem.joined[q]:
                self._join(sem, value, q, known)
        self._access(plan, known, n, op, at)

    def signalled(self, op: Op, sem: int, value: int) -> None:
        if self.record is not None:
            self.record.append(
                (
                    self.signalled,
                    (
                        op,
                        sem,
                        value,
                    ),
                )
            )
        s = self.sems.get(sem)
        if s is None:
            s = self.sems[sem] = _Semaphore(self.size)
        if op.queue is None:
            q = self.seq
            self.issues += 1
            clock = (*self.clock[:q], self.issues)
        else:
            q = self.number.get(id(op.queue), _REMOTE)
            # from another chip: what that knows of this one is not known; to take all for known misses races only
            clock = tuple(self.known[q] if q >= 0 else [*(self.known[i][i] for i in range(self.seq)), self.issues])
        if s.producer != q:
            s.producer = q if s.producer == _NOBODY and q >= 0 else _SEVERAL
        s.values.append(value)
        s.clocks.append(clock)
        s.producers.append(q)
        if len(s.values) > _HISTORY and self.record is None and self.judged is None:
            s.base = s.values[_HISTORY // 2 - 1]
            for each in (s.values, s.clocks, s.producers):
                del each[: _HISTORY // 2]

    def waited(self, op: Op, value: int) -> None:
        if self.record is not None:
            self.record.append(
                (
                    self.waited,
                    (
                        op,
                        value,
                    ),
                )
            )
        assert op.wait is not None
        sem = self.sems.get(op.wait.sem)
        if sem is not None and value > sem.joined[self.seq]:
            clock = list(self.clock)
            self._join(sem, value, self.seq, clock)
            self.clock = tuple(clock)

    def drained(self) -> None:
        if self.record is not None:
            self.record.append((self.drained, ()))
        self.clock = (*(self.known[q][q] for q in range(self.seq)), 0)

    def cleared(self, sem: int) -> None:
        if self.record is not None:
            self.record.append((self.cleared, (sem,)))
        self.sems.pop(sem, None)

    def _join(self, sem: _Semaphore, value: int, q: int, known: list[int]) -> None:
        """Learn what a wait for `value` tells."""
        sem.joined[q] = value
        if self.record is not None or self.judged is not None:
            n = self.issues + 1 if q == self.seq else known[q]
            wait = _Wait(sem, value, q, n, [])
            wait.needed = _without_which(wait) if self.judged is None else self.judged[len(self.waits)]
            self.waits.append(wait)
            for i in wait.needed:
                known[:] = [a if a > b else b for a, b in zip(known, sem.clocks[i], strict=True)]
            return
        if sem.producer == _SEVERAL:
            for i in _without_which(_Wait(sem, value, q, 1 << 62, [])):
                known[:] = [a if a > b else b for a, b in zip(known, sem.clocks[i], strict=True)]
            return
        i = bisect_left(sem.values, value)
        if i < len(sem.values):
            clock = sem.clocks[i]
            p = sem.producer
            if clock[p] > known[p]:  # else all of it is known
                known[:] = [a if a > b else b for a, b in zip(known, clock, strict=True)]

    # -- places ------------------------------------------------------------------------------------

    def _plan(self, op: Op, bound: Bound) -> _Plan:
        reads, writes = [], []
        assert op.inst is not None
        for (_, _, kind), tile in zip(op.inst.row.data, bound.tiles, strict=True):
            region = self.places.of(tile)
            if region is None or (region.block is not None and not region.block.writable):
                continue  # nobody can write it
            if kind.reads_data and region not in reads:
                reads.append(region)
            if kind.writes_data:
                writes.append(region)
        wait = op.wait.sem if op.wait is not None else -1
        q = self.seq if op.queue is None else self.number[id(op.queue)]
        made = self.plans[bound] = _Plan(q, wait, reads, writes)
        return made

    def touched(self, op: Op, low: int, high: int, write: bool) -> None:
        if self.record is not None:
            self.record.append(
                (
                    self.touched,
                    (
                        op,
                        low,
                        high,
                        write,
                    ),
                )
            )
        block = self.machine.memories.hbm.find(low)
        if block is None or not block.writable:
            return
        region = self.places.of(Tile(Space.HBM, _BYTE, low, (high - low,)))
        assert region is not None
        self.issues += 1
        plan = _Plan(self.seq, -1, [] if write else [region], [region] if write else [])
        self._access(plan, [*self.clock[: self.seq], self.issues], self.issues, op, self.issues)

    def _access(self, plan: _Plan, known: list[int], n: int, op: Op, at: int) -> None:
        q = plan.q
        for r in plan.reads:
            if r.fresh:
                self._use(r)
            if not r.is_read:
                self._first_read(r)
            for s in r.writers:
                w = s.write
                if w is not None and known[w.q] < w.n:
                    self.found(self._race(op, q, at, r, False, w, s, True))
        for r in plan.writes:
            if r.fresh:
                self._use(r)
            if not r.is_written:
                self._first_write(r)
            for s in r.writers:
                w = s.write
                if w is not None and known[w.q] < w.n:
                    self.found(self._race(op, q, at, r, True, w, s, True))
            for s in r.readers:
                for a in s.reads.values():
                    if known[a.q] < a.n:
                        self.found(self._race(op, q, at, r, True, a, s, False))
        for r in plan.reads:
            r.reads[q] = _Access(q, n, op, at)
        for r in plan.writes:
            r.write = _Access(q, n, op, at)

    def _home(self, r: _Region) -> _Home:
        key = r.space if r.block is None else r.block
        home = self.homes.get(key)
        if home is None:
            home = self.homes[key] = _Home()
        return home

    def _use(self, r: _Region) -> None:
        """The first access in this launch."""
        r.fresh = False
        self.used.append(r)
        home = self._home(r)
        if home.launch != self.launches:
            home.launch = self.launches
            if r.block is not None or len(home.read) + len(home.written) > _SPARE + 4 * home.used:
                home.generation += 1
                home.read.clear()
                home.written.clear()
            home.used = 0
        home.used += 1
        if r.generation != home.generation:
            r.generation = home.generation
            r.forget()

    def _first_read(self, r: _Region) -> None:
        r.is_read = True
        home = self._home(r)
        home.read.append(r)
        if not r.is_written:
            r.writers = [s for s in home.written if overlap(self.machine.memories, r, s)]
        for s in r.writers:
            s.readers.append(r)

    def _first_write(self, r: _Region) -> None:
        r.is_written = True
        home = self._home(r)
        memories = self.machine.memories
        if not r.is_read:
            r.writers = [s for s in home.written if overlap(memories, r, s)]
        for s in r.writers:
            s.writers.append(r)
        r.readers = [s for s in home.read if overlap(memories, r, s)]
        for s in r.readers:
            if not s.is_written:  # else it has been among the writers
                s.writers.append(r)
        if r not in r.writers:
            r.writers.append(r)
        home.written.append(r)

    # -- what is said ------------------------------------------------------------------------------

    def _race(self, op: Op, q: int, at: int, r: _Region, write: bool, other: _Access, s: _Region, wrote: bool) -> Fault:
        """`op` accesses r and does not know that `other` is done with s."""
        m = self.machine
        first, second = other.op, op
        first_writes, second_writes = wrote, write
        place = r if r.high - r.low <= s.high - s.low else s
        if other.at > at:  # another schedule than program order has turned them round
            first, second = op, other.op
            first_writes, second_writes = write, wrote
        still = "writes" if first_writes else "reads"
        does = "writes" if second_writes else "reads"
        names = Names(m.program)
        notes = [
            Note("write" if second_writes else "read", second.pc),
            Note("write" if first_writes else "read", first.pc),
        ]
        me, them = who(second), who(first)
        what, help = self._missing(first, second, other, names, other.op is first)
        return Fault(
            "race",
            f"{me} {does} {name_of(m, place)} while {them} still {still} it",
            operand=self._operand(op, r, write),
            notes=[*notes, Note(what)],
            help=help,
            pc=op.pc,
        )

    def _missing(self, first: Op, second: Op, other: _Access, names: Any, in_order: bool) -> tuple[str, str]:
        """Which half of the synchronization is missing, and what to do."""
        it, me = _called(first), who(second)
        queue = "the sequencer" if second.queue is None else f"the {me} queue"
        if first.signal is None:
            if first.queue is None:
                return (
                    f"the {it} is the sequencer's, and {me} is not ordered after it",
                    "issue it after the sequencer's access",
                )
            return (
                f"the {it} signals nothing, so nothing can wait for it",
                f"let it signal a semaphore, and `{_called(second)}` wait for that",
            )
        sem = first.signal.sem
        name = names.semaphore(first.pc, sem)
        value = self._value_of(sem, other) if in_order else None
        sent = self.sems.get(sem)
        if sem in self.shared and sent is not None and any(sent.joined):
            what = f"the {it} signals `{name}`, but others do too: a wait for it can be met without this signal"
            return what, "give each queue that signals a semaphore of its own"
        wait = second.wait
        if wait is not None and wait.sem == sem:
            reached = f", which makes it {value}" if value is not None else ""
            return (
                f"the {it} signals `{name}`{reached}; `{_called(second)}` waits for it, but for less",
                f"wait for {name} >= {value}" if value is not None else f"wait for a larger value of {name}",
            )
        value_text = f"{name}>={value}" if value is not None else name
        return (
            f"the {it} signals `{name}`, but nothing on {queue} waits for it",
            f"add `wait {value_text}` to the `{_called(second)}`, or to one before it in its queue",
        )

    def _value_of(self, sem: int, a: _Access) -> int | None:
        """The value that a semaphore got by the signal of an instruction."""
        s = self.sems.get(sem)
        if s is not None:
            for value, clock, p in zip(s.values, s.clocks, s.producers, strict=True):
                if p == a.q and clock[p] == a.n:
                    return value
        return None

    def _operand(self, op: Op, r: _Region, write: bool) -> str:
        if op.inst is None or op.bind is None or self.bound is None:
            return ""
        for (_, o, kind), tile in zip(op.inst.row.data, self.bound.tiles, strict=True):
            if (kind.writes_data if write else kind.reads_data) and self.places.of(tile) is r:
                return o.name
        return ""


def _without_which(wait: _Wait) -> list[int]:
    """Of each queue that signals, the last signal without which, and all that follow from it, a wait is not met.

    What comes after the wait itself cannot meet it.
    """
    sem = wait.sem
    clocks = np.array(sem.clocks)
    by = np.array(sem.producers)
    incs = np.diff([sem.base, *sem.values])
    may = clocks[:, wait.q] < wait.n
    total = int(incs[may].sum())
    out = []
    for p in set(sem.producers) - {_REMOTE}:
        mine = np.flatnonzero(may & (by == p))
        low, high = 0, len(mine)  # of them, those before `low` are needed
        while low < high:
            middle = (low + high) // 2
            after = int(incs[may & (clocks[:, p] >= clocks[mine[middle], p])].sum())
            if total - after < wait.value:
                low = middle + 1
            else:
                high = middle
        if low:
            out.append(int(mine[low - 1]))
    out += [int(i) for i in np.flatnonzero(by == _REMOTE)[-1:]]
    return out


def _called(op: Op) -> str:
    assert op.inst is not None
    return op.inst.row.mnemonic
