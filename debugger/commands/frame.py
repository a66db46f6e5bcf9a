"""The command `frame`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.display import frame_lines
from sohu.debugger.errors import CommandError
from sohu.debugger.frames import select

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("frame", "f", group="looking")
def frame(shell: Shell, text: str) -> None:
    """Select a frame of the backtrace, or show the selected one: frame [N].

    Frame 0 is where the program stands. Names of variables mean those of the selected frame, and then those of the
    functions that it is inlined in.
    """
    session = shell.session
    session.need_run()
    level = session.level
    if text:
        number = session.evaluate(text).data
        if not isinstance(number, int):
            raise CommandError(f"{text}: a frame has a number", help="backtrace lists them")
        level = number
    shell.write("\n".join(frame_lines(shell, level, select(session, level))))
