"""The command `info recent`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.display import instruction_line, short
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info recent", group="looking")
def info_recent(shell: Shell, text: str) -> None:
    """The instructions that ran last, as a core file has them: info recent.

    The last one is where the sequencer stood.
    """
    no_arguments(text, "info recent")
    session = shell.session
    if session.file is None or not session.file.recent:
        raise CommandError("what ran last is known of core files only")
    for pc in session.file.recent:
        line = session.symbols.line_at(pc)
        place = f"  {short(line.file)}:{line.line}" if line is not None else ""
        shell.write(instruction_line(shell, pc) + place)
