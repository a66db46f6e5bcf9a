"""The face for programs: one JSON object a line. `sohu-dbg --json`.

Every object has `version` (of this format: what is added does not change it) and `event`:

    stop    the program stands still: reason, pc, instruction, instructions, cycle, line, place, kernel, chip,
            points (numbers of breakpoints, watchpoints and catches), error, changed; at a watchpoint changes; at its
            end outputs
    explain what the machine does, of `explain`: text, verdict, missing (signals), parts; with several chips text and
            chips, with all that for each, its number and the chips that it waits for
    why     where an element comes from, of `why`: steps, the last one first
    output  text of a command, or, with "source": "program", of the program; of `print` also number (3 of $3), dtype,
            shape, and data where it has few elements
    error   a command that failed: message, help
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from sohu.debugger.changes import Changes, by_name
from sohu.debugger.display import place_name
from sohu.debugger.shell import Shell
from sohu.debugger.stops import Change, Exited, Stop, Watched
from sohu.debugger.style import Style, clean
from sohu.debugger.values import json_number
from sohu.isa import SohuError, dtype_of

if TYPE_CHECKING:
    from sohu.asm import Line
    from sohu.debugger.session import Session
    from sohu.emulator import MachineError

VERSION = 1


def write_event(out: TextIO, event: str, **what: Any) -> None:
    """Print an object."""
    out.write(json.dumps({"version": VERSION, "event": event, **what}) + "\n")
    out.flush()


class JsonShell(Shell):
    """A shell that prints objects."""

    prompts: ClassVar[bool] = False

    def __init__(self, session: Session, out: TextIO | None = None) -> None:
        super().__init__(session, out, Style(False))

    def emit(self, event: str, **what: Any) -> None:
        """Print an object."""
        write_event(self.out, event, **what)

    def write(self, text: str = "") -> None:
        """Text of a command."""
        self.emit("output", text=clean(text))

    def answer(self, event: str, text: str, /, **record: Any) -> None:
        """What a command has found."""
        self.emit(event, **record)

    def program_output(self, text: str) -> None:
        """Text of the program."""
        self.emit("output", text=clean(text), source="program")

    def print_error(self, e: SohuError) -> None:
        """A command that failed."""
        self.emit("error", message=clean(e.message), help=clean(e.help))

    def warn(self, text: str, help: str = "") -> None:
        """What the user should know."""
        self.emit("output", text=clean(text), help=clean(help), source="debugger")

    def show(self, stop: Stop) -> None:
        """The program stands still."""
        self.changes = self.observer.observe()
        self.emit("stop", **stop_object(self, stop, self.changes))
        for line in self.displays.lines(self):
            self.write(line)


def stop_object(shell: Shell, stop: Stop, changes: Changes) -> dict[str, Any]:
    """A stop as JSON has it, without `version` and `event`."""
    session = shell.session
    ended = isinstance(stop, Exited)
    error = getattr(stop, "error", None)
    out: dict[str, Any] = {
        "reason": stop.reason,
        "pc": None if ended else stop.pc,
        "instruction": None if ended else _text(shell, session.pc),
        "instructions": stop.instructions,
        "cycle": stop.cycles if isinstance(stop, Exited) else session.cycle,
        "line": None if ended else line_object(session.line),
        "place": None if ended else clean(place_name(shell, session.pc)) or None,
        "kernel": clean(session.kernel.name),
        "chip": session.machine.chip,
        "points": [p.number for p in shell.stopped_by(stop)],
        "error": None if error is None else error_object(error),
        "changed": [] if ended else changed_objects(session, changes),
    }
    if isinstance(stop, Watched):
        out["changes"] = [change_object(c) for c in stop.changes]
    if isinstance(stop, Exited):
        out["outputs"] = {
            clean(name): {"dtype": str(dtype_of(array.dtype)), "shape": list(array.shape)}
            for name, array in stop.outputs.items()
        }
    return out


def change_object(c: Change) -> dict[str, Any]:
    """What a watchpoint saw."""
    return {
        "watch": c.point.number,
        "pc": c.pc,
        "elements": c.count,
        "index": list(c.index),
        "old": json_number(c.old),
        "new": json_number(c.new),
    }


def line_object(line: Line | None) -> dict[str, Any] | None:
    """A source place."""
    return None if line is None else {"file": clean(line.file), "line": line.line, "column": line.column or None}


def error_object(e: MachineError) -> dict[str, Any]:
    """An error of the program, with both its sides where it has two."""
    notes = [
        {
            "text": clean(n.text),
            "pc": n.pc,
            "instruction": clean(n.instruction) or None,
            "line": line_object(n.line),
        }
        for n in e.notes
    ]
    return {
        "category": e.category,
        "message": clean(e.message),
        "operand": clean(e.operand) or None,
        "pc": e.pc,
        "instruction": clean(e.instruction) or None,
        "line": line_object(e.line),
        "help": clean(e.help) or None,
        "notes": notes,
    }


def changed_objects(session: Session, changes: Changes) -> list[dict[str, Any]]:
    """What is not as it was at the stop before."""
    name = by_name(session)
    sems = session.names.semaphore_names()
    out: list[dict[str, Any]] = [
        {"kind": "register", "name": f"x{i}", "old": old, "new": new} for i, (old, new) in changes.registers.items()
    ]
    out += [
        {"kind": "semaphore", "name": clean(sems.get(i, f"s{i}")), "old": old, "new": new}
        for i, (old, new) in changes.semaphores.items()
    ]
    out += [
        {
            "kind": "tile",
            "name": clean(name(c.reg)),
            "register": f"t{c.reg}",
            "dtype": str(c.tile.dtype),
            "shape": list(c.tile.dims),
            "elements": c.elements,
            "moved": c.moved,
        }
        for c in changes.tiles
    ]
    return out


def _text(shell: Shell, pc: int) -> str:
    return clean(" ".join(part for part in shell.session.assembly(pc) if part))
