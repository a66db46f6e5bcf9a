"""The SiLU-gated feed-forward block of a Llama."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import DTypeVar, In, Out, bf16, f16, f32, kernel, swiglu, zeros
from sohu.dsl import range as range_

F = DTypeVar("F", f32, bf16, f16)


@kernel
def gated_mlp(
    x: In[F, "M D"],
    gate: In[F, "N D"],
    up: In[F, "N D"],
    down: In[F, "N D"],
    y: Out[F, "M D"],
    *,
    bm: int = 128,
    bn: int = 256,
) -> None:
    """y = (silu(x gate^T) * (x up^T)) down, fused: the hidden activations never leave the chip's memory.

    All three weights are [hidden, model]: `down` is the transpose of what checkpoints hold.
    """
    for i in range_(0, x.M, bm):
        xb = x[i : i + bm]
        acc = zeros((xb.shape[0], x.D))
        for j in range_(0, gate.N, bn):
            g = xb @ gate[j : j + bn].T
            u = xb @ up[j : j + bn].T
            h = swiglu(g, u, dtype=x.dtype)
            acc += h @ down[j : j + bn]
        y[i : i + bm] = acc


def gated_mlp_reference(
    x: NDArray[np.generic], gate: NDArray[np.generic], up: NDArray[np.generic], down: NDArray[np.generic]
) -> NDArray[np.generic]:
    """The block in float32; the hidden activations and the result are rounded to x's dtype."""
    xf, gf, uf, df = (a.astype(np.float32) for a in (x, gate, up, down))
    g, u = xf @ gf.T, xf @ uf.T
    h = (g / (1 + np.exp(-g)) * u).astype(x.dtype).astype(np.float32)
    out: NDArray[np.generic] = (h @ df).astype(x.dtype)
    return out
