"""The kernels a Llama is made of: one launch reads a prompt or decodes a token, all layers in it.

The residual stream stays on the chip, in float32, from the embedding to the head. The weights of all layers are
stacked, and lie in HBM as `models/layout.py` puts them, for a loop over layers to slice. Factors of products are
rounded to the model's dtype, and so are keys and values in their cache; sums are float32. ROUNDED names these points
for the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sohu.dsl import (
    DTypeVar,
    In,
    Index,
    InOut,
    Out,
    Scalar,
    add_rms_norm,
    arange,
    argmax,
    bf16,
    exp,
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

ROUNDED = frozenset({"embed", "norm", "q_rope", "k_rope", "v", "weights", "attn", "swiglu"})


def product(x: Any, w: Any, block: int) -> Any:
    """x @ w, with `block` rows of w on the chip at a time."""
    if block >= w.shape[0]:
        return x @ w
    out = zeros((x.shape[0], w.shape[1]))
    for k in range_(0, w.shape[0], block):
        out += x[:, k : k + block] @ w[k : k + block]
    return out


def mix(
    t: Any, wqkv: Any, keys: Any, values: Any, cos: Any, sin: Any, at: Any, scale: Any, bk: int, bc: int, one: bool
) -> Any:
    """Causal attention of tokens t [N, C] at positions at .. at+N-1 of one layer: the heads' weighted values [N, O].

    H heads of keys and values, of D elements, serve G heads of queries each. Keys (after RoPE) and values are appended
    to their caches [H, S, D], and read from there, bk positions at a time.
    """
    count, (heads, positions, width) = t.shape[0], keys.shape
    group = wqkv.shape[1] // (heads * width) - 2
    qkv = product(t, wqkv, bc).reshape(count, group + 2, heads, width).transpose(1, 2, 0, 3)
    turned = rope(qkv[: group + 1], cos, sin).to(t.dtype)
    end = at + count
    if one:
        keys[:, at] = turned[group, :, 0]
        values[:, at] = qkv[group + 1, :, 0]
    else:
        keys[:, at:end] = turned[group]
        values[:, at:end] = qkv[group + 1]
    if one and positions <= bk:  # all keys at once, and all of them are seen
        z = turned[:group, :, 0].transpose(1, 0, 2) @ keys[:, :end].T * scale
        e = exp(z - z.max(axis=-1, keepdims=True))
        all_heads = e.to(t.dtype) @ values[:, :end] / e.sum(axis=-1, keepdims=True)
        return all_heads.to(t.dtype).reshape(1, heads * group * width)
    q = turned[:group]
    state = (group, heads, count, 1)
    m, l, o = full(state, -np.inf), zeros(state), zeros((group, heads, count, width))  # noqa: E741
    for j in range_(0, end, bk):
        stop = minimum(j + bk, end)
        z = q @ keys[None, :, j:stop].T
        p, m, l, o = online_softmax(z, m, l, o, scale=scale, causal=True, qpos=at, kpos=j, dtype=t.dtype)  # noqa: E741
        o += p @ values[None, :, j:stop]
    mixed: Any = o.transpose(2, 1, 0, 3) / l.transpose(2, 1, 0, 3)
    return mixed.to(t.dtype).reshape(count, heads * group * width)


def gated(t: Any, gate_up: Any, down: Any, bm: int) -> Any:
    """The SiLU-gated MLP of t [N, C], with bm of its hidden activations on the chip at a time."""
    hidden: int = down.shape[1]
    if bm >= hidden:
        gu = t @ gate_up[:]
        return swiglu(gu[:, :hidden], gu[:, hidden:], dtype=t.dtype) @ down[:].T
    out = zeros((t.shape[0], down.shape[0]))
    for m in range_(0, hidden, bm):
        n = minimum(m + bm, hidden)
        g = t @ gate_up[:, m:n]
        u = t @ gate_up[:, hidden + m : hidden + n]
        out += swiglu(g, u, dtype=t.dtype) @ down[:, m:n].T
    return out


def layers(
    x: Any, weights: Any, caches: Any, tables: Any, at: Any, scale: Any, eps: float, blocks: Any, one: bool
) -> Any:
    """All layers: the residual stream x [N, C] of tokens at positions at .. at+N-1, before them and after.

    blocks: (bk, bc, bm); one: N is 1.
    """
    attn_norm, wqkv, wo, mlp_norm, gate_up, down = weights
    (keys, values), (cos, sin), (bk, bc, bm) = caches, tables, blocks
    dtype, end = wqkv.dtype, at + x.shape[0]
    c, s = (cos[at], sin[at]) if one else (cos[at:end], sin[at:end])
    before, between = attn_norm[:], mlp_norm[:]
    for n in range_(0, wqkv.L):
        t = rms_norm(x, before[n], eps, dtype=dtype)
        mixed = mix(t, wqkv[n], keys[n], values[n], c, s, at, scale, bk, bc, one)
        t, x = add_rms_norm(x, product(mixed, wo[n], bc), between[n], eps, dtype=dtype)
        x = x + gated(t, gate_up[n], down[n], bm)
    return x


def likeliest(t: Any, head: Any, bv: int) -> Any:
    """The column of t @ head [C, V] with the largest score, for t [1, C]; on a tie, the lowest.

    The scores are made and compared bv at a time; they never leave the chip.
    """
    best = full((1, 1), -np.inf)
    which = zeros((1, 1), i32)
    for v in range_(0, head.V, bv):
        s = t @ head[:, v : v + bv]
        top = s.max(axis=1, keepdims=True)
        here = argmax(s, axis=1, keepdims=True) + arange((1, 1), v)
        better = top > best
        which = where(better.to(i32), here, which)
        best = where(better, top, best)
    return which[:, 0]


@kernel
def next_token(
    ids: In[i32, "N"],
    embed: In[F, "C V"],
    attn_norm: In[F, "L C"],
    wqkv: In[F, "L C Q"],
    wo: In[F, "L O C"],
    mlp_norm: In[F, "L C"],
    gate_up: In[F, "L C U"],
    down: In[F, "L C M"],
    final_norm: In[F, "C"],
    head: In[F, "C V"],
    cos: In[f32, "P E"],
    sin: In[f32, "P E"],
    keys: InOut[F, "L H S D"],
    values: InOut[F, "L H S D"],
    token: Out[i32, "1"],
    pos: Index,
    scale: Scalar,
    *,
    eps: float = 1e-5,
    rows: int = 256,
    bk: int = 512,
    bc: int = 1 << 16,
    bm: int = 1 << 16,
    bv: int = 8192,
) -> None:
    """The most likely token (on a tie, the lowest) after N tokens at positions pos .. pos+N-1.

    The tokens go through all layers `rows` at a time. With rows=1 it decodes: N is 1.
    """
    weights = (attn_norm, wqkv, wo, mlp_norm, gate_up, down)
    caches, tables, blocks = (keys, values), (cos, sin), (bk, bc, bm)
    if rows == 1:
        x = embed.T[ids[0:1]].to(f32)
        x = layers(x, weights, caches, tables, pos, scale, eps, blocks, True)
    else:
        x = zeros((1, embed.C))
        for n in range_(0, ids.N, rows):
            y = embed.T[ids[n : n + rows]].to(f32)
            y = layers(y, weights, caches, tables, pos + n, scale, eps, blocks, False)
            last = y.shape[0] - 1
            x = y[last : last + 1] * 1.0
    token[...] = likeliest(rms_norm(x, final_norm[:], eps, dtype=head.dtype), head, bv)


@kernel
def logits(
    ids: In[i32, "N"],
    embed: In[F, "C V"],
    attn_norm: In[F, "L C"],
    wqkv: In[F, "L C Q"],
    wo: In[F, "L O C"],
    mlp_norm: In[F, "L C"],
    gate_up: In[F, "L C U"],
    down: In[F, "L C M"],
    final_norm: In[F, "C"],
    head: In[F, "C V"],
    cos: In[f32, "P E"],
    sin: In[f32, "P E"],
    keys: InOut[F, "L H S D"],
    values: InOut[F, "L H S D"],
    y: Out[f32, "N V"],
    pos: Index,
    scale: Scalar,
    *,
    eps: float = 1e-5,
    rows: int = 256,
    bk: int = 512,
    bc: int = 1 << 16,
    bm: int = 1 << 16,
    bv: int = 4096,
) -> None:
    """The scores of every token of the vocabulary after each of N tokens at positions pos .. pos+N-1, in float32."""
    weights = (attn_norm, wqkv, wo, mlp_norm, gate_up, down)
    caches, tables, blocks = (keys, values), (cos, sin), (bk, bc, bm)
    for n in range_(0, ids.N, rows):
        x = embed.T[ids[n : n + rows]].to(f32)
        x = layers(x, weights, caches, tables, pos + n, scale, eps, blocks, False)
        t = rms_norm(x, final_norm[:], eps, dtype=head.dtype)
        for v in range_(0, head.V, bv):
            y[n : n + rows, v : v + bv] = t @ head[:, v : v + bv]
