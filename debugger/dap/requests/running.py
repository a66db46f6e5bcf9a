"""Movements: continue, steps, both backwards too, and pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sohu.debugger.breakpoints import resolve
from sohu.debugger.dap.messages import Goto, GotoTargets, Step, Thread
from sohu.debugger.dap.registry import Body, When, request
from sohu.debugger.dap.stopping import terminate
from sohu.debugger.dap.typed import BadRequest
from sohu.debugger.display import short
from sohu.debugger.errors import CommandError
from sohu.debugger.frames import return_address
from sohu.debugger.session import Session
from sohu.debugger.stops import Exited, Stop
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter


def _alive(adapter: Adapter, thread: int) -> Session:
    """The session, which can go on; raises CommandError before anything is answered."""
    check_thread(adapter, thread)
    session = adapter.session
    session.need_run()
    if not session.alive:
        help = "a core file can only be looked at" if session.file is not None else "it can go back, or restart"
        raise CommandError("the program was stopped by an error and cannot go on", help=help)
    return session


def _past(adapter: Adapter, thread: int) -> Session:
    """The session, which can go back; raises CommandError before anything is answered."""
    check_thread(adapter, thread)
    adapter.session.need_past()
    return adapter.session


def check_thread(adapter: Adapter, number: int) -> None:
    """Raises BadRequest for a thread that is not there."""
    if number not in {t["id"] for t in adapter.threads}:
        raise BadRequest(f"there is no thread {number}")


@request("continue", Thread)
def continue_(adapter: Adapter, args: Thread) -> Body:
    """To the next breakpoint or the end."""
    check_thread(adapter, args.threadId)
    session = adapter.session
    if isinstance(session.stop, Exited):  # it has stayed for stopOnExit, and nothing more can come
        adapter.then = lambda: terminate(adapter)
    else:
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
    if return_address(session) is None:
        raise CommandError("nobody called this code", help="continue runs on to the next breakpoint")
    adapter.go(session.finish)
    return None


def _by(args: Step, line: Callable[[], Stop], instruction: Callable[[], Stop]) -> Callable[[], Stop]:
    if args.granularity not in ("statement", "line", "instruction"):
        raise BadRequest(f"there is no granularity {args.granularity!r}")
    return instruction if args.granularity == "instruction" else line


@request("stepBack", Step)
def step_back(adapter: Adapter, args: Step) -> Body:
    """To the line before, or the instruction; what a call has executed is one step."""
    session = _past(adapter, args.threadId)
    move = _by(args, lambda: session.next(reverse=True), lambda: session.stepi(reverse=True))
    adapter.go(_silently(adapter, move))
    return None


@request("reverseContinue", Thread)
def reverse_continue(adapter: Adapter, args: Thread) -> Body:
    """Back to the last breakpoint or watchpoint before now, or the beginning."""
    session = _past(adapter, args.threadId)
    adapter.go(_silently(adapter, lambda: session.cont(reverse=True)))
    return None


def _silently(adapter: Adapter, do: Callable[[], Stop]) -> Callable[[], Stop]:
    def move() -> Stop:
        with adapter.points.without_messages():
            return do()

    return move


@request("gotoTargets", GotoTargets)
def goto_targets(adapter: Adapter, args: GotoTargets) -> Body:
    """When a line has run last, and when it will run next: execution goes there, nothing is skipped."""
    places, session = adapter.places, adapter.session
    session.need_past()
    file = places.file(args.source)
    if file is None:
        return {"targets": []}
    number = places.line_from_client(args.line)
    where = f"{file}:{number}"
    pcs = frozenset(resolve(session, where))
    moves: dict[str, Callable[[], Stop]] = {"back to the last time": lambda: _back(session, pcs)}
    if session.alive:
        moves["on to the next time"] = lambda: session.advance(where)
    targets = []
    for word, do in moves.items():
        label = f"{word} that {short(file)}:{number} runs"
        targets.append({"id": adapter.targets.add(do), "label": clean(label), "line": args.line})
    return {"targets": targets}


def _back(session: Session, pcs: frozenset[int]) -> Stop:
    found = session.timeline.last_hit(session.position, pcs)
    return session.goto(0 if found is None else found[0])


@request("goto", Goto)
def goto(adapter: Adapter, args: Goto) -> Body:
    """Go to a target."""
    _past(adapter, args.threadId)
    adapter.go(adapter.targets.get(args.targetId), reason="goto")
    return None


@request("pause", Thread, when=When.ALWAYS)
def pause(adapter: Adapter, args: Thread) -> Body:
    """Stop the program where it is."""
    adapter.pause()
    return None
