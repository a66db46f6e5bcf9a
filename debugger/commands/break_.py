"""The command `break`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.breakpoints import make
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("break", "b", group="breakpoints", complete=places, repeat=None)
def break_(shell: Shell, text: str) -> None:
    """Stop at a place: break [PLACE] [if CONDITION].

    PLACE is one of
      NAME        a label, or a kernel: after its prologue
      FILE:LINE   a source line, such as softmax.py:12; the next one that has code
      LINE        a line of the file at hand
      *PC         an instruction: *0x1b0, *softmax+16, *$pc
      instruction N, cycle N   when so many have passed (cycles: in timed order)
    With several chips it stops all of them; `break PLACE chip N` stops one.
    Without one, where the program stands. A place that is not there is remembered, and looked for at each launch.
    """
    make(shell, text)
