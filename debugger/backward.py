"""Going back: the last thing to stop for before now, or where a step began.

The machine goes back by restoring a checkpoint and running forward again (emulator/timeline.py). To go back by lines
or calls, the last instructions before now are run once more one by one and written down; more of them when those
were not enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.debugger.errors import CommandError
from sohu.debugger.forward import (
    Arrivals,
    Level,
    arrivals,
    change_of,
    follow,
    place_pending,
    register_change,
    writers_of,
)
from sohu.debugger.points import BEFORE, Breakpoint, Catch, Point, Watch, catches, successors
from sohu.debugger.stops import Beginning, BreakpointHit, Caught, Change, Stepped, Stop, Watched
from sohu.emulator import Stop as Why
from sohu.emulator.timeline import Hit
from sohu.isa import Flow

if TYPE_CHECKING:
    from sohu.debugger.session import Session

_WINDOW, _GROWTH = 256, 8  # instructions written down at first, and how much more each time


@dataclass(frozen=True)
class _Past:
    """Instructions before now: pcs[i] came at position first + i, depths[i] counts calls less returns, the last is
    now.
    """

    first: int
    pcs: list[int]
    depths: list[int]


def step(session: Session, count: int, level: Level, over: bool) -> Stop:
    """So many steps back. A step goes to the beginning of the one before; within one, to its own beginning."""
    now = session.position
    if level is Level.CYCLE:
        cycle = session.cycle
        if cycle is None:
            raise CommandError("cycles are not counted", help="--timing counts them")
        return session.goto(cycle=max(0, cycle - count))
    if level is Level.INSTRUCTION and not over:
        return arrive(session, now - count)
    arrived = arrivals(session, level, over)
    window = _WINDOW
    while True:
        past = _past(session, max(session.timeline.start.instruction, now - window), now)
        found = _back(past, arrived, count, over)
        if found is not None:
            return arrive(session, found)
        if past.first <= session.timeline.start.instruction:
            return arrive(session, session.timeline.start.instruction - 1)
        window *= _GROWTH


def _back(past: _Past, arrived: Arrivals, count: int, over: bool) -> int | None:
    """The position `count` beginnings before the last one; None when it lies further back."""
    here, always = arrived.here, arrived.always
    level = past.depths[-1]
    last = len(past.pcs) - 1
    steps = [i for i in range(last) if not over or past.depths[i] <= level]
    left = count
    for k in range(len(steps) - 1, -1, -1):
        i = steps[k]
        what = here(past.pcs[i])
        if what is None:
            continue
        if k == 0:
            return None if past.first else past.first + i if left == 1 else None
        before = here(past.pcs[steps[k - 1]])
        if always(what) or before != what:
            left -= 1
            if left == 0:
                return past.first + i
    return None


def _past(session: Session, first: int, now: int) -> _Past:
    session.to(first)
    machine, symbols = session.machine, session.symbols
    pcs, depths, depth = [machine.pc], [0], 0

    def note(_: object) -> bool:
        nonlocal depth
        inst = symbols.inst(pcs[-1])
        if inst is not None:
            depth += (inst.row.flow is Flow.CALL) - (inst.row.flow is Flow.RET)
        pcs.append(machine.pc)
        depths.append(depth)
        return machine.instructions >= now

    if first < now and session.follow(note) is Why.HALTED:
        note(machine)  # nobody asks after the last instruction
    return _Past(first, pcs, depths)


def finish(session: Session) -> Stop:
    """Back to the call of the function at hand."""
    now, window = session.position, _WINDOW
    while True:
        past = _past(session, max(session.timeline.start.instruction, now - window), now)
        level = past.depths[-1]
        call = next((i for i in range(len(past.pcs) - 2, -1, -1) if past.depths[i] < level), None)
        if call is not None:
            return arrive(session, past.first + call)
        if past.first <= session.timeline.start.instruction:
            session.to(now)
            raise CommandError("nobody called this code", help="reverse-continue goes back to the last breakpoint")
        window *= _GROWTH


def arrive(session: Session, position: int) -> Stop:
    """Stand at a position; before the first one means at it, and says so."""
    start = session.timeline.start.instruction
    session.to(max(position, start))
    machine = session.machine
    made: Stop = Beginning(machine.pc, start) if position < start else Stepped(machine.pc, session.position)
    return session.ended(made)


def cont(session: Session) -> Stop:
    """Back to the last breakpoint, watchpoint or catch before now, or to the beginning."""
    place_pending(session)
    now, timeline, machine = session.position, session.timeline, session.machine
    start = timeline.start.instruction
    unborn = [p for p in session.points.values() if isinstance(p, Watch) and p.enabled and p.births and not p.born]
    if unborn:  # where a variable that is watched had its last place
        found = timeline.last_hit(now, frozenset().union(*(p.births for p in unborn)))
        if found is not None:
            _go(session, found[0])
            follow(session)
        _go(session, now)
    points = [p for p in session.points.values() if p.active]
    past = _Points(session, points)
    if now > start and past.registers:  # what a register has seen of an instruction shows one later
        _go(session, now - 1)
        stop = past.standing(now - 1)
        if isinstance(stop, Watched):
            return session.ended(stop)
        _go(session, now)
        past.remember()
    session.heed()
    found = timeline.last_hit(now, past.pcs, checks=session.hooks(past.memory), keep=past.counts)
    passed = max((b.instruction for b in past.breaks if b.instruction is not None and b.instruction < now), default=-1)
    at, hit = found if found is not None else (-1, None)
    if (cycle := _cycle_before(session, past.breaks, now)) is not None:
        timeline.goto_cycle(cycle)
        if session.position >= max(at, passed):
            hit_at = tuple(b for b in past.breaks if b.cycle == cycle)
            return session.ended(BreakpointHit(machine.pc, session.position, hit_at))
    complaint = _caught(session, points, now)
    if complaint is not None and complaint.instructions > max(at, passed):
        _go(session, complaint.instructions)
        return session.ended(complaint)
    if max(at, passed) < start:
        return arrive(session, start - 1)
    if passed > at:
        _go(session, passed)
        here = tuple(b for b in past.breaks if b.instruction == passed)
        return session.ended(BreakpointHit(machine.pc, passed, here))
    if hit is None and past.changed == at:
        at -= 1
    _go(session, at)
    stop = past.standing(at) if hit is None else _watched(session, at, past.memory)
    return session.ended(stop or Stepped(machine.pc, at))


def _go(session: Session, position: int) -> None:
    """Stand at a position; raises KeyboardInterrupt when the user does not want to wait."""
    session.heed()
    if session.timeline.goto(position) is Why.INTERRUPTED:
        raise KeyboardInterrupt
    session.heed()


class _Points:
    """What can stop a run of the past, and whether it counts.

    A watched register is looked at before each instruction that may access it and after it. changed: the position
    after the last such instruction that counts.
    """

    def __init__(self, session: Session, points: list[Point]) -> None:
        self.session = session
        self.machine = session.machine
        self.breaks = [p for p in points if isinstance(p, Breakpoint)]
        self.watches = [p for p in points if isinstance(p, Watch) and p.target is not None]
        self.memory = [w for w in self.watches if w.target is not None and w.target.hooked]
        self.registers = [w for w in self.watches if w.target is not None and not w.target.hooked]
        self.wrote = {w.number: writers_of(session, w) for w in self.registers}
        accesses = frozenset[int]().union(*self.wrote.values())
        self.pcs = accesses.union(successors(session.symbols, accesses), *(b.pcs for b in self.breaks))
        self.changed = -1
        self._before: tuple[int, int, list[Watch]] = -1, -1, []  # position, pc, and what may be accessed there
        self.remember()

    def remember(self) -> None:
        """Keep what is watched as it is now."""
        for w in self.watches:
            w.remember(self.machine)

    def counts(self, hit: Hit | None) -> bool:
        """Whether to stop where the machine stands; for a hit, after what has happened."""
        session, machine = self.session, self.machine
        if hit is not None:
            named = hit.what if isinstance(hit.what, tuple) else ()
            found = [w for w in self.memory if w in named and (not w.condition or session.holds(w))]
            for w in self.memory:
                w.remember(machine)
            return bool(found)
        position, pc, asked = self._before
        changed = position == session.position - 1 and any(self._accessed(w, pc) is not None for w in asked)
        here = [w for w in self.registers if machine.pc in self.wrote[w.number]]
        for w in here:
            w.remember(machine)
        self._before = session.position, machine.pc, here
        stops = any(machine.pc in b.pcs and (not b.condition or session.holds(b)) for b in self.breaks)
        if changed and not stops:
            self.changed = session.position
        return stops or changed

    def _accessed(self, w: Watch, pc: int) -> Change | None:
        change = register_change(self.session, w, pc)
        return change if change is not None and (not w.condition or self.session.holds(w)) else None

    def standing(self, at: int) -> Stop | None:
        """The stop at a position where it stands now, without what hooks see."""
        session, machine = self.session, self.machine
        pc = machine.pc
        here = tuple(b for b in self.breaks if pc in b.pcs and (not b.condition or session.holds(b)))
        asked = [w for w in self.registers if pc in self.wrote[w.number]]
        if here or not asked:
            return BreakpointHit(pc, at, here) if here else None
        for w in asked:
            w.remember(machine)
        session.timeline.run(until_instruction=at + 1, replay=True)
        made = [self._accessed(w, pc) for w in asked]
        _go(session, at)
        found = tuple(_swapped(c) for c in made if c is not None)
        return Watched(pc, at, found) if found else None


def _cycle_before(session: Session, breaks: list[Breakpoint], limit: int) -> int | None:
    """The last cycle before a position at which the program is to be stopped."""
    if session.time is None or all(b.cycle is None for b in breaks):
        return None
    session.timeline.goto(limit)
    now = session.time
    return max((b.cycle for b in breaks if b.cycle is not None and b.cycle < now), default=None)


def _caught(session: Session, points: list[Point], limit: int) -> Caught | None:
    """The last of what catches have found before a position; all that is there has been found on the way forward."""
    for at, error in sorted(session.timeline.pardons.items(), key=lambda item: item[0], reverse=True):
        stands = at if error.category in BEFORE else at + 1
        point = next((p for p in points if catches(p, error)), None)
        if stands < limit and isinstance(point, Catch):
            session.timeline.goto(stands)
            if not point.condition or session.holds(point):
                return Caught(session.machine.pc, stands, point, error)
    return None


def _watched(session: Session, at: int, memory: list[Watch]) -> Stop | None:
    """What hooks see of the instruction at a position where it stands now."""
    machine = session.machine
    for w in memory:
        w.remember(machine)
    why, _ = session.timeline.run(until_instruction=at + 1, checks=session.hooks(memory), replay=True)
    if why is Why.INTERRUPTED:
        raise KeyboardInterrupt
    hits = session.timeline.hits
    made = [c for w in memory if hits and (c := change_of(session, w, hits)) is not None]
    counted = tuple(_swapped(c) for c in made if not c.point.condition or session.holds(c.point))
    _go(session, at)
    return Watched(machine.pc, at, counted) if counted else None


def _swapped(c: Change) -> Change:
    """A change as it looks to who goes back."""
    return Change(c.point, c.pc, c.count, c.index, c.new, c.old)
