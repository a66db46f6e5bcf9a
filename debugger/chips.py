"""The session of several chips that run together.

One of them is looked at, the focus: what a session says of its machine is said of that chip, and steps are its steps.
The group moves in its own order (sohu.emulator.group), the same that it has without a debugger: to let the focus take
a step, the others are let go on as far as that order asks for, and no further. Points stop all chips, or one; the chip
that was stopped becomes the focus. Going back is going to another place in that order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sohu.debugger import forward
from sohu.debugger.backward import arrive
from sohu.debugger.errors import CommandError
from sohu.debugger.explain import Explanation, explain
from sohu.debugger.forward import ANYWHERE, Goal, counts
from sohu.debugger.points import BEFORE, Breakpoint, Catch, Point, Watch, WatchHook, catches
from sohu.debugger.session import Session, copied
from sohu.debugger.stops import (
    BreakpointHit,
    Caught,
    Change,
    Exited,
    Faulted,
    Interrupted,
    Started,
    Stepped,
    Stop,
    Watched,
)
from sohu.emulator import Argument, MachineError
from sohu.emulator import Stop as Why
from sohu.emulator.group import Course, Group
from sohu.emulator.group_timeline import GroupMirror, GroupSnapshot, GroupTimeline
from sohu.emulator.run_cli import read_arguments
from sohu.emulator.running import FOREVER
from sohu.emulator.waits import needs
from sohu.isa import SohuError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sohu.asm import Program
    from sohu.emulator import Machine
    from sohu.emulator.timeline import Hit, Timeline

Args = Mapping[str, Argument]
_P = TypeVar("_P", bound=Point)


class GroupSession(Session):
    """A program on all chips of a group under the debugger.

    As Session; `args` are one mapping for all chips, or a sequence with one for each. focus: the chip that is looked
    at; switched: the last movement has changed it.
    """

    def __init__(
        self,
        program: Program,
        kernel: str | None = None,
        args: Args | Sequence[Args] | None = None,
        *,
        group: Group,
        checks: str | Collection[str] | None = None,
        record: bool = True,
    ) -> None:
        n = len(group.devices)
        each: list[Args] = [args or {}] * n if args is None or isinstance(args, Mapping) else list(args)
        if len(each) != n:
            raise SohuError(f"arguments for {len(each)} chips, and the group has {n}")
        self.group = group
        self.focus = 0
        self.switched = False
        self._mirror: GroupMirror | None = None
        self._watching: dict[int, WatchHook] = {}
        self._last: list[dict[str, NDArray[Any]]] = []  # outputs of each chip at the end
        super().__init__(program, kernel, each[0], device=group.devices[0], checks=checks, record=record)
        self.arguments = [dict(a) for a in each]
        self.given: list[dict[str, Argument]] = [{} for _ in each]
        self._loads = [d.load(program) for d in group.devices]
        self.turn_to(0)

    # -- the focus ---------------------------------------------------------------------------------

    @property
    def machines(self) -> list[Machine]:
        """The machines of all chips, by number."""
        return self.group.machines

    def look_at(self, chip: int) -> None:
        """Make a chip the focus. Raises CommandError for one that is not there."""
        if not 0 <= chip < len(self.machines):
            raise CommandError(f"there is no chip {chip}", help=f"there are chips 0 to {len(self.machines) - 1}")
        self.turn_to(chip)
        self.level = 0
        if isinstance(self.stop, Exited):
            self.stop = self._exit()

    def turn_to(self, chip: int) -> None:
        """Have names mean those of a chip."""
        self.focus = chip
        self.device, self.loaded = self.group.devices[chip], self._loads[chip]
        self.args, self._given = self.arguments[chip], self.given[chip]

    @contextmanager
    def on_chip(self, chip: int | None) -> Iterator[None]:
        """A context in which a chip is looked at; None for the focus."""
        before = self.focus
        if chip is not None:
            self.turn_to(chip)
        try:
            yield
        finally:
            self.turn_to(before)

    def ended(self, stop: Stop) -> Stop:
        """Session.ended."""
        self.switched = False
        return super().ended(stop)

    @property
    def pc(self) -> int:
        """Session.pc; of another chip than the one that an error has stopped, where it stands."""
        if isinstance(self.stop, (Faulted, Started)) and self._chip_of(self.stop) != self.focus:
            return self.machine.pc
        return super().pc

    def _chip_of(self, stop: Stop) -> int:
        chip = stop.error.chip if isinstance(stop, Faulted) else 0
        return 0 if chip is None else chip

    # -- what is otherwise with several chips ------------------------------------------------------

    def _new_timeline(self) -> Timeline:
        return GroupTimeline(self.group)

    @property
    def line_of_time(self) -> GroupTimeline:
        """The timeline, which is a group's."""
        assert isinstance(self.timeline, GroupTimeline)
        return self.timeline

    def switch_checks(self, spec: tuple[str, ...]) -> None:
        """Session.switch_checks, on all chips."""
        for m in self.machines:
            m.check(spec)

    def _launch(self) -> None:
        self.given = [copied(a) for a in self.arguments]
        self.group.start(self.program, self.kernel.name, self.given)
        self._watching.clear()
        self.turn_to(0)

    def snapshot(self) -> Any:
        if self._mirror is None:
            self._mirror = GroupMirror(self.group)
        made = self._mirror.take()
        self._mirror.complete()
        return made

    def put_back(self, snapshot: Any) -> None:
        assert isinstance(snapshot, GroupSnapshot) and self._mirror is not None
        self._mirror.put_back(snapshot)

    @property
    def _halted(self) -> bool:
        return all(m.halted for m in self.machines)

    @property
    def time(self) -> float | None:
        """In timed order, the cycle before which all has happened on all chips, or the furthest one has come to."""
        times = [m.time for m in self.machines if m.time is not None]
        return max(times, default=None)

    @property
    def output(self) -> Callable[[str], None]:
        """Where the programs' own prints go, each with its chip's number."""
        return self.group.output

    @output.setter
    def output(self, output: Callable[[str], None]) -> None:
        self.group.output = output

    def give(self, texts: Sequence[str]) -> None:
        """Arguments of the next run: NAME=VALUE for all chips, CHIP:NAME=VALUE for one. Raises SohuError."""
        for chip, own in enumerate(self.texts_by_chip(texts)):
            self.arguments[chip] |= read_arguments(self.kernel, own)

    def texts_by_chip(self, texts: Sequence[str]) -> list[list[str]]:
        """The NAME=VALUE texts of each chip; what is given for one goes before what is given for all."""
        n = len(self.machines)
        common: list[str] = []
        own: list[list[str]] = [[] for _ in range(n)]
        for text in texts:
            m = re.match(r"(\d+):", text)
            if m is None:
                common.append(text)
                continue
            if int(m[1]) >= n:
                raise SohuError(f"--arg {text}: there is no chip {m[1]}", help=f"there are chips 0 to {n - 1}")
            own[int(m[1])].append(text[m.end() :])
        out = []
        for mine in own:
            names = {t.partition("=")[0] for t in mine}
            out.append([*(t for t in common if t.partition("=")[0] not in names), *mine])
        return out

    def exited(self) -> Stop:
        """The kernel has run to its end on all chips."""
        here = self.focus
        self._last = []
        for chip, result in enumerate(self.group.finish()):
            self.turn_to(chip)
            self._last.append(self._outputs(result))
        self.turn_to(here)
        return self.ended(self._exit())

    def _exit(self) -> Exited:
        m = self.machine
        return Exited(m.pc, m.instructions, self.kernel.name, self._last[self.focus], m.cycles)

    def interrupt(self) -> None:
        """Stop a program that runs, soon. Safe in a signal handler."""
        self.wanted = True
        self.group.interrupt()

    def to(self, position: int) -> None:
        """Have the focus stand where it has just executed or issued so many instructions."""
        self.line_of_time.goto_count(self.focus, position)

    def follow(self, note: Callable[[Machine], bool]) -> Why:
        """Run on past everything; `note` is asked after each instruction of the focus whether to stop."""
        until = [note if chip == self.focus else None for chip in range(len(self.machines))]
        why, _ = self.line_of_time.move(Course(tuple(until), (FOREVER,) * len(until)), replay=True)
        return why

    @property
    def progress(self) -> tuple[int, int]:
        """Instructions of all chips: to where it stands, and to the furthest place that is known."""
        return self.timeline.position, self.timeline.last

    def goto_end(self) -> Stop:
        """Go to the furthest place that is known."""
        self.need_past()
        self.timeline.goto(self.timeline.last)
        return self.exited() if self._halted else self.ended(Stepped(self.machine.pc, self.position))

    def _edited(self) -> None:
        self.timeline.edited(self.wrote)
        self.wrote = []
        if self.trace is not None:  # of one chip
            self.trace.cut(self.trace.machine.instructions)

    def hooks(self, watches: Sequence[Watch]) -> list[WatchHook]:
        """A hook for each chip on which memory is watched."""
        out = []
        for chip, machine in enumerate(self.machines):
            own = [w for w in watches if w.chip == chip]
            if own:
                known = self._watching.get(chip)
                if known is None or not known.knows(own):
                    known = self._watching[chip] = WatchHook(machine, own)
                out.append(known)
        return out

    # -- who waits for whom ------------------------------------------------------------------------

    def explain(self) -> list[tuple[int, Explanation]]:
        """What each chip is doing, the focus first. Raises CommandError when there is nothing to look at."""
        out = []
        for chip in sorted(range(len(self.machines)), key=lambda c: (c != self.focus, c)):
            with self.on_chip(chip):
                out.append((chip, explain(self)))
        return out

    def waits_for(self, chip: int) -> list[int]:
        """The chips without which a chip cannot go on: late at a collective, or with a signal that it waits for."""
        m = self.machines[chip]
        out: dict[int, None] = {}
        if m.halted:
            return []
        for need in needs(m, m.op):
            if not need.later and need.most < need.value:
                out |= dict.fromkeys(c for c, _ in need.elsewhere if c != chip)
        for q in m.queues:
            head = q.entries[0] if q.entries else None
            if head is not None and head.op.inst is not None and head.op.inst.row.collective:
                wait = head.op.wait
                if wait is None or m.sems[wait.sem] >= head.value:
                    members = self.group.members(m, head.op)
                    out |= dict.fromkeys(c for c in members if self.group.head(c, head) is None)
        out.pop(chip, None)
        return sorted(out)

    # -- points ------------------------------------------------------------------------------------

    def _add(self, point: _P) -> _P:
        if isinstance(point, Watch):
            point.chip = self.focus
        return super()._add(point)

    def place(self, point: Point) -> None:
        """Session.place, on the chip of what is watched."""
        with self.on_chip(point.chip if isinstance(point, Watch) else None):
            super().place(point)

    def on(self, point: Point) -> Sequence[int]:
        """The chips that a point can stop."""
        return range(len(self.machines)) if point.chip is None else (point.chip,)

    # -- going forward -----------------------------------------------------------------------------

    def go(self, goal: Goal = ANYWHERE) -> Stop:
        """Run to a goal of the focus, or to what stops a chip before."""
        forward.place_pending(self)
        mine = goal is not ANYWHERE and goal.cycle is None
        if mine and self.machine.halted:
            raise CommandError(
                f"chip {self.focus} has halted", help="continue lets the others go on; chip N looks at another one"
            )
        origin, self.switched = self.focus, False
        while True:
            before = self.group.instructions
            stop = self._advance(goal, origin, mine)
            if stop is not None:
                self.switched = self.focus != origin
                return stop
            if self.group.instructions == before and self._halted:
                raise CommandError("the program has ended")

    def _advance(self, goal: Goal, origin: int, mine: bool) -> Stop | None:
        """One run of the group; None when what it stopped for does not count."""
        self.turn_to(origin)
        plan = _Plan(self, goal, origin)
        try:
            why, hit = self.line_of_time.move(
                plan.course(origin if mine else -1),
                cycle=plan.cycle,
                checks=self.hooks(plan.memory),
                when=plan.counted,
                pardon=self.pardoned == self.timeline.position,
            )
        except MachineError as e:
            self.turn_to(self.group.mover.chip if e.chip is None else e.chip)
            return forward.faulted(self, e)
        plan.check()
        if why is Why.HALTED:
            self.turn_to(origin)
            return self.exited()
        moved = self.group.mover
        if changes := plan.changed(hit):
            self.turn_to(changes[0].point.chip or 0)
            return self.ended(Watched(self.machine.pc, self.position, changes))
        if reached := (*plan.reached(), *plan.passed(why)):
            self.turn_to(origin if why is Why.CYCLE else moved.chip)
            return self.ended(BreakpointHit(self.machine.pc, self.position, reached))
        self.turn_to(origin)
        own = self.machine
        if why is Why.INTERRUPTED:
            return self.ended(Interrupted(own.pc, own.instructions))
        if plan.is_there(why) or (mine and own.halted):
            return self.ended(Stepped(own.pc, own.instructions))
        return None

    # -- going back --------------------------------------------------------------------------------

    def cont(self, *, reverse: bool = False) -> Stop:
        """Session.cont; back to the last point that stopped any chip."""
        if not reverse:
            return super().cont()
        self.need_past()
        origin = self.focus
        try:
            stop = self._back(origin)
        finally:
            self.switched = self.focus != origin
        return stop

    def _back(self, origin: int) -> Stop:
        forward.place_pending(self)
        line = self.line_of_time
        limit = line.position
        plan = _Plan(self, ANYWHERE, origin)
        while True:
            found = line.last_hit(limit, plan.all_pcs, checks=self.hooks(plan.memory), keep=plan.keep)
            at, hit = found if found is not None else (-1, None)
            chip = line.found
            counted, point = self._counted_before(limit, plan.breaks)
            caught, error, catch = self._caught_before(limit)
            if error is not None and catch is not None and caught > max(at, counted):
                line.goto(caught)
                self.turn_to(error.chip or 0)
                return self.ended(Caught(self.machine.pc, self.position, catch, error))
            if max(at, counted) < 0:
                self.turn_to(origin)
                return arrive(self, -1)
            if point is not None and counted > at:
                line.goto(counted)
                self.turn_to(self.group.mover.chip)
                return self.ended(BreakpointHit(self.machine.pc, self.position, (point,)))
            line.goto(at)
            self.turn_to(chip)
            stop = self._stopped_at(plan, at, chip, hit)
            if stop is not None:
                return self.ended(stop)
            limit = at

    def _stopped_at(self, plan: _Plan, at: int, chip: int, hit: Hit | None) -> Stop | None:
        """Why it stops where it stands, going back."""
        if hit is not None:
            self.turn_to(plan.seen[0].point.chip or 0)
            return Watched(self.machine.pc, self.position, plan.seen)
        machine = self.machine
        pc, count = machine.pc, machine.instructions
        here = tuple([b for b in plan.breaks if plan.holds_at(b, chip, pc)])
        if here:
            return BreakpointHit(pc, count, here)
        asked = [w for w in plan.registers if w.chip == chip and pc in plan.wrote[w.number]]
        for w in asked:
            w.remember(machine)
        n = len(self.machines)
        limits = [count + 1 if c == chip else FOREVER for c in range(n)]
        why, _ = self.line_of_time.move(Course((None,) * n, tuple(limits)), replay=True)
        if why is Why.INTERRUPTED:
            return Interrupted(machine.pc, machine.instructions)
        made = [w.change(pc, machine, going_back=True) for w in asked]
        self.line_of_time.goto(at)
        changes = tuple([c for c in made if c is not None and (not c.point.condition or self.holds(c.point))])
        return Watched(pc, count, changes) if changes else None

    def _counted_before(self, limit: int, breaks: Sequence[Breakpoint]) -> tuple[int, Breakpoint | None]:
        """The last place at which a chip had executed as many instructions as a breakpoint asks for."""
        best: tuple[int, Breakpoint | None] = -1, None
        for b in breaks:
            for chip in self.on(b) if b.instruction is not None else ():
                assert b.instruction is not None
                self.line_of_time.goto_count(chip, b.instruction)
                there = self.machines[chip].instructions == b.instruction
                if there and best[0] < self.timeline.position < limit:
                    best = self.timeline.position, b
        return best

    def _caught_before(self, limit: int) -> tuple[int, MachineError | None, Catch | None]:
        """The last of what catches have found on the way here, and where it stands then."""
        for at, error in sorted(self.timeline.pardons.items(), key=lambda item: item[0], reverse=True):
            stands = at if error.category in BEFORE else at + 1
            point = next((p for p in self.points.values() if catches(p, error)), None)
            if stands < limit and isinstance(point, Catch):
                return stands, error, point
        return -1, None, None


class _Plan:
    """What can stop which chip in one run, and whether it counts."""

    def __init__(self, session: GroupSession, goal: Goal, origin: int) -> None:
        self.session = session
        self.goal = goal
        self.origin = origin
        machines = session.machines
        active = [p for p in session.points.values() if p.active]
        self.breaks = [p for p in active if isinstance(p, Breakpoint)]
        watches = [p for p in active if isinstance(p, Watch) and p.target is not None]
        for w in watches:
            w.remember(machines[w.chip or 0])
        self.memory = [w for w in watches if w.target is not None and w.target.hooked]
        self.registers = [w for w in watches if w.target is not None and not w.target.hooked]
        self.wrote = {w.number: forward.writers_of(session, w) for w in self.registers}
        self.others: list[frozenset[int]] = [frozenset()] * len(machines)
        self.pcs: list[frozenset[int]] = [frozenset()] * len(machines)
        self.limits = [FOREVER] * len(machines)
        self.others[origin] = goal.pcs
        self.counts = [m.instructions for m in machines]
        self.stood: list[tuple[Watch, int, int]] = []  # on what may write a watched register: chip's pc and count
        for w in self.registers:
            m = machines[w.chip or 0]
            self.others[m.chip] |= self.wrote[w.number]
            if m.pc in self.wrote[w.number]:
                self.stood.append((w, m.pc, m.instructions))
                self._limit(m.chip, m.instructions + 1)
        for chip in range(len(machines)):
            self.pcs[chip] = self.others[chip].union(*(b.pcs for b in self.breaks if chip in session.on(b)))
        for b in self.breaks:
            for chip in session.on(b) if b.instruction is not None else ():
                assert b.instruction is not None
                if b.instruction > machines[chip].instructions:
                    self._limit(chip, b.instruction)
        if goal.instruction is not None:
            self._limit(origin, goal.instruction)
        now = session.time
        cycles = [b.cycle for b in self.breaks if b.cycle is not None and now is not None and b.cycle > now]
        self.cycle = min([*cycles, *([goal.cycle] if goal.cycle is not None else [])], default=None)
        self.seen: tuple[Change, ...] = ()  # what the last hit that counts has changed, looked at going back
        self._asked: tuple[int, int] | None = None
        self._found: tuple[Breakpoint, ...] = ()
        self._wrong: CommandError | None = None

    def _limit(self, chip: int, count: int) -> None:
        self.limits[chip] = min(self.limits[chip], count)

    @property
    def all_pcs(self) -> frozenset[int]:
        """Of all chips together."""
        return frozenset().union(*self.pcs)

    def course(self, halts: int) -> Course:
        """For the group."""
        until: list[Any] = [pcs or None for pcs in self.pcs]
        if (test := self.goal.test) is not None:
            pcs = self.pcs[self.origin]

            def asked(m: Machine) -> bool:
                if m.pc in pcs and self.counted():
                    return True
                self.session.turn_to(m.chip)
                return test(m)

            until[self.origin] = asked
        return Course(tuple(until), tuple(self.limits), halts)

    def holds_at(self, b: Breakpoint, chip: int, pc: int) -> bool:
        """Whether a breakpoint stops a chip at a pc; it is looked at."""
        if pc not in b.pcs or chip not in self.session.on(b):
            return False
        return not b.condition or self.session.holds(b)

    def counted(self) -> bool:
        """Whether to stop at the pc at which the chip stands that has moved last."""
        m = self.session.group.mover
        self.session.turn_to(m.chip)
        self._asked = m.chip, m.instructions
        try:
            here = [b for b in self.breaks if m.pc in b.pcs and m.chip in self.session.on(b)]
            self._found = tuple([b for b in here if counts(self.session, b)])
        except CommandError as e:
            self._wrong, self._found = e, ()
            return True
        return bool(self._found) or m.pc in self.others[m.chip]

    def reached(self) -> tuple[Breakpoint, ...]:
        """Breakpoints that count where that chip stands."""
        m = self.session.group.mover
        if self._asked != (m.chip, m.instructions):
            self._found = ()
            if m.pc in self.pcs[m.chip] and m.instructions > self.counts[m.chip]:
                self.counted()
                self.check()
        return self._found

    def check(self) -> None:
        """Raises CommandError for a condition that could not be computed."""
        if self._wrong is not None:
            m = self.session.machine
            self.session.ended(Stepped(m.pc, m.instructions))
            raise self._wrong

    def passed(self, why: Why) -> list[Breakpoint]:
        """Breakpoints at counts of instructions, and at cycles, that have just been come to."""
        m = self.session.group.mover
        new = m.instructions > self.counts[m.chip]
        return [
            b
            for b in self.breaks
            if (
                (b.instruction == m.instructions and new and m.chip in self.session.on(b))
                or (b.cycle is not None and b.cycle == self.cycle and why is Why.CYCLE)
            )
            and counts(self.session, b)
        ]

    def changed(self, hit: Hit | None) -> tuple[Change, ...]:
        """What watchpoints have seen, as far as it counts."""
        session, seen = self.session, []
        for w in self.memory if hit is not None else ():
            session.turn_to(w.chip or 0)
            if (c := forward.change_of(session, w, session.timeline.hits)) is not None:
                seen.append(c)
        for w, pc, count in self.stood:
            machine = session.machines[w.chip or 0]
            if machine.instructions > count and (c := w.change(pc, machine)) is not None:
                seen.append(c)
        out = []
        for c in seen:
            session.turn_to(c.point.chip or 0)
            if counts(session, c.point):
                out.append(c)
        return tuple(out)

    def is_there(self, why: Why) -> bool:
        """Whether the focus has come to the goal."""
        goal, own = self.goal, self.session.machines[self.origin]
        if goal.cycle is not None and goal.cycle == self.cycle and why is Why.CYCLE:
            return True
        if self.session.group.mover is not own or own.instructions == self.counts[self.origin]:
            return False
        return (
            own.pc in goal.pcs
            or (goal.instruction is not None and own.instructions >= goal.instruction)
            or (goal.test is not None and goal.test(own))
        )

    def keep(self, hit: Hit | None) -> bool:
        """Whether something counts that has stopped a run that looks for what happened before."""
        session = self.session
        m = session.group.mover
        session.turn_to(m.chip)
        if hit is not None:
            seen = []
            for w in self.memory:
                session.turn_to(w.chip or 0)
                by = next(iter(forward.hits_of(w, session.timeline.hits)), None)
                change = w.change((by or hit).pc, session.machine, going_back=True) if w.access != "read" else None
                if change is None and by is not None and w.access != "write":
                    change = Change(w, by.pc)
                w.remember(session.machine)
                if change is not None and (not w.condition or session.holds(w)):
                    seen.append(change)
            if seen:
                self.seen = tuple(seen)
            return bool(seen)
        if any(self.holds_at(b, m.chip, m.pc) for b in self.breaks):
            return True
        return any(w.chip == m.chip and m.pc in self.wrote[w.number] for w in self.registers)
