"""The command `info`; what can be asked for is in the files info_*.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info", "i", group="looking")
def info(shell: Shell, text: str) -> None:
    """Show a part of the machine or of the program: info WHAT."""
    raise CommandError("info what?", help=", ".join(sorted(shell.commands.subcommands("info"))))
