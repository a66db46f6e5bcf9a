"""The command `restart`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("restart", group="time", complete=lambda s, t: map(str, s.marks), repeat=None)
def restart(shell: Shell, text: str) -> None:
    """Be where a checkpoint was made: restart NUMBER."""
    if not text.isdecimal():
        raise CommandError("which checkpoint?", help="info checkpoints lists them")
    shell.move(lambda: shell.session.restart(int(text)))
