"""The command `nexti`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("nexti", "ni", group="running")
def nexti(shell: Shell, text: str) -> None:
    """Go on by one instruction, over calls: nexti [COUNT].

    A call and all that the called function executes count as one.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.nexti(count))
