"""Object files in memory: what one source file gives, before the linker has put it anywhere.

An object has four sections. All that depends on where they end up in the program's image is left zero and
listed as relocations; `link` (link.py) places the sections and fills it in.

    text     code
    tiles    descriptors of the kernels' tiles, 64 bytes each, in the order of kernels and declarations
    rodata   what the source put into .rodata
    strings  zero-terminated strings that instructions name, each different one once

A relocation writes `S + A`, or `S + A - P` for jumps: S is the image offset of its section or symbol (which is what
instructions add to gp), A its addend, P the offset of the instruction itself. Which bits of an instruction an
operand occupies, and what fits there, follows from the instruction's row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from sohu.asm.debuginfo import DebugInfo
from sohu.asm.lines import Lines
from sohu.asm.origins import Origins
from sohu.asm.program import Kernel
from sohu.isa import ISA_VERSION, Row
from sohu.isa.operands import XFI, XI, Imm, Str

Section: TypeAlias = Literal["text", "tiles", "rodata", "strings"]
Binding: TypeAlias = Literal["local", "global", "weak"]

R_NONE = 0
R_DATA = {8: 1, 4: 2, 2: 3, 1: 4}  # size in bytes -> type: an integer in .rodata
R_BRANCH = 8  # the label operand of an instruction: S + A - P
R_OPERAND = 16  # + i: the integer or string that is operand i of an instruction
MAX_OPERANDS = 16

MIN_OPERAND_BITS = 32  # an image is smaller than 2^31 bytes: an address always fits so many

RELOCATIONS: dict[int, tuple[str, str]] = {
    1: ("R_SOHU_64", "8 bytes of data: S + A"),
    2: ("R_SOHU_32", "4 bytes of data: S + A"),
    3: ("R_SOHU_16", "2 bytes of data: S + A"),
    4: ("R_SOHU_8", "1 byte of data: S + A"),
    R_BRANCH: ("R_SOHU_BRANCH", "the label operand of the instruction: S + A - P"),
} | {
    R_OPERAND + i: (f"R_SOHU_OPERAND{i}", f"operand {i} of the instruction, an integer or a string: S + A")
    for i in range(MAX_OPERANDS)
}


class Relocation(NamedTuple):
    """A place to fill in when addresses are known. The target is a section (`symbol` is "") or a symbol."""

    offset: int  # in its section
    type: int
    section: Section | None
    symbol: str
    addend: int


@dataclass(frozen=True, slots=True)
class ObjectSymbol:
    """A label or kernel of an object, or a name that another one defines (section None)."""

    name: str
    section: Section | None
    offset: int = 0
    binding: Binding = "local"
    size: int = 0

    @property
    def is_defined(self) -> bool:
        """False for a name that another object defines."""
        return self.section is not None


@dataclass
class Object:
    """What one source file gives. Numbers in kernels and lines count from the beginning of this object's sections."""

    name: str
    text: bytes | bytearray = b""
    tiles: bytes | bytearray = b""
    rodata: bytes | bytearray = b""
    strings: bytes | bytearray = b""
    symbols: dict[str, ObjectSymbol] = field(default_factory=dict)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    text_relocations: list[Relocation] = field(default_factory=list)
    rodata_relocations: list[Relocation] = field(default_factory=list)
    lines: Lines = field(default_factory=Lines)
    isa_version: tuple[int, int] = ISA_VERSION
    debug: DebugInfo = field(default_factory=DebugInfo)
    origins: Origins | None = field(default=None, compare=False, repr=False)  # for a listing; in no file

    def section(self, section: Section) -> bytes | bytearray:
        """Contents of a section."""
        data: bytes | bytearray = getattr(self, section)
        return data


def takes_address(row: Row, position: int) -> bool:
    """True when a relocation can fill in this operand of a row: an integer of 32 bits or more, or a string."""
    kind = row.operands[position].kind
    whole = isinstance(kind, (Imm, XI, Str)) and not isinstance(kind, XFI)
    return whole and kind.bits >= MIN_OPERAND_BITS and position < MAX_OPERANDS
