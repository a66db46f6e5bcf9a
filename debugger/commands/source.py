"""The command `source`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.arguments import files
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("source", group="other", complete=files, repeat=None)
def source(shell: Shell, text: str) -> None:
    """Do the commands in a file: source FILE.

    Lines that begin with # are left out. The first command that fails ends the script.
    """
    if not text:
        raise CommandError("which file?", help="source FILE")
    shell.run_file(Path(text).expanduser())
