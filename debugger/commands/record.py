"""The command `record`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("record", group="time", complete=lambda s, t: ("on", "off"), repeat=None)
def record(shell: Shell, text: str) -> None:
    """Make checkpoints while the program runs, or do not: record [on | off].

    Without them one can go back too, by running again from the launch.
    """
    if text not in ("", "on", "off"):
        raise CommandError(f"record {text}?", help="record on, or record off")
    if text:
        shell.session.record = text == "on"
    shell.write(f"recording is {'on' if shell.session.record else 'off'}")
