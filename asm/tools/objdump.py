"""The `sohu-objdump` command: what is in programs, objects and libraries."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from sohu.asm.console import run
from sohu.asm.diagnostics import printable
from sohu.asm.elf_file import SHF_ALLOC, SHF_EXEC, SHT_NOTE, SHT_PROGBITS
from sohu.asm.elf_object import NAMES
from sohu.asm.lines import Line
from sohu.asm.objects import RELOCATIONS, Object, Relocation
from sohu.asm.printer import ColumnPrinter, Names
from sohu.asm.program import Program, Symbol
from sohu.asm.tools.files import Binary, TableSymbol, binaries, parser, symbols
from sohu.isa import INSTRUCTION_BYTES
from sohu.isa.vector import decode_all

_MAX_SOURCE = 1 << 26  # bytes of a source file that is shown
_ROW = 16  # bytes of a row of -s


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    p = parser("sohu-objdump", "Print what is in programs, objects and libraries.", add_help=False)
    p.add_argument("files", metavar="FILE", nargs="+", help="program, object or library; - for standard input")
    p.add_argument("-h", "--section-headers", action="store_true", help="the sections")
    p.add_argument("-t", "--syms", action="store_true", help="the symbol table")
    p.add_argument("-r", "--reloc", action="store_true", help="relocations; with -d beside their instructions")
    p.add_argument("-s", "--full-contents", action="store_true", help="the bytes of all sections, or of those of -j")
    p.add_argument("-d", "--disassemble", action="store_true", help="instructions, with the names of the program")
    p.add_argument("-S", "--source", action="store_true", help="the same, between the lines that they come from")
    p.add_argument("-j", "--section", metavar="NAME", action="append", default=[], help="only this section")
    p.add_argument("--help", action="help", help="print this")
    options = p.parse_args(argv)
    options.disassemble = options.disassemble or options.source
    if not any((options.section_headers, options.syms, options.reloc, options.full_contents, options.disassemble)):
        p.error("say what to print: one of -h, -t, -r, -s, -d, -S")
    return run("sohu-objdump", lambda: _dump(options))


def _dump(options: argparse.Namespace) -> int:
    out = sys.stdout
    for b in binaries(options.files):
        kind = "program" if isinstance(b.contents, Program) else "object"
        out.write(f"\n{printable(b.name)}:     file format elf64-sohu, {kind}\n")
        for line in _lines(b, options):
            out.write(line + "\n")
    return 0


def _lines(b: Binary, options: argparse.Namespace) -> Iterator[str]:
    if options.section_headers:
        yield from _headers(b)
    if options.syms:
        yield from _symbols(b)
    if options.reloc and not options.disassemble:
        yield from _relocations(b)
    if options.full_contents:
        yield from _contents(b, options.section)
    if options.disassemble and ".text" in (options.section or [".text"]):
        yield from _code(b.contents, options.source, options.reloc)


def _headers(b: Binary) -> Iterator[str]:
    yield "\nSections:"
    yield f"Idx {'Name':<16}  Size      VMA               File off  Algn  Flags"
    for name, s in b.file.sections.items():
        flags = ["ALLOC", "READONLY", "CODE" if s.flags & SHF_EXEC else "DATA"] if s.flags & SHF_ALLOC else []
        align = f"2**{max(s.align, 1).bit_length() - 1}"
        yield (
            f"{s.index:3} {printable(name):<16}  {len(s.data):08x}  {s.address:016x}  {s.offset:08x}  {align:<4}  "
            + ", ".join(flags)
        ).rstrip()


def _symbols(b: Binary) -> Iterator[str]:
    yield "\nSYMBOL TABLE:"
    order = {"local": 0}
    for s in sorted(symbols(b.contents), key=lambda s: (order.get(s.binding, 1), s.section, s.value)):
        yield f"{s.value:016x} {_flags(s)} {s.section or '*UND*'}\t{s.size:016x} {printable(s.name)}"


def _flags(s: TableSymbol) -> str:
    """Seven columns as in GNU objdump: scope, weak, ..., function."""
    scope = {"local": "l ", "weak": " w"}.get(s.binding, "g " if s.section else "  ")
    return f"{scope}    {'F' if s.is_kernel else ' '}"


def _contents(b: Binary, only: Sequence[str]) -> Iterator[str]:
    for name, s in b.file.sections.items():
        if not s.data or s.type not in (SHT_PROGBITS, SHT_NOTE) or (only and name not in only):
            continue  # tables of ELF itself have -t and -r
        yield f"Contents of section {printable(name)}:"
        width = max(4, len(f"{s.address + len(s.data) - 1:x}"))
        for at in range(0, len(s.data), _ROW):
            row = s.data[at : at + _ROW]
            words = " ".join(row[i : i + 4].hex() for i in range(0, len(row), 4))
            text = "".join(chr(c) if 32 <= c < 127 else "." for c in row)
            yield f" {s.address + at:0{width}x} {words:<35}  {text:<{_ROW}}"


# -- relocations ---------------------------------------------------------------------------------


def _relocations(b: Binary) -> Iterator[str]:
    if not isinstance(b.contents, Object):
        return
    for name, relocations in ((".text", b.contents.text_relocations), (".rodata", b.contents.rodata_relocations)):
        if relocations:
            yield f"\nRELOCATION RECORDS FOR [{name}]:"
            yield f"{'OFFSET':<16} {'TYPE':<17}  VALUE"
            yield from (f"{r.offset:016x} {RELOCATIONS[r.type][0]:<17}  {_target(r)}" for r in relocations)


def _target(r: Relocation) -> str:
    name = printable(r.symbol) if r.section is None else NAMES[r.section]
    return f"{name}{r.addend:+#x}" if r.addend else name


# -- code ----------------------------------------------------------------------------------------


def _code(contents: Program | Object, with_source: bool, with_relocations: bool) -> Iterator[str]:
    program = contents if isinstance(contents, Program) else _as_program(contents)
    relocations: dict[int, list[Relocation]] = {}
    if with_relocations and isinstance(contents, Object):
        for r in contents.text_relocations:
            relocations.setdefault(r.offset, []).append(r)
    labels: dict[int, list[str]] = {}
    for s in program.symbols.values():
        if s.section == "text":
            labels.setdefault(s.address, []).append(s.name)
    lines = program.lines
    places = dict(zip(lines.pc.tolist(), range(len(lines)), strict=True)) if with_source else {}
    sources = _Sources()
    if program.text:
        yield "\nDisassembly of section .text:"
    texts = ColumnPrinter(decode_all(program.text), Names(program)).lines()
    for pc, text in enumerate(texts):
        pc *= INSTRUCTION_BYTES
        if pc in labels:
            yield from _labels(pc, labels)
        if pc in places:
            yield sources.shown(lines[places[pc]])
        yield f"{pc:8x}: {program.text[pc : pc + INSTRUCTION_BYTES][::-1].hex()}  {text}"
        for r in relocations.get(pc, ()):
            yield f"{'':8}  {r.offset:x}: {RELOCATIONS[r.type][0]}\t{_target(r)}"
    yield from _labels(len(program.text), labels)


def _labels(pc: int, labels: dict[int, list[str]]) -> list[str]:
    return [f"\n{pc:016x} <{label}>:" for label in labels.get(pc, ())]


def dump(o: Object) -> Iterator[str]:
    """The code of an object and its relocations, as -dr prints them."""
    yield from _code(o, with_source=False, with_relocations=True)


def _as_program(o: Object) -> Program:
    """An object as if its code began the image, and there were no data: enough to print its code."""
    symbols = {s.name: Symbol(s.name, s.offset, "text", s.size) for s in o.symbols.values() if s.section == "text"}
    return Program(bytes(o.text), symbols=symbols, kernels=o.kernels, lines=o.lines)


class _Sources:
    """Lines of source files, of those that are found: a binary can name any file."""

    def __init__(self) -> None:
        self._files: dict[str, list[str]] = {}

    def shown(self, place: Line) -> str:
        """`; file:line: text`, or without the text where there is none."""
        lines = self._files.get(place.file)
        if lines is None:
            lines = self._files[place.file] = _read_lines(place.file)
        text = f": {lines[place.line - 1].strip()}" if place.line <= len(lines) else ""
        return printable(f"; {place.file}:{place.line}{text}")


def _read_lines(name: str) -> list[str]:
    try:
        if not os.path.isfile(name) or os.path.getsize(name) > _MAX_SOURCE:
            return []  # never wait for a pipe or a device
        return Path(name).read_bytes().decode("utf-8", "replace").expandtabs().split("\n")
    except (OSError, ValueError):
        return []


if __name__ == "__main__":
    sys.exit(main())
