"""The command `info display`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info display", group="looking")
def info_display(shell: Shell, text: str) -> None:
    """Expressions that are shown at each stop: info display."""
    no_arguments(text, "info display")
    if not shell.displays.table:
        shell.write("nothing is displayed")
    for d in shell.displays.table.values():
        shell.write(f"{d.number:>3}  {d.text}{f'   /{d.format}' if d.format else ''}")
