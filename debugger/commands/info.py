"""The command `info`; what can be asked for is in the files info_*.py."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.display import MAX_WIDTH
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

_HELP = "  help: "  # what stands before an error's help


@command("info", "i", group="looking")
def info(shell: Shell, text: str) -> None:
    """Show a part of the machine or of the program: info WHAT."""
    whats = ", ".join(sorted(shell.commands.subcommands("info")))
    lines = wrap(whats, max(20, min(shell.width, MAX_WIDTH) - len(_HELP)), break_on_hyphens=False)
    raise CommandError("info what?", help=f"\n{' ' * len(_HELP)}".join(lines))
