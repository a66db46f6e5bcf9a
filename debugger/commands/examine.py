"""The command `x`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.listing import instructions_at
from sohu.debugger.memory import dump

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("x", group="looking", complete=expressions, formats=True)
def examine(shell: Shell, text: str) -> None:
    """Examine memory: x[/COUNT FORMAT SIZE] ADDRESS.

    Examples: x/16xb gp    x/8fw t3    x/4i $pc

    FORMAT: x hexadecimal, d decimal, f float, i instruction. SIZE: b 1 byte, h 2, w 4, g 8; a float of 2 bytes is
    a bfloat16. Without them, one word in hexadecimal. ADDRESS is one of HBM, or a tile: where it begins, in
    its memory; for instructions, a pc.
    """
    if m := re.fullmatch(r"(\d*)i", shell.format):
        shell.write("\n".join(instructions_at(shell, text, int(m[1] or 1))))
    else:
        shell.write(dump(shell.session, text, shell.format))
