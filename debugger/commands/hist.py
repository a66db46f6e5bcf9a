"""The command `hist`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.arguments import operands, read_operand
from sohu.debugger.charts import histogram, render_histogram
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.views import headline
from sohu.isa import DTYPES

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

BINS = 16


@command("hist", group="data", complete=operands, formats=True)
def hist(shell: Shell, text: str) -> None:
    """Show a histogram of a tile's elements: hist[/BINS l] TILE [, DTYPE].

    Examples: hist t    hist/32 t[0]    hist/l acc    hist/l acc, fp8e4m3

    TILE is an expression or a .npy file. /l counts magnitudes, in bins of powers of two, and marks where the limits
    of the format lie. Below stand how many elements are zero, subnormal, NaN and infinite, and how many lie at the
    format's limit (which tells saturation), beyond it, or are too small for it. DTYPE: of another format than its own.
    """
    m = re.fullmatch(r"(\d{0,6})(l?)|(l)(\d{0,6})", shell.format)
    if m is None:
        raise CommandError(f"no format {shell.format!r}", help="hist/32 TILE: how many bins; hist/l: of magnitudes")
    if not text:
        raise CommandError("a histogram of what?", help="hist TILE")
    value, name, rest = read_operand(shell.session, text)
    dtype = DTYPES.get(rest)
    if rest and dtype is None:
        raise CommandError(f"there is no dtype {rest!r}", help=f"there are: {', '.join(DTYPES)}")
    h = histogram(value, int(m[1] or m[4] or BINS), log=bool(m[2] or m[3]), dtype=dtype)
    data = value.data
    assert not isinstance(data, (int, float)), "histogram takes tiles only"
    shell.write(f"{name} = {headline(data, value.dtype)}")
    shell.write("\n".join(render_histogram(h, shell.width, shell.ascii)))
