"""Several chips that run together: launches on all of them, collectives, signals from chip to chip.

A collective executes when it heads its queue on every chip of its group and its waits are met there; each chip then
goes on by itself. In program order the chips take turns, each as far as it comes; in a random order they take turns
of random length; in timed order whichever chip is behind in time moves, so that what passes between chips has its
place in time too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from math import inf, nextafter
from typing import Any

import numpy as np
from sohu.asm import Program
from sohu.emulator.arguments import Arguments
from sohu.emulator.bind import join
from sohu.emulator.checks.divergence import differing, given, stuck, unlike
from sohu.emulator.device import Device, Result
from sohu.emulator.errors import ArgumentError
from sohu.emulator.machine import Machine
from sohu.emulator.parts import Stop
from sohu.emulator.schedules import Spec
from sohu.emulator.translate import Issued, Op
from sohu.isa import Chip, Fault, Signal, SohuError

_TURNS = (1, 8, 64)  # the longest turn of a chip in a random order, in instructions


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
        self._members: dict[Op, tuple[int, ...]] = {}  # of collectives that chips have come to
        self._turn_number = 0
        self._not_yet: dict[int, tuple[Issued, int]] = {}  # by chip: in which turn not all others had come
        for number in range(chips):
            seed = schedule * chips + number if isinstance(schedule, int) else schedule
            said = partial(_numbered, output, number)
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
        self._unlike.clear()
        self._random.seed(self.schedule if isinstance(self.schedule, int) else 0)
        self._turns = [self._random.choice(_TURNS) for _ in range(n)]

    def finish(self) -> list[Result]:
        """The results of what `start` began, per chip; raises SohuError before their end."""
        return [d.finish() for d in self.devices]

    def interrupt(self) -> None:
        """Ask a running `run` to come back soon. Safe in a signal handler."""
        self._interrupted = True
        for m in self.machines:
            m.interrupt()

    def run(self, until_cycle: int | None = None) -> Stop:
        """Run until all chips have halted or, in timed order, to a cycle since the launch (as Machine.run).

        Raises MachineError for a fault of a program, SohuError for a cycle in other orders.
        """
        self._interrupted = False
        if self.machines[0].order.timed:
            return self._run_timed(inf if until_cycle is None else until_cycle)
        if until_cycle is not None:
            raise SohuError("only timed order can stop at a cycle", help="Group(..., schedule='timed')")
        while live := [m for m in self.machines if not m.halted]:
            before = [(m.instructions, m.parked) for m in live]
            if self.schedule is not None:
                self._random.shuffle(live)
            for m in live:
                why = m.run() if self.schedule is None else self._turn(m)
                if why is Stop.INTERRUPTED or self._interrupted:
                    return Stop.INTERRUPTED
                self._check()
            live.sort(key=lambda m: m.chip)
            if before == [(m.instructions, m.parked) for m in live] and not all(m.halted for m in live):
                stuck(self)
        return Stop.HALTED

    def _turn(self, m: Machine) -> Stop:
        left = iter(range(self._random.randint(0, self._turns[m.chip])))
        return m.run(lambda _: next(left, None) is None)

    def _run_timed(self, end: float) -> Stop:
        while live := [m for m in self.machines if not m.halted]:
            times = sorted((m.timer.next, m.chip) for m in live if m.timer is not None)
            at, chip = times[0]
            if at == inf:
                stuck(self)
            if at >= end:
                for m in live:
                    self._move(m, end, end)
                    self._check()
                return Stop.HALTED if all(m.halted for m in live) else Stop.CYCLE
            limit = min(times[1][0] if len(times) > 1 else inf, end)
            why = self._move(self.machines[chip], limit, min(nextafter(limit, inf), end))
            if why is Stop.INTERRUPTED or self._interrupted:
                return Stop.INTERRUPTED
            self._check()
        return Stop.HALTED

    def _move(self, m: Machine, limit: float, until: float) -> Stop:
        """Let one chip run, its engines up to and including `limit`, its sequencer up to `until`."""
        assert m.timer is not None
        m.timer.limit, m.timer.until = limit, until
        self._moving = m
        try:
            why = m.run()
            if limit == until and not m.halted:
                with np.errstate(all="ignore"):
                    m.timer.catch_up()
            return why
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

    def execute(self, machine: Machine, issued: Issued) -> None:
        """Execute an instruction that has just left its queue: a collective on all its chips at once."""
        members = self.members(machine, issued.op) if _is_collective(issued.op) else ()
        if len(members) < 2:
            issued.run()
            return
        if self._done.get(machine.chip) is issued:
            del self._done[machine.chip]
            return
        assert issued.op.inst is not None and issued.op.queue is not None
        place = issued.op.queue.place
        each = [issued if c == machine.chip else self.machines[c].queues[place].entries[0] for c in members]
        for c in members:
            self.machines[c].memories.settle()
        join([i.bound for i in each], {name: given(issued, name) for name, _ in issued.op.scalars})
        self._done |= {c: i for c, i in zip(members, each, strict=True) if c != machine.chip}

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
        timer.limit = min(timer.limit, at)
        timer.until = min(timer.until, nextafter(at, inf))


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


def _numbered(output: Callable[[str], None], chip: int, text: str) -> None:
    output(f"chip {chip}: {text}")


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
