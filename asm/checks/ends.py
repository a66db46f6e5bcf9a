"""A kernel that can run past its end, and jumps that leave the program."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import Finding, check
from sohu.isa import INSTRUCTION_BYTES


@check("W011", "runs-off-end")
def runs_off_end(code: Code) -> Iterator[Finding]:
    """The last instruction before the end, where more could follow."""
    if not code.entered:
        return  # a fragment that nobody can run
    for start in sorted(code.reached):
        block = code.blocks[start]
        kernel = code.kernel_of(start)
        end = kernel.end // INSTRUCTION_BYTES if kernel else code.size
        if kernel is not None and block.end == end and end in block.next:
            message = f"kernel {kernel.name!r} can run past its end"
            yield Finding("W011", message, block.end - 1, help="end it with halt")
        elif any(not 0 <= to < code.size for to in (*block.next, *block.calls)):
            yield Finding("W011", "this leads out of the program", block.end - 1, help="end the code with halt or ret")
