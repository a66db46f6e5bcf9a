"""DMA: HBM <-> SRAM. Opcodes 0x100..0x1ff.

Both sides may be strided in up to four dimensions (so transposed too) and may differ in dtype: elements
are converted on the way. Floats are rounded to nearest even, once; an integer becomes a float by way of
float32; a float becomes an integer toward zero, saturating at its ends, NaN as 0; integers wrap. In fp8 what is too
large saturates, infinity too; e8m0 takes the nearest power of two (the larger of two as near), and what is not
positive is NaN. Packed elements (fp4x2) are moved as they are, between tiles of that dtype only; `dma.fill` gives
them a byte. `vcast` and the quantizing instructions of the VPU round in other ways.
"""

from typing import Any

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import gathered, moved
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.numerics import Rounding, convert, widen

DMA = Engine.DMA


@instruction("dma.load", 0x100, DMA, cost=moved(1), moves=("src",), casts=True, copies=True)
def load(dst: Out[Stored, "...", SRAM], src: In[Stored, "...", HBM], q: Queue = 0) -> None:
    """Copy a tile from HBM to SRAM, converting the dtype where they differ.

    Example:
        src = f32 [[1.0, 2.5], [-3.0, 1.0e9]]
        dma.load dst, src
        dst = i32 [[1, 2], [-3, 1000000000]]
    """
    dst[...] = converted(src, dst)


@instruction("dma.store", 0x101, DMA, cost=moved(0), moves=("src",), casts=True, copies=True)
def store(dst: Out[Stored, "...", HBM], src: In[Stored, "...", SRAM], q: Queue = 0) -> None:
    """Copy a tile from SRAM to HBM, converting the dtype where they differ.

    Example:
        src = f32 [[1.0, 2.00390625]]
        dma.store dst, src, q=1
        dst = bf16 [[1.0, 2.0]]
    """
    dst[...] = converted(src, dst)


@instruction("dma.copy", 0x102, DMA, cost=moved(0), moves=("src",), casts=True, copies=True)
def copy(dst: Out[Stored, "..."], src: In[Stored, "..."], q: Queue = 0) -> None:
    """Copy a tile within or between HBM and SRAM; source and destination must not overlap.

    Example:
        src = u8 [7, 255]
        dma.copy dst, src
        dst = f32 [7.0, 255.0]
    """
    dst[...] = converted(src, dst)


@instruction("dma.fill", 0x103, DMA, cost=moved(0), casts=True)
def fill(dst: Out[Stored, "..."], value: XFI, q: Queue = 0) -> None:
    """Fill a tile with one number, converted to its dtype.

    Example:
        dma.fill dst, 0.5
        dst = f16 [[0.5, 0.5], [0.5, 0.5]]
    """
    dst[...] = converted(np.float32(value), dst)


@instruction("dma.gather", 0x104, DMA, cost=gathered(0), moves=("table",), casts=True)
def gather(
    dst: Out[Stored, "R C", SRAM], table: In[Stored, "V C", HBM], index: In[I32, "R", SRAM], q: Queue = 0
) -> None:
    """Rows of a table by index: dst[r, :] = table[index[r], :].

    An index outside 0..V-1 is an out-of-bounds error.

    Example:
        table = f32 [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]
        index = i32 [2, 0, 2]
        dma.gather dst, table, index
        dst = f32 [[2.0, 2.5], [0.0, 0.5], [2.0, 2.5]]
    """
    _check(index, table.shape[0])
    dst[...] = converted(table[index], dst)


@instruction("dma.scatter", 0x105, DMA, cost=gathered(1), moves=("table", "src"), casts=True)
def scatter(
    table: InOut[Stored, "V C", HBM], src: In[Stored, "R C", SRAM], index: In[I32, "R", SRAM], q: Queue = 0
) -> None:
    """Rows of a tile to a table by index: table[index[r], :] = src[r, :], in the order of r.

    An index outside 0..V-1 is an out-of-bounds error.

    Example:
        table = f32 [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
        src = f32 [[1.0, 2.0], [3.0, 4.0]]
        index = i32 [2, 0]
        dma.scatter table, src, index
        table = f32 [[3.0, 4.0], [0.0, 0.0], [1.0, 2.0]]
    """
    _check(index, table.shape[0])
    table[index] = converted(src, table)


@instruction("dma.sync", 0x10F, DMA, cost=lambda _: 0)
def sync(q: Queue = 0) -> None:
    """Only wait and signal, in the order of the queue.

    Example:
        x = hbm f32 [1.0, 2.0]
        dma.load y, x    signal s0
        dma.sync         wait s0>=1   signal s1
        vadds y, y, 1.0  wait s1>=1
        y = f32 [2.0, 3.0]
    """


def converted(src: Any, dst: Any) -> Any:
    """What to assign: NumPy's own conversions of floats to integers differ between hosts, and none saturates."""
    if src.dtype == dst.dtype:
        return src
    if dst.dtype.kind in "iu":
        return src if src.dtype.kind in "iu" else convert(src, dst.dtype, Rounding.ZERO)
    if dst.dtype.itemsize == 1:
        return convert(widen(src), dst.dtype)
    return widen(src) if src.dtype.itemsize == 1 else src


def _check(index: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]", rows: int) -> None:
    if index.size and (index.min() < 0 or index.max() >= rows):
        at = int(np.argmax((index < 0) | (index >= rows)))
        raise Fault("out-of-bounds", f"index[{at}] = {index[at]} is outside a table of {rows} rows", operand="index")
