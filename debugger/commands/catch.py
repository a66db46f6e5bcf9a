"""The command `catch`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sohu.debugger.breakpoints import tell
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.points import CATCHES

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


_CATCH = re.compile(r"(\w+)\s*(?:>\s*(\S+))?(?:\s+if\s+(.*))?", re.DOTALL)


@command("catch", group="breakpoints", complete=lambda s, t: [*CATCHES, "error>1e-3"], repeat=None)
def catch(shell: Shell, text: str) -> None:
    """Stop where a checker finds something: catch WHAT [if CONDITION].

      nan         an instruction makes a NaN of numbers      inf       ... an infinity
      overflow    a number too large for its dtype           uninit    a use of elements that nothing has written
      oob         a tile that reaches out of its room        race      two accesses that nothing orders
      deadlock    nothing can run, and something waits
      error>1e-3  a result strays so far from a shadow computed in float64

    The program stands after the instruction at fault where it made what was found, else before it; except for oob and
    deadlock it can go on. A program that runs is run again up to here, so that the checker has seen it all.
    """
    m = _CATCH.fullmatch(text)
    if m is None:
        raise CommandError("catch what?", help=", ".join(CATCHES))
    try:
        limit = None if m[2] is None else float(m[2])
    except ValueError:
        raise CommandError(f"{m[2]!r} is no number", help="catch error>1e-3") from None
    made = shell.session.add_catch(m[1], limit=limit)
    made.condition = m[3] or ""
    tell(shell, made)
    if earlier := shell.session.earlier:
        position, error = earlier[0]
        shell.categories.append(error.category)
        line = f" ({error.where})" if error.line else ""
        more = f", the first of {len(earlier)}," if len(earlier) > 1 else ""
        shell.write(f"found before here{more} at instruction {position:,}{line}: {error.message}")
