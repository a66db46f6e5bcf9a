"""The command `advance`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("advance", "adv", group="running", complete=places)
def advance(shell: Shell, text: str) -> None:
    """Run to a place: advance PLACE.

    As if a temporary breakpoint were there. Places are written as for break.
    """
    if not text:
        raise CommandError("run to where?", help="advance PLACE")
    shell.move(lambda: shell.session.advance(text))
