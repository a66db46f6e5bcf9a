"""Programs as ELF64 files.

Sections: .text (address 0), .rodata (next multiple of 4096), .symtab, .strtab, .note.sohu (ISA version: two
u32), .sohu.kernels (JSON: parameters, tiles, bounds and semaphores of kernels), .debug_line, .debug_info,
.debug_abbrev, .debug_rnglists, .sohu.debug (inlined calls, IR and variables; elf_debug.py).
"""

from __future__ import annotations

from typing import Any

from sohu.asm import dwarf
from sohu.asm.debuginfo import DebugInfo
from sohu.asm.dwarf_info import files_of, info_sections
from sohu.asm.elf_debug import debug_section, read_debug
from sohu.asm.elf_file import (
    ALIGN,
    ET_DYN,
    PRODUCER,
    SHF_ALLOC,
    SHF_EXEC,
    SHT_PROGBITS,
    SHT_STRTAB,
    SHT_SYMTAB,
    STB_GLOBAL,
    STB_LOCAL,
    STT_FUNC,
    STT_NOTYPE,
    SYMBOL,
    Reader,
    Section,
    note_section,
    write_file,
)
from sohu.asm.elf_kernels import kernels_section, read_kernels
from sohu.asm.lines import Lines
from sohu.asm.names import is_symbol
from sohu.asm.program import Program, Symbol
from sohu.isa import INSTRUCTION_BYTES, TILE_BYTES, extensions


def write_elf(program: Program) -> bytes:
    """The ELF file of a program."""
    sections = [
        Section(".text", SHT_PROGBITS, program.text, SHF_ALLOC | SHF_EXEC, align=ALIGN),
        Section(".rodata", SHT_PROGBITS, program.rodata, SHF_ALLOC, program.rodata_address, align=ALIGN),
        note_section(program.isa_version, program.text),
        kernels_section(program.kernels.values()),
        *debug_sections(program.lines, program.debug, len(program.text)),
    ]
    symbols, strings, first_global = _symbol_table(program)
    strtab = len(sections) + 2  # after the null section and .symtab
    sections += [
        Section(".symtab", SHT_SYMTAB, symbols, 0, 0, strtab, first_global, 8, SYMBOL.size),
        Section(".strtab", SHT_STRTAB, strings),
    ]
    return write_file(ET_DYN, sections, entry=min((k.entry for k in program.kernels.values()), default=0))


def debug_sections(lines: Lines, debug: DebugInfo, text_size: int) -> list[Section]:
    """The debug sections of some code, none if nothing is known of where it comes from."""
    out: list[Section] = []
    if lines:
        files = list(dict.fromkeys([*lines.files, *files_of(debug.kernels)]))
        lines = Lines(files, lines.pc, lines.file, lines.line, lines.column)
        # the source's name, not the assembly file's: what is disassembled assembles to the same file
        made = info_sections(lines[0].file, PRODUCER, 0, text_size, debug.kernels, files)
        out += [
            Section(".debug_line", SHT_PROGBITS, dwarf.line_section(lines, text_size)),
            Section(".debug_info", SHT_PROGBITS, made.info),
            Section(".debug_abbrev", SHT_PROGBITS, made.abbrev),
        ]
        if made.rnglists:
            out.append(Section(".debug_rnglists", SHT_PROGBITS, made.rnglists))
    return out + debug_section(debug.kernels)


def _symbol_table(program: Program) -> tuple[bytes, bytes, int]:
    """.symtab, .strtab, and the index of the first global symbol."""
    symbols = dict(program.symbols)
    for k in program.kernels.values():
        symbols[k.name] = Symbol(k.name, k.entry, "text", k.end - k.entry, is_global=True)
    table, strings = bytearray(SYMBOL.size), bytearray(b"\0")
    ordered = sorted(symbols.values(), key=lambda s: (s.is_global, s.section, s.address))
    for s in ordered:
        bind = STB_GLOBAL if s.is_global else STB_LOCAL
        kind = STT_FUNC if s.name in program.kernels else STT_NOTYPE
        index = 1 if s.section == "text" else 2  # sections .text and .rodata
        table += SYMBOL.pack(len(strings), bind << 4 | kind, 0, index, s.address, s.size)
        strings += s.name.encode() + b"\0"
    first_global = 1 + sum(not s.is_global for s in ordered)
    return bytes(table), bytes(strings), first_global


_KINDS = (STT_NOTYPE, STT_FUNC)


# -- reading -------------------------------------------------------------------------------------


def read_elf(data: bytes, name: str = "<elf>") -> Program:
    """The program of an ELF file. Raises Fault (loader), one line that begins with `name`."""
    extensions.check()
    file = Reader(data, name, ET_DYN)
    version = file.isa_version()
    text, rodata = file.section(".text", SHT_PROGBITS), file.section(".rodata", SHT_PROGBITS, required=False)
    program = Program(text, rodata, isa_version=version, name=name)
    address = file.sections[".text"].address
    if len(text) % INSTRUCTION_BYTES or address:
        file.bad(f".text is no whole number of instructions at address 0: {len(text)} bytes at {address:#x}")
    if ".rodata" in file.sections and (address := file.sections[".rodata"].address) != program.rodata_address:
        file.bad(f".rodata is at {address:#x}, not right after .text at {program.rodata_address:#x}")
    program.symbols = _symbols(file, program)
    _read_kernels(file, program)
    program.lines = read_lines(file, len(text))
    program.debug = DebugInfo(read_debug(file, program.kernels.values()), program.lines)
    return program


def read_lines(file: Reader, text_size: int) -> Lines:
    """The line table of a file; empty if it has none."""
    data = file.section(".debug_line", SHT_PROGBITS, required=False)
    if not data:
        return Lines()
    try:
        lines = dwarf.read_lines(data, text_size)
        used = int(lines.file.max(initial=-1)) + 1  # behind them are files in which only functions and calls stand
        return Lines(lines.files[:used], lines.pc, lines.file, lines.line, lines.column)
    except dwarf.BadLineTable as e:
        file.bad(f".debug_line: {e}")


def _symbols(file: Reader, program: Program) -> dict[str, Symbol]:
    table, strings = file.section(".symtab", SHT_SYMTAB), file.section(".strtab", SHT_STRTAB)
    if len(table) % SYMBOL.size or not table:
        file.bad(".symtab is damaged")
    numbers = {file.sections[f".{name}"].index: name for name in ("text", "rodata") if f".{name}" in file.sections}
    ends = {"text": (0, len(program.text)), "rodata": (program.rodata_address, program.image_bytes)}
    symbols: dict[str, Symbol] = {}
    known = _names(strings)
    for name_at, info, _, index, value, size in SYMBOL.iter_unpack(table[SYMBOL.size :]):
        name = known.get(name_at)
        if name is None:
            name = file.string(strings, name_at, "a symbol's name")
        section = numbers.get(index)
        if not is_symbol(name) or name in symbols:
            file.bad(f"symbol {name!r} has a name that is reserved, malformed or used twice")
        if section is None or info & 15 not in _KINDS or info >> 4 > STB_GLOBAL:
            file.bad(f"symbol {name!r} is of a kind that Sohu programs do not have")
        low, high = ends[section]
        if not low <= value <= high or size > high - value:
            file.bad(f"symbol {name!r} is outside its section")
        if section == "text" and (value | size) % INSTRUCTION_BYTES:
            file.bad(f"symbol {name!r} is not at an instruction")
        where: Any = section
        symbols[name] = Symbol(name, value, where, size, info >> 4 == STB_GLOBAL)
    return symbols


def _names(strings: bytes) -> dict[int, str]:
    """The texts of a string table by offset, where they begin; without those in other alphabets."""
    out: dict[int, str] = {}
    at = 0
    for raw in strings.split(b"\0")[:-1]:
        if raw.isascii():
            out[at] = raw.decode()
        at += len(raw) + 1
    return out


def _read_kernels(file: Reader, program: Program) -> None:
    places = {s.name: (s.address, s.size) for s in program.symbols.values() if s.section == "text" and s.is_global}
    program.kernels = read_kernels(file, places, program.rodata, program.rodata_address)
    tiles = program.rodata_address + TILE_BYTES * sum(len(k.tiles) for k in program.kernels.values())
    for s in program.symbols.values():
        if s.section == "rodata" and s.address < tiles:
            file.bad(f"symbol {s.name!r} is among the tiles' descriptors")
        if s.size and s.name not in program.kernels:
            file.bad(f"symbol {s.name!r} has a size, but is no kernel")
