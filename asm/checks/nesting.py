"""Hardware loops: bodies that do not nest, and jumps into and out of them."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code, Loop
from sohu.asm.checks.registry import Finding, check
from sohu.isa import LOOP_DEPTH, Flow


@check("W012", "loop-nesting")
def loop_nesting(code: Code) -> Iterator[Finding]:
    """A body is entered by its loop instruction and left through its end."""
    for i, (row, target) in code.jumps.items():
        if row.flow is Flow.LOOP and target <= i:
            message = "the end of this loop lies before its body"
            yield Finding("W012", message, i, _label(code, i), help="the label goes after the body's last instruction")
    parents: dict[Loop, Loop | None] = {}
    stack: list[Loop] = []
    for loop in code.loops:
        while stack and stack[-1].end <= loop.at:
            stack.pop()
        if stack and loop.end > stack[-1].end:
            message = "this loop reaches beyond the one around it"
            yield Finding("W012", message, loop.at, _label(code, loop.at), notes=(("that loop", stack[-1].at),))
        parents[loop] = stack[-1] if stack else None
        stack.append(loop)
        if len(stack) == LOOP_DEPTH + 1:
            yield Finding("W012", f"loops nest deeper than {LOOP_DEPTH}", loop.at)
    if code.loops:
        yield from _crossings(code, parents)


def _crossings(code: Code, parents: dict[Loop, Loop | None]) -> Iterator[Finding]:
    around = _Around(code.loops, parents)
    for i, (row, target) in code.jumps.items():
        if row.flow is Flow.RET:
            for loop in around.of(i):
                yield _out(i, loop, "")
                break
        if row.flow not in (Flow.BRANCH, Flow.JUMP):
            continue
        here, there = around.of(i), around.of(target)
        for loop in here:
            if loop not in there and target != loop.end:
                yield _out(i, loop, _label(code, i))
                break
        for loop in there:
            if loop not in here:
                message = "this jumps into the body of a loop"
                note = (("the loop", loop.at),)
                yield Finding("W012", message, i, _label(code, i), "enter it through the loop instruction", note)
                break


def _out(at: int, loop: Loop, operand: str) -> Finding:
    help = "a body is left through its end: jump there, or count the loop in a register and use branches"
    return Finding("W012", "this leaves the body of a loop", at, operand, help, (("the loop", loop.at),))


def _label(code: Code, at: int) -> str:
    row, _ = code.jumps[at]
    return row.operands[row.label_operand].name if row.label_operand is not None else ""


class _Around:
    """Which loops are around an instruction."""

    def __init__(self, loops: list[Loop], parents: dict[Loop, Loop | None]) -> None:
        self.loops = loops
        self.parents = parents

    def of(self, index: int) -> list[Loop]:
        """The loops whose bodies hold an instruction, innermost first."""
        low, high = 0, len(self.loops)
        while low < high:  # the last loop that begins at or before `index`
            middle = (low + high) // 2
            if self.loops[middle].start <= index:
                low = middle + 1
            else:
                high = middle
        loop = self.loops[low - 1] if low else None
        out = []
        while loop is not None:
            if index < loop.end:
                out.append(loop)
            loop = self.parents[loop]
        return out
