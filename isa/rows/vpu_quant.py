"""VPU: casts, and quantization with scales. Opcodes 0x330..0x33f.

A cast rounds once, to nearest even unless it says otherwise. Integers, fp8 and e8m0 saturate (infinity too) unless
told not to; then floats that are too large become infinity, or NaN in formats without it, and integers wrap. f32, bf16
and f16 have infinities and never saturate. NaN becomes NaN, or 0 in formats without it. e8m0 has powers of two: nearest
takes the larger of two as near, what is below 2^-127 becomes that, zero and negative numbers become NaN.

Quantization is symmetric: x is about q * scale, with a float32 scale per tensor, row or column (fp8, i8), or an e8m0
one per 32 elements along the last axis (OCP Microscaling). Dynamic quantization takes the scale from the data.
"""

from typing import Any

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.instruction import instruction
from sohu.isa.numerics import (
    FP4,
    Rounding,
    convert,
    mx_dequantize,
    mx_quantize,
    pack_fp4,
    quantize,
    store,
    symmetric_scale,
    unpack_fp4,
    widen,
)
from sohu.isa.philox import random_words

VPU = Engine.VPU


def _quotients(dst: Any, scale: Any, src: Any) -> None:
    """What quantization comes to without rounding, by the scales that it has made."""
    per = src.shape[-1] // scale.shape[-1] if scale.shape[-1] else 1
    np.divide(src, np.repeat(scale, per, axis=-1) if scale.shape[-1] > 1 else scale, out=dst)


@instruction("vcast", 0x330, VPU, cost=per_element(1), since=(1, 1), moves=("src",), casts=True)
def vcast(dst: Out[Number, "..."], src: In[Number, "...?"], rtz: Flag = 0, sat: Flag = 1) -> None:
    """Convert between any two dtypes of one number per element; rtz: toward zero in place of nearest.

    Source of the narrow formats: OCP 8-bit Floating Point Specification (OFP8) 1.0.

    Example:
        src = f32 [[1.0625, 1.1875, -1000.0, 0.3, inf, nan]]
        vcast dst, src
        dst = fp8e4m3 [[1.0, 1.25, -448.0, 0.3125, 448.0, nan]]
    """
    store(dst, src, Rounding.ZERO if rtz else Rounding.NEAREST, bool(sat))


@instruction("vcast.sr", 0x331, VPU, cost=per_element(11), since=(1, 1), casts=True)
def vcast_sr(dst: Out[Number, "..."], src: In[Number, "...?"], key: X, block: X, stream: X, sat: Flag = 1) -> None:
    """Convert with stochastic rounding: away from zero with the probability of what is cut off, else toward it.

    Element i of dst is decided by the upper 24 bits u of word i of `vrand.bits key, block, stream`: away from zero
    where the part cut off, in units of the last place, is more than u * 2^-24. So the mean of many is the number
    itself, to 2^-24 of a unit; what dst holds exactly stays.

    Example:
        src = f32 [[1.0625, 1.0625, 1.0625, 1.0625, 2.0]]
        vcast.sr dst, src, x0, x0, x0
        dst = fp8e4m3 [[1.125, 1.0, 1.0, 1.0, 2.0]]
    """
    words = random_words(dst.size, key, block, stream)
    store(dst, np.broadcast_to(src, dst.shape), Rounding.STOCHASTIC, bool(sat), words)


@instruction("vpack.fp4", 0x332, VPU, cost=per_element(1, operand=1), since=(1, 1))
def vpack_fp4(dst: Out[Fp4, "... C/2"], src: In[Float, "... C"], rtz: Flag = 0) -> None:
    """Pairs of floats to fp4x2, the first in the low half of a byte: saturating at 6, NaN to 0.

    Example:
        src = f32 [[0.5, 1.0, -7.0, 2.5]]
        vpack.fp4 dst, src
        dst = fp4x2 [[0x21, 0x4F]]
    """
    dst[...] = pack_fp4(convert(src, FP4, Rounding.ZERO if rtz else Rounding.NEAREST))


@instruction("vunpack.fp4", 0x333, VPU, cost=per_element(1), since=(1, 1))
def vunpack_fp4(dst: Out[Float, "... C"], src: In[Fp4, "... C/2"]) -> None:
    """fp4x2 to floats, exactly.

    Example:
        src = fp4x2 [[0x21, 0x4F]]
        vunpack.fp4 dst, src
        dst = bf16 [[0.5, 1.0, -6.0, 2.0]]
    """
    dst[...] = unpack_fp4(src)


@instruction("vquant", 0x334, VPU, cost=per_element(4), since=(1, 1), casts=True)
def vquant(dst: Out[Scalable, "... R C"], src: In[Float, "... R C"], scale: In[F32, "...? R? C?"]) -> None:
    """Quantize with given scales: dst = src / scale, to nearest even, saturating; i8 within -127 to 127.

    The quotient is float32, correctly rounded, and then rounded to dst's dtype.

    Example:
        src = bf16 [[1.0, -300.0], [0.25, 0.5]]
        scale = f32 [[2.0], [0.1]]
        vquant dst, src, scale
        dst = i8 [[0, -127], [2, 5]]
    """
    dst[...] = quantize(src, scale, dst.dtype)


@instruction("vquant.row", 0x335, VPU, cost=per_element(5), since=(1, 1), precise=_quotients)
def vquant_row(dst: Out[Scalable, "... R C"], scale: Out[F32, "... R 1"], src: In[Float, "... R C"]) -> None:
    """Quantize each row with a scale of its own: scale = max |src| / L, dst = src / scale as in `vquant`.

    L is 448 for fp8e4m3, 57344 for fp8e5m2, 127 for i8. Both quotients are float32, correctly rounded. A row of zeros
    has the scale 1; none is below 2^-126. A NaN makes the scale NaN, and the row NaN (0 in i8); an infinity makes the
    scale infinite, itself NaN and the rest 0.

    Example:
        src = f32 [[1.0, -2.54, 0.5], [0.0, 0.0, 0.0]]
        vquant.row dst, scale, src
        dst = i8 [[50, -127, 25], [0, 0, 0]]
        scale = f32 [[0.02], [1.0]]
    """
    made = symmetric_scale(src, dst.dtype, -1)
    dst[...] = quantize(src, made, dst.dtype)
    scale[...] = made  # last: rows of one element can be in the same place


@instruction("vquant.all", 0x336, VPU, cost=per_element(5), since=(1, 1), precise=_quotients)
def vquant_all(dst: Out[Scalable, "... R C"], scale: Out[F32, "... 1 1"], src: In[Float, "... R C"]) -> None:
    """Quantize each matrix with one scale, as `vquant.row` does each row.

    Example:
        src = f32 [[1.0, -448.0], [0.5, 3.1]]
        vquant.all dst, scale, src
        dst = fp8e4m3 [[1.0, -448.0], [0.5, 3.0]]
        scale = f32 [[1.0]]
    """
    made = symmetric_scale(src, dst.dtype, (-2, -1))
    dst[...] = quantize(src, made, dst.dtype)
    scale[...] = made  # last, as there


@instruction("vdequant", 0x337, VPU, cost=per_element(1), since=(1, 1))
def vdequant(dst: Out[Float, "... R C"], src: In[Number, "... R C"], scale: In[F32, "...? R? C?"]) -> None:
    """Numbers times their scales: dst = src * scale in float32, rounded once to dst's dtype.

    Example:
        src = i8 [[50, -127], [3, 0]]
        scale = f32 [[0.02], [2.0]]
        vdequant dst, src, scale
        dst = f32 [[1.0, -2.54], [6.0, 0.0]]
    """
    dst[...] = widen(src) * scale


@instruction("vmxquant", 0x338, VPU, cost=per_element(2), since=(1, 1), precise=_quotients)
def vmxquant(dst: Out[StoredFp8, "... C"], scale: Out[Scale, "... C/32"], src: In[Float, "... C"]) -> None:
    """Quantize to mxfp8: blocks of 32 along the last axis, whose size is a multiple of that.

    scale = 2 ^ (floor(log2(max |src|)) - E), with E = 8 for fp8e4m3 and 15 for fp8e5m2, within 2^-127 to 2^127; dst =
    src / scale, to nearest even, saturating: the error is at most 2^6 scale (fp8e4m3) or 2^13 scale (fp8e5m2) in a
    block's largest numbers. A block of zeros has the scale 2^-127; one with a NaN or an infinity has the scale NaN.

    Source: OCP Microscaling Formats (MX) Specification v1.0, section 6.3.

    Example:
        src = f32 [[1.0, 3.0, -0.3, 480.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
        vmxquant dst, scale, src
        dst = fp8e4m3 [[1.0, 3.0, -0.3125, 448.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
        scale = e8m0 [[1.0]]
    """
    elements, scales = mx_quantize(src, dst.dtype)
    dst[...] = elements
    scale[...] = widen(scales)


@instruction("vmxquant.fp4", 0x339, VPU, cost=per_element(2, operand=2), since=(1, 1))
def vmxquant_fp4(dst: Out[Fp4, "... C/2"], scale: Out[Scale, "... C/32"], src: In[Float, "... C"]) -> None:
    """Quantize to mxfp4: as `vmxquant`, with E = 2 and two numbers a byte; the error is at most 2 scale.

    Example:
        src = f32 [[1.0, 3.0, -0.3, 24.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
        vmxquant.fp4 dst, scale, src
        dst = fp4x2 [[0x20, 0x78, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        scale = e8m0 [[4.0]]
    """
    elements, scales = mx_quantize(src, FP4)
    dst[...] = pack_fp4(elements)
    scale[...] = widen(scales)


@instruction("vmxdequant", 0x33A, VPU, cost=per_element(1), since=(1, 1))
def vmxdequant(dst: Out[Float, "... C"], src: In[Fp8, "... C"], scale: In[Scale, "... C/32"]) -> None:
    """mxfp8 to floats: dst = src * the scale of its block, in float32, rounded once to dst's dtype.

    Example:
        src = fp8e5m2 [[1.0, -3.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
        scale = e8m0 [[0.25]]
        vmxdequant dst, src, scale
        dst = f32 [[0.25, -0.75, 0.125, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    dst[...] = mx_dequantize(src, scale)


@instruction("vmxdequant.fp4", 0x33B, VPU, cost=per_element(1), since=(1, 1))
def vmxdequant_fp4(dst: Out[Float, "... C"], src: In[Fp4, "... C/2"], scale: In[Scale, "... C/32"]) -> None:
    """mxfp4 to floats: dst = src * the scale of its block, in float32, rounded once to dst's dtype.

    Example:
        src = fp4x2 [[0x21, 0xF7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        scale = e8m0 [[2.0]]
        vmxdequant.fp4 dst, src, scale
        dst = f32 [[1.0, 2.0, 12.0, -12.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
    """
    dst[...] = mx_dequantize(unpack_fp4(src), scale)
