"""The command `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.arguments import operands, words
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.views import render

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("restore", group="data", complete=operands, repeat=None)
def restore(shell: Shell, text: str) -> None:
    """Read a .npy file into a tile: restore FILE.npy TILE.

    Example: restore acc.npy acc[0:16, :]

    The shape must be the tile's; the dtype may be another, numbers are then rounded to the tile's. The file is read
    without trust in it: no Python objects, and no more memory than it has bytes.
    """
    _, (file,), target = words(text, "", 1, "restore FILE.npy TILE")
    if not target:
        raise CommandError("into which tile?", help="restore FILE.npy TILE")
    shell.session.assign_file(target, Path(file).expanduser())
    shell.write(render(shell.session.evaluate(target), target, "s", shell.width, shell.ascii))
