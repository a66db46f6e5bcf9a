"""An assembled program: what the assembler makes, the ELF file stores and the emulator loads.

Addresses are offsets into the program's image: .text starts at 0, .rodata at the next multiple of 4096.
The image can be placed anywhere in HBM; at entry gp (x3) holds its address, so an address of the image is
gp + offset. The pc counts from the start of .text.

.rodata holds, in this order: the descriptors of the kernels' tiles, 64 bytes each, in the order of kernels and
declarations; what the source put there; the strings that instructions name, zero-terminated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sohu.asm.debuginfo import DebugInfo
from sohu.asm.lines import Line, Lines
from sohu.isa import INSTRUCTION_BYTES, ISA_VERSION, DType, Tile

RODATA_ALIGN = 4096
PARAM_BYTES = 64  # every parameter's slot in the parameter block: a descriptor, or a scalar and padding

Direction = Literal["in", "out", "inout", "i64", "f32"]


@dataclass(frozen=True)
class Param:
    """One kernel parameter. Tensors have a dtype and dimensions (names or fixed sizes), scalars neither."""

    name: str
    direction: Direction
    dtype: DType | None = None
    dims: tuple[str | int, ...] = ()
    reg: int = 0  # tile register (tensors) or scalar register the prologue loads it into

    @property
    def is_tensor(self) -> bool:
        """True for tensors, False for the scalars i64 and f32."""
        return self.direction in ("in", "out", "inout")


@dataclass(frozen=True)
class TileSymbol:
    """A named tile of a kernel: its register and the descriptor it starts with (stored at `address`)."""

    name: str
    reg: int
    tile: Tile
    address: int


@dataclass(frozen=True)
class Kernel:
    """A callable entry of a program."""

    name: str
    entry: int  # pc
    end: int  # pc after its last instruction
    params: tuple[Param, ...] = ()
    tiles: tuple[TileSymbol, ...] = ()
    bounds: dict[str, int] = field(default_factory=dict)  # largest size of a named dimension it was built for
    semaphores: dict[str, int] = field(default_factory=dict)  # names of semaphores

    @property
    def sram_bytes(self) -> int:
        """Bytes of SRAM its named tiles reach to, from 0."""
        return self._reach("sram")

    @property
    def acc_bytes(self) -> int:
        """Bytes of ACC its named tiles reach to, from 0."""
        return self._reach("acc")

    def _reach(self, space: str) -> int:
        return max((t.tile.extent()[1] for t in self.tiles if str(t.tile.space) == space), default=0)


class Symbol(NamedTuple):
    """A label or kernel: code has section "text", data "rodata"; size in bytes, 0 when not known."""

    name: str
    address: int
    section: Literal["text", "rodata"]
    size: int = 0
    is_global: bool = False


@dataclass
class Program:
    """Code, constants and all that is known of them."""

    text: bytes
    rodata: bytes = b""
    symbols: dict[str, Symbol] = field(default_factory=dict)
    kernels: dict[str, Kernel] = field(default_factory=dict)
    lines: Lines = field(default_factory=Lines)
    isa_version: tuple[int, int] = ISA_VERSION
    name: str = "<program>"
    debug: DebugInfo = field(default_factory=DebugInfo)  # what a compiler tells of inlined calls, IR and variables

    @property
    def rodata_address(self) -> int:
        """Offset of .rodata in the image."""
        return -(-len(self.text) // RODATA_ALIGN) * RODATA_ALIGN

    @property
    def image_bytes(self) -> int:
        """Size of the image."""
        return self.rodata_address + len(self.rodata)

    def __len__(self) -> int:
        """Number of instructions."""
        return len(self.text) // INSTRUCTION_BYTES

    def line_at(self, pc: int) -> Line | None:
        """The source place of an instruction, or None without debug information."""
        return self.lines.at(pc)

    def kernel_at(self, pc: int) -> Kernel | None:
        """The kernel whose code holds this pc."""
        return next((k for k in self.kernels.values() if k.entry <= pc < k.end), None)
