"""Movements: continue, steps, both backwards too, and pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sohu.debugger.dap.messages import Step, Thread
from sohu.debugger.dap.registry import Body, When, request
from sohu.debugger.dap.typed import BadRequest
from sohu.debugger.errors import CommandError
from sohu.debugger.session import Session
from sohu.debugger.stops import Stop

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter


def _alive(adapter: Adapter, thread: int) -> Session:
    """The session, which can go on; raises CommandError before anything is answered."""
    check_thread(adapter, thread)
    session = adapter.session
    session.need_run()
    if not session.alive:
        raise CommandError("the program was stopped by an error and cannot go on", help="restart begins it anew")
    return session


def check_thread(adapter: Adapter, number: int) -> None:
    """Raises BadRequest for a thread that is not there."""
    if number not in {t["id"] for t in adapter.threads}:
        raise BadRequest(f"there is no thread {number}")


@request("continue", Thread)
def continue_(adapter: Adapter, args: Thread) -> Body:
    """To the next breakpoint or the end."""
    session = _alive(adapter, args.threadId)
    adapter.go(session.cont, session.cont)
    return {"allThreadsContinued": True}


@request("next", Step)
def next_(adapter: Adapter, args: Step) -> Body:
    """To another line, or over an instruction; calls are not entered."""
    session = _alive(adapter, args.threadId)
    adapter.go(_by(args, session.next, session.nexti))
    return None


@request("stepIn", Step)
def step_in(adapter: Adapter, args: Step) -> Body:
    """To another line, or by an instruction, into calls too."""
    session = _alive(adapter, args.threadId)
    adapter.go(_by(args, session.step, session.stepi))
    return None


@request("stepOut", Step)
def step_out(adapter: Adapter, args: Step) -> Body:
    """Until the function at hand returns."""
    session = _alive(adapter, args.threadId)
    if len(session.backtrace()) < 2:
        raise CommandError("nobody called this code", help="continue runs on to the next breakpoint")
    adapter.go(session.finish)
    return None


def _by(args: Step, line: Callable[[], Stop], instruction: Callable[[], Stop]) -> Callable[[], Stop]:
    if args.granularity not in ("statement", "line", "instruction"):
        raise BadRequest(f"there is no granularity {args.granularity!r}")
    return instruction if args.granularity == "instruction" else line


@request("pause", Thread, when=When.ALWAYS)
def pause(adapter: Adapter, args: Thread) -> Body:
    """Stop the program where it is."""
    adapter.pause()
    return None
