"""How the client hears where the program stands, and in which threads it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sohu.debugger.display import filled, short
from sohu.debugger.frames import Frame
from sohu.debugger.session import Session
from sohu.debugger.stops import Beginning, Caught, Change, Exited, Faulted, Stop, Watched
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
    """A frame: where the sequencer stands or was called from, or an instruction that waits in a queue.

    level: of the backtrace.
    """

    frame: Frame
    level: int = 0
    issued: Issued | None = None


def threads_of(session: Session) -> list[dict[str, Any]]:
    """The sequencer, and each engine queue that holds instructions."""
    out: list[dict[str, Any]] = [
        {"id": SEQUENCER, "name": clean(f"chip {session.machine.chip}: {session.kernel.name}")}
    ]
    if session.running:
        for q in session.queues:
            if q.entries:
                out.append({"id": SEQUENCER + 1 + q.place, "name": f"{q.name}: {filled(session, q)} waiting"})
    return out


def report(adapter: Adapter, stop: Stop, reason: str = "") -> None:
    """Tell the client that the program stands, or has ended. reason: of a movement that has come to its own end."""
    session = adapter.session
    adapter.threads = threads_of(session)
    if isinstance(stop, Exited):
        adapter.output(ended(stop))
        if not adapter.options.stop_on_exit:
            terminate(adapter)
            return
    adapter.points.tell_changes()
    body: dict[str, Any] = {"reason": _reason(adapter, stop, reason), "threadId": SEQUENCER, "allThreadsStopped": True}
    body |= words(adapter, stop)
    if ids := adapter.points.ids(stop):
        body["hitBreakpointIds"] = ids
    adapter.event("stopped", **body)


def terminate(adapter: Adapter) -> None:
    """Tell the client that the program is over."""
    adapter.event("exited", exitCode=0)
    adapter.event("terminated")


_REASONS = {
    "started": "entry",
    "interrupted": "pause",
    "exited": "pause",
    "fault": "exception",
    "catch": "exception",
    "watchpoint": "data breakpoint",
}


def _reason(adapter: Adapter, stop: Stop, own: str) -> str:
    """The protocol's word; `own` for a movement that has come to its own end."""
    if stop.reason == "breakpoint":
        kinds = {k for k, entries in adapter.points.kinds.items() for e in entries if e.id in adapter.points.ids(stop)}
        return f"{kinds.pop()} breakpoint" if len(kinds) == 1 and kinds < {"function", "instruction"} else "breakpoint"
    if stop.reason in ("step", "beginning"):
        return own or "step"
    return _REASONS[stop.reason]


def words(adapter: Adapter, stop: Stop) -> dict[str, str]:
    """`description` for a line of the user interface, `text` with all that is known."""
    if isinstance(stop, Exited):
        return {"description": "The kernel has ended"}
    if isinstance(stop, Beginning):
        return {"description": "The beginning of the launch"}
    if isinstance(stop, (Faulted, Caught)):
        word = "Caught" if isinstance(stop, Caught) else "Stopped"
        return {"description": f"{word}: {stop.error.category}", "text": _fault(adapter, stop)}
    if isinstance(stop, Watched):
        lines = [line for c in stop.changes for line in (_change(c), _by(adapter.session, c.pc))]
        return {"description": clean(_change(stop.changes[0])), "text": clean("\n".join(lines))}
    return {}


def _fault(adapter: Adapter, stop: Faulted | Caught) -> str:
    """The error, the instruction at fault where the program stands elsewhere, and the other side of it."""
    error = stop.error
    lines = [(f"operand {error.operand}: " if error.operand else "") + error.message]
    if error.pc != stop.pc:
        lines.append(_by(adapter.session, error.pc))
    for note in error.notes:
        lines.append(note.text if note.pc is None else f"{note.text}: {_by(adapter.session, note.pc)}")
    if error.help:
        lines.append(f"help: {error.help}")
    return clean("\n".join(lines))


def _by(session: Session, pc: int) -> str:
    """`0x01b0 vsub t, t, s (softmax.py:9)`"""
    mnemonic, operands, _ = session.assembly(pc)
    line = session.symbols.line_at(pc)
    place = "" if line is None else f" ({short(line.file)}:{line.line})"
    return f"{pc:#06x} {mnemonic} {operands}{place}"


def _change(c: Change) -> str:
    if not c.count:
        return f"{c.point.where} was accessed"
    at = f" [{', '.join(map(str, c.index))}]" if c.index else ""
    more = f", and {c.count - 1:,} more elements" if c.count > 1 else ""
    return f"{c.point.where}{at}: {c.old} -> {c.new}{more}"


def ended(stop: Exited) -> str:
    """What the kernel has written."""
    cycles = "" if stop.cycles is None else f", {stop.cycles:,} cycles"
    out = [f"{stop.kernel} has ended: {stop.instructions:,} instructions{cycles}"]
    out += [f"  {name}  {headline(array, dtype_of(array.dtype))}" for name, array in stop.outputs.items()]
    return "\n".join(out) + "\n"


def frame_name(session: Session, pc: int) -> str:
    """`softmax`, of the nearest name before; `softmax.py:9` where there is none."""
    found = session.symbols.place(pc)
    line = session.symbols.line_at(pc)
    if found is not None:
        return clean(found[0])
    return clean(f"{short(line.file)}:{line.line}") if line is not None else f"{pc:#06x}"
