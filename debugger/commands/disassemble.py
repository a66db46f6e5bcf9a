"""The command `disassemble`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.listing import instructions

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("disassemble", "disas", group="looking", complete=places, repeat="", formats=True)
def disassemble(shell: Shell, text: str) -> None:
    """Show instructions with the source lines they come from: disassemble[/FORMAT] [PLACE[, PLACE]].

    Without a place, those around where the program stands, and further ones when repeated. A kernel is shown
    whole; between two places, what lies there. => marks the next instruction, a number a breakpoint.
    FORMAT: i with the operations of the compiler's IR (their lines in it), r with the instructions' words. For code
    that was inlined, the function and the calls are named.
    """
    for f in shell.format:
        if f not in "irs":
            raise CommandError(f"no format {f!r}", help="there are: i (IR), r (words), s (source lines: as without)")
    shell.write("\n".join(instructions(shell, text, ir="i" in shell.format, words="r" in shell.format)))
