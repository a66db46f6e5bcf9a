"""Activations, gated products and the router, one element at a time."""

from __future__ import annotations

import math

import numpy as np

from tests.emulator.reference.plain import UNARY, Array, Case, Shapes, Values, each, exp
from tests.emulator.reference.vpu_select import largest_first, rows


def _gelu_tanh(x: float) -> float:
    return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _gelu_erf(x: float) -> float:
    return x / 2 * math.erfc(-x / math.sqrt(2))


def _clamped(gate: float, up: float, alpha: float, limit: float) -> float:
    g, u = min(gate, limit), min(max(up, -limit), limit)
    return g / (1 + exp(-alpha * g)) * (u + 1)


def _route(v: Values) -> dict[str, Array]:
    weights, experts = (np.empty(v[n].shape, object) for n in ("weights", "experts"))
    for i, row in rows(v["logits"]):
        chosen = largest_first(row)[: weights.shape[-1]]
        total = math.fsum(exp(row[e] - row[chosen[0]]) for e in chosen)
        for k, e in enumerate(chosen):
            weights[(*i, k)], experts[(*i, k)] = exp(row[e] - row[chosen[0]]) / total, e
    return {"weights": weights, "experts": experts}


GATED: Shapes = {"dst": (3, 5), "gate": (3, 5), "up": (3, 5)}
ROUTE: Shapes = {"weights": (2, 3, 4), "experts": (2, 3, 4), "logits": (2, 3, 9)}
OSS = {"alpha": "f:1.702", "limit": "f:2.0"}

CASES: dict[str, list[Case]] = {
    "vsilu": [Case(UNARY, each(lambda x: x / (1 + exp(-x)), "src"), ulps=16)],
    "vgelu": [Case(UNARY, each(_gelu_tanh, "src"), slack=8 * 2**-20)],
    "vgelu.erf": [Case(UNARY, each(_gelu_erf, "src"), ulps=2)],
    "vrelu2": [Case(UNARY, each(lambda x: max(x, 0) ** 2, "src"))],
    "vgeglu": [Case(GATED, each(lambda g, u: _gelu_tanh(g) * u, "gate", "up"), slack=64 * 2**-20)],
    "vgeglu.erf": [Case(GATED, each(lambda g, u: _gelu_erf(g) * u, "gate", "up"), ulps=2)],
    "vswiglu.clamp": [Case(GATED, each(_clamped, "gate", "up", "alpha", "limit"), OSS, ulps=16)],
    "vroute": [Case(ROUTE, _route, ulps=16), Case(ROUTE, _route, ulps=16, small_ints={"logits": 3})],
}
