"""The command `run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import kernel_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("run", "r", group="running", complete=kernel_arguments, repeat=None)
def run(shell: Shell, text: str) -> None:
    """Run the kernel from its beginning: run [NAME=VALUE]...

    Stops at the first breakpoint or at its end. NAME=VALUE replaces arguments of the command line: a .npy
    file for a tensor, a number for a scalar. Arrays are copied for each run, so that each starts from the same.
    """
    shell.session.give(text.split())
    shell.move(shell.session.run)
