"""The command `reverse-stepcycle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command
from sohu.debugger.forward import Level

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-stepcycle", "rsc", group="time")
def reverse_stepcycle(shell: Shell, text: str) -> None:
    """Go back by a cycle: reverse-stepcycle [COUNT]."""
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count, level=Level.CYCLE, reverse=True))
