"""The command `reverse-steptile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command
from sohu.debugger.forward import Level

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-steptile", "rst", group="time")
def reverse_steptile(shell: Shell, text: str) -> None:
    """Go back by an instruction of an engine: reverse-steptile [COUNT]."""
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count, level=Level.TILE, reverse=True))
