"""MXU: systolic matrix products into the accumulators. Opcodes 0x200..0x2ff.

Operands are bf16, fp16 or fp32 in SRAM; products and sums are fp32, in an order the manual leaves open
(error: at most K * 2^-24 * sum |a*b| per element). Either operand may be a transposed view. Leading
dimensions are a batch, broadcast as NumPy's matmul does.
"""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import systolic
from sohu.isa.instruction import instruction

MXU = Engine.MXU


@instruction("mm", 0x200, MXU, cost=systolic())
def mm(acc: Out[F32, "... M N", ACC], a: In[Float, "...? M K", SRAM], b: In[Float, "...? K N", SRAM]) -> None:
    """Matrix product, overwriting: acc = a @ b.

    Example:
        a = bf16 [[1.0, 2.0], [3.0, 4.0]]
        b = bf16 [[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]
        mm acc, a, b
        acc = f32 [[1.0, 2.0, 0.0], [3.0, 4.0, 2.0]]
    """
    np.matmul(a, b, out=acc)


@instruction("mma", 0x201, MXU, cost=systolic())
def mma(acc: InOut[F32, "... M N", ACC], a: In[Float, "...? M K", SRAM], b: In[Float, "...? K N", SRAM]) -> None:
    """Matrix product, accumulating: acc += a @ b.

    Example:
        a = bf16 [[1.0, 2.0], [3.0, 4.0]]
        b = bf16 [[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]
        acc = f32 [[10.0, 0.0, 0.0], [0.0, 0.0, 0.5]]
        mma acc, a, b
        acc = f32 [[11.0, 2.0, 0.0], [3.0, 4.0, 2.5]]
    """
    acc += np.matmul(a, b)


@instruction("mxu.sync", 0x20F, MXU, cost=lambda _: 0)
def sync() -> None:
    """Only wait and signal, in the order of the queue.

    Example:
        a = f32 [[2.0]]
        b = f32 [[3.0]]
        mm c, a, b
        mxu.sync         signal s4
        vmov d, c        wait s4>=1
        c = acc f32 [[6.0]]
        d = f32 [[6.0]]
    """
