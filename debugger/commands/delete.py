"""The command `delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import breakpoint_numbers, numbers
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("delete", "d", group="breakpoints", complete=breakpoint_numbers, repeat=None)
def delete(shell: Shell, text: str) -> None:
    """Delete breakpoints: delete [NUMBER]...

    Without a number, all of them.
    """
    for number in numbers(shell.session, text):
        shell.session.delete_breakpoint(number)
