"""The command `info semaphores`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info semaphores", group="looking")
def info_semaphores(shell: Shell, text: str) -> None:
    """Semaphores that have a name or are not zero: info semaphores."""
    no_arguments(text, "info semaphores")
    session = shell.session
    session.need_run()
    names = session.names.semaphore_names()
    for i, value in enumerate(session.machine.sems):
        if value or i in names:
            shell.write(f"{f's{i}':<5}{value:>10}  {names.get(i, '')}".rstrip())
    shell.write("all others are 0")
