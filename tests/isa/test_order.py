"""The order of numbers along rows: NaN above all, zeros equal, equals by their place."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from sohu.isa import ROWS

SPECIAL = [math.nan, 0.0, -0.0, math.inf, -math.inf, 1e-45, -1e-45, 1.0, -1.0, 3.4028235e38, -3.4028235e38, -math.nan]
ENDS = [0, 1, -1, 2**31 - 1, -(2**31), 5]


def rank(x: float) -> tuple[bool, float]:
    return (math.isnan(x), 0.0 if math.isnan(x) else x)


def rows(values: list[Any], dtype: Any) -> Any:
    rng = random.Random(3)
    return np.array([[rng.choice(values) for _ in range(40)] for _ in range(30)], dtype)


@pytest.mark.parametrize(("values", "dtype"), [(SPECIAL, np.float32), (ENDS, np.int32)])
def test_sorting_and_the_largest(values: list[Any], dtype: Any) -> None:
    src = rows(values, dtype)
    payload = np.tile(np.arange(40, dtype=np.int32), (30, 1))
    for descending in (0, 1):
        keys, places = np.empty_like(src), np.empty_like(payload)
        ROWS["vsort.row"].semantics(keys, places, src, payload, descending)
        for r in range(30):
            order = sorted(range(40), key=lambda c: rank(float(src[r, c])))
            if descending:  # reversed twice, so that equals keep their order
                order = sorted(range(40), key=lambda c: rank(float(src[r, c])), reverse=True)
            assert places[r].tolist() == order
            assert np.array_equal(keys[r], src[r, order], equal_nan=dtype is np.float32)
            assert np.array_equal(np.signbit(keys[r]), np.signbit(src[r, order]))
    for k in (1, 7, 40):
        best, at = np.empty((30, k), dtype), np.empty((30, k), np.int32)
        ROWS["vtopk.row"].semantics(best, at, src)
        assert np.array_equal(at, places[:, :k])


@pytest.mark.parametrize(("mnemonic", "sign"), [("vargmax.row", -1), ("vargmin.row", 1)])
def test_the_first_of_equals_and_of_nans(mnemonic: str, sign: int) -> None:
    src = rows(SPECIAL[1:], np.float32)
    src[::2, 17] = src[::2, 29] = math.nan
    at = np.empty((30, 1), np.int32)
    ROWS[mnemonic].semantics(at, src)
    for r in range(30):
        line = [float(x) for x in src[r]]
        nans = [c for c, x in enumerate(line) if math.isnan(x)]
        assert at[r, 0] == (nans[0] if nans else min(range(40), key=lambda c: sign * line[c]))
