"""Causal attention over a key/value cache, with grouped heads (GQA)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import (
    DTypeVar,
    In,
    Index,
    InOut,
    Out,
    Scalar,
    bf16,
    f16,
    f32,
    full,
    kernel,
    minimum,
    online_softmax,
    zeros,
)
from sohu.dsl import range as range_

F = DTypeVar("F", f32, bf16, f16)


@kernel
def cache_append(x: In[F, "N H D"], cache: InOut[F, "H S D"], pos: Index, *, rows: int = 64) -> None:
    """cache[:, pos:pos+N, :] = x, head by head: N tokens' keys or values into the cache at a run-time position."""
    for n in range_(0, x.N, rows):
        t = x[n : n + rows].transpose(1, 0, 2)
        at = pos + n
        cache[:, at : at + t.shape[1], :] = t


def cache_append_reference(x: NDArray[np.generic], cache: NDArray[np.generic], pos: int) -> None:
    """The same in place, by NumPy."""
    cache[:, pos : pos + len(x), :] = x.transpose(1, 0, 2)


@kernel
def attention(
    q: In[F, "N H G D"],
    k: In[F, "H S D"],
    v: In[F, "H S D"],
    out: Out[F, "N H G D"],
    pos: Index,
    scale: Scalar,
    *,
    bq: int = 256,
    bk: int = 256,
) -> None:
    """out = softmax(q k^T * scale, causal) v for N queries at positions pos .. pos+N-1.

    H key/value heads serve G query heads each. The caches k and v hold at least pos + N positions. Online
    softmax over blocks of bk keys; blocks after the last query are not visited.
    """
    for n in range_(0, q.N, bq):
        qb = q[n : n + bq].transpose(1, 2, 0, 3)
        rows = qb.shape[2]
        m = full((q.H, q.G, rows, 1), -np.inf)
        l = zeros((q.H, q.G, rows, 1))  # noqa: E741
        o = zeros((q.H, q.G, rows, q.D))
        end = pos + n + rows
        for j in range_(0, end, bk):
            stop = minimum(j + bk, end)
            s = qb @ k[:, None, j:stop, :].T
            p, m, l, o = online_softmax(s, m, l, o, scale=scale, causal=True, qpos=pos + n, kpos=j, dtype=q.dtype)  # noqa: E741
            o += p @ v[:, None, j:stop, :]
        out[n : n + bq].transpose(1, 2, 0, 3)[...] = o / l


def attention_reference(
    q: NDArray[np.generic], k: NDArray[np.generic], v: NDArray[np.generic], pos: int, scale: float
) -> NDArray[np.generic]:
    """Causal attention with the whole score matrix at once, in float32, rounded once to q's dtype."""
    n = len(q)
    qf = q.astype(np.float32).transpose(1, 2, 0, 3)
    kf, vf = (c[:, None, : pos + n].astype(np.float32) for c in (k, v))
    s = qf @ kf.swapaxes(-1, -2) * np.float32(scale)
    s[..., np.arange(pos + n) > (pos + np.arange(n))[:, None]] = -np.inf
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    o = (p / p.sum(axis=-1, keepdims=True)) @ vf
    out: NDArray[np.generic] = o.transpose(2, 0, 1, 3).astype(q.dtype)
    return out
