"""Tile operands of a dtype, memory or shape that the instruction does not take."""

from __future__ import annotations

from collections.abc import Iterator

from sohu.asm.checks.code import Code
from sohu.asm.checks.registry import Finding, check
from sohu.asm.checks.worlds import Seen, follow
from sohu.isa import Fault
from sohu.isa.shapes import match


@check("W020", "bad-operand")
def bad_operand(code: Code) -> Iterator[Finding]:
    """What the instruction would end in, in every run that comes to it."""
    for at, found in sorted(first_of_each(code).items()):
        yield Finding("W020", found.message, at, found.operand, found.help)


def first_of_each(code: Code) -> dict[int, Fault]:
    """The fault that each instruction ends in, wherever it is known; code that kernels share counts once."""
    out: dict[int, Fault] = {}
    good: set[int] = set()
    for _, seen in follow(code):
        for s in seen:
            fault = s.fault or _fault(s)
            if fault is None:
                good.add(s.at)
            else:
                out.setdefault(s.at, fault)
    return {at: fault for at, fault in out.items() if at not in good}


def _fault(seen: Seen) -> Fault | None:
    row = seen.inst.row
    for t in seen.touched:
        if t.tile is None:
            continue
        shape = f"{t.tile.dtype}{list(t.tile.dims)}"
        if t.tile.dtype not in t.kind.dtypes:
            wants = " or ".join(d.name for d in sorted(t.kind.dtypes, key=lambda d: d.code))
            return Fault("operand", f"{t.name} is {shape}; {row.mnemonic} takes {wants}", operand=t.name)
        if t.tile.space not in row.spaces(t.kind):
            wants = " or ".join(str(space) for space in sorted(row.spaces(t.kind)))
            return Fault(
                "operand", f"{t.name} is in {t.tile.space}; {row.mnemonic} wants it in {wants}", operand=t.name
            )
    tiles = [t.tile for t in seen.touched]
    if any(tile is None for tile in tiles):
        return None
    try:
        match(row.patterns, [tile.dims for tile in tiles if tile is not None])
    except Fault as e:
        return e
    return None
