"""ELF64 files as such: headers, sections, string tables, the note with the ISA version. Programs: elf.py; objects:
elf_object.py. Format: System V Application Binary Interface, chapters 4 and 5.

The reader trusts nothing: every offset, size, name and number is checked before it is used.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

from sohu.asm.requirements import extensions_used
from sohu.isa import ISA_VERSION, ROWS, Fault
from sohu.isa.extensions import DISABLE

# e_machine. Numbers are assigned upward from 1 (below 300 so far); who has none takes one far above. This one
# reads "SH" in the file, and is in no list of those that binutils, LLVM and Linux know.
EM_SOHU = 0x4853

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
RELA = struct.Struct("<QIIq")  # offset, type, symbol, addend

IDENT = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)  # 64 bits, little-endian, version 1
ET_REL, ET_DYN = 1, 3
PT_LOAD, PT_NOTE = 1, 4
PF_X, PF_R = 1, 4
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE = 1, 2, 3, 4, 7
SHF_ALLOC, SHF_EXEC, SHF_MERGE, SHF_STRINGS, SHF_INFO_LINK = 2, 4, 0x10, 0x20, 0x40
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_FUNC, STT_SECTION = 0, 2, 3
SHN_UNDEF = 0
ALIGN = 64  # of sections and segments, in memory and in the file
PRODUCER = "sohu-asm"

NOTE = struct.Struct("<III8s")  # sizes of owner and contents, type, owner; the contents follow
_NOTE_OWNER = b"Sohu\0\0\0\0"
_NOTE_ISA_VERSION, _NOTE_EXTENSION = 1, 2
_VERSION = struct.Struct("<II")
_MAX_SECTIONS = 256


@dataclass
class Section:
    """A section to be written; `link` and `info` are indices of sections, counted from 1."""

    name: str
    type: int
    data: bytes | bytearray
    flags: int = 0
    address: int = 0
    link: int = 0
    info: int = 0
    align: int = 1
    entry_size: int = 0


def note_section(version: tuple[int, int], text: bytes | bytearray) -> Section:
    """.note.sohu: the version of the instruction set, and every instruction of an extension that some code has."""
    notes = _note(_NOTE_ISA_VERSION, _VERSION.pack(*version))
    for row in extensions_used(text):
        notes += _note(_NOTE_EXTENSION, f"{row.opcode:#05x} {row.mnemonic} {row.package}".encode())
    return Section(".note.sohu", SHT_NOTE, notes, align=4)


def _note(kind: int, data: bytes) -> bytes:
    return NOTE.pack(5, len(data), kind, _NOTE_OWNER) + data + bytes(-len(data) % 4)


def write_file(kind: int, sections: Sequence[Section], entry: int = 0) -> bytes:
    """An ELF file. One of kind ET_DYN has segments, which load its sections."""
    names = bytearray(b"\0")
    name_of = {}
    for name in [*(s.name for s in sections), ".shstrtab"]:
        name_of[name] = len(names)
        names += name.encode() + b"\0"
    sections = [*sections, Section(".shstrtab", SHT_STRTAB, bytes(names))]
    in_memory = [s for s in sections if kind == ET_DYN and ((s.flags & SHF_ALLOC and s.data) or s.type == SHT_NOTE)]
    out = bytearray(HEADER.size + SEGMENT.size * len(in_memory))
    headers, segments = [bytes(SECTION.size)], []
    for s in sections:
        out += bytes(-len(out) % s.align)
        offset, size = len(out), len(s.data)
        headers.append(
            SECTION.pack(
                name_of[s.name], s.type, s.flags, s.address, offset, size, s.link, s.info, s.align, s.entry_size
            )
        )
        if s in in_memory and s.type == SHT_NOTE:
            segments.append(SEGMENT.pack(PT_NOTE, PF_R, offset, 0, 0, size, size, s.align))
        elif s in in_memory:
            access = PF_R | (PF_X if s.flags & SHF_EXEC else 0)
            segments.append(SEGMENT.pack(PT_LOAD, access, offset, s.address, s.address, size, size, ALIGN))
        out += s.data
    out += bytes(-len(out) % 8)
    table = len(out)
    out += b"".join(headers)
    segment_size = SEGMENT.size if kind == ET_DYN else 0
    out[: HEADER.size] = HEADER.pack(
        IDENT, kind, EM_SOHU, 1, entry, HEADER.size if kind == ET_DYN else 0, table, 0, HEADER.size,
        segment_size, len(segments), SECTION.size, len(headers), len(headers) - 1,
    )  # fmt: skip
    out[HEADER.size : HEADER.size + SEGMENT.size * len(segments)] = b"".join(segments)
    return bytes(out)


# -- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A section as it was read."""

    index: int
    type: int
    flags: int
    data: bytes
    address: int
    offset: int  # in the file
    link: int
    info: int
    align: int


class Reader:
    """An ELF file of one kind. Everything raises Fault (loader), one line that begins with the file's name."""

    def __init__(self, data: bytes, name: str, kind: int) -> None:
        self.data = data
        self.name = name
        self.kind = kind
        self.sections: dict[str, Found] = {}
        self._read_sections()

    def bad(self, why: str, help: str = "") -> NoReturn:
        """Raises Fault."""
        raise Fault("loader", f"{self.name}: {why}", help=help)

    def _span(self, offset: int, size: int, what: str) -> bytes:
        if offset > len(self.data) or size > len(self.data) - offset:
            self.bad(f"{what} reaches beyond the end of the file", help="the file is truncated or damaged")
        return self.data[offset : offset + size]

    def _read_sections(self) -> None:
        if self.data[:4] != IDENT[:4]:
            self.bad("not an ELF file" if self.data else "the file is empty", help="assemble it first: sohu-asm")
        header = HEADER.unpack(self._span(0, HEADER.size, "the ELF header"))
        ident, kind, machine, version, _, _, table, _, _, _, _, entry_size, count, names_index = header
        if machine != EM_SOHU:
            self.bad(f"an ELF file for another machine ({machine:#x}); Sohu is {EM_SOHU:#x}")
        if ident != IDENT or kind not in (ET_DYN, ET_REL) or version != 1:
            self.bad("not a Sohu program: 64 bits, little-endian, position-independent")
        if kind != self.kind and kind == ET_REL:
            self.bad("an object file, no program", help="link it first: sohu-asm a.o -o a.elf")
        if kind != self.kind:
            self.bad("a program, which can't be linked again", help="link the objects that it was made of")
        if entry_size != SECTION.size or not 0 < count <= _MAX_SECTIONS or names_index >= count:
            self.bad("its section table is damaged")
        headers = list(SECTION.iter_unpack(self._span(table, count * SECTION.size, "the section table")))
        if sum(size for *_, size, _, _, _, _ in headers) > len(self.data):
            self.bad("its sections overlap")  # else a small file could ask for any amount of memory
        names = self._span(headers[names_index][4], headers[names_index][5], "the section names")
        for i, (name_at, kind, flags, address, offset, size, link, info, align, _) in enumerate(headers[1:], 1):
            name = self.string(names, name_at, "a section's name")
            if name in self.sections:
                self.bad(f"it has two sections {name!r}")
            data = self._span(offset, size, f"section {name!r}")
            self.sections[name] = Found(i, kind, flags, data, address, offset, link, info, align)

    def section(self, name: str, kind: int, required: bool = True) -> bytes:
        """The contents of a section."""
        found = self.sections.get(name)
        if found is None:
            if required:
                self.bad(f"it has no section {name}")
            return b""
        if found.type != kind:
            self.bad(f"section {name} has type {found.type}, not {kind}")
        return found.data

    def string(self, table: bytes, at: int, what: str) -> str:
        """The zero-terminated text at an offset of a string table."""
        end = table.find(b"\0", at) if at < len(table) else -1
        if end < 0:
            self.bad(f"{what} reaches beyond its string table")
        try:
            return table[at:end].decode()
        except UnicodeDecodeError:
            self.bad(f"{what} is no UTF-8")

    def isa_version(self) -> tuple[int, int]:
        """The version of the instruction set, which is one that this toolchain runs, as are all extensions used."""
        version: tuple[int, int] | None = None
        for kind, data in self._notes():
            if kind == _NOTE_ISA_VERSION and len(data) == _VERSION.size and version is None:
                version = _VERSION.unpack(data)
            elif kind == _NOTE_EXTENSION:
                self._extension(data)
            else:
                self.bad(".note.sohu is damaged")
        if version is None:
            self.bad(".note.sohu is damaged")
        if version[0] != ISA_VERSION[0] or version > ISA_VERSION:
            made, own = (".".join(map(str, v)) for v in (version, ISA_VERSION))
            what = "use a newer toolchain" if version > ISA_VERSION else "assemble it again from its source"
            self.bad(f"made for ISA version {made}; this is {own}", help=what)
        return version

    def _notes(self) -> Iterator[tuple[int, bytes]]:
        """(type, contents) of each note."""
        data = self.section(".note.sohu", SHT_NOTE)
        at = 0
        while at < len(data):
            if len(data) - at < NOTE.size:
                self.bad(".note.sohu is damaged")
            name_size, size, kind, owner = NOTE.unpack_from(data, at)
            at += NOTE.size
            if (name_size, owner) != (5, _NOTE_OWNER) or size > len(data) - at:
                self.bad(".note.sohu is damaged")
            yield kind, data[at : at + size]
            at += size + -size % 4

    def _extension(self, note: bytes) -> None:
        """Refuse an instruction of an extension that is another one here, or none."""
        try:
            number, mnemonic, package = note.decode().split(" ")
            opcode = int(number, 16)
        except ValueError:
            self.bad(".note.sohu is damaged")
        row = ROWS.by_opcode.get(opcode)
        if row is not None and (row.mnemonic, row.package) == (mnemonic, package):
            return
        what = f"it uses instruction {mnemonic!r} (opcode {number}) of the extension {package!r}"
        if row is None:
            self.bad(f"{what}, which is not installed", help=f"install the package that has {package}")
        self.bad(f"{what}; here that opcode is {row.mnemonic!r} of {row.package!r}", help=f"{DISABLE} leaves it out")
