"""The command `backtrace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.display import counters, frame_lines, short
from sohu.isa import INSTRUCTION_BYTES

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("backtrace", "bt", "where", group="looking")
def backtrace(shell: Shell, text: str) -> None:
    """Show where the program stands, who called it, and its loops: backtrace.

    A call that the compiler inlined is a frame of its own; up, down and frame N select one, whose variables names
    mean then. The caller by a call instruction is known while ra (x1) holds the return address. Of a hardware loop,
    the round at hand is counted among those left.
    """
    no_arguments(text, "backtrace")
    session = shell.session
    session.need_run()
    for level, frame in enumerate(session.backtrace()):
        shell.write("\n".join(frame_lines(shell, level, frame, "" if level else counters(shell))))
    for loop in reversed(session.machine.loops):
        start, end = loop.start * INSTRUCTION_BYTES, loop.end * INSTRUCTION_BYTES
        line = session.symbols.line_at(start - INSTRUCTION_BYTES)  # of the loop instruction
        at = f"  {short(line.file)}:{line.line}" if line is not None else ""
        rounds = "1 round" if loop.left == 1 else f"{loop.left} rounds"
        shell.write(f"    loop {start:#06x}..{end:#06x}: {rounds} left{at}")
