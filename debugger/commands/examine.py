"""The command `x`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.arguments import addresses
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.listing import instructions_at
from sohu.debugger.memory import dump

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("x", group="looking", complete=addresses, repeat="", formats=True)
def examine(shell: Shell, text: str) -> None:
    """Examine memory: x[/COUNT FORMAT SIZE] ADDRESS.

    Examples: x/16xb gp    x/8fw t3    x/8bf16 sram:0x4000    x/4i $pc

    FORMAT: x hexadecimal, d decimal, u unsigned, o octal, t binary, f float, i instruction. SIZE: b 1 byte, h 2,
    w 4, g 8; a float of 2 bytes is a bfloat16. Instead of both, a dtype of the chip: f16, fp8e4m3, ... Without them,
    one word in hexadecimal. ADDRESS is one of HBM, sram:ADDRESS or acc:ADDRESS, or a tile: where it begins, in
    its memory; for instructions, a pc. Without an address, it goes on where it ended.
    """
    format = shell.format
    if not text:
        if shell.examined is None:
            raise CommandError("which address?", help="x/16xb ADDRESS")
        format, text = format or shell.examined[0], shell.examined[1]
    if m := re.fullmatch(r"(\d*)i", format):
        lines = instructions_at(shell, text, int(m[1] or 1))
        shell.write("\n".join(lines))
        shell.examined = format, f"{text} + {16 * len(lines)}"
    else:
        shown, following = dump(shell.session, text, format)
        shell.write(shown)
        shell.examined = format, following
