"""MXU: products of block-scaled (OCP Microscaling) factors. Opcodes 0x210..0x21f.

A block-scaled factor is two tiles: elements (fp8, or fp4x2 with two numbers a byte) and scales (e8m0), one for 32
elements along K. Both are laid out along the dimension that is summed over: a is [M, K] with scales [M, K/32], b is
[K, N] with scales [K/32, N]. fp4x2 packs along K too: a is [M, K/2], b [K/2, N], where a byte holds rows 2k and 2k + 1.
Weights that are stored with K last, as is usual, are seen so through exchanged strides. K is a multiple of 32; what is
shorter is padded with zeros.

Where only the left factor is block-scaled, or the left one is mxfp4 and the right one mxfp8, exchange them:
acc^T = b^T @ a^T, all of it by exchanged strides.

Elements times scales are float32, exactly unless they exceed it (infinite then); a NaN scale makes its block NaN.
Products and sums are as in `mm`. Source: OCP Microscaling Formats (MX) Specification v1.0, sections 5.3 and 6.2.
"""

from sohu.isa.annotations import *
from sohu.isa.costs import systolic
from sohu.isa.instruction import instruction
from sohu.isa.numerics import mx_dequantize, unpack_fp4
from sohu.isa.products import accumulate, multiply

MXU = Engine.MXU


@instruction("mm.mx8", 0x210, MXU, cost=systolic(1, 3), since=(1, 1))
def mm_mx8(
    acc: Out[F32, "... M N", ACC],
    a: In[Fp8, "...? M K", SRAM],
    a_scale: In[Scale, "...? M K/32", SRAM],
    b: In[Fp8, "...? K N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of mxfp8 factors, overwriting: acc = (a * a_scale) @ (b * b_scale).

    Example:
        a = fp8e4m3 [[1.5 * 32]]
        a_scale = e8m0 [[2.0]]
        b = fp8e5m2 [[-1.0] * 32]
        b_scale = e8m0 [[0.5]]
        mm.mx8 acc, a, a_scale, b, b_scale
        acc = f32 [[-48.0]]
    """
    multiply(mx_dequantize(a, a_scale), mx_dequantize(b, b_scale, axis=-2), acc)


@instruction("mma.mx8", 0x211, MXU, cost=systolic(1, 3), since=(1, 1))
def mma_mx8(
    acc: InOut[F32, "... M N", ACC],
    a: In[Fp8, "...? M K", SRAM],
    a_scale: In[Scale, "...? M K/32", SRAM],
    b: In[Fp8, "...? K N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of mxfp8 factors, accumulating: acc += (a * a_scale) @ (b * b_scale).

    Example:
        a = fp8e4m3 [[1.5 * 32]]
        a_scale = e8m0 [[2.0]]
        b = fp8e5m2 [[-1.0] * 32]
        b_scale = e8m0 [[0.5]]
        acc = f32 [[1.0]]
        mma.mx8 acc, a, a_scale, b, b_scale
        acc = f32 [[-47.0]]
    """
    accumulate(mx_dequantize(a, a_scale), mx_dequantize(b, b_scale, axis=-2), acc)


@instruction("mm.mx4", 0x212, MXU, cost=systolic(1, 3), since=(1, 1))
def mm_mx4(
    acc: Out[F32, "... M N", ACC],
    a: In[Fp4, "...? M K/2", SRAM],
    a_scale: In[Scale, "...? M K/32", SRAM],
    b: In[Fp4, "...? K/2 N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of mxfp4 factors, overwriting: acc = (a * a_scale) @ (b * b_scale).

    Example:
        a = fp4x2 [[0x33 * 16]]
        a_scale = e8m0 [[2.0]]
        b = fp4x2 [[0x1A] * 16]
        b_scale = e8m0 [[0.5]]
        mm.mx4 acc, a, a_scale, b, b_scale
        acc = f32 [[-12.0]]
    """
    multiply(mx_dequantize(unpack_fp4(a), a_scale), mx_dequantize(unpack_fp4(b, axis=-2), b_scale, axis=-2), acc)


@instruction("mma.mx4", 0x213, MXU, cost=systolic(1, 3), since=(1, 1))
def mma_mx4(
    acc: InOut[F32, "... M N", ACC],
    a: In[Fp4, "...? M K/2", SRAM],
    a_scale: In[Scale, "...? M K/32", SRAM],
    b: In[Fp4, "...? K/2 N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of mxfp4 factors, accumulating: acc += (a * a_scale) @ (b * b_scale).

    Example:
        a = fp4x2 [[0x33 * 16]]
        a_scale = e8m0 [[2.0]]
        b = fp4x2 [[0x1A] * 16]
        b_scale = e8m0 [[0.5]]
        acc = f32 [[1.0]]
        mma.mx4 acc, a, a_scale, b, b_scale
        acc = f32 [[-11.0]]
    """
    accumulate(mx_dequantize(unpack_fp4(a), a_scale), mx_dequantize(unpack_fp4(b, axis=-2), b_scale, axis=-2), acc)


@instruction("mm.mx8.mx4", 0x214, MXU, cost=systolic(1, 3), since=(1, 1))
def mm_mx8_mx4(
    acc: Out[F32, "... M N", ACC],
    a: In[Fp8, "...? M K", SRAM],
    a_scale: In[Scale, "...? M K/32", SRAM],
    b: In[Fp4, "...? K/2 N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of an mxfp8 by an mxfp4 factor, overwriting: acc = (a * a_scale) @ (b * b_scale).

    Example:
        a = fp8e4m3 [[1.5 * 32]]
        a_scale = e8m0 [[2.0]]
        b = fp4x2 [[0x1A] * 16]
        b_scale = e8m0 [[0.5]]
        mm.mx8.mx4 acc, a, a_scale, b, b_scale
        acc = f32 [[-12.0]]
    """
    multiply(mx_dequantize(a, a_scale), mx_dequantize(unpack_fp4(b, axis=-2), b_scale, axis=-2), acc)


@instruction("mma.mx8.mx4", 0x215, MXU, cost=systolic(1, 3), since=(1, 1))
def mma_mx8_mx4(
    acc: InOut[F32, "... M N", ACC],
    a: In[Fp8, "...? M K", SRAM],
    a_scale: In[Scale, "...? M K/32", SRAM],
    b: In[Fp4, "...? K/2 N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of an mxfp8 by an mxfp4 factor, accumulating: acc += (a * a_scale) @ (b * b_scale).

    Example:
        a = fp8e4m3 [[1.5 * 32]]
        a_scale = e8m0 [[2.0]]
        b = fp4x2 [[0x1A] * 16]
        b_scale = e8m0 [[0.5]]
        acc = f32 [[1.0]]
        mma.mx8.mx4 acc, a, a_scale, b, b_scale
        acc = f32 [[-11.0]]
    """
    accumulate(mx_dequantize(a, a_scale), mx_dequantize(unpack_fp4(b, axis=-2), b_scale, axis=-2), acc)


@instruction("mm.wmx8", 0x216, MXU, cost=systolic(), since=(1, 1))
def mm_wmx8(
    acc: Out[F32, "... M N", ACC],
    a: In[Factor, "...? M K", SRAM],
    b: In[Fp8, "...? K N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of any factor by mxfp8 weights, overwriting: acc = a @ (b * b_scale).

    Example:
        a = bf16 [[3.0 * 32]]
        b = fp8e5m2 [[-1.0] * 32]
        b_scale = e8m0 [[0.5]]
        mm.wmx8 acc, a, b, b_scale
        acc = f32 [[-48.0]]
    """
    multiply(a, mx_dequantize(b, b_scale, axis=-2), acc)


@instruction("mma.wmx8", 0x217, MXU, cost=systolic(), since=(1, 1))
def mma_wmx8(
    acc: InOut[F32, "... M N", ACC],
    a: In[Factor, "...? M K", SRAM],
    b: In[Fp8, "...? K N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of any factor by mxfp8 weights, accumulating: acc += a @ (b * b_scale).

    Example:
        a = bf16 [[3.0 * 32]]
        b = fp8e5m2 [[-1.0] * 32]
        b_scale = e8m0 [[0.5]]
        acc = f32 [[1.0]]
        mma.wmx8 acc, a, b, b_scale
        acc = f32 [[-47.0]]
    """
    accumulate(a, mx_dequantize(b, b_scale, axis=-2), acc)


@instruction("mm.wmx4", 0x218, MXU, cost=systolic(), since=(1, 1))
def mm_wmx4(
    acc: Out[F32, "... M N", ACC],
    a: In[Factor, "...? M K", SRAM],
    b: In[Fp4, "...? K/2 N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of any factor by mxfp4 weights, overwriting: acc = a @ (b * b_scale).

    Example:
        a = bf16 [[3.0 * 32]]
        b = fp4x2 [[0x1A] * 16]
        b_scale = e8m0 [[0.5]]
        mm.wmx4 acc, a, b, b_scale
        acc = f32 [[-12.0]]
    """
    multiply(a, mx_dequantize(unpack_fp4(b, axis=-2), b_scale, axis=-2), acc)


@instruction("mma.wmx4", 0x219, MXU, cost=systolic(), since=(1, 1))
def mma_wmx4(
    acc: InOut[F32, "... M N", ACC],
    a: In[Factor, "...? M K", SRAM],
    b: In[Fp4, "...? K/2 N", SRAM],
    b_scale: In[Scale, "...? K/32 N", SRAM],
) -> None:
    """Matrix product of any factor by mxfp4 weights, accumulating: acc += a @ (b * b_scale).

    Example:
        a = bf16 [[3.0 * 32]]
        b = fp4x2 [[0x1A] * 16]
        b_scale = e8m0 [[0.5]]
        acc = f32 [[1.0]]
        mma.wmx4 acc, a, b, b_scale
        acc = f32 [[-11.0]]
    """
    accumulate(a, mx_dequantize(unpack_fp4(b, axis=-2), b_scale, axis=-2), acc)
