"""The command `next`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("next", "n", group="running")
def next_(shell: Shell, text: str) -> None:
    """Go on to another source line, over calls: next [COUNT].

    What a called function executes belongs to the line that calls it.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.next(count))
