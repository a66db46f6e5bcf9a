"""The operations of transformers, one element at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.emulator.reference.plain import Array, Case, Shapes, Values, at, each, exp, f32, indices


def osm(v: Values, visible: Callable[[int, int], bool]) -> dict[str, Array]:
    """A step of the online softmax; `visible` says whether row r sees column c."""
    p, m, total, o = (np.empty(v[n].shape, object) for n in "pmlo")
    for *lead, r in indices(v["s"].shape[:-1]):
        row = (*lead, r)
        z = []
        for c in range(p.shape[-1]):
            z.append(f32(float(v["s"][(*row, c)]) * v["scale"]) if visible(r, c) else -math.inf)
        old = float(v["m"][(*row, 0)])
        new = max([old, *z])
        base = 0.0 if new == -math.inf else new
        weights = [exp(x - base) for x in z]
        alpha = exp(old - base)
        for c, w in enumerate(weights):
            p[(*row, c)] = w
        m[(*row, 0)] = new
        total[(*row, 0)] = float(v["l"][(*row, 0)]) * alpha + math.fsum(weights)
        for d in range(o.shape[-1]):
            o[(*row, d)] = float(v["o"][(*row, d)]) * alpha
    return {"p": p, "m": m, "l": total, "o": o}


def _vosm(v: Values) -> dict[str, Array]:
    return osm(v, lambda r, c: not (v["causal"] and v["kpos"] + c > v["qpos"] + r))


def _vrms(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for *lead, c in indices(out.shape):
        row = [float(x) for x in v["src"][tuple(lead)]]
        mean = math.fsum(x * x for x in row) / len(row)
        out[(*lead, c)] = row[c] / math.sqrt(mean + v["eps"]) * float(v["weight"][c])
    return {"dst": out}


def rope(src: Array, cos: Array, sin: Array, interleaved: int) -> Array:
    """Every pair of the last axis rotated."""
    out = np.empty(src.shape, object)
    half = src.shape[-1] // 2
    for *lead, t, i in indices((*src.shape[:-1], half)):
        first, second = (2 * i, 2 * i + 1) if interleaved else (i, i + half)
        a, b = float(src[(*lead, t, first)]), float(src[(*lead, t, second)])
        c, s = at(cos, (*lead, t, i)), at(sin, (*lead, t, i))
        out[(*lead, t, first)] = a * c - b * s
        out[(*lead, t, second)] = b * c + a * s
    return out


def _vrope(v: Values) -> dict[str, Array]:
    return {"dst": rope(v["src"], v["cos"], v["sin"], v["interleaved"])}


OSM: Shapes = {"p": (2, 3, 4), "s": (2, 3, 4), "m": (2, 3, 1), "l": (2, 3, 1), "o": (2, 3, 6)}
ROPE: Shapes = {"dst": (2, 3, 8), "src": (2, 3, 8), "cos": (3, 4), "sin": (1, 4)}

CASES: dict[str, list[Case]] = {
    "vosm": [
        Case(OSM, _vosm, {"scale": "f:0.25", "qpos": "i:5", "kpos": "i:4", "causal": 1}, ulps=8, slack=1e-6),
        Case(OSM, _vosm, {"scale": "f:0.25", "qpos": "i:0", "kpos": "i:9", "causal": 1}, ulps=8, slack=1e-6),
        Case(OSM, _vosm, {"scale": "f:0.25", "qpos": "i:0", "kpos": "i:9", "causal": 0}, ulps=8, slack=1e-6),
    ],
    "vrms": [Case({"dst": (2, 3, 5), "src": (2, 3, 5), "weight": (5,)}, _vrms, {"eps": 0.5}, ulps=8)],
    "vrope": [  # three roundings of products up to 64
        Case(ROPE, _vrope, {"interleaved": 0}, slack=2e-5),
        Case(ROPE, _vrope, {"interleaved": 1}, slack=2e-5),
    ],
    "vswiglu": [
        Case(
            {"dst": (3, 5), "gate": (3, 5), "up": (3, 5)},
            each(lambda g, u: g / (1 + exp(-g)) * u, "gate", "up"),
            ulps=8,
        )
    ],
}
