"""The command `finish`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("finish", "fin", group="running")
def finish(shell: Shell, text: str) -> None:
    """Run until the function at hand returns: finish."""
    no_arguments(text, "finish")
    shell.move(shell.session.finish)
