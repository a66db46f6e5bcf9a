"""Matrix products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import DTypeVar, In, Out, bf16, f16, f32, kernel
from sohu.dsl import range as range_

F = DTypeVar("F", f32, bf16, f16)


@kernel
def matmul(
    a: In[F, "M K"], b: In[F, "K N"], c: Out[F, "M N"], *, bm: int = 1024, bn: int = 2048, bk: int = 4096
) -> None:
    """c = a @ b, in blocks of bm x bn, accumulated in float32 over blocks of bk."""
    for i in range_(0, a.M, bm):
        for j in range_(0, b.N, bn):
            acc = a[i : i + bm, 0:bk] @ b[0:bk, j : j + bn]
            for k in range_(bk, a.K, bk):
                acc += a[i : i + bm, k : k + bk] @ b[k : k + bk, j : j + bn]
            c[i : i + bm, j : j + bn] = acc


def matmul_reference(a: NDArray[np.generic], b: NDArray[np.generic]) -> NDArray[np.generic]:
    """a @ b, products and sums in float32, rounded once to a's dtype."""
    return (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype)


@kernel
def linear(x: In[F, "M K"], w: In[F, "N K"], y: Out[F, "M N"], *, bm: int = 128, bn: int = 256) -> None:
    """y = x @ w.T with the weight as checkpoints have it; K is taken whole."""
    for j in range_(0, w.N, bn):
        block = w[j : j + bn]
        for i in range_(0, x.M, bm):
            y[i : i + bm, j : j + bn] = x[i : i + bm] @ block.T


def linear_reference(x: NDArray[np.generic], w: NDArray[np.generic]) -> NDArray[np.generic]:
    """x @ w.T in float32, rounded once to x's dtype."""
    return (x.astype(np.float32) @ w.astype(np.float32).T).astype(x.dtype)
