"""The command `quit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.shell import Quit

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("quit", "q", "exit", group="other", repeat=None)
def quit_(shell: Shell, text: str) -> None:
    """Leave the debugger: quit."""
    no_arguments(text, "quit")
    raise Quit
