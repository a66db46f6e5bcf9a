"""How the client hears where the program stands, and in which threads it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sohu.debugger.display import short
from sohu.debugger.session import Frame, Session
from sohu.debugger.stops import BreakpointHit, Exited, Faulted, Started, Stop
from sohu.debugger.style import clean
from sohu.debugger.views import headline
from sohu.isa import dtype_of

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter
    from sohu.emulator.translate import Issued

SEQUENCER = 1  # its thread; those of queues that hold something follow


@dataclass
class Options:
    """What the client wants of this launch."""

    stop_on_entry: bool = False
    stop_on_exit: bool = False
    no_debug: bool = False
    launched: bool = False  # by us: ends with the conversation


@dataclass(frozen=True)
class Place:
    """A frame: where the sequencer stands or was called from, or an instruction that waits in a queue."""

    frame: Frame
    issued: Issued | None = None


def threads_of(session: Session) -> list[dict[str, Any]]:
    """The sequencer, and each engine queue that holds instructions."""
    out: list[dict[str, Any]] = [
        {"id": SEQUENCER, "name": clean(f"chip {session.machine.chip}: {session.kernel.name}")}
    ]
    if session.running:
        for q in session.queues:
            if q.entries:
                out.append({"id": SEQUENCER + 1 + q.place, "name": f"{q.name}: {len(q.entries)} of {q.depth} waiting"})
    return out


def report(adapter: Adapter, stop: Stop) -> None:
    """Tell the client that the program stands, or has ended."""
    session = adapter.session
    adapter.threads = threads_of(session)
    if isinstance(stop, Exited):
        adapter.output(ended(stop))
        if not adapter.options.stop_on_exit:
            adapter.event("exited", exitCode=0)
            adapter.event("terminated")
            return
    body: dict[str, Any] = {"reason": reason(stop), "threadId": SEQUENCER, "allThreadsStopped": True}
    body |= words(adapter, stop)
    if ids := adapter.points.ids(stop):
        body["hitBreakpointIds"] = ids
    adapter.event("stopped", **body)


def reason(stop: Stop) -> str:
    """The protocol's word."""
    return {
        "started": "entry",
        "step": "step",
        "interrupted": "pause",
        "exited": "pause",
        "fault": "exception",
        "breakpoint": "breakpoint",
    }[_kind(stop)]


def _kind(stop: Stop) -> str:
    if isinstance(stop, BreakpointHit):
        return "breakpoint"
    if isinstance(stop, Faulted):
        return "fault"
    if isinstance(stop, Exited):
        return "exited"
    return "started" if isinstance(stop, Started) else type(stop).__name__.lower().replace("stepped", "step")


def words(adapter: Adapter, stop: Stop) -> dict[str, str]:
    """`description` for a line of the user interface, `text` with all that is known."""
    if isinstance(stop, Exited):
        return {"description": "The kernel has ended"}
    if isinstance(stop, Faulted):
        error = stop.error
        operand = f"operand {error.operand}: " if error.operand else ""
        help = f"\nhelp: {error.help}" if error.help else ""
        return {"description": f"Stopped: {error.category}", "text": clean(f"{operand}{error.message}{help}")}
    return {}


def ended(stop: Exited) -> str:
    """What the kernel has written."""
    cycles = "" if stop.cycles is None else f", {stop.cycles:,} cycles"
    out = [f"{stop.kernel} has ended: {stop.instructions:,} instructions{cycles}"]
    out += [f"  {name}  {headline(array, dtype_of(array.dtype))}" for name, array in stop.outputs.items()]
    return "\n".join(out) + "\n"


def frame_name(session: Session, pc: int) -> str:
    """`softmax`, or `softmax.py:9` where no name comes before."""
    found = session.symbols.place(pc)
    line = session.symbols.line_at(pc)
    if found is not None:
        return clean(found[0])
    return clean(f"{short(line.file)}:{line.line}") if line is not None else f"{pc:#06x}"
