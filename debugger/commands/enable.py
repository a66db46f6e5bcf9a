"""The command `enable`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import breakpoint_numbers, numbers
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("enable", group="breakpoints", complete=breakpoint_numbers, repeat=None)
def enable(shell: Shell, text: str) -> None:
    """Let breakpoints stop the program again: enable [NUMBER]...

    Without a number, all of them.
    """
    for number in numbers(shell.session, text):
        shell.session.enable(number, True)
