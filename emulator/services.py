"""What semantics may ask of a machine, as far as it concerns memory and program alone (isa.instruction.Machine)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.asm import Program
from sohu.emulator.memory import Memories
from sohu.isa import TILE_BYTES, Fault, Tile

if TYPE_CHECKING:
    from sohu.emulator.checks import Hooks

_KEPT_TILES = 1 << 16


class Services:
    """Loads and stores of the sequencer in HBM, and texts of the program."""

    hooks: Hooks

    def __init__(self, memories: Memories) -> None:
        self.memories = memories
        self.program = Program(b"")
        self._tiles: dict[bytes, Tile] = {}

    def load64(self, address: int) -> int:
        """Eight bytes of HBM, signed; raises Fault (misaligned, out-of-bounds)."""
        value = self.memories.hbm.load64(address)
        if self.hooks.touched:
            self.hooks.touch(address, 8, False)
        return value

    def store64(self, address: int, value: int) -> None:
        """Write eight bytes of HBM; raises Fault (misaligned, out-of-bounds, read-only)."""
        if self.hooks.touched:
            self.hooks.touch(address, 8, True)
        self.memories.deferrals.hbm_write(address, address + 8)
        self.memories.hbm.store64(address, value)

    def load_tile(self, address: int) -> Tile:
        """The descriptor at an HBM address; equal bytes give the same Tile object.

        Raises Fault (misaligned, out-of-bounds, operand).
        """
        raw = self.memories.hbm.load_bytes(address, TILE_BYTES)
        if self.hooks.touched:
            self.hooks.touch(address, TILE_BYTES, False)
        tile = self._tiles.get(raw)
        if tile is None:
            if len(self._tiles) >= _KEPT_TILES:
                self._tiles.clear()
            tile = self._tiles[raw] = Tile.unpack(raw)
        return tile

    def store_tile(self, address: int, tile: Tile) -> None:
        """Write a descriptor to HBM; raises Fault (misaligned, out-of-bounds, read-only)."""
        if self.hooks.touched:
            self.hooks.touch(address, TILE_BYTES, True)
        self.memories.deferrals.hbm_write(address, address + TILE_BYTES)
        self.memories.hbm.store_bytes(address, tile.pack())

    def string(self, offset: int) -> str:
        """Zero-terminated text at an offset of the image; raises Fault (out-of-bounds)."""
        data, at = self.program.rodata, offset - self.program.rodata_address
        end = data.find(b"\0", at) if 0 <= at < len(data) else -1
        if end < 0:
            raise Fault("out-of-bounds", f"there is no text at {offset:#x} in .rodata", operand="text")
        return data[at:end].decode("utf-8", "replace")
