"""The command `until`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("until", "u", group="running", complete=places)
def until(shell: Shell, text: str) -> None:
    """Run to a later line, or to a place: until [PLACE].

    Without a place it is like next, but does not go back in loops. Also ends where the function at hand returns.
    """
    shell.move(lambda: shell.session.until(text))
