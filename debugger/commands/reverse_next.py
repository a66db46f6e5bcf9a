"""The command `reverse-next`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-next", "rn", group="time")
def reverse_next(shell: Shell, text: str) -> None:
    """Go back to the beginning of the source line before, over calls: reverse-next [COUNT]."""
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.next(count, reverse=True))
