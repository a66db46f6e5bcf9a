"""The command `info locals`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.variables import place_text
from sohu.debugger.views import headline, scalar
from sohu.isa import Fault

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell
    from sohu.debugger.variables import Local


@command("info locals", group="looking")
def info_locals(shell: Shell, text: str) -> None:
    """The variables of the selected frame, what they hold and where: info locals.

    A variable that holds nothing here is said to: print NAME tells where it does. up, down and frame select another
    frame of the backtrace. For compiled kernels.
    """
    no_arguments(text, "info locals")
    session = shell.session
    session.need_run()
    variables = session.names.variables
    frame = variables.frame
    if frame is None:
        raise CommandError("nothing is known of variables here", help="info tiles and info registers show the machine")
    rows = [(v.name, _where(v), _what(shell, v)) for v in variables.locals(frame)]
    if not rows:
        shell.write(f"{frame.function or 'this code'} has no variables")
    names, places = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
    for name, where, what in rows:
        shell.write(f"{shell.style.paint('name', f'{name:<{names}}')}  {where:<{places}}  {what}".rstrip())


def _where(v: Local) -> str:
    return "-" if v.location is None else place_text(v.location)


def _what(shell: Shell, v: Local) -> str:
    names = shell.session.names
    if v.location is None:
        return "no value here"
    try:
        value = names.at(v.location, v.name)
    except (CommandError, Fault) as e:
        return e.message
    return headline(value.data, value.dtype) if isinstance(value.data, np.ndarray) else scalar(value)
