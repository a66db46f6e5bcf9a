"""The map of a linked program: where each part of each object went, and what is where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sohu.asm.link import lay_out
from sohu.asm.objects import Object
from sohu.asm.program import Program, Symbol


def link_map(objects: Sequence[Object], program: Program) -> str:
    """The map of `program`, which is the link of `objects`."""
    return "\n".join(_lines(objects, program)) + "\n"


def _lines(objects: Sequence[Object], program: Program) -> Iterator[str]:
    layout = lay_out(objects)
    yield f"{'address':>10} {'size':>10}  section and object, or symbol"
    symbols = sorted(program.symbols.values(), key=lambda s: (s.address, s.name))
    parts: list[tuple[int, int, str]] = []
    for o, p in zip(objects, layout.placements, strict=True):
        parts.append((p.text, len(o.text), f".text    {o.name}"))
        parts.append((p.tiles, len(o.tiles), f".rodata  {o.name}: descriptors of tiles"))
        parts.append((p.rodata, len(o.rodata), f".rodata  {o.name}"))
    parts.append((layout.strings, layout.size - layout.strings, ".rodata  strings"))
    at = 0
    for start, size, what in sorted(p for p in parts if p[1]):
        yield ""
        yield f"{start:#10x} {size:#10x}  {what}"
        while at < len(symbols) and symbols[at].address < start + size:
            yield _symbol(symbols[at])
            at += 1
    yield from map(_symbol, symbols[at:])  # at the end of their section


def _symbol(s: Symbol) -> str:
    size = f"{s.size:#x}" if s.size else ""
    return f"{s.address:#10x} {size:>10}    {s.name}{'' if s.is_global else '  (local)'}"
