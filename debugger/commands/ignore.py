"""The command `ignore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import breakpoint_numbers
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("ignore", group="breakpoints", complete=breakpoint_numbers, repeat=None)
def ignore(shell: Shell, text: str) -> None:
    """Let hits pass: ignore NUMBER COUNT."""
    words = text.split()
    if len(words) != 2 or not all(w.isdecimal() for w in words):
        raise CommandError("which, and how many?", help="ignore NUMBER COUNT")
    point = shell.session.point(int(words[0]))
    point.ignore = int(words[1])
    shell.write(f"{point.number} lets {point.ignore} hit{'s' * (point.ignore != 1)} pass")
