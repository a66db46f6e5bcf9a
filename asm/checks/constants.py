"""Writes to what a kernel may only read: `in` parameters, the program's image, the parameter block."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import Declaration, Finding, check
from sohu.asm.checks.worlds import follow, parameter

_STORED = {
    "image": "this writes into the program itself: its code and constants may only be read",
    "parameters": "this writes into the parameter block, which may only be read",
}


@check("W021", "constant-write")
def constant_write(code: Code) -> Iterator[Finding]:
    """Once per instruction, whichever kernels come to it."""
    done: set[int] = set()
    for kernel, seen in follow(code):
        inputs = {parameter(i): p for i, p in enumerate(kernel.params) if p.direction == "in"}
        for s in seen:
            if s.at in done:
                continue
            done.add(s.at)
            if s.writes:
                yield Finding("W021", _STORED[s.writes], s.at)
            for t in s.touched:
                if t.kind.writes_data and t.is_in_image(code):
                    yield Finding("W021", _STORED["image"], s.at, t.name)
                p = inputs.get(t.owner or 0)
                if t.kind.writes_data and p is not None:
                    message = f"this writes to {p.name!r}, which is an input"
                    note = (f"{p.name!r} was declared", Declaration(kernel.name, p.name))
                    yield Finding("W021", message, s.at, t.name, "declare it out or inout", (note,))
