"""Whatever happens in a movement, the session says truly where the machine stands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from sohu.debugger import forward
from sohu.debugger.stops import Exited, Faulted, Interrupted, Stepped, Stop
from sohu.emulator import MachineError
from sohu.emulator.timeline import ReplayDiverged
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.debugger.session import Session

_S = TypeVar("_S", bound="Session")
_A = ParamSpec("_A")


def movement(method: Callable[Concatenate[_S, _A], Stop]) -> Callable[Concatenate[_S, _A], Stop]:
    """A method that moves the machine.

    A mistake (a condition that cannot be computed, a place that is not there) leaves a movement back where it began,
    and one forward where it was found. An error of the machine is a stop as any other, and so is Ctrl-C.
    """

    @functools.wraps(method)
    def moving(self: _S, *args: _A.args, **kw: _A.kwargs) -> Stop:
        if self.moving:  # the outermost one answers for all
            return method(self, *args, **kw)
        before, at = self.stop, self.timeline.position
        back = bool(kw.get("reverse")) or method.__name__ == "goto"
        self.moving, self.wanted = True, False
        try:
            return method(self, *args, **kw)
        except MachineError as e:
            return forward.faulted(self, e) or self.ended(stands(self))
        except KeyboardInterrupt:
            return self.ended(Interrupted(self.machine.pc, self.position))
        except ReplayDiverged:
            self.stop = stands(self)
            raise
        except SohuError:
            _recover(self, before, at, back)
            raise
        finally:
            self.moving = False

    return moving  # type: ignore[return-value]  # the name of its first parameter is all that differs


def _recover(session: Session, before: Stop | None, at: int, back: bool) -> None:
    timeline = session.timeline
    if back and timeline.checkpoints and timeline.position != at:
        timeline.goto(at)
    if back and isinstance(before, Exited):
        session.stop = before
    elif (
        session.stop is not before
        or timeline.position != at
        or (isinstance(before, Faulted) and session.machine.fault is None)
    ):
        session.stop = stands(session)


def stands(session: Session) -> Stop:
    """The stop of a machine as it is."""
    machine: Any = session.machine
    if machine.fault is not None:
        return Faulted(machine.fault.pc, session.position, machine.fault)
    return Stepped(machine.pc, session.position)
