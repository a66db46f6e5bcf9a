"""Sequencer: tile descriptors. Opcodes 0x040..0x05f."""

from sohu.isa.annotations import *
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.tile import Tile

SEQ = Engine.SEQ


@instruction("tld", 0x040, SEQ)
def tld(m: Machine, d: TOut, base: X, offset: S32) -> Tile:
    """Load the 64-byte descriptor at HBM address base + offset; 8-byte aligned."""
    return m.load_tile(base + offset)


@instruction("tst", 0x041, SEQ)
def tst(m: Machine, src: T, base: X, offset: S32) -> None:
    """Store a descriptor to HBM at base + offset; 8-byte aligned."""
    m.store_tile(base + offset, src)


@instruction("tmv", 0x042, SEQ)
def tmv(d: TOut, src: T) -> Tile:
    """Copy a tile register."""
    return src


@instruction("tslice", 0x043, SEQ)
def tslice(d: TOut, src: T, axis: U2, start: XI, length: XI) -> Tile:
    """Elements start .. start + length of one axis; the length is clamped to what the tile has there."""
    return src.slice(axis, start, length)


@instruction("tswap", 0x044, SEQ)
def tswap(d: TOut, src: T, a: U2, b: U2) -> Tile:
    """Exchange two axes: a transposed view of the same bytes."""
    return src.swap(a, b)


@instruction("tinsert", 0x045, SEQ)
def tinsert(d: TOut, src: T, axis: U2) -> Tile:
    """A new dimension of size 1 before `axis`."""
    return src.insert(axis)


@instruction("tdrop", 0x046, SEQ)
def tdrop(d: TOut, src: T, axis: U2) -> Tile:
    """Remove a dimension of size 1."""
    return src.drop(axis)


@instruction("tget", 0x047, SEQ)
def tget(d: XOut, src: T, axis: U2) -> int:
    """The size of one dimension."""
    if axis >= src.rank:
        raise Fault("operand", f"axis {axis} of a tile of rank {src.rank}", operand="src")
    return src.dims[axis]


@instruction("tset", 0x048, SEQ)
def tset(d: TOut, src: T, axis: U2, size: XI) -> Tile:
    """The tile with another size along one axis; its strides stay."""
    return src.with_dim(axis, size)


@instruction("tbase", 0x049, SEQ)
def tbase(d: TOut, src: T, base: X) -> Tile:
    """The tile at another byte address of its memory."""
    return src.with_base(base)


@instruction("taddr", 0x04A, SEQ)
def taddr(d: XOut, src: T) -> int:
    """The byte address of a tile."""
    return src.base
