"""Sequencer: tile descriptors. Opcodes 0x040..0x04f."""

from sohu.isa.annotations import *
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.tile import Tile

SEQ = Engine.SEQ


@instruction("tld", 0x040, SEQ)
def tld(m: Machine, d: TOut, base: X, offset: S32) -> Tile:
    """Load the 64-byte descriptor at HBM address base + offset; 8-byte aligned.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        tst src, sp, -64
        tld d, sp, -64
        d = i32 [[1, 2, 3], [4, 5, 6]]
    """
    return m.load_tile(base + offset)


@instruction("tst", 0x041, SEQ)
def tst(m: Machine, src: T, base: X, offset: S32) -> None:
    """Store a descriptor to HBM at base + offset; 8-byte aligned.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        tst src, sp, -64
        tld t9, sp, -64
        tget x5, t9, 1
        x5 = 3
    """
    m.store_tile(base + offset, src)


@instruction("tmv", 0x042, SEQ)
def tmv(d: TOut, src: T) -> Tile:
    """Copy a tile register.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        tmv d, src
        d = i32 [[1, 2, 3], [4, 5, 6]]
    """
    return src


@instruction("tslice", 0x043, SEQ)
def tslice(d: TOut, src: T, axis: U2, start: XI, length: XI) -> Tile:
    """Elements start .. start + length of one axis; the length is clamped to what the tile has there.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        x5 = 1
        tslice d, src, 1, x5, 9
        d = i32 [[2, 3], [5, 6]]
    """
    return src.slice(axis, start, length)


@instruction("tswap", 0x044, SEQ)
def tswap(d: TOut, src: T, a: U2, b: U2) -> Tile:
    """Exchange two axes: a transposed view of the same bytes.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        tswap d, src, 0, 1
        d = i32 [[1, 4], [2, 5], [3, 6]]
    """
    return src.swap(a, b)


@instruction("tinsert", 0x045, SEQ)
def tinsert(d: TOut, src: T, axis: U2) -> Tile:
    """A new dimension of size 1 before `axis`.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        tinsert d, src, 1
        d = i32 [[[1, 2, 3]], [[4, 5, 6]]]
    """
    return src.insert(axis)


@instruction("tdrop", 0x046, SEQ)
def tdrop(d: TOut, src: T, axis: U2) -> Tile:
    """Remove a dimension of size 1.

    Example:
        src = i32 [[1, 2, 3]]
        tdrop d, src, 0
        d = i32 [1, 2, 3]
    """
    return src.drop(axis)


@instruction("tget", 0x047, SEQ)
def tget(d: XOut, src: T, axis: U2) -> int:
    """The size of one dimension.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        tget x5, src, 1
        x5 = 3
    """
    if axis >= src.rank:
        raise Fault("operand", f"axis {axis} of a tile of rank {src.rank}", operand="src")
    return src.dims[axis]


@instruction("tset", 0x048, SEQ)
def tset(d: TOut, src: T, axis: U2, size: XI) -> Tile:
    """The tile with another size along one axis; its strides stay.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        tset d, src, 1, 2
        d = i32 [[1, 2], [4, 5]]
    """
    return src.with_dim(axis, size)


@instruction("tbase", 0x049, SEQ)
def tbase(d: TOut, src: T, base: X) -> Tile:
    """The tile at another byte address of its memory.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        taddr x5, src
        add x5, x5, 4
        tset d, src, 1, 2
        tbase d, d, x5
        d = i32 [[2, 3], [5, 6]]
    """
    return src.with_base(base)


@instruction("taddr", 0x04A, SEQ)
def taddr(d: XOut, src: T) -> int:
    """The byte address of a tile.

    Example:
        src = i32 [[1, 2, 3], [4, 5, 6]]
        taddr x5, src
        tslice t9, src, 0, 1, 1
        taddr x6, t9
        sub x6, x6, x5
        x6 = 12
    """
    return src.base
