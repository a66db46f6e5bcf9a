"""The command `commands`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import breakpoint_numbers
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("commands", group="breakpoints", complete=breakpoint_numbers, repeat=None)
def commands(shell: Shell, text: str) -> None:
    """Do commands at each stop of a breakpoint: commands [NUMBER], the commands, end.

    Without a number, of the one made last. A first command `silent` keeps the stop itself from being shown.
    """
    points = shell.session.points
    if text and not text.isdecimal():
        raise CommandError(f"{text!r} is no breakpoint number", help="info breakpoints lists them")
    if not points:
        raise CommandError("there are no breakpoints", help="break PLACE makes one")
    shell.collect(shell.session.point(int(text) if text else max(points)))
