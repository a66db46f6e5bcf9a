"""The command `condition`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import breakpoint_numbers
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("condition", group="breakpoints", complete=breakpoint_numbers, repeat=None)
def condition(shell: Shell, text: str) -> None:
    """Stop only when an expression is true: condition NUMBER [EXPRESSION].

    Of elements, all must be true: use any(...) for some. Without an expression, always.
    """
    number, _, expression = text.partition(" ")
    if not number.isdecimal():
        raise CommandError("of which breakpoint?", help="condition NUMBER EXPRESSION")
    point = shell.session.point(int(number))
    shell.session.set_condition(point, expression)
    shell.write(f"{point.number} stops {'if ' + point.condition if point.condition else 'always'}")
