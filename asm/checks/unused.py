"""Tiles that are declared and not used, and results that are promised and not written."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code, distinct
from sohu.asm.checks.registry import Declaration, Finding, check
from sohu.asm.program import Kernel
from sohu.isa.operands import T


def _used(code: Code) -> list[tuple[Kernel, set[int]]]:
    """Kernels that call nothing, each with the tile registers that it reads; kept, since two checks want it."""
    if "used" not in code.kept:
        code.kept["used"] = list(_find_used(code))
    found: list[tuple[Kernel, set[int]]] = code.kept["used"]
    return found


def _find_used(code: Code) -> Iterator[tuple[Kernel, set[int]]]:
    for kernel in code.kernels:
        where = code.range_of(kernel)
        blocks = code.blocks_of(where)
        if any(b.calls or any(to not in where for to in b.next) for b in blocks):
            continue  # what is called may use them by number
        used: set[int] = set()
        for g in code.decoded.groups:
            here = code.within(g, where)
            for o, column in zip(g.row.operands, g.operands, strict=True):
                if isinstance(o.kind, T) and not o.kind.writes:
                    used |= distinct(column.values[here])
        yield kernel, used


@check("W051", "unused-tile")
def unused_tile(code: Code) -> Iterator[Finding]:
    """A tile that takes room, and that no instruction uses."""
    for kernel, used in _used(code):
        for tile in kernel.tiles:
            if tile.reg not in used:
                yield Finding("W051", f"tile {tile.name!r} is not used", Declaration(kernel.name, tile.name))


@check("W053", "unwritten-output")
def unwritten_output(code: Code) -> Iterator[Finding]:
    """An output that no instruction uses, so that its caller gets what was in memory before."""
    for kernel, used in _used(code):
        for p in kernel.params:
            if p.direction == "out" and p.reg not in used:
                message = f"nothing is written to {p.name!r}, an output of kernel {kernel.name!r}"
                yield Finding("W053", message, Declaration(kernel.name, p.name))
