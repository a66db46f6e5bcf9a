"""The command `rwatch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import expressions
from sohu.debugger.breakpoints import make_watch
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("rwatch", group="breakpoints", complete=expressions, repeat=None)
def rwatch(shell: Shell, text: str) -> None:
    """Stop when something is read: rwatch WHAT [if CONDITION].

    WHAT is a tile or a slice of one (acc[0:16, :]), an address range in HBM (*0x4000:64) or another memory
    (sram:0x100:64), or a register ($x5, a named scalar, $t3 for a descriptor, a semaphore). The place is the one where
    it lies now. The program stops after the instruction.
    """
    make_watch(shell, text, "read")
