"""Rotary position embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import DTypeVar, In, Index, Out, bf16, f16, f32, kernel
from sohu.dsl import range as range_
from sohu.dsl import rope as rope_op

F = DTypeVar("F", f32, bf16, f16)


@kernel
def rope(
    x: In[F, "N H D"],
    cos: In[f32, "S E"],
    sin: In[f32, "S E"],
    y: Out[F, "N H D"],
    pos: Index,
    *,
    rows: int = 64,
    interleaved: bool = False,
) -> None:
    """Rotate N tokens of H heads, the first of them at position pos, by tables of one row per position (E = D/2)."""
    for n in range_(0, x.N, rows):
        t = x[n : n + rows]
        count = t.shape[0]
        at = pos + n
        c, s = cos[at : at + count], sin[at : at + count]
        y[n : n + rows] = rope_op(t, c[:, None, :], s[:, None, :], interleaved=interleaved)


def rope_tables(positions: int, dim: int, theta: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """cos and sin of position * theta ** (-2i/dim), float32 [positions, dim/2] (Su et al. 2021)."""
    frequency = theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    angle = np.arange(positions, dtype=np.float64)[:, None] * frequency
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def rope_reference(
    x: NDArray[np.generic],
    cos: NDArray[np.float32],
    sin: NDArray[np.float32],
    pos: int,
    interleaved: bool = False,
) -> NDArray[np.generic]:
    """The rotation in float32 with complex numbers' formula, rounded once to x's dtype."""
    t = x.astype(np.float32)
    half = t.shape[-1] // 2
    a, b = (t[..., ::2], t[..., 1::2]) if interleaved else (t[..., :half], t[..., half:])
    c, s = (table[pos : pos + len(t), None, :] for table in (cos, sin))
    out = np.empty_like(t)
    first, second = a * c - b * s, b * c + a * s
    if interleaved:
        out[..., ::2], out[..., 1::2] = first, second
    else:
        out[..., :half], out[..., half:] = first, second
    return out.astype(x.dtype)
