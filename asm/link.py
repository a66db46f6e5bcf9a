"""The linker: objects in, a Program out.

Each section of the image holds what the objects have for it, in their order. .rodata is, in this order: descriptors
of tiles, the sources' data (each object's at a multiple of 64), and strings, each different one once per program.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from sohu.asm.debuginfo import DebugInfo, KernelDebug
from sohu.asm.diagnostics import MAX_ERRORS, AsmError, Diagnostic, Note
from sohu.asm.lines import Ints, Line, Lines
from sohu.asm.names import nearest
from sohu.asm.numbers import pack_integer
from sohu.asm.objects import R_BRANCH, R_DATA, R_OPERAND, Object, ObjectSymbol, Relocation, Section, takes_address
from sohu.asm.program import RODATA_ALIGN, Kernel, Program, Symbol
from sohu.isa import INSTRUCTION_BYTES, ROWS, EncodingError, Row
from sohu.isa.instruction import OPCODE_BITS

DATA_ALIGN = 64  # of each object's data: the most that .align can ask for
MAX_IMAGE = 1 << 31  # bytes; offsets of instructions are 32-bit, signed

_SIZES = {kind: size for size, kind in R_DATA.items()}
_MANY_PLACES = 3  # of an undefined symbol that are named, beside the first
_SUGGESTIONS = 50  # undefined symbols that get one: comparing is slow


class LinkError(AsmError):
    """Objects that do not fit together. `diagnostics` are in the order of the objects."""


@dataclass
class Placement:
    """Where the sections of one object are in the image."""

    text: int = 0
    tiles: int = 0
    rodata: int = 0
    strings: list[tuple[int, int]] = field(default_factory=list)  # sorted: (offset in the section, in the image)

    def address(self, section: Section, offset: int) -> int:
        """The image offset of a place in a section of the object."""
        if section != "strings":
            start: int = getattr(self, section)
            return start + offset
        own, image = self.strings[max(bisect_right(self.strings, (offset, MAX_IMAGE)) - 1, 0)]
        return image + offset - own


@dataclass
class Layout:
    """Where everything is in the image of a program."""

    placements: list[Placement]  # of each object
    text_size: int
    tiles: int  # image offsets of the parts of .rodata
    data: int
    strings: int
    pool: dict[bytes, int]  # image offset of each string
    size: int


def link(objects: Sequence[Object], name: str = "") -> Program:
    """One program out of some objects, called `name` or as the first of them. Raises LinkError, which holds all
    that is wrong."""
    return _Linker(objects, name).run()


def lay_out(objects: Sequence[Object]) -> Layout:
    """Places for all sections of some objects."""
    placements = [Placement() for _ in objects]
    at = 0
    for o, p in zip(objects, placements, strict=True):
        p.text = at
        at += len(o.text)
    text_size = at
    tiles = at = -(-at // RODATA_ALIGN) * RODATA_ALIGN
    for o, p in zip(objects, placements, strict=True):
        p.tiles = at
        at += len(o.tiles)
    data = at
    for o, p in zip(objects, placements, strict=True):
        if o.rodata:
            at = -(-at // DATA_ALIGN) * DATA_ALIGN
        p.rodata = at
        at += len(o.rodata)
    strings = at
    pool: dict[bytes, int] = {}
    for o, p in zip(objects, placements, strict=True):
        own = 0
        for text in bytes(o.strings).split(b"\0")[:-1]:
            image = pool.setdefault(text, at)
            p.strings.append((own, image))
            own += len(text) + 1
            if image == at:
                at += len(text) + 1
    return Layout(placements, text_size, tiles, data, strings, pool, at)


class _Linker:
    def __init__(self, objects: Sequence[Object], name: str) -> None:
        self.objects = objects
        self.name = name or (objects[0].name if objects else "<program>")
        self.layout = lay_out(objects)
        self.found: list[Diagnostic] = []
        self.more = 0  # errors that are only counted
        self.defined: dict[str, tuple[int, ObjectSymbol]] = {}  # global and weak symbols, with their object's index
        self.undefined: dict[str, list[tuple[Object, str, int]]] = {}  # and where they are used

    def run(self) -> Program:
        """Link; raises LinkError."""
        if self.layout.size > MAX_IMAGE:
            self.bad("L005", f"the image has {self.layout.size} bytes, more than {MAX_IMAGE}", self.name)
            self.check()
        self.collect()
        text = bytearray().join([o.text for o in self.objects])
        rodata = self.rodata()
        data_start = self.layout.tiles
        for i, (o, p) in enumerate(zip(self.objects, self.layout.placements, strict=True)):
            for r in o.text_relocations:
                self.relocate_instruction(i, r, text, p.text + r.offset)
            for r in o.rodata_relocations:
                self.relocate_data(i, r, rodata, p.rodata + r.offset - data_start)
        for symbol, places in self.undefined.items():
            self.report_undefined(symbol, places)
        self.check()
        lines = self.lines()
        return Program(
            text=bytes(text),
            rodata=bytes(rodata),
            symbols=self.symbols(),
            kernels=self.kernels(),
            lines=lines,
            isa_version=max((o.isa_version for o in self.objects), default=Program(b"").isa_version),
            name=self.name,
            debug=DebugInfo(self.debug, lines),
        )

    def bad(
        self, code: str, message: str, file: str, line: Line | None = None, notes: Sequence[str] = (), help: str = ""
    ) -> None:
        """Record an error, at a place of the source if it has one."""
        if len(self.found) >= MAX_ERRORS:
            self.more += 1
            return
        at = (line.file, line.line, line.column) if line else (file, 0, 0)
        self.found.append(Diagnostic(code, message, *at, help=help, notes=tuple(map(Note, notes))))

    def check(self) -> None:
        """Raises LinkError if anything was found."""
        if self.found:
            raise LinkError(self.found, self.more)

    # -- symbols ---------------------------------------------------------------------------------

    def collect(self) -> None:
        """Find the one definition of every global name."""
        for i, o in enumerate(self.objects):
            for s in o.symbols.values():
                if not s.is_defined or s.binding == "local":
                    continue
                other = self.defined.get(s.name)
                if other is None or (other[1].binding == "weak" and s.binding == "global"):
                    self.defined[s.name] = (i, s)
                elif other[1].binding == s.binding == "global":
                    first = self.where(self.objects[other[0]], other[1])
                    what = "kernel" if s.name in o.kernels else "symbol"
                    line = _line_of(o, s.section, s.offset)
                    notes = (f"it is defined in {first} too",)
                    self.bad("L002", f"{what} {s.name!r} is defined twice", o.name, line, notes)

    def where(self, o: Object, s: ObjectSymbol) -> str:
        """The place of a definition, for a message."""
        line = _line_of(o, s.section, s.offset)
        return f"{line.file}:{line.line}" if line else o.name

    def target(self, index: int, r: Relocation, section: str) -> tuple[Section, int] | None:
        """(section, image offset) that a relocation means; None where its symbol is defined nowhere."""
        at = index
        where, offset = r.section, 0
        if where is None:
            symbol = self.objects[index].symbols[r.symbol]
            if symbol.binding != "local":
                found = self.defined.get(r.symbol)
                if found is None:
                    if symbol.binding == "weak" and r.type != R_BRANCH:
                        return "text", r.addend
                    self.undefined.setdefault(r.symbol, []).append((self.objects[index], section, r.offset))
                    return None
                at, symbol = found
            assert symbol.section is not None
            where, offset = symbol.section, symbol.offset
        return where, self.layout.placements[at].address(where, offset + r.addend)

    def report_undefined(self, symbol: str, places: list[tuple[Object, str, int]]) -> None:
        """One error for a symbol that no object defines."""
        first, *more = [
            _line_of(o, section, offset) or f"{o.name}:.{section}+{offset:#x}"
            for o, section, offset in places[: _MANY_PLACES + 1]
        ]
        notes = [f"it is used {_text_of(p)} too" for p in more]
        if len(places) > _MANY_PLACES + 1:
            notes.append(f"and in {len(places) - _MANY_PLACES - 1} more places")
        help = nearest(symbol, self.defined) if len(self.found) < _SUGGESTIONS else ""
        for o in self.objects:
            s = o.symbols.get(symbol)
            if s is not None and s.binding == "weak":
                help = "a weak name that nobody defines is 0, and nothing that can be called"
            elif s is not None and s.is_defined:  # then it is local
                help = f"{self.where(o, s)} has a label of this name: make it visible with .globl {symbol}"
        line = first if isinstance(first, Line) else None
        self.bad("L001", f"{symbol!r} is not defined in any file", places[0][0].name, line, notes, help)

    # -- relocations -----------------------------------------------------------------------------

    def relocate_instruction(self, index: int, r: Relocation, text: bytearray, pc: int) -> None:
        """Fill in an operand."""
        found = self.target(index, r, "text")
        if found is None:
            return
        section, value = found
        word = int.from_bytes(text[pc : pc + INSTRUCTION_BYTES], "little")
        row = ROWS.by_opcode.get(word & ((1 << OPCODE_BITS) - 1))
        position = operand_position(row, r.type)
        o = self.objects[index]
        if row is None or position is None:
            self.bad("L004", f"relocation {r.type} does not fit the instruction", o.name, _line_of(o, "text", r.offset))
            return
        if r.type == R_BRANCH:
            value -= pc
            if section != "text":
                line = _line_of(o, "text", r.offset)
                self.bad("L003", f"{row.mnemonic}: {r.symbol!r} is data, no code", o.name, line)
                return
        operand = row.operands[position]
        mask = (1 << operand.kind.bits) - 1
        try:
            word = word & ~(mask << operand.low) | operand.kind.encode(value) << operand.low
        except EncodingError as e:
            line = _line_of(o, "text", r.offset)
            self.bad("L003", f"{row.mnemonic}: operand {operand.name}: {e.message}", o.name, line)
            return
        text[pc : pc + INSTRUCTION_BYTES] = word.to_bytes(INSTRUCTION_BYTES, "little")

    def relocate_data(self, index: int, r: Relocation, rodata: bytearray, at: int) -> None:
        """Fill in a number in .rodata."""
        found = self.target(index, r, "rodata")
        if found is None:
            return
        size = _SIZES[r.type]
        try:
            rodata[at : at + size] = pack_integer(found[1], 8 * size)
        except ValueError as e:
            o = self.objects[index]
            place = f".rodata+{r.offset:#x}{_nearest_label(o, r.offset)}"
            self.bad("L003", f"{place}: the address {e}", o.name)

    # -- the program -----------------------------------------------------------------------------

    def rodata(self) -> bytearray:
        """.rodata, with zeros where relocations will write."""
        layout = self.layout
        out = bytearray().join([o.tiles for o in self.objects])
        for o, p in zip(self.objects, layout.placements, strict=True):
            out += bytes(p.rodata - layout.tiles - len(out))
            out += o.rodata
        for text in layout.pool:
            out += text + b"\0"
        return out

    def kernels(self) -> dict[str, Kernel]:
        """The kernels of all objects."""
        kernels = {}
        for o, p in zip(self.objects, self.layout.placements, strict=True):
            for k in o.kernels.values():
                tiles = tuple(replace(t, address=p.tiles + t.address) for t in k.tiles)
                kernels[k.name] = replace(k, entry=p.text + k.entry, end=p.text + k.end, tiles=tiles)
        return kernels

    def debug(self) -> Iterator[KernelDebug]:
        """What is known of the kernels of all objects."""
        for o, p in zip(self.objects, self.layout.placements, strict=True):
            yield from o.debug.moved(p.text)

    def symbols(self) -> dict[str, Symbol]:
        """The symbol table: global names, and local ones, with a number where another file has the same."""
        table: dict[str, Symbol] = {}
        for name, (i, s) in self.defined.items():
            table[name] = self.symbol(name, i, s, is_global=True)
        counts: dict[str, int] = {}
        for i, o in enumerate(self.objects):
            for s in o.symbols.values():
                if s.is_defined and s.binding == "local":
                    name = s.name
                    while name in table:
                        counts[s.name] = counts.get(s.name, 0) + 1
                        name = f"{s.name}.{counts[s.name]}"
                    table[name] = self.symbol(name, i, s, is_global=False)
        return table

    def symbol(self, name: str, index: int, s: ObjectSymbol, is_global: bool) -> Symbol:
        """A symbol of the program."""
        where: Literal["text", "rodata"] = "text" if s.section == "text" else "rodata"
        assert s.section is not None
        address = self.layout.placements[index].address(s.section, s.offset)
        return Symbol(name, address, where, s.size, is_global)

    def lines(self) -> Lines:
        """The source places of all objects."""
        files: dict[str, int] = {}
        columns: list[tuple[Ints, ...]] = []
        for o, p in zip(self.objects, self.layout.placements, strict=True):
            own = np.array([files.setdefault(f, len(files)) for f in o.lines.files], np.int32)
            if len(o.lines):
                columns.append((o.lines.pc + p.text, own[o.lines.file], o.lines.line, o.lines.column))
        return Lines(tuple(files), *map(np.concatenate, zip(*columns, strict=True)))


def operand_position(row: Row | None, kind: int) -> int | None:
    """Which operand of its instruction a relocation of this type fills in; None where the two do not go together."""
    if row is None:
        return None
    if kind == R_BRANCH:
        return row.label_operand
    position = kind - R_OPERAND
    return position if 0 <= position < len(row.operands) and takes_address(row, position) else None


def _line_of(o: Object, section: str | None, offset: int) -> Line | None:
    """The source place of an instruction of an object."""
    if section != "text":
        return None
    return o.lines.at(offset)


def _nearest_label(o: Object, offset: int) -> str:
    """` (after 'name')`: the label of .rodata that most closely precedes a place, or ""."""
    before = [s for s in o.symbols.values() if s.section == "rodata" and s.offset <= offset]
    return f" (after {max(before, key=lambda s: s.offset).name!r})" if before else ""


def _text_of(place: Line | str) -> str:
    return f"at {place.file}:{place.line}" if isinstance(place, Line) else f"in {place}"
