"""Why nothing can move: who waits for what, in which circle, and which signal never comes.

Judged at the minimum depth of queues, at which the machine runs. No checker to switch: the machine stops anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.emulator.waits import SEQUENCER, needs, waiting
from sohu.isa import Fault, Note

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Op

_SHOWN = 4  # instructions named that would signal


def explain(machine: Machine, op: Op) -> Fault:
    """The fault of a machine in which nothing can move, the sequencer at `op`."""
    lines = ["nothing can run, and these wait:"]
    lines += [f"    {line}" for line in waiting(machine, op)]
    on: dict[str, list[str]] = {}  # who waits for whom
    if op.queue is not None or op.wait is None:
        on[SEQUENCER] = [op.queue.name] if op.queue is not None else [q.name for q in machine.queues if q.entries]
    missing: list[str] = []
    notes: list[Note] = []
    wanted = needs(machine, op)
    nobody = any(need.hopeless and not need.all for need in wanted)  # who waits for whom else follows from that
    for need in wanted:
        name = f"{need.name} >= {need.value}"
        coming = list(dict.fromkeys([*need.next, *((SEQUENCER, by) for by in need.later)]))[:_SHOWN]
        on[need.who] = [who for who, _ in coming]
        for who, by in [] if nobody else coming:
            if by is need.op:
                how = "only after its own wait"
            elif who == SEQUENCER:
                how = f"which the sequencer has not {'executed' if by.queue is None else 'issued'} yet"
            else:
                how = f"which waits in the queue of {who}"
            lines.append(f"  {name} needs a signal of `{machine.text(by)}` at pc {by.pc:#06x}, {how}")
        if need.hopeless:
            missing.append(name)
            left = (
                f"what is left signals it up to {need.most} only"
                if need.queued
                else "no instruction that is left signals it"
            )
            lines.append(f"  {name} is never reached: {left}")
            if not need.all:
                if need.silent:
                    notes += [Note("stands at", op.pc)] if need.op is not op else []
                    notes += [
                        Note("waits", need.op.pc),
                        *(Note("signals nothing", by.pc) for by in need.silent[:_SHOWN]),
                    ]
                notes.append(Note(need.missing))
    circle = _circle(on)
    if circle:
        lines.append(f"  a circle: {' waits for '.join(circle)}")
    return Fault("deadlock", "\n".join(lines), help=_help(missing, circle, op), notes=notes)


def _help(missing: list[str], circle: list[str], op: Op) -> str:
    if missing:
        return f"an instruction must signal {missing[0].split()[0]}, or the wait be dropped"
    if op.queue is not None:
        return f"queues hold {op.queue.depth} instructions on every chip: issue the signal before so many wait for it"
    if circle:
        return "one of them must go first: issue its signal before its own wait"
    return "an instruction must signal it, or the wait be dropped"


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
