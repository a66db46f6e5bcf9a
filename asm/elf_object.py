"""Objects as relocatable ELF64 files (ET_REL).

    .text, .sohu.tiles, .rodata, .rodata.str    the sections of objects.py
    .rela.text, .rela.rodata                    its relocations; S is a section's or another symbol's place
    .symtab, .strtab                            its symbols
    .note.sohu, .sohu.kernels, .debug_*, .sohu.debug    as in programs; places count from the beginning of .text

The debug sections need no relocations: there is one compile unit, whose code begins at 0.
"""

from __future__ import annotations

from typing import get_args

from sohu.asm.debuginfo import DebugInfo
from sohu.asm.elf import debug_sections, read_lines
from sohu.asm.elf_debug import read_debug
from sohu.asm.elf_file import (
    ALIGN,
    ET_REL,
    IDENT,
    RELA,
    SHF_ALLOC,
    SHF_EXEC,
    SHF_INFO_LINK,
    SHF_MERGE,
    SHF_STRINGS,
    SHN_UNDEF,
    SHT_PROGBITS,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    STB_GLOBAL,
    STB_LOCAL,
    STB_WEAK,
    STT_FUNC,
    STT_NOTYPE,
    STT_SECTION,
    SYMBOL,
    Reader,
    Section,
    note_section,
    write_file,
)
from sohu.asm.elf_kernels import kernels_section, read_kernels
from sohu.asm.names import is_local, is_name
from sohu.asm.objects import R_BRANCH, R_DATA, R_OPERAND, RELOCATIONS, Binding, Object, ObjectSymbol, Relocation
from sohu.asm.objects import Section as ObjectSection
from sohu.isa import INSTRUCTION_BYTES, TILE_BYTES, extensions

# Contents of an object and the sections that hold them, which are the first of the file.
NAMES: dict[ObjectSection, str] = {
    "text": ".text",
    "tiles": ".sohu.tiles",
    "rodata": ".rodata",
    "strings": ".rodata.str",
}
_NUMBERS = {section: i for i, section in enumerate(NAMES, 1)}
_BINDINGS: dict[Binding, int] = {"local": STB_LOCAL, "global": STB_GLOBAL, "weak": STB_WEAK}
_DATA_SIZES = {kind: size for size, kind in R_DATA.items()}
assert tuple(NAMES) == get_args(ObjectSection)


def write_object(o: Object) -> bytes:
    """The ELF file of an object."""
    sections = [
        Section(".text", SHT_PROGBITS, o.text, SHF_ALLOC | SHF_EXEC, align=INSTRUCTION_BYTES),
        Section(".sohu.tiles", SHT_PROGBITS, o.tiles, SHF_ALLOC, align=ALIGN),
        Section(".rodata", SHT_PROGBITS, o.rodata, SHF_ALLOC, align=ALIGN),
        Section(".rodata.str", SHT_PROGBITS, o.strings, SHF_ALLOC | SHF_MERGE | SHF_STRINGS, entry_size=1),
        note_section(o.isa_version, o.text),
        kernels_section(o.kernels.values()),
        *debug_sections(o.lines, o.debug, len(o.text)),
    ]
    symbols, strings, first_global, numbers = _symbol_table(o)
    symtab = len(sections) + 1
    sections += [
        Section(".symtab", SHT_SYMTAB, symbols, 0, 0, symtab + 1, first_global, 8, SYMBOL.size),
        Section(".strtab", SHT_STRTAB, strings),
    ]
    for target in ("text", "rodata"):
        relocations = o.text_relocations if target == "text" else o.rodata_relocations
        if relocations:
            data = b"".join([RELA.pack(r.offset, r.type, _number(r, numbers), r.addend) for r in relocations])
            name, applies_to = f".rela.{target}", _NUMBERS[target]
            sections.append(Section(name, SHT_RELA, data, SHF_INFO_LINK, 0, symtab, applies_to, 8, RELA.size))
    return write_file(ET_REL, sections)


def _symbol_table(o: Object) -> tuple[bytes, bytes, int, dict[str, int]]:
    """.symtab, .strtab, the index of the first symbol that is not local, and the index of each name.

    Symbols 1, 2, ... stand for the sections 1, 2, ...
    """
    table, strings = bytearray(SYMBOL.size), bytearray(b"\0")
    for number in _NUMBERS.values():
        table += SYMBOL.pack(0, STB_LOCAL << 4 | STT_SECTION, 0, number, 0, 0)
    ordered = sorted(o.symbols.values(), key=lambda s: (s.binding != "local", _index(s), s.offset))
    for s in ordered:
        kind = STT_FUNC if s.name in o.kernels else STT_NOTYPE
        table += SYMBOL.pack(len(strings), _BINDINGS[s.binding] << 4 | kind, 0, _index(s), s.offset, s.size)
        strings += s.name.encode() + b"\0"
    first = 1 + len(_NUMBERS)
    first_global = first + sum(s.binding == "local" for s in ordered)
    return bytes(table), bytes(strings), first_global, {s.name: i for i, s in enumerate(ordered, first)}


def _index(s: ObjectSymbol) -> int:
    return SHN_UNDEF if s.section is None else _NUMBERS[s.section]


def _number(r: Relocation, numbers: dict[str, int]) -> int:
    """The index of the symbol that a relocation refers to."""
    return numbers[r.symbol] if r.section is None else _NUMBERS[r.section]


# -- reading -------------------------------------------------------------------------------------


def is_elf(data: bytes) -> bool:
    """True for the beginning of an ELF file."""
    return data[:4] == IDENT[:4]


def read_object(data: bytes, name: str = "<object>") -> Object:
    """The object of an ELF file. Raises Fault (loader), one line that begins with `name`."""
    extensions.check()
    return _Loader(Reader(data, name, ET_REL)).load()


class _Loader:
    def __init__(self, file: Reader) -> None:
        self.file = file
        self.names: list[str] = []  # of the symbols that are no sections

    def load(self) -> Object:
        file = self.file
        version = file.isa_version()
        for section, name in NAMES.items():
            if name not in file.sections or file.sections[name].index != _NUMBERS[section]:
                file.bad(f"section {_NUMBERS[section]} is not {name}")
        parts = {section: file.section(name, SHT_PROGBITS) for section, name in NAMES.items()}
        o = Object(file.name, parts["text"], parts["tiles"], parts["rodata"], parts["strings"], isa_version=version)
        if len(o.text) % INSTRUCTION_BYTES:
            file.bad(f".text is no whole number of instructions: {len(o.text)} bytes")
        if o.strings and o.strings[-1]:
            file.bad(".rodata.str does not end with a zero")
        o.symbols = self.symbols(o)
        places = {
            s.name: (s.offset, s.size) for s in o.symbols.values() if s.section == "text" and s.binding == "global"
        }
        o.kernels = read_kernels(file, places, bytes(o.tiles), 0)
        if sum(len(k.tiles) for k in o.kernels.values()) * TILE_BYTES != len(o.tiles):
            file.bad(".sohu.tiles holds more than the kernels' tiles")
        for s in o.symbols.values():
            if s.size and s.name not in o.kernels:
                file.bad(f"symbol {s.name!r} has a size, but is no kernel")
        o.lines = read_lines(file, len(o.text))
        o.debug = DebugInfo(read_debug(file, o.kernels.values()), o.lines)
        o.text_relocations = self.relocations(o, "text")
        o.rodata_relocations = self.relocations(o, "rodata")
        return o

    def symbols(self, o: Object) -> dict[str, ObjectSymbol]:
        """The symbol table: first the sections, then names."""
        file = self.file
        table, strings = file.section(".symtab", SHT_SYMTAB), file.section(".strtab", SHT_STRTAB)
        if len(table) % SYMBOL.size or len(table) < SYMBOL.size * (1 + len(_NUMBERS)):
            file.bad(".symtab is damaged")
        entries = list(SYMBOL.iter_unpack(table[SYMBOL.size :]))
        for number, (_, info, _, index, value, _) in zip(_NUMBERS.values(), entries, strict=False):
            if info != STB_LOCAL << 4 | STT_SECTION or index != number or value:
                file.bad(f"symbol {number} does not stand for section {number}")
        bindings = {number: binding for binding, number in _BINDINGS.items()}
        sections: dict[int, ObjectSection] = {_NUMBERS["text"]: "text", _NUMBERS["rodata"]: "rodata"}
        symbols: dict[str, ObjectSymbol] = {}
        for name_at, info, _, index, value, size in entries[len(_NUMBERS) :]:
            name = file.string(strings, name_at, "a symbol's name")
            if not is_name(name) or is_local(name) or name in symbols:
                file.bad(f"symbol {name!r} has a name that is reserved, malformed or used twice")
            section, binding = sections.get(index), bindings.get(info >> 4)
            if binding is None or info & 15 not in (STT_NOTYPE, STT_FUNC) or (section is None and index != SHN_UNDEF):
                file.bad(f"symbol {name!r} is of a kind that Sohu objects do not have")
            if section is None and (binding == "local" or value or size):
                file.bad(f"symbol {name!r} is defined nowhere, and can't be local or have a place")
            if section is not None and (value > len(o.section(section)) or size > len(o.section(section)) - value):
                file.bad(f"symbol {name!r} is outside its section")
            if section == "text" and (value % INSTRUCTION_BYTES or size % INSTRUCTION_BYTES):
                file.bad(f"symbol {name!r} is not at an instruction")
            symbols[name] = ObjectSymbol(name, section, value, binding, size)
        self.names = list(symbols)
        return symbols

    def relocations(self, o: Object, target: ObjectSection) -> list[Relocation]:
        """The relocations of a section."""
        file, name = self.file, f".rela.{target}"
        data = file.section(name, SHT_RELA, required=False)
        if not data:
            return []
        if len(data) % RELA.size or file.sections[name].info != _NUMBERS[target]:
            file.bad(f"{name} is damaged")
        sections = list(NAMES)
        end = len(o.section(target))
        out = []
        for offset, kind, symbol, addend in RELA.iter_unpack(data):
            size = INSTRUCTION_BYTES if target == "text" else _DATA_SIZES.get(kind, 0)
            if kind not in RELOCATIONS or not size or (target == "text") != (kind == R_BRANCH or kind >= R_OPERAND):
                file.bad(f"{name}: relocation type {kind} does not belong there")
            if offset > end - size or (target == "text" and offset % INSTRUCTION_BYTES):
                file.bad(f"{name}: no relocation can be at {offset:#x}")
            if not 0 < symbol <= len(sections) + len(self.names):
                file.bad(f"{name}: there is no symbol {symbol}")
            if symbol == _NUMBERS["strings"] and not 0 <= addend < len(o.strings):
                file.bad(f"{name}: there is no string at {addend:#x}")
            if symbol <= len(sections):
                out.append(Relocation(offset, kind, sections[symbol - 1], "", addend))
            else:
                out.append(Relocation(offset, kind, None, self.names[symbol - 1 - len(sections)], addend))
        return out
