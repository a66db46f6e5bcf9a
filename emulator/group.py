"""Several chips that run together: launches on all of them, collectives, signals from chip to chip.

A collective executes when it heads its queue on every chip of its group and its waits are met there; each chip then
goes on by itself. In program order the chips take turns, each as far as it comes; in a random order they take turns
of random length; in timed order whichever chip is behind in time moves, so that what passes between chips has its
place in time too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, nextafter
from typing import Any

import numpy as np
from sohu.asm import Program
from sohu.emulator import running
from sohu.emulator.arguments import Arguments
from sohu.emulator.bind import join
from sohu.emulator.checks.divergence import differing, stuck, unlike
from sohu.emulator.device import Device, Result
from sohu.emulator.errors import ArgumentError
from sohu.emulator.limits import CtrlC
from sohu.emulator.machine import Machine
from sohu.emulator.parts import Stop
from sohu.emulator.schedules import Spec
from sohu.emulator.translate import Issued, Op
from sohu.emulator.waits import given
from sohu.isa import Chip, Fault, Signal, SohuError

_TURNS = (1, 8, 64)  # the longest turn of a chip in a random order, in instructions


@dataclass(frozen=True)
class Course:
    """Where a run of a group stops, for each chip: what Machine.run calls `until`, and a count of instructions; and
    when one chip has halted.
    """

    until: tuple[running.Until, ...]
    limits: tuple[int, ...]
    halts: int = -1


@dataclass(frozen=True)
class Order:
    """What chips of a group share between two instructions.

    left: chips that have still to move in this round, first the one whose turn it is; before: chips, counts of
    instructions and of what was queued when the round began; end: the count at which a random turn ends; limit: the
    cycle at which the turn ends in timed order; mover: who has moved last; begun: chips that have moved; waiting: by
    chip, whether the timer's sequencer could not go on; done, come: chips and places of queues.
    """

    left: tuple[int, ...]
    before: tuple[tuple[int, int, int], ...]
    end: int | None
    limit: float
    mover: int
    begun: tuple[int, ...]
    waiting: tuple[bool, ...]
    done: tuple[tuple[int, int], ...]
    come: tuple[tuple[int, int], ...]
    random: tuple[Any, ...] | None


class Group:
    """Chips 0 to n - 1, each with memories and registers of its own.

    devices: one per chip, for tensors and results; groups: ranks of each group of chips by its number, as
    collectives name it. Group 0 is all chips in order.
    """

    def __init__(
        self,
        chips: int,
        chip: Chip | str = "sohu",
        *,
        groups: Mapping[int, Sequence[int]] | None = None,
        schedule: Spec = None,
        max_instructions: int | None = None,
        checks: str | Collection[str] | None = None,
        output: Callable[[str], None] = print,
    ) -> None:
        """`schedule`, `max_instructions` and `checks` as for Device, for each chip; `output` gets the programs' prints,
        with the chip's number before them.

        Raises SohuError for groups that cannot be, and as Device does.
        """
        if chips < 1:
            raise SohuError(f"a group of {chips} chips", help="one chip or more")
        self.groups = _table(chips, groups or {})
        self.schedule = schedule
        self.devices: list[Device] = []
        self._random = random.Random()
        self._turns: list[int] = []
        self._done: dict[int, Issued] = {}  # by chip: its collective has executed, together with another chip's
        self._come: dict[int, Issued] = {}  # by chip, in timed order: the collective that it waits in
        self._unlike: list[tuple[Machine, Issued]] = []  # collectives that chips have come to, and that differ
        self._moving: Machine | None = None
        self._interrupted = False
        self.due: Callable[[], None] | None = None  # to be called after the next instruction
        self.output = output
        self._left: list[int] = []  # see Order
        self._before: tuple[tuple[int, int, int], ...] = ()
        self._end: int | None = None
        self._limit = inf
        self._mover = 0
        self._since = 0  # instructions of the mover when it began to move
        self._begun: set[int] = set()
        self._members: dict[Op, tuple[int, ...]] = {}  # of collectives that chips have come to
        self._turn_number = 0
        self._not_yet: dict[int, tuple[Issued, int]] = {}  # by chip: in which turn not all others had come
        for number in range(chips):
            seed = schedule * chips + number if isinstance(schedule, int) else schedule
            said = partial(self._say, number)
            device = Device(chip, schedule=seed, max_instructions=max_instructions, checks=checks, output=said)
            m = device.machine
            m.chip, m.chips, m.group = number, chips, self
            if m.timer is not None:
                m.timer.links = _Links(self, m)
            self.devices.append(device)
        self.machines = [d.machine for d in self.devices]

    # -- launches ----------------------------------------------------------------------------------

    def launch(
        self, program: Program | Sequence[Program], kernel: str | Sequence[str], args: Sequence[Arguments] = ()
    ) -> list[Result]:
        """Run a kernel on all chips to its end: a Result per chip.

        One program and one name for all chips, or one for each; `args` are one Arguments per chip, as for
        Device.launch. Raises ArgumentError, and MachineError (whose `chip` says which) when the machine stops a
        program: category collective where chips came to different ones, deadlock where no chip can move.
        """
        self.start(program, kernel, args)
        self.run()
        return self.finish()

    def start(
        self, program: Program | Sequence[Program], kernel: str | Sequence[str], args: Sequence[Arguments] = ()
    ) -> None:
        """Like launch, but stopped before the first instruction of every chip; go on with `run`."""
        n = len(self.devices)
        programs = [program] * n if isinstance(program, Program) else list(program)
        names = [kernel] * n if isinstance(kernel, str) else list(kernel)
        each: list[Arguments] = list(args) if args else [()] * n
        for what, have in (("programs", programs), ("kernels", names), ("arguments", each)):
            if len(have) != n:
                raise ArgumentError(f"{what} for {len(have)} chips, and the group has {n}")
        for device, p, name, a in zip(self.devices, programs, names, each, strict=True):
            loaded = device.load(p)
            if loaded.code.clock and not device.machine.order.timed:
                raise ArgumentError(
                    f"{p.name} reads the cycle counter, which chips of a group have in timed order only",
                    help="Group(..., schedule='timed')",
                )
            device.start(loaded, name, a)
        self._done.clear()
        self._come.clear()
        self._members.clear()
        self._not_yet.clear()
        self._unlike = []
        self._left, self._before, self._end, self._limit = [], (), None, inf
        self._mover, self._since, self._begun = 0, 0, {0}
        self._random.seed(self.schedule if isinstance(self.schedule, int) else 0)
        self._turns = [self._random.choice(_TURNS) for _ in range(n)]

    def finish(self) -> list[Result]:
        """The results of what `start` began, per chip; raises SohuError before their end."""
        return [d.finish() for d in self.devices]

    def _say(self, chip: int, text: str) -> None:
        self.output(f"chip {chip}: {text}")

    def interrupt(self) -> None:
        """Ask a running `run` to come back soon. Safe in a signal handler."""
        self._interrupted = True
        for m in self.machines:
            m.interrupt()

    def run(self, until_cycle: int | None = None) -> Stop:
        """Run until all chips have halted or, in timed order, to a cycle since the launch (as Machine.run).

        After an interruption it goes on in the same order. Raises MachineError for a fault of a program, SohuError for
        a cycle in other orders.
        """
        self._interrupted = False
        for m in self.machines:
            m._interrupted = False
        with CtrlC(self.interrupt):
            why = self.go(cycle=until_cycle)
            if why is Stop.CYCLE:
                assert until_cycle is not None
                for m in self.machines:
                    if not m.halted:
                        self._limit = until_cycle
                        self._move(m, until_cycle)
                        self._check()
                self._left.clear()
                return Stop.HALTED if all(m.halted for m in self.machines) else Stop.CYCLE
        return why

    @property
    def instructions(self) -> int:
        """How many all chips have executed or issued since the launch: it tells places in the group's order."""
        return sum([m.instructions for m in self.machines])

    @property
    def mover(self) -> Machine:
        """The chip that moves, or has moved last; before all, chip 0."""
        return self.machines[self._mover]

    @property
    def settled(self) -> bool:
        """Nothing has happened since the last instruction: whoever runs to it finds the group like this."""
        return self.mover.instructions > self._since

    def go(
        self,
        course: Course | None = None,
        *,
        cycle: float | None = None,
        last: int = running.FOREVER,
        when: running.When = None,
    ) -> Stop:
        """Run on in the group's order, for who may be interrupted already (running.run is the same for a machine).

        last: stop when all chips together have executed or issued so many. cycle: stop when all that happens before
        that has happened on all chips, and go on from there as if nothing had stopped it. Of what the course stops
        for, `mover` says on which chip it came.
        """
        if cycle is not None and not self.machines[0].order.timed:
            raise SohuError("only timed order can stop at a cycle", help="Group(..., schedule='timed')")
        for m in self.machines:
            m.hits.clear()
        end = inf if cycle is None else cycle
        while True:
            if self.instructions >= last:
                return Stop.HALTED if all(m.halted for m in self.machines) else Stop.BREAKPOINT
            if not self._left and not self._next(end):
                return Stop.HALTED if all(m.halted for m in self.machines) else Stop.CYCLE
            m = self.machines[self._left[0]]
            if self._end is None or m.instructions < self._end:
                why = self._turn(m, course, last, end, when)
                if why is not None:
                    return why
            del self._left[0]
            self._end = None

    def _next(self, end: float) -> bool:
        """Say who moves: `_left`, and how far. False when all have halted, or nothing happens before `end`."""
        live = [m for m in self.machines if not m.halted]
        if not live:
            return False
        if not self.machines[0].order.timed:
            if self._before == tuple([(m.chip, m.instructions, m.parked) for m in live]):
                stuck(self)
            self._before = tuple([(m.chip, m.instructions, m.parked) for m in live])
            if self.schedule is not None:
                self._random.shuffle(live)
            self._left = [m.chip for m in live]
            return True
        times = sorted((m.timer.next, m.chip) for m in live if m.timer is not None)
        at, chip = times[0]
        if at == inf:
            stuck(self)
        if at >= end:
            return False
        self._left = [chip]
        self._limit = times[1][0] if len(times) > 1 else inf
        return True

    def _turn(self, m: Machine, course: Course | None, last: int, end: float, when: running.When) -> Stop | None:
        """Let a chip move on in its turn. None when that is over, and nobody asked to stop there."""
        if self.schedule is not None and self._end is None and not m.order.timed:
            self._end = m.instructions + self._random.randint(0, self._turns[m.chip]) + 1
        self._mover = m.chip
        until = None if course is None else course.until[m.chip]
        if m.chip not in self._begun:
            self._begun.add(m.chip)
            if not callable(until) and _stands(m, until, when):  # a test is asked after instructions
                return Stop.BREAKPOINT
        self._since = m.instructions
        most = min(
            m.instructions + last - self.instructions,
            running.FOREVER if self._end is None else self._end,
            running.FOREVER if course is None else course.limits[m.chip],
        )
        while True:
            now = most if self.due is None else min(most, m.instructions + 1)
            why = self._move(m, end, until, now, when) if m.order.timed else running.run(m, until, None, now, when)
            self._check()
            m._interrupted = False
            if self._interrupted:
                return Stop.INTERRUPTED
            if m.hits:
                return Stop.BREAKPOINT
            if why is Stop.BREAKPOINT and m.instructions == now < most:
                if _stands(m, until, when):
                    return why
            elif why is not Stop.INTERRUPTED:
                break
            if self.due is not None and self.settled:
                call, self.due = self.due, None
                call()
        if why is Stop.CYCLE:
            return why
        if why is Stop.HALTED and course is not None and course.halts == m.chip:
            return Stop.HALTED if all(m.halted for m in self.machines) else Stop.BREAKPOINT
        if why is Stop.BREAKPOINT:
            asked = self.instructions >= last or (course is not None and m.instructions >= course.limits[m.chip])
            if asked or self._end is None or m.instructions < self._end or _stands(m, until, when):
                return why
        return None

    def stands(self, course: Course | None, when: running.When = None) -> bool:
        """Whether the chip that has moved last is to stop where it stands."""
        m = self.mover
        if course is None:
            return bool(m.hits)
        return bool(m.hits) or m.instructions >= course.limits[m.chip] or _stands(m, course.until[m.chip], when)

    def _move(
        self, m: Machine, end: float, until: running.Until = None, most: int = running.FOREVER,
        when: running.When = None,
    ) -> Stop:  # fmt: skip
        """Let one chip run in timed order: its engines up to and including `_limit`, its sequencer to just past that,
        neither past `end`. CYCLE: it has come to that.
        """
        assert m.timer is not None
        m.timer.limit, m.timer.until = min(self._limit, end), min(nextafter(self._limit, inf), end)
        self._moving = m
        try:
            why = running.run(m, until, None, most, when)
            if why is not Stop.BLOCKED or end > self._limit:
                return why
            with np.errstate(all="ignore"):
                m.timer.catch_up()
            return why if end == inf else Stop.CYCLE
        finally:
            m.timer.limit = m.timer.until = inf

    def _check(self) -> None:
        if self._unlike:
            unlike(self._unlike)

    # -- what machines ask -------------------------------------------------------------------------

    def members(self, machine: Machine, op: Op) -> tuple[int, ...]:
        """The chips of a collective's group, in rank order; raises Fault (operand) for a group that is not one."""
        known = self._members.get(op)
        if known is None:
            known = self._members[op] = self._find_members(machine, op)
        return known

    def _find_members(self, machine: Machine, op: Op) -> tuple[int, ...]:
        number = _group(op)
        chips = self.groups.get(number)
        if chips is None and len(self.devices) == 1:
            chips = self.groups[0]  # on a chip by itself, every group is that chip
        if chips is None:
            have = ", ".join(map(str, sorted(self.groups)))
            raise Fault("operand", f"there is no group {number}", operand="group", help=f"there are: {have}")
        if machine.chip not in chips:
            text = ", ".join(map(str, chips))
            raise Fault("operand", f"chip {machine.chip} is not in group {number} (chips {text})", operand="group")
        return chips

    def admit(self, machine: Machine, op: Op) -> None:
        """An instruction is about to enter a queue; raises Fault (operand) for a collective of a wrong group."""
        if _is_collective(op):
            self.members(machine, op)

    def ready(self, machine: Machine, head: Issued) -> bool:
        """True for an instruction whose wait is met if it may execute: a collective, when all chips have come."""
        if not _is_collective(head.op) or self._done.get(machine.chip) is head:
            return True
        # who else has come changes only when others move
        turn = head, self._turn_number
        if self._not_yet.get(machine.chip) == turn:
            return False
        if self._all_come(machine, head):
            return True
        self._not_yet[machine.chip] = turn
        return False

    def begin_turn(self) -> None:
        """Another chip moves from now on."""
        self._turn_number += 1

    def execute(self, machine: Machine, issued: Issued) -> bool:
        """Execute an instruction that has just left its queue: a collective on all its chips at once.

        True for one that another chip has executed, of which hooks that stop (Hooks.met) know already.
        """
        members = self.members(machine, issued.op) if _is_collective(issued.op) else ()
        if len(members) < 2:
            issued.run()
            return False
        if self._done.get(machine.chip) is issued:
            del self._done[machine.chip]
            return True
        assert issued.op.inst is not None and issued.op.queue is not None
        place = issued.op.queue.place
        each = [issued if c == machine.chip else self.machines[c].queues[place].entries[0] for c in members]
        for c in members:
            self.machines[c].memories.settle()
        join([i.bound for i in each], {name: given(issued, name) for name, _ in issued.op.scalars})
        others = {c: i for c, i in zip(members, each, strict=True) if c != machine.chip}
        self._done |= others
        for c, i in others.items():
            for met in self.machines[c].hooks.met:
                met(i.op, i.bound, i.value)
                if self.machines[c].hits:
                    machine.quota[0] = -1
        return False

    def signal(self, machine: Machine, issued: Issued, signal: Signal) -> None:
        """Deliver an instruction's signal: to its own chip, or to the one that it names; raises Fault (semaphore)."""
        assert issued.op.inst is not None
        name = issued.op.inst.row.remote
        if not name:
            machine.add(signal, issued.op)
            return
        target = self.machines[given(issued, name)]
        if machine.timer is None or target.timer is None:
            target.add(signal)
        else:
            target.timer.post(signal, machine.timer.time)
            self._lower(machine.timer.time)

    def missing(self, machine: Machine, head: Issued) -> str:
        """What a collective at the head of a queue waits for, as text."""
        late = [c for c in self.members(machine, head.op) if self.head(c, head) is None]
        return f"for chip{'s' * (len(late) > 1)} {', '.join(map(str, late))} to come to it"

    def head(self, chip: int, other: Issued) -> Issued | None:
        """The collective that a chip waits in, if it is one of the same group as another chip's."""
        if self.machines[chip].order.timed:
            found = self._come.get(chip)
        else:
            m = self.machines[chip]
            assert other.op.queue is not None
            entries = m.queues[other.op.queue.place].entries
            found = entries[0] if entries and _is_collective(entries[0].op) else None
            if found is None or self._done.get(chip) is found:
                return None
            wait = found.op.wait
            if wait is not None and m.sems[wait.sem] < found.value:
                return None
        return found if found is not None and (found.op is other.op or _group(found.op) == _group(other.op)) else None

    # -- meetings ----------------------------------------------------------------------------------

    def _all_come(self, machine: Machine, head: Issued) -> bool:
        members = self.members(machine, head.op)
        heads = [(self.machines[c], h) for c in members if (h := self.head(c, head)) is not None]
        if len(heads) < len(members):
            return False
        if any(differing(head, h) for _, h in heads):
            self._unlike = heads
            return False
        return True

    def meet(self, machine: Machine, place: int, at: float) -> None:
        """Timed order: a chip has come to a collective; the last one starts it on all."""
        head = machine.queues[place].entries[0]
        self._come[machine.chip] = head
        if not self._all_come(machine, head):
            return
        for c in self.members(machine, head.op):
            del self._come[c]
            timer = self.machines[c].timer
            assert timer is not None
            self._lower(timer.begin(place, at))

    def _lower(self, at: float) -> None:
        """Another chip can move at that time: the one that is moving must not pass it."""
        assert self._moving is not None and self._moving.timer is not None
        timer = self._moving.timer
        self._limit = min(self._limit, at)
        timer.limit = min(timer.limit, at)
        timer.until = min(timer.until, nextafter(at, inf))

    # -- snapshots ---------------------------------------------------------------------------------

    def order(self) -> Order:
        """What the chips share, and where the group is in its order."""
        place = {c: i.op.queue.place for c, i in self._done.items() if i.op.queue is not None}
        come = {c: i.op.queue.place for c, i in self._come.items() if i.op.queue is not None}
        return Order(
            tuple(self._left),
            self._before,
            self._end,
            self._limit,
            self._mover,
            tuple(sorted(self._begun)),
            tuple([m.timer is not None and m.timer.waiting for m in self.machines]),
            tuple(sorted(place.items())),
            tuple(sorted(come.items())),
            self._random.getstate() if isinstance(self.schedule, int) else None,
        )

    def put_back(self, order: Order) -> None:
        """Go on from there, now that the chips are what they were then."""
        self._left = list(order.left)
        self._before, self._end, self._limit = order.before, order.end, order.limit
        self._mover, self._since, self._begun = order.mover, -1, set(order.begun)
        for m, waiting in zip(self.machines, order.waiting, strict=True):
            if m.timer is not None:
                m.timer.waiting = waiting
        for table, places in ((self._done, order.done), (self._come, order.come)):
            table.clear()
            table |= {c: self.machines[c].queues[place].entries[0] for c, place in places}
        if order.random is not None:
            self._random.setstate(order.random)
        self._not_yet.clear()
        self._unlike = []
        self._turn_number += 1


class _Links:
    """A timer's view of the group, for one chip."""

    def __init__(self, group: Group, machine: Machine) -> None:
        self.group = group
        self.machine = machine

    def size(self, op: Op) -> int:
        return len(self.group.members(self.machine, op))

    def meet(self, place: int, at: float) -> None:
        self.group.meet(self.machine, place, at)


def _is_collective(op: Op) -> bool:
    return op.inst is not None and op.inst.row.collective


def _group(op: Op) -> Any:
    assert op.inst is not None and op.inst.row.group_operand is not None
    return op.inst.values[op.inst.row.group_operand]


def _stands(m: Machine, until: running.Until, when: running.When) -> bool:
    """Whether a machine is to stop where it stands, by what Machine.run would ask there."""
    if callable(until):
        return until(m)
    return until is not None and m.pc in until and (when is None or when())


def _table(chips: int, groups: Mapping[int, Sequence[int]]) -> dict[int, tuple[int, ...]]:
    """Groups as they are looked up; raises SohuError for members that are no chips, or named twice."""
    table = {0: tuple(range(chips))}
    for number, members in groups.items():
        if not 0 <= number < 256:
            raise SohuError(f"group {number}: groups have the numbers 0 to 255")
        if number == 0 and tuple(members) != table[0]:
            raise SohuError("group 0 is all chips, in order", help="give other groups other numbers")
        if not members or len(set(members)) != len(members) or not all(0 <= c < chips for c in members):
            raise SohuError(f"group {number}: {list(members)} are no different chips of {chips}")
        table[number] = tuple(members)
    return table
