"""The command `info functions`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.functions import FUNCTIONS
from sohu.isa import DTYPES

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info functions", group="data")
def info_functions(shell: Shell, text: str) -> None:
    """What expressions can compute: info functions."""
    no_arguments(text, "info functions")
    shell.write("operators, loosest first: or, and, not, == != < <= > >= (chains too), |, ^, &, << >>, + -,")
    shell.write("* / // % @ (matrix product), - + ~ before something, **, [slices], .T .shape .dtype")
    width = max(len(f.usage) for f in FUNCTIONS.values()) + 2
    for f in FUNCTIONS.values():
        shell.write(f"  {f.usage:<{width}}{f.doc}")
    names = ", ".join(d.name for d in DTYPES.values() if d.numbers == 1)
    shell.write(f"  {'DTYPE(t)':<{width}}rounded to a dtype of the chip: {names}")
    shell.write("axis and keepdims can be given by name: max(t, axis=1, keepdims=1); tol too: near(a, b, tol=1e-3)")
