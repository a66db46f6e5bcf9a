"""Going back: the last thing to stop for before now, or where a step began.

The machine goes back by restoring a checkpoint and running forward again (emulator/timeline.py). To go back by lines
or calls, the last instructions before now are run once more one by one and written down; more of them when those
were not enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.debugger.errors import CommandError
from sohu.debugger.forward import Level, arrivals, place_pending
from sohu.debugger.points import BEFORE, Breakpoint, Catch, Point, Watch, catches, writers
from sohu.debugger.stops import Beginning, BreakpointHit, Caught, Change, Interrupted, Stepped, Stop, Watched
from sohu.emulator import Stop as Why
from sohu.emulator.timeline import Hit
from sohu.isa import Flow

if TYPE_CHECKING:
    from sohu.debugger.session import Session

_WINDOW, _GROWTH = 256, 8  # instructions written down at first, and how much more each time


@dataclass(frozen=True)
class _Past:
    """Instructions before now: pcs[i] came at position first + i, depths[i] counts calls less returns, the last is
    now. `calls[i]`: that instruction calls.
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
        found = _back(past, arrived.here, arrived.always, count, over)
        if found is not None:
            return arrive(session, found)
        if past.first <= session.timeline.start.instruction:
            return arrive(session, session.timeline.start.instruction - 1)
        window *= _GROWTH


def _back(past: _Past, here: object, always: object, count: int, over: bool) -> int | None:
    """The position `count` beginnings before the last one; None when it lies further back."""
    assert callable(here) and callable(always)
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
    """Back to the last breakpoint or watchpoint before now, or to the beginning."""
    place_pending(session)
    now, timeline, machine = session.position, session.timeline, session.machine
    points = [p for p in session.points.values() if p.active]
    breaks = [p for p in points if isinstance(p, Breakpoint)]
    watches = [p for p in points if isinstance(p, Watch) and p.target is not None]
    memory = [w for w in watches if w.target is not None and w.target.array is not None]
    registers = [w for w in watches if w.target is not None and w.target.file]
    wrote = {w.number: writers(session.symbols, w.target.file, w.target.reg) for w in registers if w.target}
    for w in watches:
        w.remember(machine)
    pcs = frozenset[int]().union(*(b.pcs for b in breaks), *wrote.values())
    changes: list[Change] = []

    def keep(hit: Hit | None) -> bool:
        if hit is not None:
            named = hit.what if isinstance(hit.what, tuple) else ()
            found = [w for w in memory if w in named]
            changes[:] = [Change(w, hit.pc) for w in found if not w.condition or session.holds(w)]
            for w in memory:
                w.remember(machine)
            return bool(changes)
        if any(machine.pc in b.pcs and (not b.condition or session.holds(b)) for b in breaks):
            return True
        return any(machine.pc in pcs for pcs in wrote.values())

    limit = now
    while True:
        found = timeline.last_hit(limit, pcs, checks=session.hooks(memory), keep=keep)
        passed = max((b.instruction for b in breaks if b.instruction is not None and b.instruction < limit), default=-1)
        at, hit = found if found is not None else (-1, None)
        complaint = _caught(session, points, limit)
        if complaint is not None and complaint.instructions > max(at, passed):
            timeline.goto(complaint.instructions)
            return session.ended(complaint)
        if max(at, passed) < timeline.start.instruction:
            return arrive(session, timeline.start.instruction - 1)
        if passed > at:
            timeline.goto(passed)
            return session.ended(BreakpointHit(machine.pc, passed, tuple(b for b in breaks if b.instruction == passed)))
        timeline.goto(at)
        standing = hit is None
        stop = _standing(session, at, breaks, registers, wrote) if standing else _watched(session, at, hit, memory)
        if stop is not None:
            return session.ended(stop)
        limit = at


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


def _standing(
    session: Session, at: int, breaks: list[Breakpoint], registers: list[Watch], wrote: dict[int, frozenset[int]]
) -> Stop | None:
    machine = session.machine
    pc = machine.pc
    here = tuple(b for b in breaks if pc in b.pcs and (not b.condition or session.holds(b)))
    if here:
        return BreakpointHit(pc, at, here)
    asked = [w for w in registers if pc in wrote[w.number]]
    for w in asked:
        w.remember(machine)
    session.timeline.run(until_instruction=at + 1, replay=True)
    made = [w.change(pc, machine) for w in asked]
    session.timeline.goto(at)
    found = tuple(_swapped(c) for c in made if c is not None and (not c.point.condition or session.holds(c.point)))
    return Watched(pc, at, found) if found else None


def _watched(session: Session, at: int, hit: Hit | None, memory: list[Watch]) -> Stop | None:
    machine = session.machine
    assert hit is not None
    named = [w for w in memory if isinstance(hit.what, tuple) and w in hit.what]
    for w in named:
        w.remember(machine)
    why, _ = session.timeline.run(until_instruction=at + 1, replay=True)
    if why is Why.INTERRUPTED:
        return Interrupted(machine.pc, session.position)
    made = []
    for w in named:
        change = w.change(hit.pc, machine) if w.access != "read" else None
        if change is not None or w.access != "write":
            made.append(_swapped(change) if change is not None else Change(w, hit.pc))
    session.timeline.goto(at)
    return Watched(machine.pc, at, tuple(made)) if made else None


def _swapped(c: Change) -> Change:
    """A change as it looks to who goes back."""
    return Change(c.point, c.pc, c.count, c.index, c.new, c.old)
