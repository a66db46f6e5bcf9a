"""Tiles that share bytes while both are in use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sohu.asm.checks.code import Block, Code
from sohu.asm.checks.registry import Declaration, Finding, check
from sohu.asm.checks.worlds import Seen, declared, follow
from sohu.asm.program import Kernel, TileSymbol
from sohu.isa import Space


@dataclass(slots=True)
class _Use:
    """What one instruction reads and writes: bits, one per declared tile."""

    at: int
    operand: str = ""  # that is written
    reads: int = 0
    writes: int = 0


@check("W030", "overlap")
def overlap(code: Code) -> Iterator[Finding]:
    """A write to one tile while another, of the same bytes, holds what is still to be read.

    Tiles that share bytes at different times are no mistake: that is how scratchpads are used.
    """
    for kernel, seen in follow(code):
        shared = _shared(kernel)
        if shared and code.outside == code.size:
            yield from _clobbered(code, kernel, seen, shared)


def _shared(kernel: Kernel) -> dict[int, int]:
    """For each declared tile the others that share bytes with it, as bits; only tiles that share any."""
    tiles = [t for t in enumerate(kernel.tiles) if t[1].tile.space is not Space.HBM]
    tiles.sort(key=lambda t: (t[1].tile.space, t[1].tile.extent()))
    out: dict[int, int] = {}
    for n, (i, a) in enumerate(tiles):
        _, high = a.tile.extent()
        for j, b in tiles[n + 1 :]:
            if b.tile.space is not a.tile.space or b.tile.extent()[0] >= high:
                break
            out[i] = out.get(i, 0) | 1 << j
            out[j] = out.get(j, 0) | 1 << i
    return out


def _clobbered(code: Code, kernel: Kernel, seen: list[Seen], shared: dict[int, int]) -> Iterator[Finding]:
    owners = {declared(i): i for i in shared}
    uses: dict[int, _Use] = {}
    for s in seen:
        use = _Use(s.at)
        for t in s.touched:
            i = owners.get(t.owner or 0)
            if i is not None:
                use.reads |= bool(t.kind.reads_data) << i
                if t.kind.writes_data:
                    use.writes |= 1 << i
                    use.operand = t.name
        uses[s.at] = use
    blocks = {b.start: b for k, found in code.followed() if k is kernel for b in found}
    live = _live(blocks, uses)
    held = _held(kernel, blocks, uses)
    for start, block in sorted(blocks.items()):
        after = live[start]
        order = [uses[at] for at in range(block.start, block.end) if at in uses]
        full = held[start]
        inside: list[int] = []  # what has been written before each use
        for use in order:
            inside.append(full)
            full |= use.writes
        for use, before in zip(reversed(order), reversed(inside), strict=True):
            for i in _bits(use.writes):
                if use.reads >> i & 1:
                    continue  # changed in place: these are meant to be two views of the same bytes
                lost = shared[i] & after & before & ~use.writes
                if lost:
                    yield _finding(kernel, use, i, next(_bits(lost)), uses)
            after = after & ~use.writes | use.reads


def _finding(kernel: Kernel, use: _Use, i: int, j: int, uses: dict[int, _Use]) -> Finding:
    a, b = kernel.tiles[i], kernel.tiles[j]
    low = max(a.tile.extent()[0], b.tile.extent()[0])
    high = min(a.tile.extent()[1], b.tile.extent()[1])
    message = (
        f"writing {_shown(a)} destroys {b.name!r}: they overlap in {a.tile.space} at {low:#x}..{high:#x}, "
        f"and {b.name!r} is read again"
    )
    reads = [at for at, u in sorted(uses.items()) if u.reads >> j & 1]
    read = next((at for at in reads if at > use.at), reads[0])
    notes: tuple[tuple[str, int | Declaration | None], ...] = (
        (f"{b.name!r} is read", read),
        (f"{a.name!r} was declared", Declaration(kernel.name, a.name)),
        (f"{b.name!r} was declared", Declaration(kernel.name, b.name)),
    )
    return Finding(
        "W030", message, use.at, use.operand, "leave out at= or over=, and tiles get room of their own", notes
    )


def _shown(t: TileSymbol) -> str:
    regs = t.tile.dimregs or (0,) * t.tile.rank
    dims = ", ".join(f"x{r}<={d}" if r else str(d) for d, r in zip(t.tile.dims, regs, strict=True))
    return f"{t.name!r} ({t.tile.dtype}[{dims}])"


def _live(blocks: dict[int, Block], uses: dict[int, _Use]) -> dict[int, int]:
    """After each block: the tiles that are read before they are written again."""
    at_start = dict.fromkeys(blocks, 0)
    at_end = dict.fromkeys(blocks, 0)
    changed = True
    while changed:
        changed = False
        for start in sorted(blocks, reverse=True):
            block = blocks[start]
            now = 0
            for to in (*block.next, *block.calls):
                now |= at_start.get(to, 0)
            at_end[start] = now
            for at in range(block.end - 1, block.start - 1, -1):
                if (use := uses.get(at)) is not None:
                    now = now & ~use.writes | use.reads
            if now != at_start[start]:
                at_start[start] = now
                changed = True
    return at_end


def _held(kernel: Kernel, blocks: dict[int, Block], uses: dict[int, _Use]) -> dict[int, int]:
    """Before each block: the tiles that something may have been written to."""
    before = dict.fromkeys(blocks, 0)
    changed = True
    while changed:
        changed = False
        for start, block in sorted(blocks.items()):
            now = before[start]
            for at in range(block.start, block.end):
                if (use := uses.get(at)) is not None:
                    now |= use.writes
            for to in (*block.next, *block.calls):
                if to in before and now & ~before[to]:
                    before[to] |= now
                    changed = True
    return before


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
