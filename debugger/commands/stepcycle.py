"""The command `stepcycle`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command
from sohu.debugger.forward import Level

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("stepcycle", "sc", group="running")
def stepcycle(shell: Shell, text: str) -> None:
    """Go on to another cycle: stepcycle [COUNT].

    In timed order effects are there when the timer says so; in others it stops where the count has passed.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count, level=Level.CYCLE))
