"""Checkers that catches ask for, switched in the middle of a launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.errors import CommandError
from sohu.debugger.forward import CATCHABLE
from sohu.debugger.points import CATCHES, Catch
from sohu.debugger.stops import Faulted, Stepped
from sohu.emulator import MachineError
from sohu.emulator import Stop as Why
from sohu.emulator.checks import chosen

if TYPE_CHECKING:
    from sohu.debugger.session import Session

MOST_EARLIER = 100  # findings of a new checker that are let pass on the way to where the program stands


def recheck(session: Session, *, again: bool = False) -> None:
    """Have the checkers on that catches ask for, and those that were asked for from the start.

    again: also when they are on already, and do not know how the machine came to where it stands. Raises CommandError
    for a checker that finds too much on the way; it is as it was before then.
    """
    wanted = [p for p in session.points.values() if isinstance(p, Catch) and p.enabled]
    names = [CATCHES[p.what][0] if p.limit is None else p.where for p in wanted]
    spec = chosen([*session.checks, *filter(None, names)])
    if spec == session.checked and not again:
        return
    session.earlier.clear()
    if not session.timeline.checkpoints:
        session.switch_checks(spec)
        session.checked = spec
        return
    at, stopped = session.timeline.position, isinstance(session.stop, Faulted)
    switch = True
    while switch or session.timeline.position < at:
        try:
            if switch:
                switch = False
                session.timeline.check(spec)
            else:
                why, _ = session.timeline.run(until_instruction=at)
                if why is not Why.INTERRUPTED:
                    break
            if session.timeline.position < at and not session.timeline.machine.halted:
                raise KeyboardInterrupt
        except MachineError as e:
            if session.timeline.position >= at and e.category not in CATCHABLE:
                break  # what has stopped it already
            if len(session.earlier) < MOST_EARLIER and _passes(session, e):
                continue
            many = f", and {MOST_EARLIER} others before it" if len(session.earlier) >= MOST_EARLIER else ""
            _as_before(session, at)
            raise CommandError(
                f"{e.category} at {e.where} lies before here{many}: {e.message}",
                help="catch it before the program runs, or go back first: goto start",
            ) from None
        except KeyboardInterrupt:
            _as_before(session, at)
            raise CommandError("interrupted: nothing more is caught than before") from None
    session.checked = spec
    if stopped and session.timeline.machine.fault is None:  # it stands where it was stopped, and lives
        session.stop = Stepped(session.machine.pc, session.position)


def _as_before(session: Session, at: int) -> None:
    """The checkers that were on, where it stood."""
    session.timeline.check(session.checked)
    session.timeline.goto(at)
    session.earlier.clear()


def _passes(session: Session, e: MachineError) -> bool:
    """Let pass what a checker finds on the way to where the program stood; False for what cannot be."""
    if e.category not in CATCHABLE:
        return False
    session.earlier.append((session.timeline.position, e))
    try:
        session.timeline.revive(after=True)
    except MachineError:
        return False
    return True
