"""The command `info memory`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.memory import SPACES, place
from sohu.debugger.memory_map import Region, hbm_regions, regions
from sohu.isa import Engine, Space
from sohu.isa.machine import REACHES

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell

SHOWN = 64  # blocks of HBM, when not asked for HBM alone


@command("info memory", group="looking")
def info_memory(shell: Shell, text: str) -> None:
    """The map of the memories, or what lies at an address: info memory [hbm|sram|acc|ADDRESS|TILE].

    Examples: info memory    info memory sram    info memory sram:0x4040

    Of HBM, the blocks that are allocated and what programs may do with them; of SRAM and ACC, which tile registers
    lie where, what they share, and what is free of them.
    """
    session = shell.session
    if text and text not in SPACES:
        session.need_run()
        space, address = place(session, text)
        found = [r for r in regions(session, space) if r.low <= address < r.high]
        for r in found:
            of = " ".join(r.name.split())
            shell.write(f"{space} {address:#x} is byte {address - r.low:,} of {of}, {r.low:#x}..{r.high:#x}")
        if not found:
            shell.write(f"{space} {address:#x} belongs to nothing")
        return
    for space in [SPACES[text]] if text else list(Space):
        for out in _map(shell, space, bool(text)):
            shell.write(out)


def _map(shell: Shell, space: Space, whole: bool) -> Iterator[str]:
    session = shell.session
    size = session.device.chip.capacity(space)
    who = ", ".join(e.value for e in Engine if space in REACHES[e] and e is not Engine.DEBUG)
    name = shell.style.paint("name", f"{space}")
    if space is Space.HBM:
        blocks = hbm_regions(session)
        used = sum(b.high - b.low for b in blocks)
        yield f"{name}  {bytes_of(size)}, {len(blocks):,} blocks with {used:,} bytes; reached by {who}"
        shown = blocks if whole else blocks[:SHOWN]
        yield from map(line, shown)
        if len(shown) < len(blocks):
            yield f"  and {len(blocks) - len(shown):,} more: info memory hbm"
        return
    yield f"{name}  {bytes_of(size)}; reached by {who}"
    if not session.running:
        yield "  no tiles: the program is not being run"
        return
    end = 0
    for r in regions(session, space):
        if r.low > end:
            yield f"  {end:#010x}..{r.low:#010x}  {r.low - end:>13,}  free of tiles"
        yield line(r)
        end = max(end, r.high)
    if end < size:
        yield f"  {end:#010x}..{size:#010x}  {size - end:>13,}  free of tiles"


def line(r: Region) -> str:
    """One region: addresses, bytes, what it is, what it shares bytes with."""
    shares = f"   overlaps {', '.join(r.overlaps)}" if r.overlaps else ""
    return f"  {r.low:#010x}..{r.high:#010x}  {r.high - r.low:>13,}  {r.name}{shares}"


def bytes_of(size: int) -> str:
    """`128 MiB`, `144.0 GB`"""
    if size % (1 << 20) == 0 and size < 1 << 30:
        return f"{size >> 20} MiB"
    return f"{size / 1e9:.1f} GB" if size >= 1 << 30 else f"{size:,} bytes"
