"""The command `delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import breakpoint_numbers
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("delete", "d", group="breakpoints", complete=breakpoint_numbers, repeat=None)
def delete(shell: Shell, text: str) -> None:
    """Delete breakpoints: delete [NUMBER]...

    Without a number, all of them.
    """
    words = text.split()
    if bad := next((w for w in words if not w.isdecimal()), None):
        raise CommandError(f"{bad!r} is no breakpoint number", help="info breakpoints lists them")
    for number in [int(w) for w in words] or list(shell.session.breakpoints):
        shell.session.delete_breakpoint(number)
