"""The order of a row's elements: NaN above everything, the two zeros equal, equals by their position."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[Any]  # float32 or int32
Positions = NDArray[np.int64]

_INDEX = (1 << 32) - 1


def largest_first(rows: Numbers, count: int) -> Positions:
    """[..., count]: positions of the `count` largest elements along the last axis, the largest first."""
    width = rows.shape[-1]
    keys = _ranks(rows) << 32 | (width - 1 - np.arange(width))  # of equals, the first has the largest key
    if 0 < count < width:
        keys = np.partition(keys, width - count, axis=-1)[..., width - count :]
    keys.sort(axis=-1)
    found: Positions = width - 1 - (keys[..., ::-1][..., :count] & _INDEX)
    return found


def smallest_first(rows: Numbers) -> Positions:
    """Positions of all elements along the last axis, the smallest first."""
    keys = _ranks(rows) << 32 | np.arange(rows.shape[-1])
    keys.sort(axis=-1)
    return keys & _INDEX


def _ranks(rows: Numbers) -> Positions:
    """Each element as an integer of 32 bits in the same order: unlike a stable sort, those sort in vectors."""
    if rows.dtype == np.float64:
        rows = rows.astype(np.float32)
    if rows.dtype.kind != "f":
        return rows.astype(np.int64)
    bits = (rows + np.float32(0)).view(np.int32)  # -0 becomes 0
    ranks = bits ^ (bits >> 31 & 0x7FFFFFFF)  # of negative numbers, the larger magnitude is the less
    ranks[np.isnan(rows)] = 0x7FFFFFFF
    return ranks.astype(np.int64)
