"""Programs as ELF64 files.

Sections: .text (address 0), .rodata (next multiple of 4096), .symtab, .strtab, .note.sohu (ISA version: two
u32), .sohu.kernels (JSON: parameters, tiles, bounds and semaphores of kernels), .debug_line, .debug_info,
.debug_abbrev. Format: System V Application Binary Interface, chapters 4 and 5.

The reader trusts nothing: every offset, size, name and number is checked before it is used.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any, NoReturn

from sohu.asm import dwarf
from sohu.asm.kernels import bad_tile
from sohu.asm.names import RegisterFile, declarable, is_local, is_name
from sohu.asm.program import Direction, Kernel, Param, Program, Symbol, TileSymbol
from sohu.isa import DTYPES, INSTRUCTION_BYTES, ISA_VERSION, TILE_BYTES, Fault, Tile, extensions
from sohu.isa.machine import MAX_RANK

# e_machine. Numbers are assigned upward from 1 (below 300 so far); who has none takes one far above. This one
# reads "SH" in the file, and is in no list of those that binutils, LLVM and Linux know.
EM_SOHU = 0x4853

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NOTE = struct.Struct("<III8sII")

_IDENT = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)  # 64 bits, little-endian, version 1
_ET_DYN = 3  # the image runs wherever it is loaded
_PT_LOAD, _PT_NOTE = 1, 4
_PF_X, _PF_R = 1, 4
_SHT_PROGBITS, _SHT_SYMTAB, _SHT_STRTAB, _SHT_NOTE = 1, 2, 3, 7
_SHF_ALLOC, _SHF_EXEC = 2, 4
_STB_LOCAL, _STB_GLOBAL = 0, 1
_STT_NOTYPE, _STT_FUNC = 0, 2
_NOTE_OWNER = b"Sohu\0\0\0\0"
_NOTE_ISA_VERSION = 1
_ALIGN = 64  # of sections and segments, in memory and in the file
_PRODUCER = "sohu-asm"
_KERNELS_FORMAT = 1  # version of the JSON in .sohu.kernels

_MAX_SECTIONS = 256


# -- writing -------------------------------------------------------------------------------------


@dataclass
class _Section:
    name: str
    type: int
    data: bytes
    flags: int = 0
    address: int = 0
    link: int = 0
    info: int = 0
    align: int = 1
    entry_size: int = 0


def write_elf(program: Program) -> bytes:
    """The ELF file of a program."""
    sections = [
        _Section(".text", _SHT_PROGBITS, program.text, _SHF_ALLOC | _SHF_EXEC, align=_ALIGN),
        _Section(".rodata", _SHT_PROGBITS, program.rodata, _SHF_ALLOC, program.rodata_address, align=_ALIGN),
        _Section(".note.sohu", _SHT_NOTE, _note(program), align=4),
        _Section(".sohu.kernels", _SHT_PROGBITS, _kernels_json(program)),
    ]
    if program.lines:
        end = len(program.text)
        # the source's name, not the assembly file's: what is disassembled assembles to the same file
        info, abbrev = dwarf.info_sections(program.lines[0].file, _PRODUCER, 0, end)
        sections += [
            _Section(".debug_line", _SHT_PROGBITS, dwarf.line_section(program.lines, end)),
            _Section(".debug_info", _SHT_PROGBITS, info),
            _Section(".debug_abbrev", _SHT_PROGBITS, abbrev),
        ]
    symbols, strings, first_global = _symbol_table(program)
    strtab = len(sections) + 2  # after the null section and .symtab
    sections += [
        _Section(".symtab", _SHT_SYMTAB, symbols, 0, 0, strtab, first_global, 8, _SYMBOL.size),
        _Section(".strtab", _SHT_STRTAB, strings),
    ]
    return _file(program, sections)


def _note(program: Program) -> bytes:
    return _NOTE.pack(5, 8, _NOTE_ISA_VERSION, _NOTE_OWNER, *program.isa_version)


def _kernels_json(program: Program) -> bytes:
    kernels = []
    for k in program.kernels.values():
        params = [
            {"name": p.name, "direction": p.direction, "reg": p.reg}
            | ({"dtype": str(p.dtype), "dims": list(p.dims)} if p.is_tensor else {})
            for p in k.params
        ]
        tiles = [{"name": t.name, "reg": t.reg, "address": t.address} for t in k.tiles]
        kernels.append(
            {"name": k.name, "params": params, "tiles": tiles, "bounds": k.bounds, "semaphores": k.semaphores}
        )
    return json.dumps({"format": _KERNELS_FORMAT, "kernels": kernels}, ensure_ascii=False).encode()


def _symbol_table(program: Program) -> tuple[bytes, bytes, int]:
    """.symtab, .strtab, and the index of the first global symbol."""
    symbols = dict(program.symbols)
    for k in program.kernels.values():
        symbols[k.name] = Symbol(k.name, k.entry, "text", k.end - k.entry, is_global=True)
    table, strings = bytearray(_SYMBOL.size), bytearray(b"\0")
    ordered = sorted(symbols.values(), key=lambda s: (s.is_global, s.section, s.address))
    for s in ordered:
        bind = _STB_GLOBAL if s.is_global else _STB_LOCAL
        kind = _STT_FUNC if s.name in program.kernels else _STT_NOTYPE
        index = 1 if s.section == "text" else 2  # sections .text and .rodata
        table += _SYMBOL.pack(len(strings), bind << 4 | kind, 0, index, s.address, s.size)
        strings += s.name.encode() + b"\0"
    first_global = 1 + sum(not s.is_global for s in ordered)
    return bytes(table), bytes(strings), first_global


def _file(program: Program, sections: list[_Section]) -> bytes:
    names = bytearray(b"\0")
    name_of = {}
    for name in [*(s.name for s in sections), ".shstrtab"]:
        name_of[name] = len(names)
        names += name.encode() + b"\0"
    sections = [*sections, _Section(".shstrtab", _SHT_STRTAB, bytes(names))]
    loaded = [s for s in sections if s.flags & _SHF_ALLOC and s.data]
    out = bytearray(_HEADER.size + _SEGMENT.size * (len(loaded) + 1))
    headers, segments = [bytes(_SECTION.size)], []
    for s in sections:
        out += bytes(-len(out) % s.align)
        offset, size = len(out), len(s.data)
        headers.append(
            _SECTION.pack(
                name_of[s.name],
                s.type,
                s.flags,
                s.address,
                offset,
                size,
                s.link,
                s.info,
                s.align,
                s.entry_size,
            )
        )
        if s in loaded:
            access = _PF_R | (_PF_X if s.flags & _SHF_EXEC else 0)
            segments.append(_SEGMENT.pack(_PT_LOAD, access, offset, s.address, s.address, size, size, _ALIGN))
        elif s.type == _SHT_NOTE:
            segments.append(_SEGMENT.pack(_PT_NOTE, _PF_R, offset, 0, 0, size, size, s.align))
        out += s.data
    out += bytes(-len(out) % 8)
    table = len(out)
    out += b"".join(headers)
    entry = min((k.entry for k in program.kernels.values()), default=0)
    out[: _HEADER.size] = _HEADER.pack(
        _IDENT, _ET_DYN, EM_SOHU, 1, entry, _HEADER.size, table, 0, _HEADER.size,
        _SEGMENT.size, len(segments), _SECTION.size, len(headers), len(headers) - 1,
    )  # fmt: skip
    out[_HEADER.size : _HEADER.size + _SEGMENT.size * len(segments)] = b"".join(segments)
    return bytes(out)


# -- reading -------------------------------------------------------------------------------------


def read_elf(data: bytes, name: str = "<elf>") -> Program:
    """The program of an ELF file. Raises Fault (loader), one line that begins with `name`."""
    extensions.check()
    return _Loader(data, name).load()


class _Loader:
    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.numbers: dict[int, str] = {}  # index of .text and .rodata in the section table
        self.sections: dict[str, tuple[int, bytes, int]] = {}  # type, contents, address
        self.next_tile = 0  # where the next tile's descriptor belongs

    def bad(self, why: str, help: str = "") -> NoReturn:
        raise Fault("loader", f"{self.name}: {why}", help=help)

    def load(self) -> Program:
        self.read_sections()
        version = self.isa_version()
        text, address = self.section(".text", _SHT_PROGBITS)
        rodata, rodata_address = self.section(".rodata", _SHT_PROGBITS, required=False)
        program = Program(text, rodata, isa_version=version, name=self.name)
        if len(text) % INSTRUCTION_BYTES or address:
            self.bad(f".text is no whole number of instructions at address 0: {len(text)} bytes at {address:#x}")
        if ".rodata" in self.sections and rodata_address != program.rodata_address:
            self.bad(f".rodata is at {rodata_address:#x}, not right after .text at {program.rodata_address:#x}")
        program.symbols = self.symbols(program)
        program.kernels = self.kernels(program)
        lines, _ = self.section(".debug_line", _SHT_PROGBITS, required=False)
        if lines:
            try:
                program.lines = dwarf.read_lines(lines, len(text))
            except dwarf.BadLineTable as e:
                self.bad(f".debug_line: {e}")
        return program

    def span(self, offset: int, size: int, what: str) -> bytes:
        if offset > len(self.data) or size > len(self.data) - offset:
            self.bad(f"{what} reaches beyond the end of the file", help="the file is truncated or damaged")
        return self.data[offset : offset + size]

    def read_sections(self) -> None:
        if self.data[:4] != _IDENT[:4]:
            self.bad("not an ELF file" if self.data else "the file is empty", help="assemble it first: sohu-asm")
        header = _HEADER.unpack(self.span(0, _HEADER.size, "the ELF header"))
        ident, kind, machine, version, _, _, table, _, _, _, _, entry_size, count, names_index = header
        if machine != EM_SOHU:
            self.bad(f"an ELF file for another machine ({machine:#x}); Sohu is {EM_SOHU:#x}")
        if ident != _IDENT or kind != _ET_DYN or version != 1:
            self.bad("not a Sohu program: 64 bits, little-endian, position-independent")
        if entry_size != _SECTION.size or not 0 < count <= _MAX_SECTIONS or names_index >= count:
            self.bad("its section table is damaged")
        raw = self.span(table, count * _SECTION.size, "the section table")
        headers = list(_SECTION.iter_unpack(raw))
        names = self.span(headers[names_index][4], headers[names_index][5], "the section names")
        for i, (name_at, kind, _, address, offset, size, _, _, _, _) in enumerate(headers[1:], 1):
            name = self.string(names, name_at, "a section's name")
            if name in self.sections:
                self.bad(f"it has two sections {name!r}")
            if name in (".text", ".rodata"):
                self.numbers[i] = name[1:]
            self.sections[name] = (kind, self.span(offset, size, f"section {name!r}"), address)

    def section(self, name: str, kind: int, required: bool = True) -> tuple[bytes, int]:
        """Contents and address."""
        if name not in self.sections:
            if required:
                self.bad(f"it has no section {name}")
            return b"", 0
        found, data, address = self.sections[name]
        if found != kind:
            self.bad(f"section {name} has type {found}, not {kind}")
        return data, address

    def string(self, table: bytes, at: int, what: str) -> str:
        end = table.find(b"\0", at) if at < len(table) else -1
        if end < 0:
            self.bad(f"{what} reaches beyond its string table")
        try:
            return table[at:end].decode()
        except UnicodeDecodeError:
            self.bad(f"{what} is no UTF-8")

    def isa_version(self) -> tuple[int, int]:
        note, _ = self.section(".note.sohu", _SHT_NOTE)
        if len(note) != _NOTE.size:
            self.bad(".note.sohu is damaged")
        *head, major, minor = _NOTE.unpack(note)
        if head != [5, 8, _NOTE_ISA_VERSION, _NOTE_OWNER]:
            self.bad(".note.sohu is damaged")
        if major != ISA_VERSION[0] or minor > ISA_VERSION[1]:
            own = ".".join(map(str, ISA_VERSION))
            newer = (major, minor) > ISA_VERSION
            what = "use a newer toolchain" if newer else "assemble it again from its source"
            self.bad(f"made for ISA version {major}.{minor}; this is {own}", help=what)
        return major, minor

    def symbols(self, program: Program) -> dict[str, Symbol]:
        table, _ = self.section(".symtab", _SHT_SYMTAB)
        strings, _ = self.section(".strtab", _SHT_STRTAB)
        if len(table) % _SYMBOL.size or not table:
            self.bad(".symtab is damaged")
        ends = {"text": (0, len(program.text)), "rodata": (program.rodata_address, program.image_bytes)}
        symbols: dict[str, Symbol] = {}
        for name_at, info, _, index, value, size in _SYMBOL.iter_unpack(table[_SYMBOL.size :]):
            name = self.string(strings, name_at, "a symbol's name")
            section = self.numbers.get(index)
            if not is_name(name) or is_local(name) or name in symbols:
                self.bad(f"symbol {name!r} has a name that is reserved, malformed or used twice")
            if section is None or info & 15 not in (_STT_NOTYPE, _STT_FUNC) or info >> 4 > _STB_GLOBAL:
                self.bad(f"symbol {name!r} is of a kind that Sohu programs do not have")
            low, high = ends[section]
            if not low <= value <= high or size > high - value:
                self.bad(f"symbol {name!r} is outside its section")
            if section == "text" and (value % INSTRUCTION_BYTES or size % INSTRUCTION_BYTES):
                self.bad(f"symbol {name!r} is not at an instruction")
            where: Any = section
            symbols[name] = Symbol(name, value, where, size, info >> 4 == _STB_GLOBAL)
        return symbols

    # -- kernels ---------------------------------------------------------------------------------

    def kernels(self, program: Program) -> dict[str, Kernel]:
        raw, _ = self.section(".sohu.kernels", _SHT_PROGBITS)
        try:
            described = json.loads(raw.decode(), object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            self.bad(".sohu.kernels is no JSON")
        top = self.record(described, {"format": int, "kernels": list}, "the description of kernels")
        if top["format"] != _KERNELS_FORMAT:
            self.bad(f".sohu.kernels has format {top['format']}; this toolchain reads {_KERNELS_FORMAT}")
        kernels: dict[str, Kernel] = {}
        end = 0
        self.next_tile = program.rodata_address
        for k in top["kernels"]:
            kernel = self.kernel(k, program)
            if kernel.entry < end:
                self.bad(f"kernel {kernel.name!r} overlaps another, or they are out of order")
            end = kernel.end
            kernels[kernel.name] = kernel
        for s in program.symbols.values():
            if s.section == "rodata" and s.address < self.next_tile:
                self.bad(f"symbol {s.name!r} is among the tiles' descriptors")
            if s.size and s.name not in kernels:
                self.bad(f"symbol {s.name!r} has a size, but is no kernel")
        return kernels

    def record(self, value: Any, keys: dict[str, type], what: str) -> dict[str, Any]:
        """`value` as an object with exactly these keys, of these types."""
        if not isinstance(value, dict) or set(value) != set(keys):
            self.bad(f".sohu.kernels: {what} wants {', '.join(keys)}")
        for key, kind in keys.items():
            if type(value[key]) is not kind:
                self.bad(f".sohu.kernels: {key} of {what} is no {kind.__name__}")
        return value

    def kernel(self, described: Any, program: Program) -> Kernel:
        keys: dict[str, type] = {"name": str, "params": list, "tiles": list, "bounds": dict, "semaphores": dict}
        k = self.record(described, keys, "a kernel")
        name = k["name"]
        symbol = program.symbols.get(name)
        if symbol is None or symbol.section != "text" or not symbol.is_global:
            self.bad(f"kernel {name!r} has no global symbol in .text")
        what = f"kernel {name!r}"
        params = tuple(self.param(p, what) for p in k["params"])
        tiles = tuple(self.tile(t, what, program) for t in k["tiles"])
        dims = {d for p in params for d in p.dims}
        for dim, size in k["bounds"].items():
            if dim not in dims or not self.is_size(size):
                self.bad(f"{what}: the bound {dim!r}: {size!r} is none")
        held: list[tuple[str, RegisterFile, Any]] = [(p.name, "t" if p.is_tensor else "x", p.reg) for p in params]
        held += [(t.name, "t", t.reg) for t in tiles]
        held += [(s, "s", reg) for s, reg in k["semaphores"].items()]
        for own, file, reg in held:
            if not is_name(own) or type(reg) is not int or reg not in declarable(file):
                self.bad(f"{what}: {own!r} in {file}{reg} is no declaration")
        if len({own for own, _, _ in held}) < len(held) or len({h[1:] for h in held}) < len(held):
            self.bad(f"{what}: a name or a register is declared twice")
        return Kernel(name, symbol.address, symbol.address + symbol.size, params, tiles, k["bounds"], k["semaphores"])

    def is_size(self, value: Any) -> bool:
        return type(value) is int and 0 <= value < 1 << 32

    def param(self, described: Any, kernel: str) -> Param:
        what = f"a parameter of {kernel}"
        keys: dict[str, type] = {"name": str, "direction": str, "reg": int}
        if isinstance(described, dict) and "dtype" in described:
            keys |= {"dtype": str, "dims": list}
        p = self.record(described, keys, what)
        direction: Direction = p["direction"]
        if direction not in (("in", "out", "inout") if "dtype" in p else ("i64", "f32")):
            self.bad(f".sohu.kernels: {what} has direction {direction!r}")
        if "dtype" not in p:
            return Param(p["name"], direction, reg=p["reg"])
        good = 1 <= len(p["dims"]) <= MAX_RANK and all(
            is_name(d) if isinstance(d, str) else self.is_size(d) for d in p["dims"]
        )
        if p["dtype"] not in DTYPES or not good:
            self.bad(f".sohu.kernels: {what} has dtype {p['dtype']!r}, dimensions {p['dims']!r}")
        return Param(p["name"], direction, DTYPES[p["dtype"]], tuple(p["dims"]), p["reg"])

    def tile(self, described: Any, kernel: str, program: Program) -> TileSymbol:
        t = self.record(described, {"name": str, "reg": int, "address": int}, f"a tile of {kernel}")
        offset = t["address"] - program.rodata_address
        if t["address"] != self.next_tile or offset > len(program.rodata) - TILE_BYTES:
            self.bad(f"{kernel}: the descriptor of tile {t['name']!r} is not where it belongs in .rodata")
        self.next_tile += TILE_BYTES
        try:
            tile = Tile.unpack(program.rodata[offset : offset + TILE_BYTES])
        except Fault as e:
            self.bad(f"{kernel}: tile {t['name']!r}: {e.message}")
        if why := bad_tile(tile):
            self.bad(f"{kernel}: tile {t['name']!r}: {why}")
        return TileSymbol(t["name"], t["reg"], tile, t["address"])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found
