"""Who waits for what, in words: for deadlocks of one chip and of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.asm import Names
from sohu.isa import Wait

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Op


def waiting(machine: Machine, op: Op) -> list[str]:
    """Who waits for what, a line each; the sequencer is at `op`."""
    names = Names(machine.program)

    def unmet(op: Op, wait: Wait, value: int) -> str:
        return f"for {names.semaphore(op.pc, wait.sem)} >= {value}, which is {machine.sems[wait.sem]}"

    if op.queue is not None:
        lines = [f"sequencer at {place(machine, op)}: for room in the queue of {op.queue.name}"]
    elif op.wait is not None:
        lines = [f"sequencer at {place(machine, op)}: {unmet(op, op.wait, machine.value(op.wait))}"]
    else:
        lines = [f"sequencer at {place(machine, op)}: for all queues to empty"]
    for q in machine.queues:
        if q.entries:
            head = q.entries[0]
            wait = head.op.wait
            if wait is not None and machine.sems[wait.sem] < head.value:
                what = unmet(head.op, wait, head.value)
            else:
                assert machine.group is not None
                what = machine.group.missing(machine, head)
            more = f" ({len(q.entries) - 1} more behind it)" if len(q.entries) > 1 else ""
            lines.append(f"{q.name} at {place(machine, head.op)}: {what}{more}")
    return lines


def place(machine: Machine, op: Op) -> str:
    """Where an instruction is, and what: pc, source line, text."""
    line = machine.program.line_at(op.pc)
    where = f" ({line.file}:{line.line})" if line else ""
    return f"pc {op.pc:#06x}{where} `{machine.text(op)}`"
