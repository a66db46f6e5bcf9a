"""The command `kill`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("kill", "k", group="running", repeat=None)
def kill(shell: Shell, text: str) -> None:
    """Give up the program being run: kill.

    Breakpoints and arguments stay.
    """
    no_arguments(text, "kill")
    shell.session.need_run()
    shell.session.kill()
    shell.write("killed")
