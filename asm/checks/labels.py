"""Labels that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import Declaration, Finding, check


@check("W050", "unused-label")
def unused_label(code: Code) -> Iterator[Finding]:
    """A label that no jump goes to and no other line of the source names."""
    targets = {target for row, target in code.jumps.values() if row.label_operand is not None}
    left = [name for name, at in code.labels.items() if at is None or at not in targets]
    named = code.named() if left else frozenset()
    for name in left:
        if name not in named:
            yield Finding("W050", f"label {name!r} is not used", Declaration("", name))
