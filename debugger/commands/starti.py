"""The command `starti`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import kernel_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("starti", group="running", complete=kernel_arguments, repeat=None)
def starti(shell: Shell, text: str) -> None:
    """Run the kernel and stop at its first instruction: starti [NAME=VALUE]..."""
    shell.session.give(text.split())
    shell.move(shell.session.start)
