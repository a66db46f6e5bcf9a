"""Softmax along rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import DTypeVar, In, Out, bf16, exp, f16, f32, kernel
from sohu.dsl import range as range_

F = DTypeVar("F", f32, bf16, f16)


@kernel
def softmax(x: In[F, "R C"], y: Out[F, "R C"], *, rows: int = 128) -> None:
    """y = softmax of each row of x, computed in float32."""
    for r in range_(0, x.R, rows):
        t = x[r : r + rows].to(f32)
        e = exp(t - t.max(axis=1, keepdims=True))
        y[r : r + rows] = e / e.sum(axis=1, keepdims=True)


def softmax_reference(x: NDArray[np.generic]) -> NDArray[np.generic]:
    """Softmax of each row in float32, rounded once to x's dtype."""
    t = x.astype(np.float32)
    e = np.exp(t - t.max(axis=1, keepdims=True))
    out: NDArray[np.generic] = (e / e.sum(axis=1, keepdims=True)).astype(x.dtype)
    return out
