"""The command `set`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.views import render

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

_ASSIGNMENT = re.compile(r"(?:var(?:iable)?\s+)?([^=<>!]+?)\s*=(?!=)\s*(.*)", re.DOTALL)


def assignment(shell: Shell, text: str) -> bool:
    """Do `TARGET = EXPRESSION`, if the text is one, and show what came of it."""
    m = _ASSIGNMENT.fullmatch(text)
    if m is None:
        return False
    target, expression = m[1], m[2]
    shell.session.assign(target, expression)
    shell.write(render(shell.session.evaluate(target), target, "s", shell.width, shell.ascii))
    return True


@command("set", group="data", complete=expressions, repeat=None)
def set_(shell: Shell, text: str) -> None:
    """Change the machine, or keep a value: set TARGET = EXPRESSION.

    Examples: set x5 = 3    set $t3[0, :] = 0    set acc = acc.T    set loaded = 2    set $saved = t

    TARGET is a scalar register or parameter, a semaphore, a tile in memory that programs may write, or a slice of one:
    numbers are rounded to its dtype, and spread over it as NumPy does. $NAME keeps a copy under a name of your own,
    to be printed and compared later. What has been changed belongs to the run from here on: going back before it
    and forward again has it too.
    """
    if not assignment(shell, text):
        raise CommandError("set what?", help="set TARGET = EXPRESSION")
