"""The command `reverse-nexti`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-nexti", "rni", group="time")
def reverse_nexti(shell: Shell, text: str) -> None:
    """Undo an instruction, over calls: reverse-nexti [COUNT].

    A call and all that the called function executed count as one.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.nexti(count, reverse=True))
