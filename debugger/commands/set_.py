"""The command `set`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.settings import SETTINGS, find
from sohu.debugger.views import render

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell

_ASSIGNMENT = re.compile(r"(?:var(?:iable)?\s+)?([^=<>!]+?)\s*=(?!=)\s*(.*)", re.DOTALL)


def targets(session: Session, text: str) -> Iterable[str]:
    """Completes settings and their values, and what can be assigned to."""
    name, space, _ = text.lstrip().partition(" ")
    if not space:
        return [*SETTINGS, *expressions(session, text)]
    return SETTINGS[name].words if name in SETTINGS else expressions(session, text)


def assignment(shell: Shell, text: str) -> bool:
    """Do `TARGET = EXPRESSION`, if the text is one, and show what came of it."""
    m = _ASSIGNMENT.fullmatch(text)
    if m is None:
        return False
    target, expression = m[1], m[2]
    shell.session.assign(target, expression)
    shell.write(render(shell.session.evaluate(target), target, "s", shell.width, shell.ascii))
    return True


@command("set", group="data", complete=targets, repeat=None)
def set_(shell: Shell, text: str) -> None:
    """Change the machine, keep a value, or change a setting: set TARGET = EXPRESSION, set SETTING VALUE.

    Examples: set x5 = 3    set $t3[0, :] = 0    set acc = acc.T    set loaded = 2    set $saved = t    set context off

    TARGET is a scalar register or parameter, a semaphore, a tile in memory that programs may write, or a slice of one:
    numbers are rounded to its dtype, and spread over it as NumPy does. $NAME keeps a copy under a name of your own,
    to be printed and compared later. What has been changed belongs to the run from here on: going back before it
    and forward again has it too. Settings: `show` lists them.
    """
    if assignment(shell, text):
        return
    name, _, value = text.partition(" ")
    if not name:
        raise CommandError("set what?", help=f"set TARGET = EXPRESSION, or set {'|'.join(SETTINGS)} VALUE")
    shell.settings.change(find(name).name, value)
