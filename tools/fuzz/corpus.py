"""What mutations start from: the repository's own assembly files, and the programs and objects made of them."""

from __future__ import annotations

from functools import cache

from sohu.asm import AsmError, assemble, assemble_object, write_elf, write_object

from tools.tree import ROOT, files

_FOLDERS = ("examples", "tests", "tools/fuzz/seeds")


@cache
def sources() -> tuple[str, ...]:
    """Every assembly file, those with mistakes in them too."""
    found = [p for folder in _FOLDERS for p in files(ROOT / folder) if p.suffix == ".s"]
    return tuple(p.read_text(encoding="utf-8", errors="replace") for p in found)


@cache
def sound() -> tuple[str, ...]:
    """Those without mistakes."""
    found = []
    for text in sources():
        try:
            assemble(text, "a.s")
        except AsmError:
            continue
        found.append(text)
    return tuple(found)


@cache
def objects() -> tuple[bytes, ...]:
    """An object of each source that has no mistakes, of names in other files too."""
    return elfs()[1::2]


@cache
def elfs() -> tuple[bytes, ...]:
    """A program and an object of each source that has no mistakes."""
    kinds = [(write_elf(assemble(text, "a.s")), write_object(assemble_object(text, "a.s"))) for text in sound()]
    return tuple(file for kind in kinds for file in kind)
