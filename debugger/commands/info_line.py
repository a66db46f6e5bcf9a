"""The command `info line`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.breakpoints import location, resolve
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info line", group="looking", complete=places)
def info_line(shell: Shell, text: str) -> None:
    """Where the code of a place is, without a breakpoint: info line [PLACE]."""
    for pc in resolve(shell.session, text):
        shell.write(location(shell.session, (pc,)))
