"""The command `display`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.command import command
from sohu.debugger.displays import line
from sohu.debugger.expressions import compile_expression
from sohu.debugger.views import check_formats

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("display", group="looking", complete=expressions, repeat=None, formats=True)
def display(shell: Shell, text: str) -> None:
    """Show an expression at each stop: display[/FORMAT] [EXPRESSION].

    Examples: display x5    display/s acc    display max(abs(t))

    FORMAT is that of print. Without an expression, all of them are shown now. `undisplay N` ends it.
    """
    if not text:
        for shown in shell.displays.lines(shell):
            shell.write(shown)
        return
    compile_expression(text)  # what can never be shown is refused
    check_formats(shell.format)
    made = shell.displays.add(text, shell.format)
    if shell.session.running:
        shell.write(f"{made.number}: {line(shell, made)}")
