"""The command `when`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("when", group="time")
def when(shell: Shell, text: str) -> None:
    """Where in the run the program stands: when.

    The instruction that comes next, the furthest that the run has come to so far, and the cycle, when cycles are
    counted. `goto` goes to such an instruction or cycle.
    """
    no_arguments(text, "when")
    session = shell.session
    session.need_run()
    here, last = session.progress
    if session.machine.chips > 1:
        shell.write(f"chip {session.machine.chip}, instruction {session.position:,}")
        shell.write(f"{here:,} instructions of all chips{f', of {last:,}' if last > here else ''}")
    else:
        shell.write(f"instruction {here:,}{f' of {last:,}' if last > here else ''}")
    if (cycle := session.cycle) is not None:
        shell.write(f"cycle {cycle:,}")
