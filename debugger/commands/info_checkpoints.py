"""The command `info checkpoints`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.breakpoints import location
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info checkpoints", group="time")
def info_checkpoints(shell: Shell, text: str) -> None:
    """Checkpoints: those that `checkpoint` made, and those that the debugger goes back by: info checkpoints."""
    no_arguments(text, "info checkpoints")
    session = shell.session
    all_chips = " of all chips" if session.machine.chips > 1 else ""
    for mark in session.marks.values():
        shell.write(f"{mark.number:>3}  instruction {mark.instructions:,}{all_chips}  {location(session, (mark.pc,))}")
    own = session.timeline.checkpoints
    if not own:
        shell.write("the program has not been run")
        return
    ends = f"instructions {own[0].instruction:,} to {own[-1].instruction:,}{all_chips}"
    megabytes = session.timeline.nbytes / 1e6
    shell.write(
        f"{len(own)} made while it ran, {ends}, {megabytes:,.1f} MB; recording is {'on' if session.record else 'off'}"
    )
