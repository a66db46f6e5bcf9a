"""What serving a transformer needs beyond a dense decoder, as kernels: experts, paged caches, sampling, drafts."""

from __future__ import annotations

import numpy as np
import pytest
from sohu.dsl import In, Index, InOut, Out, Scalar, f32, i32, kernel
from sohu.isa.philox import random_words

import sohu
from tests.dsl.support import rand, run, same


@kernel
def experts_layer(
    x: In[f32, "N D"],
    gate: In[f32, "D E"],
    up: In[f32, "E D F"],
    down: In[f32, "E F D"],
    y: InOut[f32, "N D"],
    *,
    room: int = 16,
):
    """y += a mixture of experts: each expert sees only its own tokens, as many as the router gave it."""
    weights, experts = sohu.router(x[...] @ gate[...], 2)
    for e in sohu.range(0, gate.E):
        mine = (experts == sohu.arange((1, 1), e)).to(f32)
        weight = (mine * weights).sum(axis=1, keepdims=True)  # [N, 1]
        count = mine.sum(axis=1, keepdims=True).sum(axis=0, keepdims=True).to(i32).item()
        n = sohu.minimum(count, room)
        # the expert's tokens first, in their order
        _, tokens = sohu.sort(mine.sum(axis=1)[None, :], sohu.arange((1, x.N)), descending=True)
        index = tokens[0, 0:n]
        rows = sohu.isa_op("dma.gather", x, index)
        own = sohu.take_along_axis(weight.T, index[None, :])
        hidden = sohu.relu2(rows @ up[e])
        sohu.isa_op("dma.scatter.add", y, (hidden @ down[e]) * own.T, index)


@pytest.mark.parametrize("tokens", [1, 5, 13])
def test_a_mixture_of_experts(tokens: int) -> None:
    d, f, e = 8, 12, 5
    x, gate = rand(tokens, d), rand(d, e, seed=1)
    up, down, y = rand(e, d, f, seed=2), rand(e, f, d, seed=3), rand(tokens, d, seed=4)
    logits = x @ gate
    best = np.argsort(-logits, axis=1, kind="stable")[:, :2]
    weights = np.exp(np.take_along_axis(logits, best, 1))
    weights /= weights.sum(axis=1, keepdims=True)
    want = y.copy()
    for t in range(tokens):
        for k in range(2):
            hidden = np.maximum(x[t] @ up[best[t, k]], 0) ** 2
            want[t] += weights[t, k] * (hidden @ down[best[t, k]])
    got = run(experts_layer, x, gate, up, down, y)
    same(got[4], want, 1e-5)


@kernel
def paged_attention(
    q: In[f32, "R D"],
    keys: In[f32, "P S D"],
    values: In[f32, "P S D"],
    pages: In[i32, "M"],
    y: Out[f32, "R D"],
    length: Index,
    *,
    block: int = 8,
):
    """Causal attention of the last R positions of a sequence whose keys and values lie in pages."""
    t, table = q[...], pages[...]
    m, total, o = sohu.full((q.R, 1), float("-inf")), sohu.zeros((q.R, 1)), sohu.zeros((q.R, q.D))
    for at in sohu.range(0, length, block):
        n = sohu.minimum(length - at, block)
        k = sohu.isa_op("dma.gather.pages", keys, table, at, shape=(n, q.D))
        v = sohu.isa_op("dma.gather.pages", values, table, at, shape=(n, q.D))
        p, m, total, o = sohu.online_softmax(t @ k.T, m, total, o, causal=True, qpos=length - q.R, kpos=at)
        o += p @ v
    y[...] = o / total


@kernel
def append(new: In[f32, "R D"], keys: InOut[f32, "P S D"], pages: In[i32, "M"], first: Index):
    """Rows of the keys of a sequence, from row `first` on."""
    sohu.isa_op("dma.scatter.pages", keys, new[...], pages[...], first)


@pytest.mark.parametrize("length", [3, 8, 21])
def test_a_paged_cache(length: int) -> None:
    d, size, r = 8, 4, 3
    rng = np.random.default_rng(length)
    table = rng.permutation(8)[:6].astype(np.int32)
    k, v, q = rand(length, d), rand(length, d, seed=1), rand(r, d, seed=2)
    pools = [np.full((8, size, d), np.nan, np.float32) for _ in range(2)]
    for pool, rows in zip(pools, (k, v), strict=True):
        pool[:] = run(append, rows[: length // 2], pool, table, 0)[1]
        pool[:] = run(append, rows[length // 2 :], pool, table, length // 2)[1]
        flat = pool[table].reshape(-1, d)
        assert np.array_equal(flat[:length], rows) and np.isnan(flat[length:]).all()
    z = np.where(np.arange(length) <= length - r + np.arange(r)[:, None], q @ k.T, -np.inf)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    same(run(paged_attention, q, *pools, table, length=length), (e @ v / e.sum(axis=1, keepdims=True)), 1e-5)


@kernel
def sample(logits: In[f32, "1 V"], token: Out[i32, "1 1"], top_p: Scalar, key: Index, step: Index):
    """A token from the smallest set of the likeliest whose probabilities come to top_p."""
    z = logits[...]
    e = sohu.exp(z - z.max(axis=1, keepdims=True))
    p, order = sohu.sort(e / e.sum(axis=1, keepdims=True), sohu.arange((1, logits.V)), descending=True)
    kept = (sohu.cumsum(p, exclusive=True) < top_p).to(f32) * p
    draw = sohu.uniform((1, 1), key, step) * kept.sum(axis=1, keepdims=True)
    at = (sohu.cumsum(kept) <= draw).to(i32).sum(axis=1, keepdims=True)
    token[...] = sohu.take_along_axis(order, at)


def test_sampling() -> None:
    logits = rand(1, 50) * 2
    z = np.exp(logits[0].astype(np.float64))
    z /= z.sum()
    order = np.argsort(-z)
    inside = np.cumsum(z[order]) - z[order] < 0.8
    kept = z[order] * inside
    drawn = []
    for step in range(40):
        token = int(run(sample, logits, top_p=0.8, key=11, step=step, seeds=range(0))[0, 0])
        u = float(random_words(1, 11, step)[0] >> 8) / 2**24 * kept.sum()
        assert token == order[int((np.cumsum(kept) <= u).sum())]
        drawn.append(token)
    assert set(drawn) <= set(order[inside]) and len(set(drawn)) > 5
