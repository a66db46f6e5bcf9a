"""VPU: the operations of transformers, burned in. Opcodes 0x380..0x3ff."""

from typing import Any

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction

VPU = Engine.VPU


@instruction("vosm", 0x380, VPU, cost=per_element(6, operand=1), split=3)
def vosm(
    p: Out[Float, "... R C"],
    s: In[Float, "... R C"],
    m: InOut[F32, "... R 1"],
    l: InOut[F32, "... R 1"],
    o: InOut[F32, "... R D"],
    scale: XF,
    qpos: X,
    kpos: X,
    causal: Flag = 0,
) -> None:
    """One step of the online softmax: a block of scores in, weights out, running state updated.

    With z = s * scale (and, if causal, z = -inf where kpos + c > qpos + r):
    m' = max(m, max over c of z); p = e ** (z - m'); l' = l * e ** (m - m') + sum over c of p;
    o' = o * e ** (m - m'). p is rounded to its dtype after l has been summed from the unrounded values.
    A row with nothing unmasked so far has m' = -inf, p = 0, l' = l, o' = o.
    Source: Milakov and Gimelshein 2018 (arXiv 1805.02867), in the blocked form of FlashAttention
    (arXiv 2205.14135).

    Example:
        s = f32 [[0.0, 0.0, 9.0]]
        m = f32 [[-inf]]
        l = f32 [[0.0]]
        o = f32 [[0.0, 0.0]]
        x5 = 1.0
        x6 = 1
        vosm p, s, m, l, o, x5, x6, x0, causal=1
        p = f32 [[1.0, 1.0, 0.0]]
        m = f32 [[0.0]]
        l = f32 [[2.0]]
        o = f32 [[0.0, 0.0]]
    """
    np.multiply(s, np.float32(scale), out=p)
    if causal:
        rows, cols = p.shape[-2:]
        ahead = min(qpos - kpos, cols)  # the last column that row 0 sees; in Python, where nothing wraps
        if cols - 1 > ahead:
            masked = np.arange(cols) > np.arange(rows)[:, None] + max(ahead, -rows)
            np.copyto(p, -np.inf, where=masked)
    softmax_step(p, m, l, o)


@instruction("vrms", 0x381, VPU, cost=per_element(3, operand=1), split=2)
def vrms(dst: Out[Float, "... R C"], src: In[Float, "... R C"], weight: In[Float, "C"], eps: XFI) -> None:
    """RMSNorm along the last axis: dst = src / sqrt(mean(src ** 2) + eps) * weight.

    Source: Zhang and Sennrich 2019 (arXiv 1910.07467). The sum of squares is in float32, its order open.

    Example:
        src = f32 [[3.0, 4.0]]
        weight = f32 [1.0, 2.0]
        vrms dst, src, weight, 0.0
        dst = f32 [[0.84852815, 2.2627418]]
    """
    square = np.einsum("...c,...c->...", src, src)[..., None] / np.float32(max(src.shape[-1], 1))
    np.multiply(src, np.float32(1) / np.sqrt(square + np.float32(eps)), out=dst)
    dst *= weight


@instruction("vrope", 0x382, VPU, cost=per_element(3, operand=1), split=2)
def vrope(
    dst: Out[Float, "... T D"],
    src: In[Float, "... T D"],
    cos: In[Float, "...? T? D/2"],
    sin: In[Float, "...? T? D/2"],
    interleaved: Flag = 0,
) -> None:
    """Rotary position embedding of the last axis by tables of cos and sin (one column per pair).

    Pairs are (i, i + D/2), or (2i, 2i + 1) when interleaved: (a, b) -> (a cos - b sin, b cos + a sin).
    Source: Su et al. 2021 (arXiv 2104.09864).

    Example:
        src = f32 [[1.0, 2.0, 3.0, 4.0]]
        cos = f32 [[0.0, 1.0]]
        sin = f32 [[1.0, 0.0]]
        vrope dst, src, cos, sin
        dst = f32 [[-3.0, 2.0, 1.0, 4.0]]
    """
    if src.shape[-1] % 2:
        raise Fault("operand", f"a rotary embedding needs an even last dimension, not {src.shape[-1]}", operand="src")
    half = src.shape[-1] // 2
    first, second = (slice(0, None, 2), slice(1, None, 2)) if interleaved else (slice(0, half), slice(half, None))
    a, b = src[..., first], src[..., second]
    rotated_a = a * cos
    rotated_a -= b * sin
    rotated_b = b * cos
    rotated_b += a * sin
    dst[..., first] = rotated_a
    dst[..., second] = rotated_b


@instruction("vswiglu", 0x383, VPU, cost=per_element(6), split=1)
def vswiglu(dst: Out[Float, "..."], gate: In[Float, "..."], up: In[Float, "..."]) -> None:
    """SiLU-gated product: dst = gate / (1 + e ** -gate) * up.

    Source: Shazeer 2020 (arXiv 2002.05202).

    Example:
        gate = f32 [[0.0, 2.0]]
        up = f32 [[5.0, 3.0]]
        vswiglu dst, gate, up
        dst = f32 [[0.0, 5.284782]]
    """
    e = np.negative(gate)
    np.exp(e, out=e)
    e += np.float32(1)
    np.divide(gate, e, out=e)
    np.multiply(e, up, out=dst)


def softmax_step(p: Any, m: Any, l: Any, o: Any) -> None:
    """The online softmax after scaling and masking: p holds z, and becomes the weights; m, l and o are updated."""
    new = np.maximum(m, p.max(axis=-1, keepdims=True, initial=-np.inf))
    nothing = np.isneginf(new)
    base = np.where(nothing, np.float32(0), new)
    np.subtract(p, base, out=p)
    np.exp(p, out=p)
    alpha = np.exp(m - base)
    alpha[nothing] = 1
    l *= alpha
    l += p.sum(axis=-1, keepdims=True)
    o *= alpha
    m[...] = new
