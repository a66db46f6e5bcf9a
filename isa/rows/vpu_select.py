"""VPU: along rows: cumulative sums, top-k, sorting, picking. Opcodes 0x344..0x347 and 0x34b..0x34f.

A row is a line along the last axis; of a view with two axes exchanged (tswap) it is a column. Where elements are
put in order, NaN counts as larger than everything, and of equals (and NaNs) the one with the lower index comes first.
"""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element, selected, sorted_rows
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.order import largest_first, smallest_first

VPU = Engine.VPU


@instruction("vargmin.row", 0x344, VPU, cost=per_element(1, operand=1), since=(1, 1))
def vargmin_row(dst: Out[I32, "... R 1"], src: In[Num, "... R C"]) -> None:
    """Position of the smallest element along the last axis; the first one of equals, and of NaNs if any is.

    An empty row is an operand error.

    Example:
        src = f32 [[3.0, 1.0, 1.0], [2.0, nan, 0.0]]
        vargmin.row dst, src
        dst = i32 [[1], [1]]
    """
    if not src.shape[-1]:
        raise Fault("operand", f"a tile of shape {list(src.shape)} has no smallest element", operand="src")
    dst[...] = np.argmin(src, axis=-1, keepdims=True)


@instruction("vcumsum.row", 0x345, VPU, cost=per_element(2, operand=1), since=(1, 1))
def vcumsum_row(dst: Out[Num, "... R C"], src: In[Num, "... R C"], exclusive: Flag = 0) -> None:
    """Sums of all elements up to each one of its row: dst[r, c] = src[r, 0] + ... + src[r, c].

    With `exclusive`, without the element itself: dst[r, 0] = 0. Floats are added from left to right in float32
    (error: c * 2^-24 * the sum of |src|); integers wrap.

    Example:
        src = i32 [[1, 2, 3, 4]]
        vcumsum.row dst, src, exclusive=1
        dst = i32 [[0, 1, 3, 6]]
    """
    sums = np.add.accumulate(src, axis=-1)
    if not exclusive:
        dst[...] = sums
    elif src.shape[-1]:
        dst[..., 1:] = sums[..., :-1]
        dst[..., 0] = 0


@instruction("vtopk.row", 0x346, VPU, cost=selected(2), since=(1, 1))
def vtopk_row(values: Out[Num, "... R K"], indices: Out[I32, "... R K"], src: In[Num, "... R C"]) -> None:
    """The K largest elements of each row, largest first, and their positions; K is that of the results.

    NaN counts as larger than everything; of equals, the one with the lower index comes first. K above C is an
    operand error.

    Example:
        src = f32 [[1.0, 5.0, 3.0, 5.0], [0.0, nan, inf, -1.0]]
        vtopk.row values, indices, src
        values = f32 [[5.0, 5.0, 3.0], [nan, inf, 0.0]]
        indices = i32 [[1, 3, 2], [1, 2, 0]]
    """
    k, have = indices.shape[-1], src.shape[-1]
    if k > have:
        raise Fault("operand", f"the {k} largest of rows of {have} elements", operand="src")
    order = largest_first(src, k)
    values[...] = np.take_along_axis(src, order, axis=-1)
    indices[...] = order


@instruction("vsort.row", 0x347, VPU, cost=sorted_rows(0), since=(1, 1))
def vsort_row(
    keys: Out[Num, "... R C"],
    payload: Out[I32, "... R C"],
    src: In[Num, "... R C"],
    src_payload: In[I32, "... R C"],
    descending: Flag = 0,
) -> None:
    """Sort each row by its keys, and a payload along with them; equal keys keep their order.

    NaN counts as larger than everything, so it comes last, and first when `descending`.

    Example:
        src = f32 [[2.0, nan, 1.0, 2.0]]
        src_payload = i32 [[10, 11, 12, 13]]
        vsort.row keys, payload, src, src_payload
        keys = f32 [[1.0, 2.0, 2.0, nan]]
        payload = i32 [[12, 10, 13, 11]]
    """
    order = largest_first(src, src.shape[-1]) if descending else smallest_first(src)
    sorted_payload = np.take_along_axis(src_payload, order, axis=-1)
    keys[...] = np.take_along_axis(src, order, axis=-1)
    payload[...] = sorted_payload


@instruction("vtake.row", 0x34B, VPU, cost=per_element(2), since=(1, 1), moves=("src",))
def vtake_row(dst: Out[Num, "... R K"], src: In[Num, "... R C"], index: In[I32, "... R K"]) -> None:
    """Elements of each row by position: dst[r, k] = src[r, index[r, k]].

    An index outside 0..C-1 is an out-of-bounds error.

    Example:
        src = f32 [[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]]
        index = i32 [[2, 0], [1, 1]]
        vtake.row dst, src, index
        dst = f32 [[3.5, 1.5], [5.5, 5.5]]
    """
    have = src.shape[-1]
    if index.size and (index.min() < 0 or index.max() >= have):
        wrong = index[(index < 0) | (index >= have)][0]
        raise Fault("out-of-bounds", f"index {wrong} is outside a row of {have} elements", operand="index")
    dst[...] = np.take_along_axis(src, index, axis=-1)
