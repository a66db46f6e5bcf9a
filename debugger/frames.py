"""Who called: the frames of a backtrace. A call that the compiler inlined is a frame too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.asm import Line
from sohu.debugger.errors import CommandError
from sohu.isa import INSTRUCTION_BYTES, Flow
from sohu.isa.machine import RA

if TYPE_CHECKING:
    from sohu.debugger.session import Session


@dataclass(frozen=True)
class Frame:
    """One level of the backtrace. `line` is None without debug information.

    function: whose code it is, "" where that is not known. inlined: it was put in place of a call, by the frame that
    follows; depth: how many inlined calls lie within it at this pc. scope: which of the kernel's inlined calls it is.
    """

    pc: int
    line: Line | None
    function: str = ""
    inlined: bool = False
    depth: int = 0
    scope: int = 0


def return_address(session: Session) -> int | None:
    """The pc of the call of the code at hand, while ra tells.

    ra (x1) is believed when a call to the code at hand stands right before the place it names. There is no unwinding
    further up: a function that calls another saves ra where it likes.
    """
    if not session.running:
        return None
    call = session.machine.x[RA] - INSTRUCTION_BYTES
    inst = session.symbols.inst(call)
    if inst is None or inst.row.flow is not Flow.CALL:
        return None
    at = inst.row.label_operand
    assert at is not None
    here, callee = session.symbols.place(session.pc), session.symbols.place(call + inst.values[at])
    return call if here is not None and callee is not None and here[0] == callee[0] else None


def frames(session: Session) -> list[Frame]:
    """Where it stands, the calls that are inlined around that, and who called while ra tells: innermost first."""
    out = [*frames_at(session, session.pc)]
    if (call := return_address(session)) is not None:
        out += frames_at(session, call)
    return out


def frames_at(session: Session, pc: int) -> Iterator[Frame]:
    """The frames of one instruction: of the calls that it is inlined in, or one."""
    stack = session.program.debug.stack(pc)
    if not stack:
        yield Frame(pc, session.symbols.line_at(pc))
    for depth, at in enumerate(stack):
        yield Frame(pc, at.source, at.function, depth < len(stack) - 1, depth, at.scope)


class Outlook:
    """The code as the selected frame sees it: what is inlined in it belongs to the line that calls."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.debug = session.program.debug
        every = session.backtrace()
        at = every[min(session.level, len(every) - 1)]
        self.entry = self._entry(at.pc)
        self._lines: dict[int, object | None] = {}  # by pc: asked again in loops
        stack = self.debug.stack(at.pc)[at.depth :]
        # the frame's scope and those around it, nearest first, and where in each the next one is called
        self.places = {s.scope: (inner.file, inner.line) for inner, s in zip(stack, stack, strict=True)}

    def _entry(self, pc: int) -> int:
        found = self.debug.at(pc)
        return -1 if found is None else found[0].entry

    def level(self, pc: int) -> int | None:
        """Which level of the stack at `pc` is the frame, or the nearest one around it; None when none is."""
        if self._entry(pc) != self.entry:
            return None
        return next((i for i, s in enumerate(self.debug.stack(pc)) if s.scope in self.places), None)

    def left(self, pc: int) -> bool:
        """Whether an instruction lies outside the frame's function."""
        own = next(iter(self.places), None)
        return self._entry(pc) != self.entry or all(s.scope != own for s in self.debug.stack(pc))

    def here(self, pc: int) -> object | None:
        """The line that an instruction belongs to; None for one without, and for the rest of a line that called."""
        if pc not in self._lines:
            self._lines[pc] = self._line(pc)
        return self._lines[pc]

    def _line(self, pc: int) -> object | None:
        line = self.session.symbols.line_at(pc)
        level = self.level(pc)
        if line is None or level is None:
            return None if line is None else (line.file, line.line)
        at = self.debug.stack(pc)[level]
        own = next(iter(self.places))
        if at.scope != own and (at.file, at.line) == self.places[at.scope]:
            return None
        return at.scope, at.file, at.line


def select(session: Session, level: int) -> Frame:
    """Make a level of the backtrace the one whose variables are meant; raises CommandError."""
    session.need_run()
    every = session.backtrace()
    if not 0 <= level < len(every):
        last = len(every) - 1
        raise CommandError(f"no frame {level}", help=f"there are 0 to {last}" if last else "there is only frame 0")
    session.level = level
    return every[level]
