"""The command `print`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.style import clean
from sohu.debugger.values import record
from sohu.debugger.views import render

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("print", "p", "inspect", group="looking", complete=expressions, formats=True)
def print_(shell: Shell, text: str) -> None:
    """Print a tile, a register or what is computed from them: print[/FORMAT] EXPRESSION.

    Examples: print t[0:4, :]    print max(abs(acc - s))    print x5    print $pc    print/x t5[0]    print x[x5:+16, :]

    Names are those of the kernel (tiles, parameters, dimensions, semaphores), registers (x5 t3 s2, and ra sp
    gp args) and symbols; $x5 always means the register. Slices are as in NumPy, and [a:+n] takes n from a on.
    A tile comes with its dtype, shape, minimum, maximum and mean (of what is finite).
    Each value gets a number and is kept as it was: $3 the third, $ the last, $$ the one before, $$2 the one before
    that; without an expression, $. `set $name = EXPRESSION` keeps one under a name.
    FORMAT: x hexadecimal, d decimal, f a register as float32, e every element, s statistics only, h with a histogram.
    `info functions` lists what can be computed. After the kernel has ended, its outputs can be printed by name.
    """
    session = shell.session
    value = session.evaluate(text or "$")
    shown = render(value, text or "$", shell.format, shell.width, shell.ascii)
    number = session.values.record(value)
    line = f"${number} = {text if shown == f'{text} = {text}' else shown}"
    shell.answer("output", line, text=clean(line), number=number, **record(value))
