"""Chips of a group that came to different collectives, or to none: one error that says which chip skipped what.

Who skipped what follows from what can still come: of two chips that stand at different places, the one whose
instruction the other one will come to is ahead, and has left out what the other one waits in. No checker to switch:
the chips stand still anyway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, NoReturn

from sohu.emulator.waits import given, place, waiting
from sohu.isa import INSTRUCTION_BYTES, Fault, Flow, Inst
from sohu.isa.machine import RA

if TYPE_CHECKING:
    from sohu.emulator.group import Group
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued

_SIGNAL = "an instruction must signal what is waited for, or the wait be dropped"
_HELP = "all chips of a group execute the same collectives in the same order, with the same shapes"


def _operands(issued: Issued) -> dict[str, str]:
    """The operands of a collective that must agree between chips, as text: without places in memory."""
    assert issued.op.inst is not None
    row = issued.op.inst.row
    tiles = {o.name: t for (_, o, _), t in zip(row.data, issued.bound.tiles, strict=True)}
    out = {}
    for o in row.operands:
        tile = tiles.get(o.name)
        out[o.name] = str(given(issued, o.name)) if tile is None else f"{tile.dtype}{list(tile.dims)}"
    return out


def differing(a: Issued, b: Issued) -> str:
    """Why two instructions are not one collective: "instruction", an operand's name, or "" if they are one."""
    assert a.op.inst is not None and b.op.inst is not None
    row = a.op.inst.row
    if row is not b.op.inst.row:
        return "instruction"
    if a is b:
        return ""
    for (_, o, _), mine, other in zip(row.data, a.bound.tiles, b.bound.tiles, strict=True):
        if mine.dims != other.dims or mine.dtype is not other.dtype:
            return o.name
    if a.op.inst.values == b.op.inst.values and not a.op.scalars:
        return ""
    tiles = {o.name for _, o, _ in row.data}
    scalars = [o.name for o in row.operands if o.name not in tiles]
    return next((name for name in scalars if given(a, name) != given(b, name)), "")


def unlike(heads: Sequence[tuple[Machine, Issued]]) -> NoReturn:
    """Raise the MachineError of chips of a group that have come to collectives that differ."""
    common, *others = _alike(heads)
    machine, head = common[0]
    group = given(head, "group")
    lines = [f"    chip {m.chip} at {place(m, h.op)}" for m, h in sorted(heads, key=lambda x: x[0].chip)]
    verdicts = []
    at = machine, head  # what was skipped
    for odd in others:
        m, h = odd[0]
        what = differing(head, h)
        if what != "instruction":
            have, want = _operands(h)[what], _operands(head)[what]
            verdicts.append(
                f"{what} is {have} on {_chips(odd)} and {want} on {_chips(common)}, in one collective of group {group}"
            )
            continue
        ahead, behind = _distance(machine, head, m, h), _distance(m, h, machine, head)
        if ahead == behind and machine.pc == m.pc and machine.program.text == m.program.text:
            # both have come as far, and executed as many: who has fewer left has left one out
            ahead, behind = _left(m, h), _left(machine, head)
        if ahead < behind:
            verdicts.append(f"{_chips(odd)} skipped this collective of group {group}, to which {_chips(common)} came")
        elif behind < ahead and len(others) == 1:
            verdicts.append(f"{_chips(common)} skipped this collective of group {group}, to which {_chips(odd)} came")
            at = m, h
        else:
            verdicts.append(f"{_chips(odd)} and {_chips(common)} came to different collectives of group {group}")
    at[0].stop(Fault("collective", "\n".join(["; ".join(verdicts) + ":", *lines]), help=_HELP), at[1].op)


def stuck(group: Group) -> NoReturn:
    """Raise the MachineError of chips of which none can move: divergence where a chip never comes, else deadlock."""
    for m in group.machines:
        for q in m.queues:
            head = q.entries[0] if q.entries else None
            if head is None or head.op.inst is None or not head.op.inst.row.collective:
                continue
            if group.head(m.chip, head) is not head:
                continue
            members = group.members(m, head.op)
            here = [(group.machines[c], h) for c in members if (h := group.head(c, head)) is not None]
            if any(differing(head, h) for _, h in here):
                unlike(here)
            come = {x.chip for x, _ in here}
            skipped = [group.machines[c] for c in members if c not in come and _never(group.machines[c], m, head)]
            if skipped:
                _never_came(group, here, skipped, [c for c in members if c not in come])
    machine = next(m for m in group.machines if not m.halted)
    machine.stop(
        Fault("deadlock", "\n".join(["no chip can go on:", *_waits(group.machines)]), help=_SIGNAL), machine.op
    )


def _never_came(
    group: Group, here: Sequence[tuple[Machine, Issued]], skipped: Sequence[Machine], late: Sequence[int]
) -> NoReturn:
    machine, head = here[0]
    names = _numbers(m.chip for m in skipped)
    wait = "waits" if len(here) == 1 else "wait"
    lines = [f"{names} skipped this collective of group {given(head, 'group')}, in which {_chips(here)} {wait}:"]
    lines += [f"    chip {m.chip} at {place(m, h.op)}" for m, h in here]
    lines += _waits([group.machines[c] for c in late])
    machine.stop(Fault("collective", "\n".join(lines), help=_HELP), head.op)


def _waits(machines: Iterable[Machine]) -> list[str]:
    out = []
    for m in machines:
        if m.halted:
            out.append(f"    chip {m.chip} has halted")
        else:
            out += [f"    chip {m.chip}: {line}" for line in waiting(m, m.op)]
    return out


def _chips(heads: Sequence[tuple[Machine, Issued]]) -> str:
    return _numbers(m.chip for m, _ in heads)


def _numbers(chips: Iterable[int]) -> str:
    numbers = sorted(chips)
    return f"chip{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _alike(heads: Sequence[tuple[Machine, Issued]]) -> list[list[tuple[Machine, Issued]]]:
    """Chips by what they have come to: first what most have, of equally many the one with the lowest pc."""
    out: list[list[tuple[Machine, Issued]]] = []
    for m, h in heads:
        for kind in out:
            if not differing(kind[0][1], h):
                kind.append((m, h))
                break
        else:
            out.append([(m, h)])
    return sorted(out, key=lambda kind: (-len(kind), kind[0][1].op.pc))


# -- what can still come -------------------------------------------------------------------------------


def _never(late: Machine, waiting: Machine, head: Issued) -> bool:
    """True for a machine that has what another one waits in behind it for good."""
    assert head.op.queue is not None
    if any(e.op.inst == head.op.inst for e in late.queues[head.op.queue.place].entries):
        return False
    return _distance(late, None, waiting, head) == inf


def _distance(machine: Machine, at: Issued | None, other: Machine, target: Issued) -> float:
    """How many instructions a chip is from issuing what another chip waits in; infinity when it cannot any more.

    0 where it is queued already, behind `at`. Branches can go either way, a `ret` goes where ra points now.
    """
    assert target.op.queue is not None
    same = machine.program.text == other.program.text

    def found(index: int, inst: Inst | None) -> bool:
        return index == target.op.index if same else inst == target.op.inst

    queued = [e.op for e in machine.queues[target.op.queue.place].entries if e is not at]
    if any(found(op.index, op.inst) for op in queued):
        return 0.0
    if machine.halted or machine.ending:
        return inf
    start = machine.pc // INSTRUCTION_BYTES
    seen = {start}
    reached = deque([(start, 1)])
    loops = {f.end: f.start for f in machine.loops}
    while reached:
        index, steps = reached.popleft()
        inst = machine.inst_at(index * INSTRUCTION_BYTES)
        if inst is None:
            continue
        if found(index, inst):
            return float(steps)
        for i in _after(machine, index, inst, loops):
            if i not in seen:
                seen.add(i)
                reached.append((i, steps + 1))
    return inf


def _left(machine: Machine, head: Issued) -> int:
    assert head.op.queue is not None
    return len(machine.queues[head.op.queue.place].entries)


def _after(machine: Machine, index: int, inst: Inst, loops: dict[int, int]) -> list[int]:
    """Where the sequencer can be after an instruction; `loops` maps ends of bodies to their starts."""
    flow, at = inst.row.flow, inst.row.label_operand
    out = [] if flow in (Flow.HALT, Flow.JUMP, Flow.RET) else [index + 1]
    if at is not None:
        out.append(index + inst.values[at] // INSTRUCTION_BYTES)
    if flow is Flow.LOOP:
        loops.setdefault(out[-1], index + 1)
    if flow is Flow.RET:
        out.append(machine.x[RA] // INSTRUCTION_BYTES)
    return out + [loops[i] for i in out if i in loops]
