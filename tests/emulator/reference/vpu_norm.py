"""Normalization and positions, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.emulator.reference.fused import rope
from tests.emulator.reference.plain import Array, Case, Shapes, Values, at, indices


def _vln(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for *lead, c in indices(out.shape):
        row = [float(x) for x in v["src"][tuple(lead)]]
        mean = math.fsum(row) / len(row)
        variance = math.fsum((x - mean) ** 2 for x in row) / len(row)
        normal = (row[c] - mean) / math.sqrt(variance + v["eps"])
        out[(*lead, c)] = normal * at(v["weight"], (c,)) + at(v["bias"], (c,))
    return {"dst": out}


def _vrms_add(v: Values) -> dict[str, Array]:
    out, residual = (np.empty(v["dst"].shape, object) for _ in range(2))
    for i in indices(out.shape):
        residual[i] = float(v["residual"][i]) + float(v["src"][i])
    for *lead, c in indices(out.shape):
        row: list[Any] = list(residual[tuple(lead)])
        mean = math.fsum(x * x for x in row) / len(row)
        out[(*lead, c)] = row[c] / math.sqrt(mean + v["eps"]) * at(v["weight"], (c,))
    return {"dst": out, "residual": residual}


def _part(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i in indices(out.shape):
        out[i] = float(v["src"][i])
    end = 2 * v["cos"].shape[-1]
    out[..., :end] = rope(v["src"][..., :end], v["cos"], v["sin"], v["interleaved"])
    return {"dst": out}


def _table(v: Values) -> dict[str, Array]:
    cos, sin = (np.empty(v["cos"].shape, object) for _ in range(2))
    for t, i in indices(cos.shape):
        angle = int(v["position"][t]) * float(v["frequency"][i])
        cos[t, i], sin[t, i] = v["scale"] * math.cos(angle), v["scale"] * math.sin(angle)
    return {"cos": cos, "sin": sin}


LN: Shapes = {"dst": (2, 3, 5), "src": (2, 3, 5), "weight": (5,), "bias": (5,)}
RMS: Shapes = {"dst": (2, 3, 5), "residual": (2, 3, 5), "src": (2, 3, 5), "weight": (5,)}
PART: Shapes = {"dst": (2, 3, 9), "src": (2, 3, 9), "cos": (3, 3), "sin": (1, 3)}
TABLE: Shapes = {"cos": (4, 3), "sin": (4, 3), "position": (4,), "frequency": (3,)}
FAR = {"position": [0, 1, 131_071, -(2**31)], "frequency": [1.0, 0.1, 1e-4]}

CASES: dict[str, list[Case]] = {
    "vln": [
        Case(LN, _vln, {"eps": 0.5}, ulps=8, slack=1e-6),
        Case(LN | {"weight": (1,), "bias": (1,)}, _vln, {"eps": "f:1e-5"}, ulps=8, slack=1e-5),
    ],
    "vrms.add": [
        Case(RMS, _vrms_add, {"eps": 0.5}, ulps=8),
        Case(RMS | {"weight": (1,)}, _vrms_add, {"eps": 0.0}, ulps=8),
    ],
    "vrope.part": [Case(PART, _part, {"interleaved": i}, slack=2e-5) for i in (0, 1)],
    "vrope.table": [
        Case(TABLE, _table, {}, ulps=1, given=FAR),
        Case(TABLE, _table, {"scale": 1.3}, ulps=2),
        Case(TABLE, _table, {"scale": "f:0.5"}, ulps=1, given=FAR),
    ],
}
