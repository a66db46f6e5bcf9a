"""Tile descriptors: the 64 bytes that say where a tile lies and what shape it has.

Layout (little-endian):

| bytes  | field |
|--------|-------|
| 0..7   | base: byte address within the space |
| 8      | space: 0 HBM, 1 SRAM, 2 ACC |
| 9      | dtype code |
| 10     | rank, 1..4 |
| 11     | zero |
| 12..15 | per dimension: 0, or the scalar register that holds its size |
| 16..31 | sizes, 4 x u32; where a register holds the size: the largest one that there is room for, or 0 |
| 32..63 | strides in elements, 4 x i64 |

Dimensions beyond the rank are zero.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from sohu.isa.dtypes import BY_CODE, DType
from sohu.isa.errors import Fault
from sohu.isa.machine import MAX_RANK, NUM_SCALARS, Space

TILE_BYTES = 64
_LAYOUT = struct.Struct("<QBBBB4B4I4q")
assert _LAYOUT.size == TILE_BYTES


def row_major(dims: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a dense row-major tile."""
    strides, step = [], 1
    for d in reversed(dims):
        strides.append(step)
        step *= max(int(d), 1)
    return tuple(reversed(strides))


class Tile:
    """A tile descriptor. Immutable. `cache` is an executor's scratch space (a view, say), no part of it."""

    __slots__ = ("base", "cache", "dimregs", "dims", "dtype", "space", "strides")

    def __init__(
        self,
        space: Space,
        dtype: DType,
        base: int,
        dims: Sequence[int],
        strides: Sequence[int] | None = None,
        dimregs: Sequence[int] | None = None,
    ) -> None:
        self.space = space
        self.dtype = dtype
        self.base = base
        self.dims = tuple(dims)
        self.strides = row_major(self.dims) if strides is None else tuple(strides)
        # None when no dimension comes from a register: one test on the hot path
        self.dimregs = tuple(dimregs) if dimregs is not None and any(dimregs) else None
        self.cache: Any = None

    def __repr__(self) -> str:
        regs = f", dimregs={self.dimregs}" if self.dimregs else ""
        return f"Tile({self.space!r}, {self.dtype}, {self.base:#x}, {self.dims}, {self.strides}{regs})"

    def _key(self) -> tuple[Any, ...]:
        return (self.space, self.dtype, self.base, self.dims, self.strides, self.dimregs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tile) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        regs = self.dimregs or (0,) * self.rank
        shape = ", ".join(f"x{r}" if r else str(d) for d, r in zip(self.dims, regs, strict=True))
        return f"{self.dtype}[{shape}] at {self.space} {self.base:#x}"

    @property
    def rank(self) -> int:
        """Number of dimensions, 1..4."""
        return len(self.dims)

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for d in self.dims:
            n *= d
        return n

    def extent(self) -> tuple[int, int]:
        """The byte range [low, high) that the tile touches; empty tiles touch nothing."""
        low = high = 0
        for d, s in zip(self.dims, self.strides, strict=True):
            if d == 0:
                return self.base, self.base
            step = (d - 1) * s
            if step < 0:
                low += step
            else:
                high += step
        n = self.dtype.itemsize
        return self.base + low * n, self.base + (high + 1) * n

    def resolve(self, x: Sequence[int]) -> Tile:
        """This tile with the dimensions that come from scalar registers read from `x`.

        Raises Fault: operand when a register holds a negative or absurd size, out-of-bounds when it holds more
        than the tile has room for.
        """
        if self.dimregs is None:
            return self
        dims = tuple(x[r] if r else d for d, r in zip(self.dims, self.dimregs, strict=True))
        for d, r, room in zip(dims, self.dimregs, self.dims, strict=True):
            if not 0 <= d < 1 << 32:
                raise Fault("operand", f"x{r} holds {d}, which is no tile dimension")
            if room and d > room:
                raise Fault("out-of-bounds", f"x{r} holds {d}, and {self} has room for {room}")
        return Tile(self.space, self.dtype, self.base, dims, self.strides)

    def slice(self, axis: int, start: int, length: int) -> Tile:
        """Elements start .. start+length of one axis, the length clamped to what is there, as NumPy does.

        Raises Fault (operand, out-of-bounds).
        """
        self._axis(axis)
        if start < 0 or length < 0:
            raise Fault("out-of-bounds", f"slice [{start}:+{length}] of axis {axis} starts before the tile")
        have = self.dims[axis]
        length = max(0, min(length, have - start))
        dims = (*self.dims[:axis], length, *self.dims[axis + 1 :])
        base = self.base + (start * self.strides[axis] * self.dtype.itemsize if length else 0)
        return Tile(self.space, self.dtype, base, dims, self.strides)

    def swap(self, a: int, b: int) -> Tile:
        """Axes `a` and `b` exchanged: a transposed view of the same bytes; raises Fault (operand)."""
        self._axis(a)
        self._axis(b)
        order = list(range(self.rank))
        order[a], order[b] = b, a
        return Tile(self.space, self.dtype, self.base, [self.dims[i] for i in order], [self.strides[i] for i in order])

    def insert(self, axis: int) -> Tile:
        """A new dimension of size 1 before `axis`; raises Fault (operand)."""
        if self.rank == MAX_RANK or not 0 <= axis <= self.rank:
            raise Fault("operand", f"cannot insert dimension {axis} into a tile of rank {self.rank}")
        dims = (*self.dims[:axis], 1, *self.dims[axis:])
        strides = (*self.strides[:axis], 0, *self.strides[axis:])
        return Tile(self.space, self.dtype, self.base, dims, strides)

    def drop(self, axis: int) -> Tile:
        """Without dimension `axis`, which must have size 1; raises Fault (operand)."""
        self._axis(axis)
        if self.dims[axis] != 1 or self.rank == 1:
            which = f"axis {axis} of size {self.dims[axis]}"
            raise Fault("operand", f"cannot drop {which} from a tile of rank {self.rank}")
        return Tile(
            self.space,
            self.dtype,
            self.base,
            (*self.dims[:axis], *self.dims[axis + 1 :]),
            (*self.strides[:axis], *self.strides[axis + 1 :]),
        )

    def with_dim(self, axis: int, size: int) -> Tile:
        """The same tile with another size along one axis (strides unchanged); raises Fault (operand)."""
        self._axis(axis)
        if not 0 <= size < 1 << 32:
            raise Fault("operand", f"{size} is no tile dimension")
        dims = (*self.dims[:axis], size, *self.dims[axis + 1 :])
        regs = None if self.dimregs is None else (*self.dimregs[:axis], 0, *self.dimregs[axis + 1 :])
        return Tile(self.space, self.dtype, self.base, dims, self.strides, regs)

    def with_base(self, base: int) -> Tile:
        """The same tile at another byte address; raises Fault (out-of-bounds)."""
        if not 0 <= base < 1 << 64:
            raise Fault("out-of-bounds", f"{base:#x} is no address")
        return Tile(self.space, self.dtype, base, self.dims, self.strides, self.dimregs)

    def _axis(self, axis: int) -> None:
        if not 0 <= axis < self.rank:
            raise Fault("operand", f"axis {axis} of a tile of rank {self.rank}")

    def pack(self) -> bytes:
        """The 64 bytes of the descriptor; raises Fault (operand) when a field does not fit."""
        zeros = (0,) * (MAX_RANK - self.rank)
        regs = self.dimregs or (0,) * self.rank
        head = (self.base, self.space, self.dtype.code, self.rank, 0)
        try:
            return _LAYOUT.pack(*head, *regs, *zeros, *self.dims, *zeros, *self.strides, *zeros)
        except struct.error:
            raise Fault("operand", f"{self!r} does not fit a descriptor") from None

    @staticmethod
    def unpack(data: bytes | memoryview) -> Tile:
        """Read a descriptor; raises Fault (operand) when the bytes are none."""
        if len(data) != TILE_BYTES:
            raise Fault("operand", f"a tile descriptor has {TILE_BYTES} bytes, not {len(data)}")
        base, space, code, rank, zero, *rest = _LAYOUT.unpack(data)
        regs, dims, strides = rest[0:4], rest[4:8], rest[8:12]
        unused = (*regs[rank:], *dims[rank:], *strides[rank:])
        if space > max(Space) or code not in BY_CODE or not 1 <= rank <= MAX_RANK or zero or any(unused):
            raise Fault(
                "operand",
                f"no tile descriptor: space {space}, dtype {code}, rank {rank}",
                help="was the register loaded with tld from the right address?",
            )
        if any(r >= NUM_SCALARS for r in regs):
            raise Fault("operand", f"a tile descriptor names a scalar register above x{NUM_SCALARS - 1}")
        return Tile(Space(space), BY_CODE[code], base, dims[:rank], strides[:rank], regs[:rank])
