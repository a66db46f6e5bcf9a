"""What lies where in the memories: blocks of HBM, tiles in SRAM and ACC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.isa import Fault, Space

if TYPE_CHECKING:
    from sohu.debugger.session import Session


@dataclass(frozen=True)
class Region:
    """Bytes [low, high) of a memory, what they are, and the names of others that have some of them too."""

    low: int
    high: int
    name: str
    overlaps: tuple[str, ...] = ()


def regions(session: Session, space: Space) -> list[Region]:
    """What lies in a memory, by address."""
    return hbm_regions(session) if space is Space.HBM else tile_regions(session, space)


def hbm_regions(session: Session) -> list[Region]:
    """The blocks of HBM that are allocated, and what programs may do with them."""
    out = []
    args = {p.reg: p.name for p in session.kernel.params if p.is_tensor}
    held = {t.tile.base: args[t.reg] for t in session.names.tiles() if t.reg in args and t.tile is not None}
    for b in session.machine.memories.hbm.allocations:
        rights = "read and write" if b.writable else "read only"
        name = b.name or "a tensor"
        known = held.get(b.start)
        if known is not None and known != name:
            name = f"{known} ({name})" if b.name else known
        of_file = ", mapped from a file" if b.mapped else ""
        out.append(Region(b.start, b.end, f"{rights:<14}  {name}{of_file}"))
    return out


def tile_regions(session: Session, space: Space) -> list[Region]:
    """The tiles that registers hold in SRAM or ACC now, with those they share bytes with."""
    found: list[tuple[int, int, str, str]] = []
    for t in session.names.tiles():
        if t.tile is None or t.tile.space is not space:
            continue
        name = t.name or f"t{t.reg}"
        try:
            tile = t.tile.resolve(session.machine.x)
        except Fault:
            continue
        low, high = tile.extent()
        if low < high:
            found.append((low, high, name, f"{tile.dtype}{list(tile.dims)}"))
    found.sort(key=lambda f: (f[0], -f[1]))
    width = max((len(f[2]) for f in found), default=0)
    return [
        Region(low, high, f"{name:<{width}}  {what}", _sharing(found, low, high, name))
        for low, high, name, what in found
    ]


def _sharing(found: list[tuple[int, int, str, str]], low: int, high: int, name: str) -> tuple[str, ...]:
    return tuple(other for a, b, other, _ in found if a < high and low < b and other != name)
