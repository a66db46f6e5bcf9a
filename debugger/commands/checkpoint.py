"""The command `checkpoint`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("checkpoint", group="time", repeat=None)
def checkpoint(shell: Shell, text: str) -> None:
    """Keep the whole machine as it is now, to come back to it: checkpoint.

    `restart NUMBER` brings it back, whatever was changed since; `info checkpoints` lists them.
    """
    no_arguments(text, "checkpoint")
    mark = shell.session.mark()
    all_chips = " of all chips" if shell.session.machine.chips > 1 else ""
    shell.write(f"Checkpoint {mark.number} at instruction {mark.instructions:,}{all_chips}, pc {mark.pc:#06x}")
