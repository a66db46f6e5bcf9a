"""The command `save-value`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.views import render

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("save-value", group="data", complete=expressions, repeat=None)
def save_value(shell: Shell, text: str) -> None:
    """Keep a copy of a value under a name: save-value NAME EXPRESSION.

    Example: save-value before acc[0:16, :]    then: diff acc[0:16, :], $before

    The same as set $NAME = EXPRESSION.
    """
    name, _, expression = text.partition(" ")
    if not expression.strip():
        raise CommandError("which value, under which name?", help="save-value NAME EXPRESSION")
    target = f"${name.removeprefix('$')}"
    session = shell.session
    session.values.assign(target, session.evaluate(expression))
    shell.write(render(session.evaluate(target), target, "s", shell.width, shell.ascii))
