"""The command `stepi`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("stepi", "si", group="running")
def stepi(shell: Shell, text: str) -> None:
    """Go on by one instruction: stepi [COUNT].

    An instruction of an engine has executed too, unless it must wait: `info queues` shows those.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.stepi(count))
