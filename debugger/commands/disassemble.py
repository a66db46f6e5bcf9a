"""The command `disassemble`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.command import command
from sohu.debugger.listing import instructions

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("disassemble", "disas", group="looking", complete=places, repeat="")
def disassemble(shell: Shell, text: str) -> None:
    """Show instructions with the source lines they come from: disassemble [PLACE[, PLACE]].

    Without a place, those around where the program stands, and further ones when repeated. A kernel is shown
    whole; between two places, what lies there. => marks the next instruction, a number a breakpoint.
    """
    shell.write("\n".join(instructions(shell, text)))
