"""The command `continue`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("continue", "c", "cont", group="running")
def continue_(shell: Shell, text: str) -> None:
    """Go on to the next breakpoint or the end: continue."""
    no_arguments(text, "continue")
    shell.move(shell.session.cont)
