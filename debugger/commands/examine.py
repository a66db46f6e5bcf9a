"""The command `x`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.memory import dump

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("x", group="looking", complete=expressions, formats=True)
def examine(shell: Shell, text: str) -> None:
    """Examine memory: x[/COUNT FORMAT SIZE] ADDRESS.

    FORMAT: x hexadecimal (default), d decimal, f float. SIZE: b 1 byte, h 2, w 4 (default), g 8; floats of
    2 bytes are bfloat16. ADDRESS is one of HBM: x/16xb gp, x/8fw t3 (a tile: where it begins, in its memory).
    """
    shell.write(dump(shell.session, text, shell.format))
