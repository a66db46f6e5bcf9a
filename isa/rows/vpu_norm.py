"""VPU: normalization and positions. Opcodes 0x388..0x38f."""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction

VPU = Engine.VPU


@instruction("vln", 0x388, VPU, cost=per_element(5, operand=1), since=(1, 1), split=2)
def vln(
    dst: Out[Float, "... R C"],
    src: In[Float, "... R C"],
    weight: In[Float, "C?"],
    bias: In[Float, "C?"],
    eps: XFI,
) -> None:
    """LayerNorm along the last axis: dst = (src - mean) / sqrt(variance + eps) * weight + bias.

    The variance is the mean of (src - mean)^2. A weight or bias of one element stands for all: 1 and 0 for a norm
    without. Sums are in float32, their order open (error before rounding: C * 2^-22 * the largest |src|, divided by
    the deviation).
    Source: Ba, Kiros and Hinton 2016 (arXiv 1607.06450).

    Example:
        src = f32 [[1.0, 3.0]]
        weight = f32 [2.0, 1.0]
        bias = f32 [0.5]
        vln dst, src, weight, bias, 0.0
        dst = f32 [[-1.5, 1.5]]
    """
    count = np.float32(max(src.shape[-1], 1))
    centered = src - np.add.reduce(src, axis=-1, keepdims=True) / count
    variance = np.einsum("...c,...c->...", centered, centered)[..., None] / count
    centered *= np.float32(1) / np.sqrt(variance + np.float32(eps))
    np.multiply(centered, weight, out=dst)
    dst += bias


@instruction("vrms.add", 0x389, VPU, cost=per_element(4, operand=1), since=(1, 1), split=2)
def vrms_add(
    dst: Out[Float, "... R C"],
    residual: InOut[Float, "... R C"],
    src: In[Float, "... R C"],
    weight: In[Float, "C?"],
    eps: XFI,
) -> None:
    """Add to the residual stream, and RMSNorm of the sum, which every block of a pre-norm transformer begins with.

    residual' = residual + src; dst = residual' / sqrt(mean(residual'^2) + eps) * weight. The norm is that of the
    unrounded sum. Models that multiply by 1 + weight (Gemma) want that sum as weights (vadds, once, in float32).
    Source: Zhang and Sennrich 2019 (arXiv 1910.07467).

    Example:
        residual = f32 [[1.0, 5.0]]
        src = f32 [[2.0, -1.0]]
        weight = f32 [1.0]
        vrms.add dst, residual, src, weight, 0.0
        dst = f32 [[0.84852815, 1.1313709]]
        residual = f32 [[3.0, 4.0]]
    """
    residual += src
    square = np.einsum("...c,...c->...", residual, residual)[..., None] / np.float32(max(residual.shape[-1], 1))
    np.multiply(residual, np.float32(1) / np.sqrt(square + np.float32(eps)), out=dst)
    dst *= weight


@instruction("vrope.part", 0x38C, VPU, cost=per_element(3, operand=1), since=(1, 1))
def vrope_part(
    dst: Out[Float, "... T D"],
    src: In[Float, "... T D"],
    cos: In[Float, "...? T? H"],
    sin: In[Float, "...? T? H"],
    interleaved: Flag = 0,
) -> None:
    """Rotary position embedding (vrope) of the first 2 H elements of the last axis; the others are copied.

    H is the width of the tables; 2 H above D is an operand error. Pairs are (i, i + H), or (2i, 2i + 1) when
    interleaved. To rotate elements elsewhere in the axis, take a slice of the tile and vrope.
    Source: Black et al. 2022, GPT-NeoX-20B (arXiv 2204.06745), 2.1.1.

    Example:
        src = f32 [[1.0, 2.0, 3.0]]
        cos = f32 [[0.0]]
        sin = f32 [[1.0]]
        vrope.part dst, src, cos, sin
        dst = f32 [[-2.0, 1.0, 3.0]]
    """
    half, width = cos.shape[-1], src.shape[-1]
    if 2 * half > width:
        raise Fault(
            "operand", f"tables of width {half} rotate {2 * half} elements, and there are {width}", operand="cos"
        )
    end = 2 * half
    first, second = (slice(0, end, 2), slice(1, end, 2)) if interleaved else (slice(0, half), slice(half, end))
    a, b = src[..., first], src[..., second]
    rotated_a = a * cos - b * sin
    rotated_b = b * cos + a * sin
    dst[..., end:] = src[..., end:]
    dst[..., first] = rotated_a
    dst[..., second] = rotated_b


@instruction("vrope.table", 0x38D, VPU, cost=per_element(12), since=(1, 1))
def vrope_table(
    cos: Out[Float, "T H"], sin: Out[Float, "T H"], position: In[I32, "T"], frequency: In[F32, "H"], scale: XFI = 1.0
) -> None:
    """Tables for rotary embeddings: cos[t, i] = scale * cos(position[t] * frequency[i]), and sin likewise.

    The angle is exact before its sine and cosine are taken, at any position; they are within 1 ULP of float32. The
    scalings of long contexts are all in the frequencies (linear, NTK-aware, Llama 3's, and YaRN's, whose attention
    factor is `scale`). Positions along several axes (as for images) fill the columns of each axis by a slice of
    its own.
    Source: Su et al. 2021 (arXiv 2104.09864); Peng et al. 2023, YaRN (arXiv 2309.00071).

    Example:
        position = i32 [0, 2]
        frequency = f32 [1.0, 0.5]
        vrope.table cos, sin, position, frequency
        cos = f32 [[1.0, 1.0], [-0.41614684, 0.5403023]]
        sin = f32 [[0.0, 0.0], [0.9092974, 0.84147096]]
    """
    # a product can have 55 bits: those of each half of the position fit float64, and what their sum lacks is `rest`
    upper = np.multiply(position[:, None] & ~0xFFFF, frequency, dtype=np.float64)
    lower = np.multiply(position[:, None] & 0xFFFF, frequency, dtype=np.float64)
    angle = upper + lower
    rest = lower - (angle - upper)
    c, s, c_rest, s_rest = np.cos(angle), np.sin(angle), np.cos(rest), np.sin(rest)
    cos[...] = (c * c_rest - s * s_rest) * np.float64(scale)
    sin[...] = (s * c_rest + c * s_rest) * np.float64(scale)
