"""The command `info values`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.views import render

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

SHOWN = 10


@command("info values", group="data")
def info_values(shell: Shell, text: str) -> None:
    """Values that are kept: the last ten printed ones, and those with a name: info values."""
    no_arguments(text, "info values")
    values = shell.session.values
    names = [f"${n}" for n in range(max(1, values.count - SHOWN + 1), values.count + 1)]
    for name in [*names, *values.variables]:
        try:
            value = values.find(name)
        except CommandError as e:
            shell.write(e.message)
        else:
            assert value is not None, "these are the names there are"
            shell.write(render(value, name, "s", shell.width, shell.ascii))
    if not names and not values.variables:
        shell.write("no values are kept")
