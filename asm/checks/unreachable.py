"""Code that nothing reaches."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import Finding, check


@check("W010", "unreachable")
def unreachable(code: Code) -> Iterator[Finding]:
    """One finding per run of such instructions, at the first."""
    if code.computes_returns:
        return
    before = True  # the block before this one can be reached
    for start, block in code.blocks.items():
        if start >= code.outside:
            return
        here = start in code.reached
        if before and not here and not code.decoded.bad[start : block.end].all():
            message = "no way leads to this instruction"
            yield Finding("W010", message, start, help="give it a label that something jumps to, or delete it")
        before = here
