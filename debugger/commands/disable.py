"""The command `disable`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import breakpoint_numbers, numbers
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("disable", group="breakpoints", complete=breakpoint_numbers, repeat=None)
def disable(shell: Shell, text: str) -> None:
    """Keep breakpoints, and let them stop nothing: disable [NUMBER]...

    Without a number, all of them.
    """
    for number in numbers(shell.session, text):
        shell.session.enable(number, False)
