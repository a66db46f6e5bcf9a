"""The command `python`."""

from __future__ import annotations

import code
import contextlib
import io
import sys
import traceback
from types import TracebackType
from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.shell import Quit
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("python", "py", group="other", repeat=None)
def python(shell: Shell, text: str) -> None:
    """Run Python of yours: python CODE. Off unless sohu-dbg was started with --python.

    `session` is the debugger's session (sohu.debugger.Session), `shell` this command line; names stay from one
    command to the next. Examples:
        python t = session.evaluate("t").data; print(abs(t).max())
        python while session.machine.x[20] < 7: session.step()
        python help(session)
    It can do all that you can: no program under test and no init file can switch it on.
    """
    if not shell.python:
        raise CommandError("python is off", help="start sohu-dbg with --python to have it")
    if not text:
        raise CommandError("which code?", help="python print(session.pc)")
    interpreter = shell.interpreter = shell.interpreter or _Interpreter({"session": shell.session, "shell": shell})
    interpreter.failure = None
    printed = _Printed(shell)
    try:
        with contextlib.redirect_stdout(printed):
            incomplete = interpreter.runsource(text, "<python>", "single")
    except SystemExit:
        raise Quit from None
    finally:
        printed.finish()
    if interpreter.failure is not None:
        raise interpreter.failure
    if incomplete:
        raise CommandError(f"{text}: is not complete")


class _Interpreter(code.InteractiveInterpreter):
    """Keeps names, and what went wrong."""

    failure: SohuError | None = None

    def showsyntaxerror(self, *args: object, **kwargs: object) -> None:
        """What cannot be read."""
        self.failure = CommandError(f"python: {sys.exc_info()[1]}")

    def showtraceback(self) -> None:
        """What went wrong while it ran: a traceback, since the code is the user's; an error of ours in a sentence."""
        kind, e, trace = sys.exc_info()
        if isinstance(e, SohuError):
            self.failure = e
        else:
            self.failure = CommandError(_own(kind, e, trace))


def _own(kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> str:
    lines = traceback.format_exception(kind, e, trace.tb_next if trace is not None else None)
    return "python: " + "".join([lines[-1], *lines[:-1]]).rstrip("\n")


class _Printed(io.TextIOBase):
    """What is printed goes line by line through the shell."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.left = ""

    def write(self, text: str) -> int:
        """Lines that are complete are shown."""
        *lines, self.left = (self.left + text).split("\n")
        for line in lines:
            self.shell.write(line)
        return len(text)

    def finish(self) -> None:
        """The last line, without an end of its own."""
        if self.left:
            self.shell.write(self.left)
            self.left = ""
