"""Operand kinds: how each is written, how many bits it takes, what the semantics function receives.

A row's parameters are annotated with these; encoder, decoder, parser, printer, emulator and compiler
read nothing else. An operand's *value* in an Inst is: int (register number, immediate, byte displacement),
float, or Imm/Reg for operands that take either.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
from sohu.isa.dtypes import Any_, DType, DTypes, Num
from sohu.isa.errors import EncodingError
from sohu.isa.machine import NUM_SCALARS, NUM_SEMAPHORES, NUM_TILES, Space
from sohu.isa.shapes import Pattern, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

Array: TypeAlias = "np.ndarray[Any, Any]"

# An immediate has one NaN: its payload would survive neither the text form nor a conversion to double.
CANONICAL_NAN = 0x7FC00000


@dataclass(frozen=True)
class Reg:
    """A scalar register where an immediate could stand too."""

    index: int


@dataclass(frozen=True, eq=False)
class Column:
    """The values of one operand in many instructions, [n].

    values: unsigned, signed or float32 numbers as the kind has them. is_reg, for kinds that take a register or an
    immediate: where values holds a register's number.
    """

    values: Array
    is_reg: Array | None = None

    def tolist(self) -> list[Any]:
        """The values as an Inst holds them."""
        values: list[Any] = self.values.tolist()
        if self.is_reg is None:
            return values
        return [Reg(int(v)) if r else v for v, r in zip(values, self.is_reg.tolist(), strict=True)]


def _unsigned(value: Any, bits: int, what: str) -> int:
    if not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise EncodingError(f"{what} must be 0..{(1 << bits) - 1}, not {value!r}")
    return value


def _signed(value: Any, bits: int, what: str) -> int:
    if not isinstance(value, int) or not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise EncodingError(f"{what} {value!r} does not fit {bits} signed bits")
    return value & ((1 << bits) - 1)


def _extend(raw: int, bits: int) -> int:
    return raw - (1 << bits) if raw >> (bits - 1) else raw


def _extend_column(raw: Array, bits: int) -> Array:
    unused = raw.itemsize * 8 - bits
    signed = raw.view(f"i{raw.itemsize}")
    return signed << unused >> unused if unused else signed


def f32_bits(value: float) -> int:
    """The 32 bits of `value` rounded to float32 (overflow gives infinity; every NaN is CANONICAL_NAN)."""
    if value != value:
        return CANONICAL_NAN
    try:
        return int.from_bytes(struct.pack("<f", float(value)), "little")
    except OverflowError:
        return 0x7F800000 if value > 0 else 0xFF800000


def bits_f32(raw: int) -> float:
    """The float32 whose bits are the low 32 of `raw`."""
    return float(struct.unpack("<f", struct.pack("<I", raw & 0xFFFFFFFF))[0])


def format_f32(value: float) -> str:
    """Shortest decimal text that rounds to the same float32, also through a double; reads as a float."""
    text = str(np.float32(value))
    if f32_bits(float(text)) != f32_bits(value):
        text = repr(float(value))
    return text if any(c in text for c in ".einf") else text + ".0"


def _format_floats(values: Array) -> list[str]:
    texts = list(map(str, values))
    with np.errstate(over="ignore"):
        again = np.array(list(map(float, texts))).astype(np.float32)
    for i in np.flatnonzero(again.view(np.uint32) != values.view(np.uint32)).tolist():
        texts[i] = format_f32(values[i])  # another float32 through a double
    return texts


def _registers(file: str, values: Array) -> list[str]:
    names = [f"{file}{i}" for i in range(1 << 8)]
    return list(map(names.__getitem__, values.tolist()))


def _with_registers(texts: list[str], column: Column) -> list[str]:
    assert column.is_reg is not None
    at = np.flatnonzero(column.is_reg)
    for i, reg in zip(at.tolist(), column.values[at].tolist(), strict=True):
        texts[i] = f"x{int(reg)}"
    return texts


def _number(value: Any) -> int:
    if not isinstance(value, (int, float)):
        raise EncodingError(f"{value!r} is no number")
    raw = f32_bits(value)
    if isinstance(value, int) and bits_f32(raw) != value:  # a float says itself that it is rounded
        raise EncodingError(
            f"no float32 is exactly {value}",
            help=f"write {bits_f32(raw)} for the nearest; li (a register) and viota (a tile) are exact",
        )
    return raw


def _float(raw: int) -> float:
    value = bits_f32(raw)
    if value != value and raw != CANONICAL_NAN:
        raise EncodingError(f"a NaN other than {CANONICAL_NAN:#x} is reserved")
    return value


def _float_column(raw: Array) -> tuple[Array, Array]:
    values = raw.view(np.float32)
    return values, np.isnan(values) & (raw != CANONICAL_NAN)


class Kind:
    """Base of operand kinds. `syntax` is the word for it in messages and docs."""

    bits: ClassVar[int]
    syntax: ClassVar[str]
    writes: ClassVar[bool] = False  # a register is written

    def __init_subclass__(cls) -> None:
        """A kind with a `decode` or `format` of its own does not inherit another kind's vectorized form of it."""
        for one, many in (("decode", "decode_column"), ("format", "format_column")):
            if one in vars(cls) and many not in vars(cls):
                setattr(cls, many, getattr(Kind, many))

    def encode(self, value: Any) -> int:
        """Value -> field; raises EncodingError."""
        raise NotImplementedError

    def decode(self, raw: int) -> Any:
        """Field -> value; raises EncodingError when no value has that field."""
        raise NotImplementedError

    def format(self, value: Any) -> str:
        """The assembly text of a value (labels are printed by the disassembler instead)."""
        raise NotImplementedError

    def format_column(self, column: Column) -> list[str]:
        """`format` of many values."""
        return list(map(self.format, column.tolist()))

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        """`decode` of many fields: their values, and where there is none (None: nowhere).

        raw: the smallest unsigned dtype that holds the field, [n]. This form, for kinds that have no other, decodes
        each distinct field by itself.
        """
        fields, inverse = np.unique(raw, return_inverse=True)
        values, bad = np.empty(len(fields), object), np.zeros(len(fields), bool)
        for i, field in enumerate(fields.tolist()):
            try:
                values[i] = self.decode(field)
            except EncodingError:
                bad[i] = True
        return Column(values[inverse]), bad[inverse]


class X(Kind):
    """A scalar register, read."""

    bits = 5
    syntax = "scalar register"

    def encode(self, value: Any) -> int:
        return _unsigned(value, self.bits, "scalar register")

    def decode(self, raw: int) -> int:
        return raw

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        return Column(raw), None

    def format(self, value: Any) -> str:
        return f"x{value}"

    def format_column(self, column: Column) -> list[str]:
        return _registers("x", column.values)


class XOut(X):
    """A scalar register, written with what the semantics returns (64 bits, two's complement)."""

    writes = True


class XF(X):
    """A scalar register whose low 32 bits hold a float32; the semantics gets a float."""

    syntax = "scalar register holding a float"


class XI(Kind):
    """A scalar register or a 32-bit signed immediate; the semantics gets an int either way."""

    bits = 33
    syntax = "scalar register or integer"

    def encode(self, value: Any) -> int:
        if isinstance(value, Reg):
            return 1 << 32 | _unsigned(value.index, 5, "scalar register")
        return _signed(value, 32, "immediate")

    def decode(self, raw: int) -> Any:
        if not raw >> 32:
            return _extend(raw, 32)
        if raw & 0xFFFFFFFF >= NUM_SCALARS:
            raise EncodingError("reserved bits set beside a scalar register")
        return Reg(raw & 31)

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        is_reg, low = (raw >> 32).astype(bool), raw.astype(np.uint32)
        return Column(low.view(np.int32), is_reg), is_reg & (low >= NUM_SCALARS)

    def format(self, value: Any) -> str:
        return f"x{value.index}" if isinstance(value, Reg) else str(value)

    def format_column(self, column: Column) -> list[str]:
        return _with_registers(list(map(str, column.values.tolist())), column)


class XFI(XI):
    """A scalar register holding a float32, or a float32 immediate; the semantics gets a float."""

    syntax = "scalar register or float"

    def encode(self, value: Any) -> int:
        if isinstance(value, Reg):
            return 1 << 32 | _unsigned(value.index, 5, "scalar register")
        return _number(value)

    def decode(self, raw: int) -> Any:
        return super().decode(raw) if raw >> 32 else _float(raw)

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        is_reg, low = (raw >> 32).astype(bool), raw.astype(np.uint32)
        values, bad = _float_column(low)
        number = low.astype(np.float32)
        return Column(np.where(is_reg, number, values), is_reg), np.where(is_reg, low >= NUM_SCALARS, bad)

    def format(self, value: Any) -> str:
        return f"x{value.index}" if isinstance(value, Reg) else format_f32(value)

    def format_column(self, column: Column) -> list[str]:
        return _with_registers(_format_floats(column.values), column)


class Imm(Kind):
    """An integer in the instruction; made by UImm and SImm."""

    syntax = "integer"

    def __init__(self, bits: int, signed: bool) -> None:
        self.width = bits
        self.signed = signed
        self.bits = bits  # type: ignore[misc]  # the one kind whose width is per operand

    def encode(self, value: Any) -> int:
        return (_signed if self.signed else _unsigned)(value, self.width, "immediate")

    def decode(self, raw: int) -> int:
        return _extend(raw, self.width) if self.signed else raw

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        return Column(_extend_column(raw, self.width) if self.signed else raw), None

    def format(self, value: Any) -> str:
        return str(value)

    def format_column(self, column: Column) -> list[str]:
        return list(map(str, column.values.tolist()))


def UImm(bits: int) -> Kind:
    """An unsigned immediate of `bits` bits."""
    return Imm(bits, signed=False)


def SImm(bits: int) -> Kind:
    """A signed immediate of `bits` bits."""
    return Imm(bits, signed=True)


class Queue(Imm):
    """Which of the engine's queues takes the instruction."""

    syntax = "queue number"

    def __init__(self) -> None:
        super().__init__(2, signed=False)


class Group(Imm):
    """Which group of chips takes part in a collective."""

    syntax = "group number"

    def __init__(self) -> None:
        super().__init__(8, signed=False)


class FImm(Kind):
    """A float32 immediate; the semantics gets its 32 bits."""

    bits = 32
    syntax = "float"

    def encode(self, value: Any) -> int:
        return _number(value)

    def decode(self, raw: int) -> float:
        return _float(raw)

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        values, bad = _float_column(raw)
        return Column(values), bad

    def format(self, value: Any) -> str:
        return format_f32(value)

    def format_column(self, column: Column) -> list[str]:
        return _format_floats(column.values)


class Label(Kind):
    """A place in .text; the value is the byte displacement from this instruction."""

    bits = 32
    syntax = "label"

    def encode(self, value: Any) -> int:
        if isinstance(value, int) and value % 16:
            raise EncodingError(f"branch displacement {value} is no multiple of 16")
        return _signed(value, 32, "branch displacement")

    def decode(self, raw: int) -> int:
        if raw % 16:
            raise EncodingError("branch displacement is no multiple of 16")
        return _extend(raw, 32)

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        return Column(raw.view(np.int32)), raw % 16 != 0

    def format(self, value: Any) -> str:
        return f".{value:+d}"


class Str(Kind):
    """Text in .rodata, zero-terminated UTF-8; the value is its byte offset from gp."""

    bits = 32
    syntax = "string"

    def encode(self, value: Any) -> int:
        return _unsigned(value, 32, "string offset")

    def decode(self, raw: int) -> int:
        return raw

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        return Column(raw), None

    def format(self, value: Any) -> str:
        return str(value)


class Sem(Kind):
    """A semaphore's number."""

    bits = 6
    syntax = "semaphore"

    def encode(self, value: Any) -> int:
        return _unsigned(value, self.bits, "semaphore")

    def decode(self, raw: int) -> int:
        return raw

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        return Column(raw), None

    def format(self, value: Any) -> str:
        return f"s{value}"

    def format_column(self, column: Column) -> list[str]:
        return _registers("s", column.values)


class T(Kind):
    """A tile register, read as a descriptor (the semantics gets a Tile, not its data)."""

    bits = 6
    syntax = "tile"

    def encode(self, value: Any) -> int:
        return _unsigned(value, self.bits, "tile register")

    def decode(self, raw: int) -> int:
        return raw

    def decode_column(self, raw: Array) -> tuple[Column, Array | None]:
        return Column(raw), None

    def format(self, value: Any) -> str:
        return f"t{value}"

    def format_column(self, column: Column) -> list[str]:
        return _registers("t", column.values)


class TOut(T):
    """A tile register, written with the descriptor that the semantics returns."""

    writes = True


class Data(T):
    """A tile whose elements the instruction reads or writes: In, Out or InOut.

    dtypes: the set it accepts. shape: a pattern of sohu.isa.shapes. spaces: None for all that the
    engine reaches. With several outputs, all input views stay valid until the semantics returns. An
    input may be the very same tile as an output (and must then work in place); the executor copies
    inputs that overlap outputs in any other way.
    """

    reads_data = False
    writes_data = False
    role = ""

    def __init__(
        self, dtypes: Collection[DType] = Any_, shape: str = "...", spaces: Sequence[Space] | None = None
    ) -> None:
        self.dtypes = dtypes if isinstance(dtypes, DTypes) else frozenset(dtypes)
        self.pattern: Pattern = parse(shape)
        self.spaces = None if spaces is None else frozenset(spaces)

    def __class_getitem__(cls, item: tuple[Any, ...]) -> Data:
        dtypes, shape, *spaces = item
        return cls(dtypes, shape, spaces or None)

    @property
    def view(self) -> str:
        """How the semantics sees the elements: "f32", "num" (f32 or i32), or "raw" (as stored)."""
        stored = isinstance(self.dtypes, DTypes) and self.dtypes.stored and not self.dtypes.either
        if stored or not any(d.is_float for d in self.dtypes):
            return "raw"
        if all(d.is_float for d in self.dtypes):
            return "f32"
        return "num" if self.dtypes == Num else "raw"


class In(Data):
    """Elements read."""

    role = "in"
    reads_data = True


class Out(Data):
    """Elements written, all of them; what was there before is not read."""

    role = "out"
    writes_data = True


class InOut(Data):
    """Elements read and written."""

    role = "inout"
    reads_data = writes_data = True


assert 1 << X.bits == NUM_SCALARS and 1 << T.bits == NUM_TILES and 1 << Sem.bits == NUM_SEMAPHORES
