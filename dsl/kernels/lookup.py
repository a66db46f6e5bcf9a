"""Embedding lookup, and the most likely token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import DTypeVar, In, Out, arange, bf16, f16, f32, full, i32, kernel, where, zeros
from sohu.dsl import argmax as argmax_op
from sohu.dsl import range as range_

F = DTypeVar("F", f32, bf16, f16)


@kernel
def embedding(ids: In[i32, "N"], table: In[F, "V D"], y: Out[F, "N D"], *, rows: int = 128) -> None:
    """y[n] = table[ids[n]]; an id outside the table stops the chip."""
    for n in range_(0, ids.N, rows):
        y[n : n + rows] = table[ids[n : n + rows]]


def embedding_reference(ids: NDArray[np.int32], table: NDArray[np.generic]) -> NDArray[np.generic]:
    """table[ids]."""
    return table[ids]


@kernel
def argmax(x: In[F, "R V"], y: Out[i32, "R"], *, rows: int = 64, bv: int = 16384) -> None:
    """y[r] = position of the largest element of row r, the first one of equals; blocks of bv columns."""
    for r in range_(0, x.R, rows):
        out = y[r : r + rows]
        count = out.shape[0]
        best = full((count, 1), -np.inf)
        at = zeros((count, 1), i32)
        for v in range_(0, x.V, bv):
            t = x[r : r + rows, v : v + bv].to(f32)
            top = t.max(axis=1, keepdims=True)
            here = argmax_op(t, axis=1, keepdims=True) + arange((1, 1), v)
            better = top > best
            best = where(better, top, best)
            at = where(better.to(i32), here, at)
        out[...] = at[:, 0]


def argmax_reference(x: NDArray[np.generic]) -> NDArray[np.int32]:
    """np.argmax of each row."""
    out: NDArray[np.int32] = np.argmax(x.astype(np.float32), axis=1).astype(np.int32)
    return out
