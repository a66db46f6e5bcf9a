"""The command `start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import kernel_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("start", group="running", complete=kernel_arguments, repeat=None)
def start(shell: Shell, text: str) -> None:
    """Run the kernel and stop at its first line: start [NAME=VALUE]...

    That is after its prologue, where parameters and tiles are in their registers. `starti` stops before it.
    """
    shell.session.give(text.split())
    shell.move(shell.session.begin)
