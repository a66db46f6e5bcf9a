"""The command `reverse-stepop`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command
from sohu.debugger.forward import Level

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-stepop", "rso", group="time")
def reverse_stepop(shell: Shell, text: str) -> None:
    """Go back by an operation of the compiler's IR: reverse-stepop [COUNT]."""
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count, level=Level.OP, reverse=True))
