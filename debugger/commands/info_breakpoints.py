"""The command `info breakpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.breakpoints import location
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info breakpoints", group="looking")
def info_breakpoints(shell: Shell, text: str) -> None:
    """Breakpoints, where they are and how often they were hit: info breakpoints."""
    no_arguments(text, "info breakpoints")
    session = shell.session
    if not session.breakpoints:
        shell.write("no breakpoints")
    for b in session.breakpoints.values():
        once = " (once)" if b.temporary else ""
        hits = f"   hit {b.hits} time{'s' * (b.hits != 1)}" if b.hits else ""
        shell.write(f"{b.number:>3}  {b.where}{once}{hits}")
        for pc in b.pcs:
            shell.write(f"       {location(session, (pc,))}")
