"""The command `list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.command import command
from sohu.debugger.listing import source

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("list", "l", group="looking", complete=places, repeat="")
def list_(shell: Shell, text: str) -> None:
    """Show source lines: list [PLACE].

    Without a place, those around where the program stands, and further ones when repeated.
    """
    shell.write("\n".join(source(shell, text)))
