"""DMA: rows by index: pages of a KV cache, and scatter that accumulates. Opcodes 0x106..0x10e.

Elements are converted as in all transfers, but dma.scatter.add adds in float32 (in 32 bits, wrapping, for i32) and
rounds each sum once, when all rows have been added.
"""

from typing import Any

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import gathered
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.rows.dma import converted

DMA = Engine.DMA


@instruction("dma.scatter.add", 0x106, DMA, cost=gathered(1, passes=2), since=(1, 1))
def scatter_add(
    table: InOut[Num, "V C", HBM], src: In[Num, "R C", SRAM], index: In[I32, "R", SRAM], q: Queue = 0
) -> None:
    """Add rows of a tile to rows of a table: table[index[r], :] += src[r, :], in the order of r.

    A negative index drops its row, as a router drops tokens that an expert has no room for. An index above V-1 is an
    out-of-bounds error, and nothing is added then. With the products of experts and their weights as src, it is the
    combine step of a mixture of experts.

    Example:
        table = f32 [[1.0, 1.0], [0.0, 0.0]]
        src = f32 [[10.0, 20.0], [0.5, 0.25], [100.0, 200.0], [7.0, 7.0]]
        index = i32 [0, 1, 0, -1]
        dma.scatter.add table, src, index
        table = f32 [[111.0, 221.0], [0.5, 0.25]]
    """
    _check_above(index, table.shape[0])
    for r, i in enumerate(index.tolist()):
        if i >= 0:
            table[i] += src[r]


@instruction("dma.gather.pad", 0x109, DMA, cost=gathered(0), since=(1, 1), moves=("table",), casts=True)
def gather_pad(
    dst: Out[Stored, "R C", SRAM], table: In[Stored, "V C", HBM], index: In[I32, "R", SRAM], q: Queue = 0
) -> None:
    """Rows of a table by index, zeros for a negative one: dst[r, :] = table[index[r], :].

    It fills what an expert or a batch has room for where there are fewer rows. An index above V-1 is an out-of-bounds
    error. In e8m0, which has no zero, such a row is NaN.

    Example:
        table = f32 [[1.0, 2.0], [3.0, 4.0]]
        index = i32 [1, -1, 0]
        dma.gather.pad dst, table, index
        dst = f32 [[3.0, 4.0], [0.0, 0.0], [1.0, 2.0]]
    """
    _check_above(index, table.shape[0])
    dst[...] = converted(table[np.maximum(index, 0)], dst) if table.size else 0
    dst[index < 0] = converted(np.zeros(1, np.float32), dst)


@instruction("dma.gather.pages", 0x107, DMA, cost=gathered(0), since=(1, 1), moves=("pool",), casts=True)
def gather_pages(
    dst: Out[Stored, "R C", SRAM],
    pool: In[Stored, "P S C", HBM],
    pages: In[I32, "N", SRAM],
    start: X,
    q: Queue = 0,
) -> None:
    """Consecutive rows of a sequence that lies in pages: dst[r, :] is row start + r of it.

    The pool holds P pages of S rows; row n of the sequence is row n modulo S of page pages[n / S]. Rows before 0 or
    behind the last page of the table, and pages outside the pool, are out-of-bounds errors; entries of the table that
    are not needed may hold anything.
    Source: Kwon et al. 2023, PagedAttention (arXiv 2309.06180).

    Example:
        pool = f32 [[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]]
        pages = i32 [2, 0]
        x5 = 1
        dma.gather.pages dst, pool, pages, x5
        dst = f32 [[6.0], [1.0], [2.0]]
    """
    page, slot = _paged(dst.shape[0], pool.shape, pages, start)
    dst[...] = converted(pool[page, slot], dst)


@instruction("dma.scatter.pages", 0x108, DMA, cost=gathered(1), since=(1, 1), moves=("pool", "src"), casts=True)
def scatter_pages(
    pool: InOut[Stored, "P S C", HBM],
    src: In[Stored, "R C", SRAM],
    pages: In[I32, "N", SRAM],
    start: X,
    q: Queue = 0,
) -> None:
    """Write consecutive rows of a sequence that lies in pages: row start + r of it is src[r, :].

    Where rows lie and what is an error is as in dma.gather.pages. Of rows that fall on the same place, the last stays.

    Example:
        pool = f32 [[[1.0], [2.0]], [[3.0], [4.0]], [[5.0], [6.0]]]
        pages = i32 [2, 0]
        src = f32 [[-1.0], [-2.0]]
        x5 = 1
        dma.scatter.pages pool, src, pages, x5
        pool = f32 [[[-2.0], [2.0]], [[3.0], [4.0]], [[5.0], [-1.0]]]
    """
    page, slot = _paged(src.shape[0], pool.shape, pages, start)
    pool[page, slot] = converted(src, pool)


def _check_above(index: Any, rows: int) -> None:
    if index.size and index.max() >= rows:
        at = int(np.argmax(index >= rows))
        raise Fault("out-of-bounds", f"index[{at}] = {index[at]} is outside a table of {rows} rows", operand="index")


def _paged(count: int, pool: tuple[int, ...], pages: Any, start: int) -> tuple[Any, Any]:
    """Page and row within it of rows start .. start + count of a sequence; raises Fault (out-of-bounds)."""
    size = pool[1]
    if not count:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    if start < 0 or start + count > len(pages) * size:
        where = f"rows {start} to {start + count - 1} of a sequence in {len(pages)} pages of {size} rows"
        raise Fault("out-of-bounds", where, operand="start")
    entry, slot = np.divmod(np.arange(start, start + count), size)
    page = pages[entry]
    wrong = (page < 0) | (page >= pool[0])
    if wrong.any():
        at = int(entry[np.argmax(wrong)])
        raise Fault("out-of-bounds", f"pages[{at}] = {pages[at]} is outside a pool of {pool[0]} pages", operand="pages")
    return page, slot
