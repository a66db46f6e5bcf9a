"""Matrix products, one element at a time."""

from __future__ import annotations

import math

import numpy as np

from tests.emulator.reference.plain import Array, Case, Shapes, Values, at, indices


def _matmul(v: Values) -> Array:
    acc, a, b = v["acc"], v["a"], v["b"]
    out = np.empty(acc.shape, object)
    for i in indices(acc.shape):
        *lead, m, n = i
        out[i] = math.fsum(at(a, (*lead, m, k)) * at(b, (*lead, k, n)) for k in range(a.shape[-1]))
    return out


def _mma(v: Values) -> dict[str, Array]:
    out = _matmul(v)
    for i in indices(out.shape):
        out[i] += float(v["acc"][i])
    return {"acc": out}


MM: Shapes = {"acc": (2, 3, 4), "a": (2, 3, 5), "b": (1, 5, 4)}

CASES: dict[str, list[Case]] = {
    "mm": [Case(MM, lambda v: {"acc": _matmul(v)}, slack=1e-5)],
    "mma": [Case(MM, _mma, slack=1e-5)],
}
