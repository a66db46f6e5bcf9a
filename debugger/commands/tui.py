"""The command `tui`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.shell import Quit

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("tui", group="other", repeat=None)
def tui(shell: Shell, text: str) -> None:
    """Go to the full screen, or leave it: tui.

    It shows source, code, tiles and registers, queues and output at once; F1 lists its keys. Ctrl-X a does the
    same, as in GDB.
    """
    no_arguments(text, "tui")
    if shell.fullscreen is not None:
        shell.fullscreen = None
        return
    if not (shell.prompts and sys.stdin.isatty() and shell.out.isatty()):
        raise CommandError("the full screen wants a terminal")
    from sohu.debugger.fullscreen import Screen

    if not Screen(shell).run():
        raise Quit
    if shell.session.stop is not None:
        shell.show_again(shell.session.stop)
