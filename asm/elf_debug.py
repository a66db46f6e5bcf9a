"""Section .sohu.debug: what debuginfo.py has of kernels, in binary.

All numbers are little-endian. The section is a header, the texts, each ended by a zero and together padded to a
multiple of 4, and for each kernel a record with its tables right behind it. A text is named by its place among the
texts, from 0.

    header      u32 version (1), u32 kernels, u32 texts, u32 bytes of the texts (before padding)
    kernel      u32 entry (pc), u32 instructions, then u32 entries in each of the six tables, in this order
    functions   u32 name, u32 file, u32 line; u32 the function that calls it, u32 file, u32 line, u32 column of the
                call. The first is the kernel itself, which nobody calls: 0xffffffff, then zeros
    scope runs  u32 first instruction, u32 the one after the last, u32 function
    operations  u32 line in the IR, u32 text
    op runs     u32 first instruction, u32 the one after the last, u32 operation
    variables   u32 name, u32 function, u32 how many of the places are its
    places      u32 first instruction, u32 the one after the last, u16 kind, u16 register, u32 zero, u64 value

Kinds of places: 0 the tile whose descriptor is in a tile register; 1 a scalar register (f32: 2); 3 memory at the
value (signed) plus a scalar register (f32: 4); 5 the value itself (signed; as bits of a binary64: 6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, NoReturn

from sohu.asm.debuginfo import (
    IrOp,
    KernelDebug,
    Kind,
    Location,
    Place,
    Run,
    ScalarType,
    Scope,
    Variable,
    constant,
    wrong,
)
from sohu.asm.elf_file import SHT_PROGBITS, Reader, Section
from sohu.asm.program import Kernel
from sohu.isa import INSTRUCTION_BYTES, NUM_SCALARS, NUM_TILES

NAME = ".sohu.debug"
VERSION = 1
_HEADER = struct.Struct("<4I")
_KERNEL = struct.Struct("<8I")
_SCOPE = struct.Struct("<7I")
_RUN = struct.Struct("<3I")
_OP = struct.Struct("<2I")
_VARIABLE = struct.Struct("<3I")
_PLACE = struct.Struct("<2I2HIQ")
_TABLES = (_SCOPE, _RUN, _OP, _RUN, _VARIABLE, _PLACE)
_NOBODY = 0xFFFFFFFF

_KINDS: tuple[tuple[Kind, ScalarType], ...] = (
    ("tile", "i64"),
    ("register", "i64"),
    ("register", "f32"),
    ("memory", "i64"),
    ("memory", "f32"),
    ("constant", "i64"),
    ("constant", "f32"),
)
_REGISTERS: dict[Kind, int] = {"tile": NUM_TILES, "register": NUM_SCALARS, "memory": NUM_SCALARS, "constant": 1}


def debug_section(kernels: Iterable[KernelDebug]) -> list[Section]:
    """The section, if there is anything to say."""
    kernels = list(kernels)
    if not kernels:
        return []
    texts: dict[str, int] = {}
    records = b"".join([_record(k, texts) for k in kernels])
    pool = b"".join([text.encode() + b"\0" for text in texts])
    head = _HEADER.pack(VERSION, len(kernels), len(texts), len(pool))
    return [Section(NAME, SHT_PROGBITS, head + pool + bytes(-len(pool) % 4) + records, align=8)]


def _record(k: KernelDebug, texts: dict[str, int]) -> bytes:
    def text(t: str) -> int:
        return texts.setdefault(t, len(texts))

    scopes = [
        (text(s.function), text(s.file), s.line)
        + ((s.parent, text(s.call[0]), *s.call[1:]) if s.parent >= 0 else (_NOBODY, 0, 0, 0))
        for s in k.scopes
    ]
    ops = [(op.number, text(op.text)) for op in k.ops]
    variables = [(text(v.name), v.scope, len(v.places)) for v in k.variables]
    places = [(p.start, p.end, *_bits(p.location)) for v in k.variables for p in v.places]
    tables: list[Any] = [scopes, k.scope_runs, ops, k.op_runs, variables, places]
    out = [_KERNEL.pack(k.entry, k.size, *map(len, tables))]
    for form, rows in zip(_TABLES, tables, strict=True):
        out += [form.pack(*row) for row in rows]
    return b"".join(out)


def _bits(at: Location) -> tuple[int, int, int, int]:
    kind = _KINDS.index((at.kind, at.type))
    if isinstance(at.value, float):
        return kind, at.reg, 0, int.from_bytes(struct.pack("<d", at.value), "little")
    return kind, at.reg, 0, at.value & (1 << 64) - 1


# -- reading -------------------------------------------------------------------------------------


def read_debug(file: Reader, kernels: Iterable[Kernel]) -> tuple[KernelDebug, ...]:
    """The descriptions of a file's kernels; none if it has none. Raises Fault (loader)."""
    data = file.section(NAME, SHT_PROGBITS, required=False)
    return _Reader(file, data, {k.entry: k for k in kernels}).read() if data else ()


class _Reader:
    def __init__(self, file: Reader, data: bytes, kernels: dict[int, Kernel]) -> None:
        self.file = file
        self.data = data
        self.kernels = kernels
        self.at = 0
        self.texts: list[str] = []

    def bad(self, why: str) -> NoReturn:
        self.file.bad(f"{NAME}: {why}")

    def take(self, form: struct.Struct, count: int, what: str) -> list[tuple[Any, ...]]:
        """Rows of a table; nothing is allocated for rows that are not there."""
        size = form.size * count
        if size > len(self.data) - self.at:
            self.bad(f"it ends within {what}")
        self.at += size
        return list(form.iter_unpack(self.data[self.at - size : self.at]))

    def read(self) -> tuple[KernelDebug, ...]:
        ((version, count, texts, size),) = self.take(_HEADER, 1, "its header")
        if version != VERSION:
            self.bad(f"it has version {version}; this toolchain reads {VERSION}")
        padded = size + -size % 4
        if padded > len(self.data) - self.at:
            self.bad("it ends within its texts")
        pool = self.data[self.at : self.at + size]
        if any(self.data[self.at + size : self.at + padded]) or (pool and pool[-1]):
            self.bad("its texts do not end with zeros")
        self.at += padded
        try:
            self.texts = pool.decode().split("\0")[:-1]
        except UnicodeDecodeError:
            self.bad("a text is no UTF-8")
        if len(self.texts) != texts:
            self.bad(f"it has {len(self.texts)} texts, not {texts}")
        out: list[KernelDebug] = []
        while len(out) < count:
            out.append(self.kernel(out[-1].entry if out else -1))
        if self.at != len(self.data):
            self.bad("something follows its last table")
        return tuple(out)

    def text(self, number: int) -> str:
        if number >= len(self.texts):
            self.bad(f"there is no text {number}")
        return self.texts[number]

    def kernel(self, after: int) -> KernelDebug:
        ((entry, size, *counts),) = self.take(_KERNEL, 1, "a kernel")
        known = self.kernels.get(entry)
        if known is None or entry <= after or known.end - known.entry != size * INSTRUCTION_BYTES:
            self.bad(f"no kernel of {size} instructions begins at {entry:#x}, or it is out of order")
        what = f"the description of kernel {known.name!r}"
        rows = [self.take(form, count, what) for form, count in zip(_TABLES, counts, strict=True)]
        scopes = [
            Scope(self.text(name), self.text(f), line, parent, (self.text(called), *place))
            if parent != _NOBODY
            else Scope(self.text(name), self.text(f), line)
            for name, f, line, parent, called, *place in rows[0]
        ]
        if any(any(row[4:]) for row in rows[0] if row[3] == _NOBODY):
            self.bad(f"{what}: a place where nobody calls")
        runs = [tuple(Run(*row) for row in rows[i]) for i in (1, 3)]
        ops = tuple(IrOp(number, self.text(t)) for number, t in rows[2])
        places = [self.place(what, *row) for row in rows[5]]
        variables = []
        used = 0
        for name, scope, count in rows[4]:
            variables.append(Variable(self.text(name), scope, tuple(places[used : used + count])))
            used += count
        if used != len(places):
            self.bad(f"{what}: {len(places)} places for {used}")
        found = KernelDebug(entry, size, tuple(scopes), runs[0], ops, runs[1], tuple(variables))
        if why := wrong(found):
            self.bad(f"{what}: {why}")
        return found

    def place(self, what: str, start: int, end: int, kind: int, reg: int, zero: int, value: int) -> Place:
        if kind >= len(_KINDS) or zero:
            self.bad(f"{what}: a place of kind {kind}")
        name, number_type = _KINDS[kind]
        signed = value - (value >> 63 << 64)
        has_value = name in ("memory", "constant")
        if reg >= _REGISTERS[name] or (value and not has_value):
            self.bad(f"{what}: no variable can be in register {reg}, or with value {value}")
        number: int | float = signed
        if (name, number_type) == ("constant", "f32"):
            (number,) = struct.unpack("<d", value.to_bytes(8, "little"))
        if name == "constant":
            return Place(start, end, constant(number))
        return Place(start, end, Location(name, reg, number_type, number))
