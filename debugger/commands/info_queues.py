"""The command `info queues`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.display import filled, instruction_line, short

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info queues", group="looking")
def info_queues(shell: Shell, text: str) -> None:
    """What has issued to the engines and not executed yet: info queues.

    Of the engine alone that `engine` has chosen, if it has.
    """
    no_arguments(text, "info queues")
    session = shell.session
    session.need_run()
    looked_at = [q for q in session.queues if session.looks_at(q)]
    for queue in looked_at:
        if not queue.entries:
            continue
        shell.write(f"{shell.style.paint('name', queue.name)}: {filled(session, queue)}")
        for issued in queue.entries:
            line = session.symbols.line_at(issued.op.pc)
            place = f"  {short(line.file)}:{line.line}" if line is not None else ""
            shell.write(instruction_line(shell, issued.op.pc) + place)
            if (wait := issued.op.wait) is not None:
                name = session.names.semaphore_names().get(wait.sem, f"s{wait.sem}")
                now = session.machine.sems[wait.sem]
                word = "waits" if now < issued.value else "has waited"
                shell.write(f"        {word} for {name} >= {issued.value}; it is {now}")
    empty = [q.name for q in looked_at if not q.entries]
    if empty:
        shell.write(f"empty: {', '.join(empty)}")
