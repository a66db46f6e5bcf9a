"""The command `tbreak`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.breakpoints import make
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("tbreak", "tb", group="breakpoints", complete=places, repeat=None)
def tbreak(shell: Shell, text: str) -> None:
    """Stop at a place once: tbreak [PLACE] [if CONDITION].

    Places are written as for break.
    """
    make(shell, text, temporary=True)
