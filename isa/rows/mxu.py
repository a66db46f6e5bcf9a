"""MXU: systolic matrix products into the accumulators, and the way out. Opcodes 0x200..0x2ff.

Factors are f32, bf16, f16 and fp8 in SRAM, in any combination; they become float32, which holds each of them exactly,
and products and sums are float32, in an order the manual leaves open (error: at most K * 2^-24 * sum |a*b| per
element). i8 is summed in i32, exactly, and wraps. Either factor may be transposed: a view with exchanged strides
(`tswap`) costs nothing. Leading dimensions are a batch, broadcast as NumPy's matmul does.

A sum over blocks of K is `mm` for the first and `mma` for the others. Results leave ACC by `mout`, which scales them,
adds a bias, applies an activation and rounds once, or by any instruction of the VPU.
"""

from typing import Any

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import drained, systolic
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.numerics import store
from sohu.isa.products import accumulate, multiply
from sohu.isa.special import gelu_erf, gelu_tanh, silu

MXU = Engine.MXU
EXACT = 1024  # products of i8 whose sum a float32 holds: 2^24 / 2^14


@instruction("mm", 0x200, MXU, cost=systolic())
def mm(acc: Out[F32, "... M N", ACC], a: In[Factor, "...? M K", SRAM], b: In[Factor, "...? K N", SRAM]) -> None:
    """Matrix product, overwriting: acc = a @ b.

    Example:
        a = bf16 [[1.0, 2.0], [3.0, 4.0]]
        b = fp8e4m3 [[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]
        mm acc, a, b
        acc = f32 [[1.0, 2.0, 0.0], [3.0, 4.0, 2.0]]
    """
    multiply(a, b, acc)


@instruction("mma", 0x201, MXU, cost=systolic())
def mma(acc: InOut[F32, "... M N", ACC], a: In[Factor, "...? M K", SRAM], b: In[Factor, "...? K N", SRAM]) -> None:
    """Matrix product, accumulating: acc += a @ b.

    Example:
        a = bf16 [[1.0, 2.0], [3.0, 4.0]]
        b = bf16 [[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]]
        acc = f32 [[10.0, 0.0, 0.0], [0.0, 0.0, 0.5]]
        mma acc, a, b
        acc = f32 [[11.0, 2.0, 0.0], [3.0, 4.0, 2.5]]
    """
    accumulate(a, b, acc)


@instruction("mm.i8", 0x202, MXU, cost=systolic(), since=(1, 1), precise=lambda acc, a, b: multiply(a, b, acc))
def mm_i8(acc: Out[I32, "... M N", ACC], a: In[I8, "...? M K", SRAM], b: In[I8, "...? K N", SRAM]) -> None:
    """Matrix product of 8-bit integers, overwriting: acc = a @ b in i32.

    Example:
        a = i8 [[1, -2], [127, 127]]
        b = i8 [[3, 127], [4, 127]]
        mm.i8 acc, a, b
        acc = i32 [[-5, -127], [889, 32258]]
    """
    acc.fill(0)
    _add_products(acc, a, b)


@instruction("mma.i8", 0x203, MXU, cost=systolic(), since=(1, 1), precise=lambda acc, a, b: accumulate(a, b, acc))
def mma_i8(acc: InOut[I32, "... M N", ACC], a: In[I8, "...? M K", SRAM], b: In[I8, "...? K N", SRAM]) -> None:
    """Matrix product of 8-bit integers, accumulating: acc += a @ b in i32, which wraps.

    Example:
        a = i8 [[1, -2]]
        b = i8 [[3], [4]]
        acc = i32 [[100]]
        mma.i8 acc, a, b
        acc = i32 [[95]]
    """
    _add_products(acc, a, b)


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


@instruction("mout", 0x220, MXU, cost=drained(), since=(1, 1), casts=True)
def mout(
    dst: Out[Result, "... M N", SRAM],
    acc: In[Summed, "... M N", ACC],
    scale: XFI = 1.0,
    act: U3 = 0,
    sat: Flag = 1,
) -> None:
    """Accumulators to SRAM, with one scale: dst = act(acc * scale).

    In float32 (i32 is rounded to it), then rounded once to dst's dtype, to nearest even. act: 0 none, 1 ReLU, 2 ReLU
    squared, 3 GELU (erf), 4 GELU (tanh), 5 SiLU, as exact as `vgelu.erf`, `vgelu` and `vsilu`; 6 and 7 are an operand
    error. sat: in fp8 and i8 what is too large becomes the largest finite number; without it NaN (fp8e4m3), infinity
    (fp8e5m2) or its low 8 bits (i8).

    Example:
        acc = f32 [[1.0, -2.0, 1000.0]]
        mout dst, acc, scale=0.5, act=1
        dst = fp8e4m3 [[0.5, 0.0, 448.0]]
    """
    store(dst, _activated(_scaled(acc, np.float32(scale)), act), saturate=bool(sat))


@instruction("mout.bias", 0x221, MXU, cost=drained(), since=(1, 1), casts=True)
def mout_bias(
    dst: Out[Result, "... M N", SRAM],
    acc: In[Summed, "... M N", ACC],
    bias: In[Float, "...? M? N?", SRAM],
    act: U3 = 0,
    sat: Flag = 1,
) -> None:
    """Accumulators to SRAM, with a bias: dst = act(acc + bias); act and sat as in `mout`.

    Example:
        acc = f32 [[1.0, -2.0], [0.5, 0.5]]
        bias = bf16 [[10.0, 1.0]]
        mout.bias dst, acc, bias, act=2
        dst = bf16 [[121.0, 0.0], [110.25, 2.25]]
    """
    store(dst, _activated(_scaled(acc, np.float32(1)) + bias, act), saturate=bool(sat))


@instruction("mout.scale", 0x222, MXU, cost=drained(), since=(1, 1), casts=True)
def mout_scale(
    dst: Out[Result, "... M N", SRAM],
    acc: In[Summed, "... M N", ACC],
    rows: In[F32, "...? M? 1", SRAM],
    cols: In[F32, "...? 1 N?", SRAM],
    act: U3 = 0,
    sat: Flag = 1,
) -> None:
    """Accumulators to SRAM, with a scale per row and per column: dst = act(acc * rows * cols).

    act and sat as in `mout`. rows are the scales of the left factor (per token, as `vquant.row` makes them), cols those
    of the right one (per output channel); either may be one number for all.

    Example:
        acc = i32 [[100, -50], [7, 8]]
        rows = f32 [[0.5], [2.0]]
        cols = f32 [[0.25, 0.125]]
        mout.scale dst, acc, rows, cols
        dst = f32 [[12.5, -3.125], [3.5, 2.0]]
    """
    store(dst, _activated(_scaled(acc, rows) * cols, act), saturate=bool(sat))


@instruction("mout.scale.bias", 0x223, MXU, cost=drained(), since=(1, 1), casts=True)
def mout_scale_bias(
    dst: Out[Result, "... M N", SRAM],
    acc: In[Summed, "... M N", ACC],
    rows: In[F32, "...? M? 1", SRAM],
    cols: In[F32, "...? 1 N?", SRAM],
    bias: In[Float, "...? M? N?", SRAM],
    act: U3 = 0,
    sat: Flag = 1,
) -> None:
    """Accumulators to SRAM, scaled and with a bias: dst = act(acc * rows * cols + bias); as `mout.scale`.

    Example:
        acc = i32 [[100, -50]]
        rows = f32 [[0.5]]
        cols = f32 [[1.0]]
        bias = f32 [[1.0, 0.5]]
        mout.scale.bias dst, acc, rows, cols, bias, act=1
        dst = i8 [[51, 0]]
    """
    store(dst, _activated(_scaled(acc, rows) * cols + bias, act), saturate=bool(sat))


def _add_products(acc: Any, a: Any, b: Any) -> None:
    """By float32, in which sums of EXACT products are exact: there is a fast product for it, and none for integers."""
    for k in range(0, a.shape[-1], EXACT):
        part = np.empty(acc.shape, np.float32)
        multiply(a[..., k : k + EXACT].astype(np.float32), b[..., k : k + EXACT, :].astype(np.float32), part)
        acc += part.astype(np.int32)


def _scaled(acc: Any, scale: Any) -> Any:
    """In float32; NumPy would take float64 for i32 times float32."""
    return (acc.astype(np.float32) if acc.dtype.kind == "i" else acc) * scale


def _activated(x: Any, act: int) -> Any:
    """Raises Fault (operand) for a number that is no activation."""
    match act:
        case 0:
            return x
        case 1:
            return np.maximum(x, np.float32(0))
        case 2:
            return np.square(np.maximum(x, np.float32(0)))
        case 3:
            return gelu_erf(x).astype(x.dtype)
        case 4:
            return gelu_tanh(x)
        case 5:
            return silu(x)
    raise Fault("operand", f"there is no activation {act}", operand="act", help="0 to 5")
