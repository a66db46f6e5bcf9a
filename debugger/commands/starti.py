"""The command `starti`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import kernel_arguments
from sohu.debugger.command import command
from sohu.emulator.run_cli import read_arguments

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("starti", group="running", complete=kernel_arguments, repeat=None)
def starti(shell: Shell, text: str) -> None:
    """Run the kernel and stop at its first instruction: starti [NAME=VALUE]..."""
    shell.session.args |= read_arguments(shell.session.kernel, text.split())
    shell.move(shell.session.start)
