"""The command `break`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import places
from sohu.debugger.breakpoints import describe
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("break", "b", group="breakpoints", complete=places, repeat=None)
def break_(shell: Shell, text: str) -> None:
    """Stop at a place: break [PLACE].

    PLACE is one of
      NAME        a label, or a kernel: after its prologue
      FILE:LINE   a source line, such as softmax.py:12; the next one that has code
      LINE        a line of the file at hand
      *PC         an instruction: *0x1b0, *softmax+16, *$pc
    Without one, where the program stands.
    """
    shell.write(describe(shell.session, shell.session.add_breakpoint(text)))
