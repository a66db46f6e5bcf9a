"""The command `diff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import operands, options, read_operand
from sohu.debugger.command import command
from sohu.debugger.compare import Difference, compare
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

_OPTIONS = {"tol": "tolerance", "worst": "how many elements are shown"}
MAX_WORST = 1000


@command("diff", group="data", complete=operands)
def diff(shell: Shell, text: str) -> None:
    """Compare a tile with a reference: diff TILE, REFERENCE [, tol=1e-3] [, worst=5].

    Examples: diff acc, ref.npy    diff t, $saved    diff y, exp($arg.x), tol=1e-5    diff t[0:4], ref.npy[0:4]

    Each is an expression or a .npy file; `set $saved = t` keeps a tile as it is now, $arg.x is what the host gives for
    the parameter x. Shown are the largest and mean absolute and relative error (|a - b| / |b|), units in the last
    place of the coarser format, how many elements have |a - b| > tol * max(1, |b|), and the worst elements. NaN equals
    NaN here; what is NaN or infinite in one of the two only is beyond every tolerance.
    """
    if not text:
        raise CommandError("diff what?", help="diff TILE, REFERENCE")
    a, left, rest = read_operand(shell.session, text)
    if not rest:
        raise CommandError(f"compare {left} with what?", help="diff TILE, REFERENCE")
    b, right, rest = read_operand(shell.session, rest)
    chosen = options(rest, _OPTIONS)
    worst = int(min(max(chosen.get("worst", 5), 0), MAX_WORST))
    d = compare(a, b, tolerance=chosen.get("tol", 1e-3), worst=worst)
    shell.write("\n".join(render_difference(d, left, right)))


def render_difference(d: Difference, a: str, b: str) -> list[str]:
    """What differs, in lines; one when nothing does."""
    if not d.different:
        return [f"{a} and {b} are equal: {d.size:,} elements {list(d.shape)}"]
    ulps = "" if d.max_ulps is None else f"   {d.max_ulps:,} ulp ({d.unit})"
    out = [
        f"{a} and {b} differ in {d.different:,} of {d.size:,} elements {list(d.shape)}",
        f"  absolute error  max {d.max_absolute:.6g}   mean {d.mean_absolute:.6g}",
        f"  relative error  max {d.max_relative:.6g}   mean {d.mean_relative:.6g}{ulps}",
        f"  beyond tol={d.tolerance:g}: {d.beyond:,}",
    ]
    if d.strange:
        out.append(f"  nan or inf in one only, or of another sign: {d.strange:,}")
    if d.worst:
        cells = [(str(list(w.index)), f"{w.a:.7g}", f"{w.b:.7g}", f"{w.absolute:.4g}") for w in d.worst]
        cells.insert(0, ("worst at", a if len(a) < 14 else "a", b if len(b) < 14 else "reference", "error"))
        widths = [max(len(row[i]) for row in cells) for i in range(4)]
        out += ["  " + "  ".join(c.rjust(n) for c, n in zip(row, widths, strict=True)) for row in cells]
    return out
