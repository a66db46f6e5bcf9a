"""The command `down`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command
from sohu.debugger.display import frame_lines
from sohu.debugger.errors import CommandError
from sohu.debugger.frames import select

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("down", group="looking")
def down(shell: Shell, text: str) -> None:
    """Select the frame that the selected one called: down [N].

    N frames at once, as far as there are any. Names of variables mean those of the selected frame. frame selects one by
    its number, backtrace lists them.
    """
    session = shell.session
    session.need_run()
    count = read_count(session, text)
    level = max(session.level - count, 0)
    if level == session.level:
        raise CommandError("this is the innermost frame")
    frame = select(session, level)
    shell.write("\n".join(frame_lines(shell, level, frame)))
