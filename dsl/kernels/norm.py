"""RMSNorm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import DTypeVar, In, Out, bf16, f16, f32, kernel, rms_norm
from sohu.dsl import range as range_

F = DTypeVar("F", f32, bf16, f16)


@kernel
def rmsnorm(x: In[F, "R C"], w: In[F, "C"], y: Out[F, "R C"], *, eps: float = 1e-5, rows: int = 128) -> None:
    """y = x / sqrt(mean(x ** 2) + eps) * w, row by row."""
    weight = w[:]
    for r in range_(0, x.R, rows):
        y[r : r + rows] = rms_norm(x[r : r + rows], weight, eps)


def rmsnorm_reference(x: NDArray[np.generic], w: NDArray[np.generic], eps: float = 1e-5) -> NDArray[np.generic]:
    """RMSNorm in float32, rounded once to x's dtype."""
    t = x.astype(np.float32)
    scale = 1 / np.sqrt((t * t).mean(axis=-1, keepdims=True, dtype=np.float32) + np.float32(eps))
    out: NDArray[np.generic] = (t * scale * w.astype(np.float32)).astype(x.dtype)
    return out
