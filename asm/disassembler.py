"""A Program as assembly text that assembles to the same program."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from dataclasses import dataclass

import numpy as np
from sohu.asm.debug_text import debug_text
from sohu.asm.dwarf_info import files_of
from sohu.asm.kernels import prologue
from sohu.asm.names import is_local
from sohu.asm.printer import ColumnPrinter, Names, string_at
from sohu.asm.program import Kernel, Param, Program, TileSymbol
from sohu.asm.syntax import quote
from sohu.isa import INSTRUCTION_BYTES, TILE_BYTES, Inst, encode, row_major
from sohu.isa.operands import Str
from sohu.isa.vector import decode_all

_INDENT = " " * 8
_PER_LINE = 16  # bytes of data
_MANY_ZEROS = 32


def disassemble(program: Program) -> str:
    """Assembly text of a program.

    It assembles to the same .text and .rodata, symbols, kernels and, if it has any, source places. Words that are no
    instruction become `.inst`; a kernel whose code does not begin with the usual prologue says noprologue.
    """
    return "\n".join(_Disassembler(program).lines()) + "\n"


@dataclass
class _Strings:
    """The tail of .rodata that holds strings as the assembler would put them."""

    start: int  # image offset
    offsets: set[int]


class _SourceNames(Names):
    """Names for text that is to be assembled again."""

    pool: Set[int] = frozenset()

    def string(self, offset: int) -> str:
        """A string if the assembler will put it in the same place, else a label or number."""
        return super().string(offset) if offset in self.pool else self.data.get(offset, str(offset))


class _Disassembler:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.decoded = decode_all(program.text)
        self.names = _SourceNames(program)
        self.invent_labels()
        self.descriptors = self.find_descriptors()
        self.pool = self.find_strings()
        self.names.pool = self.pool.offsets
        self.files: dict[str, int] = {}  # numbered as they are first used
        used, first = np.unique(program.lines.file, return_index=True)
        for file in used[np.argsort(first)].tolist():
            self.files.setdefault(program.lines.files[file], len(self.files) + 1)
        for name in files_of(program.debug.kernels):
            self.files.setdefault(name, len(self.files) + 1)
        # the number of each line's file
        self.file_numbers = np.array([self.files.get(name, 0) for name in program.lines.files])[program.lines.file]

    # -- what there is ---------------------------------------------------------------------------

    def invent_labels(self) -> None:
        """Names for places that instructions jump to and that have none."""
        size = len(self.program.text)
        targets: set[int] = set()
        for group in self.decoded.groups:
            if (operand := group.row.label_operand) is not None:
                to = np.unique(group.at * INSTRUCTION_BYTES + group.operands[operand].values)
                targets.update(to[(to >= 0) & (to <= size)].tolist())
        missing = sorted(targets - self.names.labels.keys())
        for n, target in enumerate(missing, 1):
            self.names.labels[target] = f".L{n}"

    def find_descriptors(self) -> int:
        """How many tile descriptors open .rodata; 0 when they are not where the assembler puts them."""
        tiles = [t for k in self.names.kernels for t in k.tiles]
        start = self.program.rodata_address
        rodata = self.program.rodata
        for i, t in enumerate(tiles):
            if t.address != start + i * TILE_BYTES or rodata[i * TILE_BYTES :][:TILE_BYTES] != t.tile.pack():
                for k, called in zip(self.names.kernels, self.names.tiles, strict=True):
                    for lost in k.tiles:
                        del called[lost.reg]
                return 0
        return len(tiles)

    @property
    def data_start(self) -> int:
        """Image offset after the descriptors."""
        return self.program.rodata_address + self.descriptors * TILE_BYTES

    def find_strings(self) -> _Strings:
        """The strings that instructions name, as far as they end .rodata, each once, in the order of use."""
        p = self.program
        uses: list[tuple[int, int, int]] = []  # place, operand, offset
        for group in self.decoded.groups:
            for n, (o, column) in enumerate(zip(group.row.operands, group.operands, strict=True)):
                if isinstance(o.kind, Str):
                    uses += ((at, n, v) for at, v in zip(group.at.tolist(), column.values.tolist(), strict=True))
        order: dict[int, int] = {}  # offset -> when it is first used
        for _, _, offset in sorted(uses):
            order.setdefault(offset, len(order))
        lowest = max([self.data_start, *self.names.data])  # labels can't stand between strings
        start, used, seen = p.image_bytes, len(order), set[bytes]()
        offsets: set[int] = set()
        for offset in sorted(order, reverse=True):
            text = string_at(p, offset)
            ends_here = text is not None and offset + len(text) + 1 == start
            if text is None or not ends_here or offset < lowest or order[offset] > used or text in seen:
                if offset >= start:
                    continue  # past the image: a number
                break
            seen.add(text)
            offsets.add(offset)
            start, used = offset, order[offset]
        return _Strings(start, offsets)

    # -- printing --------------------------------------------------------------------------------

    def lines(self) -> Iterator[str]:
        """The text, line by line."""
        for name, number in self.files.items():
            yield f"        .file {number} {quote(name.encode())}"
        yield from self.globals()
        yield from self.code()
        yield from self.data()

    def globals(self) -> Iterator[str]:
        for s in self.program.symbols.values():
            if s.is_global and s.name not in self.program.kernels:
                yield f"        .globl {s.name}"

    def code(self) -> Iterator[str]:
        labels: dict[int, list[str]] = {}
        for s in self.program.symbols.values():
            if s.section == "text" and s.name not in self.program.kernels and not is_local(s.name):
                labels.setdefault(s.address, []).append(s.name)
        for pc, name in self.names.labels.items():
            if is_local(name):
                labels.setdefault(pc, []).append(name)
        starts: dict[int, list[Kernel]] = {}
        for k in self.names.kernels:
            starts.setdefault(k.entry, []).append(k)
        ends = {k.end: k for k in self.names.kernels if k.end > k.entry}
        described = {k.entry: k for k in self.program.debug.kernels}
        text = self.instructions(starts.keys())
        done = 0  # instructions that are printed, or part of an implicit prologue
        for pc in sorted(labels.keys() | starts.keys() | ends.keys()):
            at = pc // INSTRUCTION_BYTES
            if at < done or pc > len(self.program.text):
                continue
            if done < at:
                yield "\n".join(text[done:at])
            done = at
            if pc in ends:
                if (known := described.get(ends[pc].entry)) is not None:
                    yield from debug_text(known, self.files)
                yield "        .endkernel"
            for name in labels.get(pc, ()):
                yield f"{name}:"
            for k in starts.get(pc, ()):
                yield ""
                implicit = self.has_prologue(k, labels)
                yield f"        .kernel {k.name}" + ("" if implicit or not _loads(k) else ", noprologue")
                yield from self.place(pc)
                yield from self.declarations(k)
                if implicit:
                    done = at + _loads(k)
                    if _loads(k) and any(self.place(done * INSTRUCTION_BYTES)):
                        yield "        .prologue"
                if k.end == k.entry:
                    yield "        .endkernel"
        if done < len(text):
            yield "\n".join(text[done:])

    def instructions(self, starts: Collection[int]) -> list[str]:
        """Each word's text, after its source place but where a kernel starts."""
        text = ColumnPrinter(self.decoded, self.names).lines(_INDENT)
        lines = self.program.lines
        shown = (lines.pc % INSTRUCTION_BYTES == 0) & (lines.pc >= 0) & (lines.pc < len(self.program.text))
        shown &= ~np.isin(lines.pc, list(starts))
        shown[:-1] &= lines.pc[:-1] != lines.pc[1:]  # the last of a pc counts
        at = lines.pc[shown] // INSTRUCTION_BYTES
        files, numbers, columns = (c[shown].tolist() for c in (self.file_numbers, lines.line, lines.column))
        for i, file, line, column in zip(at.tolist(), files, numbers, columns, strict=True):
            text[i] = f"        .loc {file} {line}{f' {column}' if column else ''}\n{text[i]}"
        return text

    def place(self, pc: int) -> Iterator[str]:
        """The directive of the source place that begins at `pc`, if one does."""
        i = int(np.searchsorted(self.program.lines.pc, pc, "right")) - 1
        if i >= 0 and (line := self.program.lines[i]).pc == pc:
            yield _loc(self.files[line.file], line.line, line.column)

    def has_prologue(self, k: Kernel, labels: dict[int, list[str]]) -> bool:
        """True when the kernel begins with the prologue that the assembler would put there."""
        if k.tiles and not self.descriptors:
            return False
        words = [encode(Inst(*i)) for i in prologue(k.params, [(t.reg, t.address) for t in k.tiles])]
        size = len(words) * INSTRUCTION_BYTES
        code = b"".join(w.to_bytes(INSTRUCTION_BYTES, "little") for w in words)
        inside = range(k.entry + INSTRUCTION_BYTES, k.entry + size, INSTRUCTION_BYTES)
        return (
            k.end - k.entry >= size
            and self.program.text[k.entry : k.entry + size] == code
            and not any(pc in labels or any(self.place(pc)) for pc in inside)
        )

    def declarations(self, k: Kernel) -> Iterator[str]:
        for p in k.params:
            yield _param(p)
        for dim, size in k.bounds.items():
            yield f"        .bound {dim}, {size}"
        for t in k.tiles if self.descriptors else ():
            yield _tile(t)
        for name, reg in k.semaphores.items():
            yield f"        .sem {name}, reg=s{reg}"

    def data(self) -> Iterator[str]:
        p = self.program
        if self.pool.start == self.data_start and not self.names.data:
            return
        yield ""
        yield "        .rodata"
        labels: dict[int, list[str]] = {}
        for s in p.symbols.values():
            if s.section == "rodata":
                labels.setdefault(s.address, []).append(s.name)
        cuts = sorted({self.data_start, self.pool.start, *labels})
        for low, high in zip(cuts, [*cuts[1:], self.pool.start], strict=True):
            for name in labels.get(low, ()):
                yield f"{name}:"
            yield from _bytes(p.rodata[low - p.rodata_address : high - p.rodata_address])


def _loc(file: int, line: int, column: int) -> str:
    return f"        .loc {file} {line} {column}" if column else f"        .loc {file} {line}"


def _loads(k: Kernel) -> int:
    """Instructions of the prologue."""
    return len(k.params) + len(k.tiles)


def _param(p: Param) -> str:
    if not p.is_tensor:
        return f"        .param {p.name}, {p.direction}, reg=x{p.reg}"
    dims = ", ".join(map(str, p.dims))
    return f"        .param {p.name}, {p.direction}, {p.dtype}, [{dims}], reg=t{p.reg}"


def _tile(t: TileSymbol) -> str:
    tile = t.tile
    regs = tile.dimregs or (0,) * tile.rank
    dims = [f"x{r}" + (f"<={d}" if d else "") if r else str(d) for d, r in zip(tile.dims, regs, strict=True)]
    # a dimension without a largest size has no row-major strides, unless it is the first
    known = all(d or not r for d, r in zip(tile.dims[1:], regs[1:], strict=True))
    dense = known and tile.strides == row_major(tile.dims)
    strides = "" if dense else f", strides=[{', '.join(map(str, tile.strides))}]"
    where = f"{tile.space}, {tile.dtype}, [{', '.join(dims)}], at={tile.base:#x}, reg=t{t.reg}"
    return f"        .tile {t.name}, {where}{strides}"


def _bytes(data: bytes) -> Iterator[str]:
    """Data directives for some bytes: text where it reads as such, else numbers."""
    if data.endswith(b"\0") and data.count(b"\0") == 1 and len(data) > 1 and _is_text(data[:-1]):
        yield f"        .asciz {quote(data[:-1])}"
        return
    at = 0
    while at < len(data):
        rest = len(data) - at
        zeros = rest - len(data[at:].lstrip(b"\0"))
        if zeros >= _MANY_ZEROS or (zeros == rest and zeros > _PER_LINE):
            yield f"        .zero {zeros}"
            at += zeros
        else:
            yield f"        .byte {', '.join(f'{b:#04x}' for b in data[at : at + _PER_LINE])}"
            at += _PER_LINE


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().replace("\n", " ").isprintable()
    except UnicodeDecodeError:
        return False
