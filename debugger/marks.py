"""Checkpoints that the user makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.debugger.errors import CommandError
from sohu.debugger.recheck import recheck
from sohu.debugger.stops import Stepped, Stop
from sohu.emulator.history import History, put_aside, take_up
from sohu.emulator.snapshot import Snapshot

if TYPE_CHECKING:
    from sohu.debugger.session import Session


@dataclass(frozen=True)
class Mark:
    """A checkpoint that the user made, and the way there."""

    number: int
    snapshot: Snapshot
    history: History

    @property
    def pc(self) -> int:
        """Of the instruction that comes next."""
        return self.snapshot.pc

    @property
    def instructions(self) -> int:
        """How many had executed or issued."""
        return self.snapshot.instructions


def mark(session: Session) -> Mark:
    """Keep the machine as it is now, for `restart`. Raises CommandError where there is none, or an error stopped it."""
    session.need_run()
    if session.machine.fault is not None:
        hint = "go back from it, and make the checkpoint there"
        raise CommandError("an error has stopped the program here", help=hint)
    number = max(session.marks, default=0) + 1
    made = session.marks[number] = Mark(number, session.snapshot(), put_aside(session.timeline))
    return made


def restart(session: Session, number: int) -> Stop:
    """Be where a mark was made, whatever has changed since. Raises CommandError."""
    kept = session.marks.get(number)
    if kept is None:
        have = ", ".join(map(str, session.marks))
        raise CommandError(f"no checkpoint {number}", help=f"there are: {have}" if have else "checkpoint makes one")
    session.put_back(kept.snapshot)
    take_up(session.timeline, kept.history)
    session.wrote = []
    if session.trace is not None:
        session.trace.cut(session.position)
    if session.checked:
        recheck(session, again=True)
    return session.ended(Stepped(session.machine.pc, session.position))
