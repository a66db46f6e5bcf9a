"""The command `reverse-stepi`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-stepi", "rsi", group="time")
def reverse_stepi(shell: Shell, text: str) -> None:
    """Undo an instruction: reverse-stepi [COUNT]."""
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.stepi(count, reverse=True))
