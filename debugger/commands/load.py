"""The command `load`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.arguments import files, words
from sohu.debugger.breakpoints import describe
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.points import Breakpoint
from sohu.debugger.saved import add, read

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("load", group="breakpoints", complete=files, repeat=None)
def load(shell: Shell, text: str) -> None:
    """Make the breakpoints that a file keeps: load FILE.

    They are added to those there are. Places and expressions are looked for in this program; what is not there stays
    pending and says why. A file that is damaged, or of another kind, is refused as a whole, with the reason.
    """
    _, (name,), rest = words(text, "", 1, "load FILE")
    if rest:
        raise CommandError(f"{rest!r} is not expected here", help="load FILE")
    failed = []
    for made, why in add(shell.session, read(Path(name).expanduser())):
        if made is None:
            failed.append(f"not made: {why}")
        else:
            shell.write(describe(shell.session, made))
            if why and isinstance(made, Breakpoint):
                failed.append(f"{made.number} has no place: {why.splitlines()[0]}")
    if failed:
        raise CommandError("; ".join(failed))
