"""The command `step`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("step", "s", group="running")
def step(shell: Shell, text: str) -> None:
    """Go on to another source line: step [COUNT].

    Enters functions that are called. Code without line information is left behind.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count))
