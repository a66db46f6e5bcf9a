"""The command `info semaphores`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.display import short

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("info semaphores", group="looking")
def info_semaphores(shell: Shell, text: str) -> None:
    """Semaphores that have a name, are not zero or are waited for: info semaphores."""
    no_arguments(text, "info semaphores")
    session = shell.session
    session.need_run()
    names = session.names.semaphore_names()
    waits: dict[int, list[str]] = {}
    for sem, who in _waiting(shell):
        waits.setdefault(sem, []).append(who)
    width = max((len(n) for n in names.values()), default=0)
    for i, value in enumerate(session.machine.sems):
        if value or i in names or i in waits:
            who = "; ".join(waits.get(i, []))
            shell.write(f"{f's{i}':<5}{value:>10}  {names.get(i, ''):<{width}}  {who}".rstrip())
    shell.write("all others are 0")


def _waiting(shell: Shell) -> Iterator[tuple[int, str]]:
    """Semaphores that heads of queues, or the sequencer, wait for in vain so far, and who that is."""
    session = shell.session
    machine = session.machine
    for queue in session.queues:
        if not queue.entries:
            continue
        head = queue.entries[0]
        wait = head.op.wait
        if wait is not None and machine.sems[wait.sem] < head.value:
            yield wait.sem, f"{queue.name} waits for >= {head.value} at {_place(shell, head.op.pc)}"
    inst = session.symbols.inst(session.pc)
    if inst is not None and inst.wait is not None and not inst.row.engine.is_async:
        reach = machine.x[inst.wait.reg] + inst.wait.imm
        if machine.sems[inst.wait.sem] < reach:
            yield inst.wait.sem, f"the sequencer waits for >= {reach} at {_place(shell, session.pc)}"


def _place(shell: Shell, pc: int) -> str:
    line = shell.session.symbols.line_at(pc)
    return f"{pc:#06x}" + ("" if line is None else f" ({short(line.file)}:{line.line})")
