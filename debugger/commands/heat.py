"""The command `heat`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.arguments import operands, read_operand
from sohu.debugger.charts import heat, render_heat
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.views import headline

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

ROWS, COLUMNS = 24, 96


@command("heat", group="data", complete=operands, formats=True)
def heat_(shell: Shell, text: str) -> None:
    """Show a heat map of a tile: heat[/ROWS m] TILE.

    Examples: heat t    heat/40 acc[:, 0:256]    heat/m acc - $saved    heat abs(t) > 100

    TILE has two dimensions (or one) and is an expression or a .npy file. Dark is low, light is high. What does not
    fit is made smaller: a cell shows the mean of its elements, with /m the largest magnitude among them. N and I mark
    cells in which there is a NaN or an infinity, however few. At most 24 rows, or as many as asked for.
    """
    m = re.fullmatch(r"(\d{0,4})(m?)|(m)(\d{0,4})", shell.format)
    if m is None:
        raise CommandError(f"no format {shell.format!r}", help="heat/40 TILE: how many rows; heat/m: magnitudes")
    if not text:
        raise CommandError("a picture of what?", help="heat TILE")
    value, name, rest = read_operand(shell.session, text)
    if rest:
        raise CommandError(f"{rest!r} is not expected here")
    rows = max(1, int(m[1] or m[4] or ROWS))
    picture = heat(value, rows, max(8, min(COLUMNS, shell.width - 16)), magnitude=bool(m[2] or m[3]))
    data = value.data
    assert not isinstance(data, (int, float)), "heat takes tiles only"
    shell.write(f"{name} = {headline(data, value.dtype)}")
    shell.write("\n".join(render_heat(picture, shell.style.colour and not shell.ascii)))
