"""Static checks of an assembled program: what would fault, hang or do nothing when it runs.

One file per check. A check is a function from the decoded program to what it finds; `@check` gives it the code and
the name of its warning. Where a check does not know, it is silent: a warning is worth reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sohu.asm.checks import (
    constants,
    ends,
    labels,
    nesting,
    operands,
    overlap,
    ranges,
    returns,
    semaphores,
    uninitialized,
    unreachable,
    unused,
)
from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import CHECKS, Check, Declaration, Finding

__all__ = ["CHECKS", "Check", "Code", "Declaration", "Finding", "findings"]

# Importing a check registers it.
_MODULES = (
    constants, ends, labels, nesting, operands, overlap, ranges, returns,
    semaphores, uninitialized, unreachable, unused,
)  # fmt: skip


def findings(code: Code, wanted: Callable[[str], bool] = lambda code: True) -> Iterator[Finding]:
    """What the checks find in a program, check by check; those alone whose code is wanted."""
    if code.size:
        for check in CHECKS.values():
            if wanted(check.code):
                yield from check.run(code)
