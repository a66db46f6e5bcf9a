"""The kernels a Llama is made of: two per layer, one before and one after all layers.

Weights come as the porter laid them out in HBM (`models/llama.py`): projections by head, so that a product
lands head by head and nothing is reshaped; `wo` and `down` with their inner dimension first, so that every
block of every weight is contiguous. What is written to HBM between kernels is rounded to the model's dtype;
what stays on the chip in between is float32. ROUNDED names these points for the reference.
"""

from __future__ import annotations

import numpy as np
from sohu.dsl import (
    DTypeVar,
    In,
    Index,
    InOut,
    Out,
    Scalar,
    arange,
    argmax,
    bf16,
    f16,
    f32,
    full,
    i32,
    kernel,
    minimum,
    online_softmax,
    rms_norm,
    rope,
    swiglu,
    where,
    zeros,
)
from sohu.dsl import range as range_

F = DTypeVar("F", f32, bf16, f16)

ROUNDED = frozenset({"embed", "norm", "q_rope", "k_rope", "v", "weights", "attn", "residual", "swiglu"})


@kernel
def attention_block(
    x: In[F, "N C"],
    norm: In[F, "C"],
    wq: In[F, "H G D C"],
    wk: In[F, "H D C"],
    wv: In[F, "H D C"],
    cos: In[f32, "P E"],
    sin: In[f32, "P E"],
    keys: InOut[F, "H S D"],
    values: InOut[F, "H S D"],
    mixed: Out[F, "N H G D"],
    pos: Index,
    scale: Scalar,
    *,
    eps: float = 1e-5,
    rows: int = 64,
    bh: int = 4,
    bk: int = 256,
) -> None:
    """From the residual stream to the heads' weighted values: norm, projections, RoPE, cache, causal attention.

    N tokens at positions pos .. pos+N-1; H key/value heads, bh of them at a time, with G query heads each.
    Keys (after RoPE) and values are appended to their caches, and read from there.
    """
    weight = norm[:]
    for n in range_(0, x.N, rows):
        t = rms_norm(x[n : n + rows], weight, eps)
        count = t.shape[0]
        at = pos + n
        end = at + count
        c, s = cos[at:end], sin[at:end]
        for h in range_(0, wk.H, bh):
            keys[h : h + bh, at:end, :] = rope(t @ wk[h : h + bh].T, c, s)
            values[h : h + bh, at:end, :] = t @ wv[h : h + bh].T
            q = rope(t @ wq[h : h + bh].T, c, s).to(x.dtype)
            state = (q.shape[0], q.shape[1], count, 1)
            m, l = full(state, -np.inf), zeros(state)  # noqa: E741
            o = zeros(q.shape)
            for j in range_(0, end, bk):
                stop = minimum(j + bk, end)
                z = q @ keys[h : h + bh, None, j:stop, :].T
                p, m, l, o = online_softmax(z, m, l, o, scale=scale, causal=True, qpos=at, kpos=j, dtype=x.dtype)  # noqa: E741
                o += p @ values[h : h + bh, None, j:stop, :]
            mixed[n : n + rows, h : h + bh].transpose(1, 2, 0, 3)[...] = o / l


@kernel
def mlp_block(
    x: In[F, "N C"],
    mixed: In[F, "N Q"],
    wo: In[F, "Q C"],
    norm: In[F, "C"],
    gate: In[F, "M C"],
    up: In[F, "M C"],
    down: In[F, "M C"],
    y: Out[F, "N C"],
    *,
    eps: float = 1e-5,
    rows: int = 64,
    bq: int = 256,
    bm: int = 256,
) -> None:
    """The rest of a layer: output projection and residual, norm, SiLU-gated MLP and residual.

    The hidden activations (M of them) are made and used up in blocks of bm; they never leave the chip.
    """
    weight = norm[:]
    for n in range_(0, x.N, rows):
        xb = x[n : n + rows]
        acc = zeros(xb.shape)
        for q in range_(0, wo.Q, bq):
            acc += mixed[n : n + rows, q : q + bq] @ wo[q : q + bq]
        h = (xb + acc).to(x.dtype)
        t = rms_norm(h, weight, eps)
        out = zeros(xb.shape)
        for m in range_(0, gate.M, bm):
            g = t @ gate[m : m + bm].T
            u = t @ up[m : m + bm].T
            out += swiglu(g, u, dtype=x.dtype) @ down[m : m + bm]
        y[n : n + rows] = h + out


@kernel
def logits(
    x: In[F, "N C"],
    norm: In[F, "C"],
    head: In[F, "V C"],
    y: Out[f32, "N V"],
    *,
    eps: float = 1e-5,
    rows: int = 128,
    bv: int = 512,
) -> None:
    """y = norm(x) head^T in float32: the scores of every token of the vocabulary, at every position."""
    weight = norm[:]
    for n in range_(0, x.N, rows):
        t = rms_norm(x[n : n + rows], weight, eps)
        for v in range_(0, head.V, bv):
            y[n : n + rows, v : v + bv] = t @ head[v : v + bv].T


@kernel
def next_token(
    x: In[F, "N C"],
    norm: In[F, "C"],
    head: In[F, "V C"],
    token: Out[i32, "1"],
    at: Index,
    *,
    eps: float = 1e-5,
    bv: int = 512,
) -> None:
    """The most likely token after row `at` of x (on a tie, the lowest): norm, head and arg-max fused.

    The scores are made and compared in blocks of bv; they never leave the chip.
    """
    t = rms_norm(x[at : at + 1], norm[:], eps)
    best = full((1, 1), -np.inf)
    which = zeros((1, 1), i32)
    for v in range_(0, head.V, bv):
        s = t @ head[v : v + bv].T
        top = s.max(axis=1, keepdims=True)
        here = argmax(s, axis=1, keepdims=True) + arange((1, 1), v)
        better = top > best
        which = where(better.to(i32), here, which)
        best = where(better, top, best)
    token[...] = which[:, 0]
