"""The command `backtrace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.display import counters, instruction_line, place_name, source_line

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("backtrace", "bt", "where", group="looking")
def backtrace(shell: Shell, text: str) -> None:
    """Show where the program stands, who called that, and the hardware loops around it: backtrace.

    The caller is known while ra (x1) holds the return address.
    """
    no_arguments(text, "backtrace")
    session, style = shell.session, shell.style
    session.need_run()
    for level, frame in enumerate(session.backtrace()):
        name = style.paint("name", place_name(shell, frame.pc))
        count = f"   {counters(shell)}" if not level else ""
        shell.write(f"#{level}  {frame.pc:#06x}  in {name}{count}")
        if frame.line is not None:
            shell.write("\n".join(source_line(shell, frame.line)))
        if not level:
            shell.write(instruction_line(shell, frame.pc))
    for loop in reversed(session.machine.loops):
        start, end = loop.start * 16, loop.end * 16
        line = session.symbols.line_at(max(start - 16, 0))
        at = f"  {line.file.rpartition(chr(47))[2]}:{line.line}" if line else ""
        shell.write(f"    loop {start:#06x}..{end:#06x}: {loop.left} round{chr(115) * (loop.left != 1)} left{at}")
