"""Named ranges that are closed without being open, or left open."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import Finding, check
from sohu.isa import INSTRUCTION_BYTES, Fault, Flow, Row


@check("W014", "unbalanced-range")
def unbalanced_range(code: Code) -> Iterator[Finding]:
    """Ranges nest, on every way through a kernel; a function it calls leaves them as they were."""
    steps = {at: g.row.nesting for g in code.decoded.groups if g.row.nesting for at in g.at.tolist()}
    if not steps:
        return
    for kernel in code.kernels:
        yield from _follow(code, kernel.entry // INSTRUCTION_BYTES, steps)


def _follow(code: Code, entry: int, steps: dict[int, int]) -> Iterator[Finding]:
    """Follow the ranges that are open: the instructions that opened them, innermost last."""
    before: dict[int, tuple[int, ...]] = {entry: ()}
    todo = [entry]
    while todo:
        start = todo.pop()
        block = code.blocks.get(start)
        if block is None:
            continue
        now = before[start]
        for at in range(block.start, block.end):
            step = steps.get(at, 0)
            if step > 0:
                now = (*now, at)
            elif step < 0 and now:
                now = now[:-1]
            elif step < 0:
                yield Finding("W014", "no range is open that this could close", at)
                return
        row, _ = code.jumps.get(block.end - 1, (None, 0))
        if now and row is not None and _ends_well(row):
            note = (("the kernel ends", block.end - 1),)
            yield Finding("W014", "this range is never closed", now[-1], notes=note)
            return
        for to in block.next:
            if to not in before:
                before[to] = now
                todo.append(to)
            elif len(before[to]) != len(now):
                open_ = max(before[to], now, key=len)
                met = to if to < code.size else None
                notes = (("two ways meet, with and without it", met),)
                yield Finding("W014", "this range is closed on some ways only", open_[-1], notes=notes)
                return


def _ends_well(row: Row) -> bool:
    """True for an end of the kernel that is no fault."""
    if row.flow is not Flow.HALT or row.takes_machine:
        return False
    try:
        row.semantics(**{o.name: 0 for o in row.operands})
    except Fault:
        return False
    return True
