"""Matrix products and what leaves the accumulators, one element at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.emulator.reference.plain import Array, Case, Shapes, Values, at, exp, indices

Element = Callable[..., float]

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # OCP MX 1.0, table 5: the numbers of three bits


def e2m1(code: int) -> float:
    """The number of four bits."""
    return -E2M1[code & 7] if code & 8 else E2M1[code & 7]


def _product(v: Values, a: Element, b: Element, depth: int) -> Array:
    out = np.empty(v["acc"].shape, object)
    for i in indices(out.shape):
        *lead, m, n = i
        out[i] = math.fsum(a(v, lead, m, k) * b(v, lead, n, k) for k in range(depth))
    return out


def _plain(name: str) -> Element:
    def element(v: Values, lead: Any, other: int, k: int) -> float:
        return float(at(v[name], (*lead, other, k) if name == "a" else (*lead, k, other)))

    return element


def _fp8(name: str) -> Element:
    whole, scale = _plain(name), f"{name}_scale"

    def element(v: Values, lead: Any, other: int, k: int) -> float:
        where = (*lead, other, k // 32) if name == "a" else (*lead, k // 32, other)
        return whole(v, lead, other, k) * float(at(v[scale], where))

    return element


def _fp4(name: str) -> Element:
    byte, scaled = _plain(name), _fp8(name)

    def element(v: Values, lead: Any, other: int, k: int) -> float:
        pair = int(byte(v, lead, other, k // 2))
        number = e2m1(pair >> 4 if k % 2 else pair & 15)
        ones = v | {name: np.ones((1, 1), np.float32)}
        return number * scaled(ones, lead, other, k)

    return element


def _cases(shapes: Shapes, a: Element, b: Element, depth: int, slack: float) -> tuple[list[Case], list[Case]]:
    """Of the overwriting and of the accumulating form."""

    def overwriting(v: Values) -> dict[str, Array]:
        return {"acc": _product(v, a, b, depth)}

    def accumulating(v: Values) -> dict[str, Array]:
        out = _product(v, a, b, depth)
        for i in indices(out.shape):
            out[i] += float(v["acc"][i])
        return {"acc": out}

    return [Case(shapes, overwriting, slack=slack)], [Case(shapes, accumulating, slack=slack)]


_ACTIVATIONS: tuple[Callable[[float], float], ...] = (
    lambda x: x,
    lambda x: max(x, 0.0),
    lambda x: max(x, 0.0) ** 2,
    lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    lambda x: x / (1 + exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    lambda x: x / (1 + exp(-x)),
)


def _out(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i in indices(out.shape):
        x = float(v["acc"][i]) * v.get("scale", 1.0)
        for name in ("rows", "cols"):
            x *= at(v[name], i) if name in v else 1.0
        x += at(v["bias"], i) if "bias" in v else 0.0
        x = _ACTIVATIONS[v["act"]](x)
        out[i] = max(-128, min(127, round(x))) if v["dst"].dtype == np.int8 else x
    return {"dst": out}


def _outs(shapes: Shapes, **scalars: Any) -> list[Case]:
    return [Case(shapes, _out, scalars | {"act": act}, ulps=20, slack=2e-6) for act in range(6)]


MM: Shapes = {"acc": (2, 3, 4), "a": (2, 3, 5), "b": (1, 5, 4)}
DEEP: Shapes = {"acc": (1, 2), "a": (1, 1030), "b": (1030, 2)}  # deeper than float32 sums i8 exactly at once
A8: Shapes = {"a": (2, 3, 64), "a_scale": (3, 2)}
A4: Shapes = {"a": (3, 32), "a_scale": (2, 3, 2)}
B8: Shapes = {"b": (64, 5), "b_scale": (2, 2, 5)}
B4: Shapes = {"b": (1, 32, 5), "b_scale": (2, 5)}
ACC: Shapes = {"acc": (2, 3, 5)}
OUT: Shapes = {"dst": (2, 3, 5), "acc": (2, 3, 5)}
SCALES: Shapes = {"rows": (3, 1), "cols": (2, 1, 5)}

CASES: dict[str, list[Case]] = {}
for _name, _shapes, _a, _b, _depth, _slack in (
    ("", MM, _plain("a"), _plain("b"), 5, 1e-5),
    (".i8", MM, _plain("a"), _plain("b"), 5, 0.0),
    (".i8", DEEP, _plain("a"), _plain("b"), 1030, 0.0),
    (".mx8", ACC | A8 | B8, _fp8("a"), _fp8("b"), 64, 0.02),  # products up to 2^12
    (".mx4", ACC | A4 | B4, _fp4("a"), _fp4("b"), 64, 0.02),
    (".mx8.mx4", ACC | A8 | B4, _fp8("a"), _fp4("b"), 64, 0.02),
    (".wmx8", ACC | {"a": (2, 3, 64)} | B8, _plain("a"), _fp8("b"), 64, 0.002),
    (".wmx4", ACC | {"a": (3, 64)} | B4, _plain("a"), _fp4("b"), 64, 0.002),
):
    _over, _add = _cases(_shapes, _a, _b, _depth, _slack)
    CASES.setdefault(f"mm{_name}", []).extend(_over)
    CASES.setdefault(f"mma{_name}", []).extend(_add)
CASES |= {
    "mout": [*_outs(OUT, scale=0.25), Case(OUT, _out, {"scale": "f:1000.0"}, ulps=1)],
    "mout.bias": _outs(OUT | {"bias": (1, 5)}),
    "mout.scale": _outs(OUT | SCALES),
    "mout.scale.bias": _outs(OUT | SCALES | {"bias": (3, 1)}),
}
