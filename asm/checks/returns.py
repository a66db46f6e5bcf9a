"""A `ret` that nobody called."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import Finding, check
from sohu.isa import INSTRUCTION_BYTES, Flow
from sohu.isa.machine import RA
from sohu.isa.operands import XOut


@check("W013", "stray-return")
def stray_return(code: Code) -> Iterator[Finding]:
    """A return that a kernel comes to without a call; ra holds no address then."""
    if all(row.flow is not Flow.RET for row, _ in code.jumps.values()):
        return
    called = {to for block in code.blocks.values() for to in block.calls}
    for kernel in code.kernels:
        entry = kernel.entry // INSTRUCTION_BYTES
        if entry in called or _sets_ra(code, code.range_of(kernel)):
            continue
        for start in sorted(code.reach([entry], calls=False)):
            last = code.blocks[start].end - 1
            row, _ = code.jumps.get(last, (None, 0))
            if row is not None and row.flow is Flow.RET:
                message = f"kernel {kernel.name!r} comes to a return, and nothing has called it"
                yield Finding("W013", message, last, help="a kernel ends with halt")


def _sets_ra(code: Code, where: range) -> bool:
    for g in code.decoded.groups:
        for o, column in zip(g.row.operands, g.operands, strict=True):
            if isinstance(o.kind, XOut) and (column.values[code.within(g, where)] == RA).any():
                return True
    return False
