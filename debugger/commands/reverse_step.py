"""The command `reverse-step`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-step", "rs", group="time")
def reverse_step(shell: Shell, text: str) -> None:
    """Go back to the beginning of the source line before: reverse-step [COUNT].

    Within a line, to its own beginning. Enters functions that were called.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count, reverse=True))
