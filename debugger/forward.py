"""Going forward: to the next thing to stop for, or to where a step ends.

One loop (`go`) runs the machine as far as it can at full speed, and looks at what it stopped for. What does not
count, a condition that is false or a hit to be let pass, is left behind, and it goes on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.debugger.errors import CommandError
from sohu.debugger.frames import Outlook
from sohu.debugger.points import BEFORE, Breakpoint, Catch, Watch, accesses, catches, reads
from sohu.debugger.stops import BreakpointHit, Caught, Change, Exited, Faulted, Interrupted, Stepped, Stop, Watched
from sohu.emulator import Machine, MachineError
from sohu.emulator import Stop as Why
from sohu.emulator.timeline import Hit
from sohu.isa import INSTRUCTION_BYTES, Flow

if TYPE_CHECKING:
    from sohu.debugger.session import Session


class Level(enum.Enum):
    """What a step goes over: a source line, an operation of the compiler's IR, an instruction, an instruction of an
    engine, a cycle.
    """

    LINE = "line"
    OP = "op"
    INSTRUCTION = "instruction"
    TILE = "tile"
    CYCLE = "cycle"


@dataclass(frozen=True)
class Goal:
    """Where a movement ends, points apart: at pcs; when a test says so, asked after each instruction; at a count of
    instructions; at a cycle.
    """

    pcs: frozenset[int] = frozenset()
    test: Callable[[Machine], bool] | None = None
    instruction: int | None = None
    cycle: int | None = None


ANYWHERE = Goal()


def go(session: Session, goal: Goal) -> Stop:
    """Run to the goal, or to what stops the program before."""
    place_pending(session)
    while True:
        before = session.position
        stop = _run(session, goal)
        if stop is not None:
            return stop
        if session.wanted:  # between two runs, where the machine did not see it
            return session.ended(Interrupted(session.machine.pc, session.position))
        if session.position == before and session.machine.halted:
            raise CommandError("the program has ended")


def _run(session: Session, goal: Goal) -> Stop | None:
    """One run of the machine; None when what it stopped for does not count."""
    machine, points = session.machine, session.points.values()
    watches = [p for p in points if isinstance(p, Watch) and p.active and p.target is not None]
    for w in watches:
        w.remember(machine)
    births = births_of(session)
    registers = [w for w in watches if w.target is not None and not w.target.hooked]
    wrote = {w.number: writers_of(session, w) for w in registers}
    if any(machine.pc in pcs for pcs in wrote.values()):
        # it stands on an instruction that may write a watched register: that one alone
        pc = machine.pc
        goal_here = Goal(instruction=session.position + 1, test=goal.test, pcs=goal.pcs | births, cycle=goal.cycle)
        stop = _arrive(session, goal_here, goal, watches)
        here = [w for w in registers if pc in wrote[w.number]]
        changes = [c for w in here if (c := register_change(session, w, pc)) is not None]
        if isinstance(stop, (Exited, Faulted, Caught)) or not (seen := _counted_changes(session, changes)):
            return stop
        more = stop.changes if isinstance(stop, Watched) else ()
        breaks = stop.breakpoints if isinstance(stop, (Watched, BreakpointHit)) else ()
        return session.ended(Watched(machine.pc, session.position, (*more, *seen), breaks))
    pcs = goal.pcs.union(births, *wrote.values())
    return _arrive(session, Goal(pcs, goal.test, goal.instruction, goal.cycle), goal, watches)


def _arrive(session: Session, run: Goal, goal: Goal, watches: list[Watch]) -> Stop | None:
    """Run to `run` or a breakpoint, and say what it means for `goal`."""
    machine = session.machine
    breaks = [p for p in session.points.values() if isinstance(p, Breakpoint) and p.active]
    limits = [b.instruction for b in breaks if b.instruction is not None and b.instruction > session.position]
    limit = min([*limits, *([run.instruction] if run.instruction is not None else [])], default=None)
    cycle = _cycle(session, run, breaks)
    memory = [w for w in watches if w.target is not None and w.target.hooked]
    at = _Places(session, run.pcs, breaks)
    test = run.test
    until = at.pcs if test is None else (lambda m: (m.pc in at.pcs and at.counted()) or test(m))
    when = at.counted if test is None else None
    try:
        why, _ = session.timeline.run(
            until or None,
            until_instruction=limit,
            until_cycle=cycle,
            checks=session.hooks(memory),
            when=when,
            pardon=session.pardoned == session.timeline.position,
        )
    except MachineError as e:
        return faulted(session, e)
    at.check()
    if why is Why.HALTED:
        return session.exited()
    if machine.pc in births_of(session):
        follow(session)
    pc, count = machine.pc, session.position
    changes = [change_of(session, w, hits) for w in memory] if (hits := session.timeline.hits) else []
    seen = _counted_changes(session, [c for c in changes if c is not None])
    passed = [b for b in breaks if _passed(session, b, limit, cycle) and counts(session, b)]
    reached = (*at.reached(), *passed)
    if seen:
        return session.ended(Watched(pc, count, seen, reached))
    if reached:
        return session.ended(BreakpointHit(pc, count, reached))
    if why is Why.INTERRUPTED:
        return session.ended(Interrupted(pc, count))
    if _is_there(session, goal, why):
        return session.ended(Stepped(pc, count))
    return None


class _Places:
    """Breakpoints at pcs, asked while the machine runs whether they count."""

    def __init__(self, session: Session, pcs: frozenset[int], breaks: list[Breakpoint]) -> None:
        self.session = session
        self.machine = session.machine
        self.others = pcs
        self.breaks = breaks
        self.pcs = pcs.union(*(b.pcs for b in breaks))
        self._began = self.machine.instructions
        self._asked = -1
        self._found: tuple[Breakpoint, ...] = ()
        self._wrong: CommandError | None = None

    def counted(self) -> bool:
        """Whether to stop at the pc where the machine stands."""
        pc = self.machine.pc
        self._asked = self.machine.instructions
        try:
            self._found = tuple(b for b in self.breaks if pc in b.pcs and counts(self.session, b))
        except CommandError as e:
            self._wrong, self._found = e, ()
            return True
        return bool(self._found) or pc in self.others

    def reached(self) -> tuple[Breakpoint, ...]:
        """Those that count where the machine stands now, unless it only stands there still, some cycles later."""
        if self.machine.instructions == self._began:
            return ()
        if self._asked != self.machine.instructions:
            self._found = ()
            if self.machine.pc in self.pcs:
                self.counted()
                self.check()
        return self._found

    def check(self) -> None:
        """Raises CommandError for a condition that could not be computed."""
        if self._wrong is not None:
            self.session.ended(Stepped(self.machine.pc, self.machine.instructions))
            raise self._wrong


def _cycle(session: Session, run: Goal, breaks: list[Breakpoint]) -> int | None:
    now = session.time
    if now is None:
        return run.cycle
    cycles = [b.cycle for b in breaks if b.cycle is not None and b.cycle > now]
    return min([*cycles, *([run.cycle] if run.cycle is not None else [])], default=None)


def _passed(session: Session, b: Breakpoint, limit: int | None, cycle: int | None) -> bool:
    return (b.instruction is not None and b.instruction == limit == session.position) or (
        b.cycle is not None and b.cycle == cycle and (session.time or 0) >= b.cycle
    )


def _is_there(session: Session, goal: Goal, why: Why) -> bool:
    machine = session.machine
    return (
        machine.pc in goal.pcs
        or (goal.instruction is not None and session.position >= goal.instruction)
        or (goal.cycle is not None and why is Why.CYCLE)
        or (goal.test is not None and goal.test(machine))
    )


# -- points ----------------------------------------------------------------------------------------------


def counts(session: Session, point: Breakpoint | Watch | Catch) -> bool:
    """Whether a hit is one to stop for: its condition holds, and there are none left to let pass. Counts it."""
    if point.condition and not session.holds(point):
        return False
    point.hits += 1
    if point.ignore > 0:
        point.ignore -= 1
        return False
    return point.stays is None or point.stays()


def register_change(session: Session, w: Watch, pc: int) -> Change | None:
    """What the instruction at `pc`, which has just run, did to a watched register."""
    assert w.target is not None
    change = w.change(pc, session.machine) if w.access != "read" else None
    inst = session.symbols.inst(pc)
    if change is None and w.access != "write" and inst is not None and reads(inst, w.target.file, w.target.reg):
        return Change(w, pc)
    return change


def hits_of(w: Watch, hits: Sequence[Hit]) -> list[Hit]:
    """Those that are of a watchpoint."""
    return [h for h in hits if isinstance(h.what, tuple) and any(w is named for named in h.what)]


def change_of(session: Session, w: Watch, hits: Sequence[Hit]) -> Change | None:
    """What a watched place has seen of what hooks have stopped a run for."""
    own = hits_of(w, hits)
    change = w.change((own or hits)[-1].pc, session.machine) if w.access != "read" else None
    if change is not None or w.access == "write":
        return change
    return Change(w, own[0].pc) if own else None


def _counted_changes(session: Session, changes: list[Change]) -> tuple[Change, ...]:
    return tuple(c for c in changes if counts(session, c.point))


def writers_of(session: Session, w: Watch) -> frozenset[int]:
    """The pcs of instructions that can access a watched register in the way that is asked for."""
    assert w.target is not None
    key = w.target.file, w.target.reg, w.access
    known = session.writers.get(key)
    if known is None:
        known = session.writers[key] = accesses(session.symbols, *key)
    return known


def place_pending(session: Session) -> None:
    """Try once more what had no place."""
    for p in session.points.values():
        if p.pending:
            session.place(p)


def births_of(session: Session) -> frozenset[int]:
    """Where variables that are watched come to a place in which they have not been looked for in this launch."""
    watches = [p for p in session.points.values() if isinstance(p, Watch) and p.enabled]
    return frozenset().union(*(w.births - w.born for w in watches))


def follow(session: Session) -> None:
    """Watch variables where they lie from here on: those that a compiler keeps first in one place, then in another."""
    pc = session.machine.pc
    for w in session.points.values():
        if isinstance(w, Watch) and pc in w.births and pc not in w.born:
            w.born.add(pc)
            session.place(w)
            if w.target is not None:
                w.remember(session.machine)


# -- faults ----------------------------------------------------------------------------------------------


def faulted(session: Session, e: MachineError) -> Stop | None:
    """What a machine that was stopped means: a catch, which makes it go on again; nobody asked; or the end."""
    wanted = [p for p in session.points.values() if catches(p, e) and isinstance(p, Catch)]
    checked = e.category in session.caught_categories()
    can_go_on = checked and e.category in CATCHABLE
    if not wanted and not (can_go_on and session.only_caught(e.category)):
        return session.ended(Faulted(e.pc, session.position, e))
    if can_go_on:
        try:
            session.timeline.revive(after=e.category not in BEFORE)
            session.pardoned = session.timeline.position
        except MachineError as again:
            return session.ended(Faulted(again.pc, session.position, again))
    point = next((p for p in wanted if counts(session, p)), None)
    if point is not None:
        return session.ended(Caught(session.machine.pc, session.position, point, e, can_go_on))
    return None if can_go_on else session.ended(Faulted(e.pc, session.position, e))


# What checkers find leaves a machine that can go on.
CATCHABLE = frozenset({"nan", "overflow", "uninitialized", "race", "tolerance", "overlap"})


# -- steps -----------------------------------------------------------------------------------------------


def step(session: Session, count: int, level: Level, over: bool) -> Stop:
    """So many steps of a level; with `over`, a call and what it executes belong to the step that calls."""
    if level is Level.CYCLE:
        return _cycles(session, count)
    if level is Level.INSTRUCTION and not over:
        return session.go(Goal(instruction=session.position + count))
    arrived = arrivals(session, level, over)
    before = arrived.here(session.machine.pc)
    left = count

    def done(depth: int) -> bool:
        nonlocal before, left
        if over and depth > 0:
            return False
        here = arrived.here(session.machine.pc)
        if arrived.always(here) or (here is not None and here != before):
            before = here
            left -= 1
        return left <= 0

    return until(session, done)


@dataclass(frozen=True)
class Arrivals:
    """Where steps of a level end: `here(pc)` says what a pc belongs to; a step ends where that is another thing, or
    `always` says so.
    """

    here: Callable[[int], object | None]
    always: Callable[[object | None], bool]


def arrivals(session: Session, level: Level, over: bool = False) -> Arrivals:
    """How a level divides the code; with `over`, inlined calls too belong to the line that calls.

    Raises CommandError where the program does not tell.
    """
    symbols = session.symbols
    if level is Level.LINE:
        if not session.program.lines:
            raise CommandError("the program has no line information", help="stepi goes on by one instruction")

        def line(pc: int) -> object | None:
            found = symbols.line_at(pc)
            return None if found is None else (found.file, found.line)

        if over and session.program.debug:
            return Arrivals(Outlook(session).here, lambda here: False)
        return Arrivals(line, lambda here: False)
    if level is Level.OP:
        return Arrivals(session.operation, lambda here: False)
    if level is Level.TILE:

        def tile(pc: int) -> object | None:
            inst = symbols.inst(pc)
            if inst is None or not inst.row.engine.is_async:
                return None
            queue = session.machine.op_at(pc // INSTRUCTION_BYTES).queue
            return pc if queue is not None and session.looks_at(queue) else None

        return Arrivals(tile, lambda here: here is not None)
    return Arrivals(lambda pc: pc, lambda here: True)


def until(session: Session, done: Callable[[int], bool]) -> Stop:
    """Run until `done(depth)`, asked after each instruction: depth counts calls less returns since here."""
    depth = 0
    last = session.symbols.inst(session.machine.pc)
    asked, answer = -1, False

    def test(machine: Machine) -> bool:
        nonlocal depth, last, asked, answer
        if machine.instructions == asked:
            return answer
        asked = machine.instructions
        if last is not None:
            depth += (last.row.flow is Flow.CALL) - (last.row.flow is Flow.RET)
        last = session.symbols.inst(machine.pc)
        answer = done(depth)
        return answer

    return session.go(Goal(test=test))


def _cycles(session: Session, count: int) -> Stop:
    if session.machine.cycles is None:
        raise CommandError(
            "cycles are not counted", help="--timing counts them, --schedule timed shows them one by one"
        )
    if session.time is not None:
        return session.go(Goal(cycle=int(session.time) + count))
    target = session.machine.cycles + count
    return session.go(Goal(test=lambda m: (m.cycles or 0) >= target))
