"""What the tools look at: programs, objects, and the objects in libraries."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sohu.asm.archive import is_archive, read_archive
from sohu.asm.console import EXIT_CODES, read, shown_name
from sohu.asm.elf import read_elf
from sohu.asm.elf_file import ET_DYN, ET_REL, HEADER, Reader
from sohu.asm.elf_object import NAMES, read_object
from sohu.asm.objects import Object
from sohu.asm.program import Program
from sohu.isa import ISA_VERSION


@dataclass(frozen=True)
class Binary:
    """An ELF file: its raw sections, and what it holds."""

    file: Reader
    contents: Program | Object

    @property
    def name(self) -> str:
        """The file, or `lib.a(member.o)`."""
        return self.file.name


@dataclass(frozen=True)
class TableSymbol:
    """A symbol of a program or object."""

    name: str
    section: str  # ".text", ".rodata", or "" for one that another file defines
    value: int  # image offset (programs) or offset in the section (objects)
    size: int
    binding: str  # "local", "global" or "weak"
    is_kernel: bool

    @property
    def letter(self) -> str:
        """How nm marks it: T code, R read-only data, U undefined, W or w weak; lower case for local ones."""
        if self.binding == "weak":
            return "W" if self.section else "w"
        letter = {".text": "T", ".rodata": "R"}.get(self.section, "U")
        return letter.lower() if self.binding == "local" else letter


def binaries(names: Sequence[str]) -> Iterator[Binary]:
    """The programs and objects in some files, `-` for standard input. Raises SohuError."""
    for name in names:
        data, shown = read(name), shown_name(name)
        if is_archive(data):
            for member in read_archive(data, shown):
                yield _binary(member.data, f"{shown}({member.name})")
        else:
            yield _binary(data, shown)


def _binary(data: bytes, name: str) -> Binary:
    is_object = len(data) >= HEADER.size and int.from_bytes(data[16:18], "little") == ET_REL
    file = Reader(data, name, ET_REL if is_object else ET_DYN)
    return Binary(file, read_object(data, name) if is_object else read_elf(data, name))


def symbols(contents: Program | Object) -> list[TableSymbol]:
    """The symbol table, by name."""
    found = []
    if isinstance(contents, Program):
        for s in contents.symbols.values():
            binding = "global" if s.is_global else "local"
            found.append(TableSymbol(s.name, f".{s.section}", s.address, s.size, binding, s.name in contents.kernels))
    else:
        for o in contents.symbols.values():
            section = NAMES[o.section] if o.section else ""
            found.append(TableSymbol(o.name, section, o.offset, o.size, o.binding, o.name in contents.kernels))
    return sorted(found, key=lambda s: s.name)


def parser(program: str, description: str, **options: Any) -> argparse.ArgumentParser:
    """A parser of arguments with what all the tools have."""
    p = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=f"exit codes: {EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **options,
    )
    version = ".".join(map(str, ISA_VERSION))
    p.add_argument("--version", action="version", version=f"{program}, ISA version {version}")
    return p
