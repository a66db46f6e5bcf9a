"""Rows of the VPU that are whole operations of transformers, from their pages in docs/isa/.

Where the manual gives no bound of its own, that of the steps it is made of is added up: U for each operation in
float32, 4 ULP for each exponential.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tests.emulator.reference.elements import (
    TINY,
    Operands,
    Row,
    U,
    bounded,
    columns,
    divide,
    exp,
    largest,
    largest_first,
    near,
    safe,
    smallest,
    total,
)
from tests.emulator.reference.exactly import cosine_of, sine_of
from tests.emulator.reference.formats import f32, ulp
from tests.emulator.reference.products import gelu, gelu_erf, silu, tiny
from tests.emulator.reference.values import Near, Stopped, broadcast

MAX = 3.4e38
INF = math.inf


def _step(v: Operands, visible: Callable[[int, int], bool]) -> dict[str, Any]:
    """A step of the online softmax; `visible` says whether row r sees column c."""
    *_, rows, _ = v["p"].shape
    p: tuple[list[float], list[float]] = ([], [])
    weight_of: tuple[list[float], list[float]] = ([], [])
    state_of: tuple[list[float], list[float]] = ([], [])
    m: list[float] = []
    lines = zip(v["s"].rows(), v["m"].numbers, v["l"].numbers, v["o"].rows(), strict=True)
    for i, (scores, old, weight, state) in enumerate(lines):
        r = i % rows
        z = [f32(s * v["scale"]) if visible(r, c) else -INF for c, s in enumerate(scores)]
        new = largest(old, *z)
        m.append(new)
        if new == -INF:
            p[0].extend([0.0] * len(z))
            p[1].extend([0.0] * len(z))
            weight_of[0].append(weight)
            weight_of[1].append(0.0)
            state_of[0].extend(state)
            state_of[1].extend([0.0] * len(state))
            continue
        weights = [exp(x - new) for x in z]
        errors = [_exp_error(x - new, w) for x, w in zip(z, weights, strict=True)]
        alpha = exp(old - new)
        factor = _exp_error(old - new, alpha)
        p[0].extend(weights)
        p[1].extend(errors)
        kept = weight * alpha
        added, open_order = total(weights)
        weight_of[0].append(kept + added)
        slack = abs(weight) * factor + U * abs(kept) + open_order + math.fsum(errors) + U * abs(kept + added)
        none = 0 < alpha < 2 * TINY  # it may be 0, and an infinity times that is NaN
        weight_of[1].append(slack if math.isfinite(kept + added) else INF if none else 0.0)
        for x in state:
            state_of[0].append(x * alpha)
            state_of[1].append(abs(x) * factor + 2.0**-149 if math.isfinite(x * alpha) else INF if none else 0.0)
    return {"p": Near(*p), "m": Near(m, [0.0] * len(m)), "l": Near(*weight_of), "o": Near(*state_of)}


def _exp_error(x: float, made: float) -> float:
    """Of an exponential whose operand has been rounded to float32."""
    if not math.isfinite(x) or x == 0:
        return 0.0
    return 4 * ulp(f32(made)) + U * abs(x) * made + tiny(made)


def _osm(v: Operands) -> dict[str, Any]:
    return _step(v, lambda r, c: not (v["causal"] and v["kpos"] + c > v["qpos"] + r))


def _window(v: Operands) -> dict[str, Any]:
    def visible(r: int, c: int) -> bool:
        query, key = v["qpos"] + r, v["kpos"] + c
        if v["causal"] and query - key < 0:
            return False
        return bool(v["window"] <= 0 or abs(query - key) < v["window"] or key < v["sinks"])

    return _step(v, visible)


def _tree(v: Operands) -> dict[str, Any]:
    start, parents, rows = v["start"], v["parents"].numbers, v["p"].shape[-2]
    if any(parent >= n for n, parent in enumerate(parents)):
        raise Stopped("operand")
    if any(not 0 <= slot < 1 << 40 for slot in (v["qslot"], v["kslot"], start)):
        raise Stopped("operand")
    if rows and v["qslot"] + rows - 1 >= start + len(parents):
        raise Stopped("operand")

    def path(slot: int) -> list[int]:
        """A slot, and those of the tree that it follows."""
        slots = [slot]
        while slots[-1] >= start and parents[slots[-1] - start] >= 0:
            slots.append(start + parents[slots[-1] - start])
        return slots

    def position(slot: int) -> int:
        return slot if slot < start else start + len(path(slot)) - 1

    def visible(r: int, c: int) -> bool:
        query, key = v["qslot"] + r, v["kslot"] + c
        if key >= start + len(parents):
            return False
        seen = key <= query if query < start else key < start or key in path(query)
        return seen and (v["window"] <= 0 or position(query) - position(key) < v["window"])

    return _step(v, visible)


# -- norms -----------------------------------------------------------------------------------------


def _along(v: Operands, name: str) -> list[float]:
    """A weight or bias for each column."""
    return broadcast(v[name].numbers, v[name].shape, (v["src"].shape[-1],))


def _normal(row: list[float], eps: float, weight: list[float]) -> tuple[list[float], list[float]]:
    count = max(len(row), 1)
    if any(x != x for x in row):
        return [math.nan] * len(row), [0.0] * len(row)
    square = math.fsum(x * x for x in row) if all(map(math.isfinite, row)) else INF
    deviation = math.sqrt(square / count + eps) if square / count + eps >= 0 else math.nan
    numbers = [divide(x, deviation) * w for x, w in zip(row, weight, strict=True)]
    known = square == INF or (square < MAX and square / count + eps > 1e-30) or (square == 0 and eps == 0)
    if square == INF and all(map(math.isfinite, row)):
        known = False
    relative = (len(row) + 12) * U if known else INF
    errors = [
        0.0 if known and not math.isfinite(x) else relative * abs(x) + 2.0**-140 * (1 + abs(w))
        for x, w in zip(numbers, weight, strict=True)
    ]
    return numbers, errors


def _rms(v: Operands) -> dict[str, Any]:
    numbers: list[float] = []
    errors: list[float] = []
    for row in v["src"].rows():
        n, e = _normal(row, v["eps"], _along(v, "weight"))
        numbers += n
        errors += e
    return {"dst": Near(numbers, errors)}


def _rms_add(v: Operands) -> dict[str, Any]:
    sums = [f32(a + b) for a, b in zip(v["residual"].numbers, v["src"].numbers, strict=True)]
    width = v["src"].shape[-1]
    numbers: list[float] = []
    errors: list[float] = []
    for i in range(0, len(sums), width or 1):
        n, e = _normal(sums[i : i + width], v["eps"], _along(v, "weight"))
        numbers += n
        errors += e
    return {"dst": Near(numbers, errors), "residual": sums}


def _layer(v: Operands) -> dict[str, Any]:
    numbers: list[float] = []
    errors: list[float] = []
    for row in v["src"].rows():
        if not all(map(math.isfinite, row)):
            numbers += [math.nan] * len(row)
            errors += [0.0] * len(row)
            continue
        if not row:
            continue
        count = len(row)
        mean = math.fsum(row) / count
        variance = math.fsum((x - mean) ** 2 for x in row) / count
        deviation = math.sqrt(variance + v["eps"]) if variance + v["eps"] >= 0 else math.nan
        top = max(map(abs, row))
        # where the deviation is no more than the error of the mean, nothing is left of the result
        known = deviation > 1e-15 and top < 1e15 and deviation > 16 * count * U * top
        for x, w, b in zip(row, _along(v, "weight"), _along(v, "bias"), strict=True):
            normal = divide(x - mean, deviation)
            numbers.append(normal * w + b)
            slack = (count + 4) * 2.0**-22 * top / deviation if known else INF
            errors.append(slack * abs(w) + 4 * U * (abs(normal * w) + abs(b)) if math.isfinite(w) else 0.0)
    return {"dst": Near(numbers, errors)}


# -- positions -------------------------------------------------------------------------------------


def _rotated(v: Operands, width: int) -> dict[str, Any]:
    """Pairs of the first `width` elements of each row rotated, the others as they are."""
    shape = v["src"].shape
    half = width // 2
    tables = (*shape[:-1], half)
    cos = broadcast(v["cos"].numbers, v["cos"].shape, tables)
    sin = broadcast(v["sin"].numbers, v["sin"].shape, tables)
    numbers: list[float] = []
    errors: list[float] = []
    for t, row in enumerate(v["src"].rows()):
        line, slack = list(row), [0.0] * len(row)
        for i in range(half):
            first, second = (2 * i, 2 * i + 1) if v["interleaved"] else (i, i + half)
            a, b, c, s = row[first], row[second], cos[t * half + i], sin[t * half + i]
            for at, x, y in ((first, a * c, -b * s), (second, b * c, a * s)):
                line[at] = x + y
                size = abs(x) + abs(y)
                slack[at] = INF if MAX < size < INF else 3 * U * size + 2.0**-148 if math.isfinite(size) else 0.0
        numbers += line
        errors += slack
    return {"dst": Near(numbers, errors)}


def _rope(v: Operands) -> dict[str, Any]:
    if v["src"].shape[-1] % 2:
        raise Stopped("operand")
    return _rotated(v, v["src"].shape[-1])


def _rope_part(v: Operands) -> dict[str, Any]:
    width = 2 * v["cos"].shape[-1]
    if width > v["src"].shape[-1]:
        raise Stopped("operand")
    return _rotated(v, width)


def _rope_table(v: Operands) -> dict[str, Any]:
    cos: list[float] = []
    sin: list[float] = []
    for position in v["position"].numbers:
        for frequency in v["frequency"].numbers:
            if math.isfinite(frequency):
                angle = position * Fraction(frequency)
                cos.append(v["scale"] * cosine_of(angle))
                sin.append(v["scale"] * sine_of(angle))
            else:
                cos.append(math.nan)
                sin.append(math.nan)
    return {"cos": bounded(cos, 1), "sin": bounded(sin, 1)}


# -- gates -----------------------------------------------------------------------------------------


def _gated(f: Callable[[float], float], error: Callable[[float, float, float], float]) -> Row:
    """f(gate) * up; error of the gate, the factor and the result."""

    def row(v: Operands) -> dict[str, Any]:
        pairs = columns(v, ("gate", "up"))
        numbers = [f(g) * u for g, u in pairs]
        errors = [error(g, u, x) + tiny(x) for (g, u), x in zip(pairs, numbers, strict=True)]
        errors = [e if e == e else 0.0 for e in errors]
        return {"dst": Near(numbers, errors)}

    return row


def _of_ulps(ulps: float, f: Callable[[float], float]) -> Callable[[float, float, float], float]:
    return lambda g, u, x: ulps * ulp(f32(x)) + tiny(f(g)) * abs(u)


def _gelu_error(g: float, u: float, x: float) -> float:
    return 2.0**-20 * abs(g * u) if math.isfinite(x) else 0.0


def _clamped(v: Operands) -> dict[str, Any]:
    numbers: list[float] = []
    errors: list[float] = []
    for gate, up in columns(v, ("gate", "up")):
        g = smallest(gate, v["limit"])
        u = smallest(largest(up, -v["limit"]), v["limit"])
        x = divide(g, 1 + exp(-v["alpha"] * g)) * (u + 1)
        numbers.append(x)
        slope = abs(v["alpha"] * g)
        errors.append((16 + slope) * ulp(f32(x)) + TINY * (1 + abs(u)) if math.isfinite(slope) else 0.0)
    return {"dst": Near(numbers, errors)}


def _route(v: Operands) -> dict[str, Any]:
    k, (*_, have) = v["experts"].shape[-1], v["logits"].shape
    if k > have:
        raise Stopped("operand")
    weights: list[float] = []
    experts: list[int] = []
    for row in v["logits"].rows():
        chosen = largest_first(row)[:k]
        experts += chosen
        if k:
            powers = [exp(row[e] - row[chosen[0]]) for e in chosen]
            sum_of = math.fsum(powers) if all(p == p for p in powers) else math.nan
            weights += [p / sum_of for p in powers]
    return {"weights": bounded(weights, 16), "experts": experts}


def _soft_cap(v: Operands) -> dict[str, Any]:
    cap = v["cap"]
    return {"dst": bounded([cap * math.tanh(divide(x, cap)) for (x,) in columns(v, ("src",))], 8)}


TRANSFORMERS: dict[str, Row] = {
    "vosm": _osm,
    "vosm.window": _window,
    "vosm.tree": _tree,
    "vsoftcap": _soft_cap,
    "vrms": _rms,
    "vrms.add": _rms_add,
    "vln": _layer,
    "vrope": _rope,
    "vrope.part": _rope_part,
    "vrope.table": _rope_table,
    "vswiglu": _gated(silu, _of_ulps(16, silu)),
    "vsilu": near(safe(silu), 4, "src"),
    "vgelu": lambda v: {
        "dst": Near(
            [gelu(x) for (x,) in columns(v, ("src",))],
            [2.0**-20 * abs(x) if math.isfinite(x) else 0.0 for (x,) in columns(v, ("src",))],
        )
    },
    "vgelu.erf": near(safe(gelu_erf), 1, "src"),
    "vrelu2": lambda v: {"dst": [largest(x, 0.0) * largest(x, 0.0) for (x,) in columns(v, ("src",))]},
    "vgeglu": _gated(gelu, _gelu_error),
    "vgeglu.erf": _gated(gelu_erf, _of_ulps(1, gelu_erf)),
    "vswiglu.clamp": _clamped,
    "vroute": _route,
}
