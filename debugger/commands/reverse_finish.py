"""The command `reverse-finish`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-finish", group="time")
def reverse_finish(shell: Shell, text: str) -> None:
    """Go back to the call of the function at hand: reverse-finish."""
    no_arguments(text, "reverse-finish")
    shell.move(lambda: shell.session.finish(reverse=True))
