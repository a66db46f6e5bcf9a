"""Who waits for what, and who would have to signal it: for deadlocks, and for whoever asks where a machine stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sohu.asm import Names
from sohu.emulator.bind import resolve
from sohu.isa import INSTRUCTION_BYTES, Fault, Flow, Tile, Wait

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op

SEQUENCER = "sequencer"
_SCANNED = 1 << 16  # instructions of a kernel among which signals are looked for


@dataclass(frozen=True)
class Need:
    """Somebody who cannot go on until a semaphore has a value.

    who: a queue's name, or SEQUENCER; op: the instruction that waits; now: what the semaphore is. queued: instructions
    in queues that signal it, with the queue's name; later: those that the sequencer may still come to; all: those of
    the kernel. silent: instructions of other engines that make what the waiting one reads, or read what it overwrites,
    and signal nothing; only where nobody signals. elsewhere: chips of the group, and what may signal it from there.
    """

    who: str
    op: Op
    sem: int
    name: str
    value: int
    now: int
    queued: tuple[tuple[str, Op], ...]
    later: tuple[Op, ...]
    all: tuple[Op, ...]
    silent: tuple[Op, ...]
    elsewhere: tuple[tuple[int, Op], ...] = ()

    @property
    def most(self) -> int:
        """The value it has when all that is queued has signalled."""
        return self.now + sum(by.signal.inc for _, by in self.queued if by.signal is not None)

    @property
    def next(self) -> tuple[tuple[str, Op], ...]:
        """Of what is queued, as much as it takes, the first ones first; nothing that is queued behind it."""
        out, reached = [], self.now
        for who, by in self.queued:
            if reached < self.value and by.signal is not None:
                out.append((who, by))
                reached += by.signal.inc
        return tuple(out)

    @property
    def hopeless(self) -> bool:
        """Nothing that is left can bring the semaphore there."""
        return not self.later and not self.elsewhere and self.most < self.value

    @property
    def missing(self) -> str:
        """What is known of the signal that never comes; "" where one may come."""
        if not self.hopeless:
            return ""
        if not self.all:
            return f"nobody in this program signals `{self.name}`"
        return f"nothing that is left signals `{self.name}` up to {self.value}"


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
    where = f" ({line.file.rpartition('/')[2]}:{line.line})" if line else ""
    return f"pc {op.pc:#06x}{where} `{machine.text(op)}`"


def needs(machine: Machine, op: Op) -> list[Need]:
    """All that wait for a semaphore now: the sequencer, which is at `op`, and the heads of queues."""
    names = Names(machine.program)
    out = []
    waits: list[tuple[str, Op, int, tuple[Tile, ...]]] = []
    if op.queue is None and op.wait is not None:
        waits.append((SEQUENCER, op, machine.value(op.wait), ()))
    waits += [
        (q.name, q.entries[0].op, q.entries[0].value, q.entries[0].bound.tiles) for q in machine.queues if q.entries
    ]
    ops = _kernel(machine, op)
    for who, at, value, tiles in waits:
        wait = at.wait
        if wait is None or machine.sems[wait.sem] >= value:
            continue
        sem = wait.sem
        queued = tuple([(q.name, e.op) for q in machine.queues for e in q.entries if _signals_here(machine, e.op, sem)])
        every = tuple([o for o in ops if signals(o, sem)])
        coming = tuple([o for o in later(machine, op, sem) if _signals_here(machine, o, sem)])
        silent = () if every else tuple(_silent(machine, ops, at, tiles))
        name = names.semaphore(at.pc, sem)
        out.append(
            Need(who, at, sem, name, value, machine.sems[sem], queued, coming, every, silent, _elsewhere(machine, sem))
        )
    return out


def _signals_here(machine: Machine, op: Op, sem: int) -> bool:
    """Whether an instruction signals a semaphore of its own chip."""
    return signals(op, sem) and (machine.chips == 1 or op.inst is None or not op.inst.row.remote)


def _elsewhere(machine: Machine, sem: int) -> tuple[tuple[int, Op], ...]:
    """Of all chips of the group, what waits in queues or may still come, and can signal a semaphore of this one."""
    out: list[tuple[int, Op]] = []
    for m in () if machine.group is None or machine.chips == 1 else machine.group.machines:
        for q in m.queues:
            for e in q.entries:
                row = None if e.op.inst is None else e.op.inst.row
                if signals(e.op, sem) and row is not None and row.remote and given(e, row.remote) == machine.chip:
                    out.append((m.chip, e.op))
        for o in later(m, m.op, sem):
            if o.inst is not None and o.inst.row.remote and (m.chip, o) not in out:
                out.append((m.chip, o))
    return tuple(out)


def given(issued: Issued, name: str) -> Any:
    """What an instruction that has issued got for an operand that is no tile."""
    op = issued.op
    assert op.inst is not None
    names = [n for n, _ in op.scalars]
    if name in names:
        assert isinstance(issued.run, partial)
        return issued.run.args[names.index(name)]
    return next(v for o, v in zip(op.inst.row.operands, op.inst.values, strict=True) if o.name == name)


def signals(op: Op, sem: int) -> bool:
    """Whether an instruction signals a semaphore."""
    return op.signal is not None and op.signal.sem == sem


def later(machine: Machine, op: Op, sem: int) -> list[Op]:
    """Instructions that signal a semaphore and that the sequencer may still come to, in the order of the text."""
    if machine.halted or machine.ending or (op.inst is not None and op.inst.row.flow is Flow.HALT):
        return []
    first = op.index
    for frame in machine.loops:
        if frame.left > 1:
            first = min(first, frame.start)
    ops = _kernel(machine, op)
    for o in ops:  # a jump back, further on, can bring it to all between
        at = None if o.inst is None else o.inst.row.label_operand
        if at is not None and o.inst is not None and o.index >= first:
            first = min(first, o.index + o.inst.values[at] // INSTRUCTION_BYTES)
    return [o for o in ops if o.index >= first and signals(o, sem) and (o is not op or o.queue is not None)]


def _kernel(machine: Machine, op: Op) -> list[Op]:
    kernel = machine.program.kernel_at(op.pc)
    start, end = (kernel.entry, kernel.end) if kernel is not None else (0, len(machine.program.text))
    return [machine.op_at(i) for i in range(start // INSTRUCTION_BYTES, end // INSTRUCTION_BYTES)[:_SCANNED]]


def _silent(machine: Machine, ops: list[Op], at: Op, tiles: tuple[Tile, ...]) -> list[Op]:
    """Of other queues, what has a conflict with an instruction and signals nothing; what makes its operands first."""
    if at.inst is None:
        return []
    if not tiles:
        tiles = tuple([t for t in (_held(machine, at.inst.values[i]) for i, _, _ in at.inst.row.data) if t is not None])
    mine = list(zip([k for _, _, k in at.inst.row.data], tiles, strict=False))
    made, used = [], []
    for o in ops:
        if o.inst is None or o.queue is None or o.queue is at.queue or o.signal is not None:
            continue
        for i, _, kind in o.inst.row.data:
            tile = _held(machine, o.inst.values[i])
            if tile is None:
                continue
            if kind.writes_data and any(k.reads_data and _touch(tile, t) for k, t in mine):
                made.append(o)
            elif kind.reads_data and any(k.writes_data and _touch(tile, t) for k, t in mine):
                used.append(o)
    return list(dict.fromkeys([*made, *used]))


def _held(machine: Machine, reg: int) -> Tile | None:
    """What a tile register holds now; None for nothing, and for a tile without a size."""
    tile = machine.t[reg]
    if tile is None:
        return None
    try:
        return resolve(tile, machine.x)
    except Fault:
        return None


def _touch(a: Tile, b: Tile) -> bool:
    """Whether their ranges of bytes have some in common."""
    (low, high), (start, end) = a.extent(), b.extent()
    return a.space is b.space and low < end and start < high
