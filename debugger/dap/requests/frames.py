"""Where the program stands: threads, frames, sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sohu.debugger.dap.messages import Nothing, SourceText, StackTrace, Thread
from sohu.debugger.dap.registry import Body, When, request
from sohu.debugger.dap.requests.running import check_thread
from sohu.debugger.dap.stopping import SEQUENCER, Place, frame_name, words
from sohu.debugger.errors import CommandError
from sohu.debugger.frames import Frame
from sohu.debugger.source import is_python
from sohu.debugger.stops import Caught, Exited, Faulted
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter


@request("threads", Nothing, when=When.ALWAYS)
def threads(adapter: Adapter, args: Nothing) -> Body:
    """The sequencer, and the engine queues that held instructions at the last stop."""
    return {"threads": adapter.threads}


@request("stackTrace", StackTrace)
def stack_trace(adapter: Adapter, args: StackTrace) -> Body:
    """The sequencer's calls, innermost first; of a queue, what waits in it, the next to execute first."""
    check_thread(adapter, args.threadId)
    places = _sequencer(adapter) if args.threadId == SEQUENCER else _queue(adapter, args.threadId)
    start = max(0, args.startFrame)
    shown = places[start : start + args.levels if args.levels > 0 else None]
    return {"stackFrames": [_frame(adapter, p) for p in shown], "totalFrames": len(places)}


def _sequencer(adapter: Adapter) -> list[Place]:
    session = adapter.session
    if isinstance(session.stop, Exited):
        pc = session.stop.pc
        return [Place(Frame(pc, session.symbols.line_at(pc)))]
    session.need_run()
    return [Place(f, level) for level, f in enumerate(session.backtrace())]


def _queue(adapter: Adapter, thread: int) -> list[Place]:
    session = adapter.session
    found = [q for q in session.queues if q.place == thread - SEQUENCER - 1]
    return [Place(Frame(i.op.pc, session.symbols.line_at(i.op.pc)), issued=i) for q in found for i in q.entries]


def _frame(adapter: Adapter, place: Place) -> dict[str, Any]:
    pc = place.frame.pc
    name = clean(place.frame.function) or frame_name(adapter.session, pc)
    if place.issued is not None:
        mnemonic, operands, sync = adapter.session.assembly(pc)
        name = clean(" ".join(f"{mnemonic} {operands} {sync}".split()))
    return {
        "id": adapter.frames.add(place),
        "name": name,
        "instructionPointerReference": f"{pc:#06x}",
        **adapter.places.place(place.frame.line),
    }


@request("exceptionInfo", Thread)
def exception_info(adapter: Adapter, args: Thread) -> Body:
    """What has stopped the program."""
    check_thread(adapter, args.threadId)
    stop = adapter.session.stop
    if not isinstance(stop, (Faulted, Caught)):
        raise CommandError("no error has stopped the program")
    return {
        "exceptionId": stop.error.category,
        "description": words(adapter, stop)["text"],
        "breakMode": "always",
        "details": {
            "message": clean(stop.error.message),
            "typeName": stop.error.category,
            "stackTrace": clean(str(stop.error)),
        },
    }


@request("source", SourceText)
def source(adapter: Adapter, args: SourceText) -> Body:
    """The text of a source that is no file here: typed at a prompt, or compiled elsewhere."""
    file = adapter.places.by_number(args.sourceReference or args.source.sourceReference)
    lines = adapter.places.texts.lines(file)
    if not lines:
        raise CommandError(f"the source {file} cannot be read", help="the disassembly shows its instructions")
    kind = "text/x-python" if is_python(file) else "text/x-asm"
    return {"content": "\n".join(lines) + "\n", "mimeType": kind}


@request("loadedSources", Nothing, when=When.EDIT)
def loaded_sources(adapter: Adapter, args: Nothing) -> Body:
    """The files that the program's code comes from."""
    return {"sources": [adapter.places.source(f) for f in adapter.session.symbols.files()]}
