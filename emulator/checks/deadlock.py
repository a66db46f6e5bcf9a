"""Why nothing can move: who waits for what, in which circle, and which signal never comes.

Judged at the minimum depth of queues, at which the machine runs. No checker to switch: the machine stops anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sohu.asm import Names
from sohu.emulator.waits import waiting
from sohu.isa import INSTRUCTION_BYTES, Fault, Flow

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Op

SEQUENCER = "sequencer"
_SCANNED = 1 << 16  # instructions of a kernel among which signals are looked for
_SHOWN = 4  # instructions named that would signal


class _Wait(NamedTuple):
    """Somebody who cannot go on: at an instruction, for a semaphore's value, or (sem -1) for room or empty queues."""

    who: str
    op: Op
    sem: int
    value: int


def explain(machine: Machine, op: Op) -> Fault:
    """The fault of a machine in which nothing can move, the sequencer at `op`."""
    names = Names(machine.program)
    lines = ["nothing can run, and these wait:"]
    waits = _waits(machine, op)
    lines += [f"    {line}" for line in waiting(machine, op)]
    needs: dict[str, list[str]] = {}
    missing: list[str] = []
    for w in waits:
        needs[w.who] = []
        if w.sem < 0:
            needs[w.who] += [op.queue.name] if op.queue is not None else [q.name for q in machine.queues if q.entries]
            continue
        name = f"{names.semaphore(w.op.pc, w.sem)} >= {w.value}"
        queued = [(q.name, e.op) for q in machine.queues for e in q.entries if _signals(e.op, w.sem)]
        later = _later(machine, op, w.sem)
        for who, by in [*queued, *((SEQUENCER, by) for by in later)][:_SHOWN]:
            needs[w.who].append(who)
            if by is w.op:
                how = "only after its own wait"
            elif who == SEQUENCER:
                how = f"which the sequencer has not {'executed' if by.queue is None else 'issued'} yet"
            else:
                how = f"which waits in the queue of {who}"
            lines.append(f"  {name} needs a signal of `{machine.text(by)}` at pc {by.pc:#06x}, {how}")
        most = machine.sems[w.sem] + sum(by.signal.inc for _, by in queued if by.signal is not None)
        if not later and most < w.value:
            missing.append(name)
            left = f"what is left signals it up to {most} only" if queued else "no instruction that is left signals it"
            lines.append(f"  {name} is never reached: {left}")
    circle = _circle(needs)
    if circle:
        lines.append(f"  a circle: {' waits for '.join(circle)}")
    return Fault("deadlock", "\n".join(lines), help=_help(missing, circle, op))


def _help(missing: list[str], circle: list[str], op: Op) -> str:
    if missing:
        return f"an instruction must signal {missing[0].split()[0]}, or the wait be dropped"
    if op.queue is not None:
        return f"queues hold {op.queue.depth} instructions on every chip: issue the signal before so many wait for it"
    if circle:
        return "one of them must go first: issue its signal before its own wait"
    return "an instruction must signal it, or the wait be dropped"


def _waits(machine: Machine, op: Op) -> list[_Wait]:
    """The sequencer and all queues that hold something."""
    if op.queue is None and op.wait is not None:
        out = [_Wait(SEQUENCER, op, op.wait.sem, machine.value(op.wait))]
    else:
        out = [_Wait(SEQUENCER, op, -1, 0)]
    for q in machine.queues:
        if q.entries:
            head = q.entries[0]
            wait = head.op.wait
            if wait is not None and machine.sems[wait.sem] < head.value:  # else for other chips
                out.append(_Wait(q.name, head.op, wait.sem, head.value))
    return out


def _signals(op: Op, sem: int) -> bool:
    return op.signal is not None and op.signal.sem == sem


def _later(machine: Machine, op: Op, sem: int) -> list[Op]:
    """Instructions that signal a semaphore and that the sequencer may still come to, in the order of the text."""
    if machine.halted or (op.inst is not None and op.inst.row.flow is Flow.HALT):
        return []
    kernel = machine.program.kernel_at(op.pc)
    start, end = (kernel.entry, kernel.end) if kernel is not None else (0, len(machine.program.text))
    first = op.index
    for frame in machine.loops:
        if frame.left > 1:
            first = min(first, frame.start)
    ops = [machine.op_at(i) for i in range(start // INSTRUCTION_BYTES, end // INSTRUCTION_BYTES)[:_SCANNED]]
    for o in ops:  # a jump back, further on, can bring it to all between
        at = None if o.inst is None else o.inst.row.label_operand
        if at is not None and o.inst is not None and o.index >= first:
            first = min(first, o.index + o.inst.values[at] // INSTRUCTION_BYTES)
    return [o for o in ops if o.index >= first and _signals(o, sem) and (o is not op or o.queue is not None)]


def _circle(needs: dict[str, list[str]]) -> list[str]:
    """Names that wait for each other, the first one again at the end; empty when none do."""

    def walk(path: list[str]) -> list[str]:
        for other in dict.fromkeys(needs.get(path[-1], ())):
            if other in path:
                return [*path[path.index(other) :], other]
            if found := walk([*path, other]):
                return found
        return []

    found: list[str] = next(filter(None, (walk([who]) for who in needs)), [])
    return found
