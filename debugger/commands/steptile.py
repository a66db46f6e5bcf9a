"""The command `steptile`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command
from sohu.debugger.forward import Level

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("steptile", "st", group="running")
def steptile(shell: Shell, text: str) -> None:
    """Go on to another instruction of an engine: steptile [COUNT].

    Of the engine alone that `engine` has chosen, if it has. Stops before it; scalar instructions on the way are
    executed.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count, level=Level.TILE))
