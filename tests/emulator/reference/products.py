"""Rows of the MXU, from their pages in docs/isa/: products one term at a time, and the way out of the accumulators."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tests.emulator.reference.elements import TINY, Operands, Row, U, exp, largest, safe
from tests.emulator.reference.formats import NEAREST, f32, halves, ulp
from tests.emulator.reference.values import Nd, Near, Stopped, broadcast, cast, wrapped

BLOCK = 32


def _unpacked(tile: Nd, axis: int) -> tuple[list[float], tuple[int, ...]]:
    """The numbers of fp4x2 elements, and the shape that they have: `axis` (-1 or -2) is twice as long."""
    shape = list(tile.shape)
    shape[axis] *= 2
    out = [0.0] * (2 * tile.size)
    if axis == -1:
        for i, byte in enumerate(tile.codes):
            out[2 * i : 2 * i + 2] = halves(byte)
        return out, tuple(shape)
    columns = tile.shape[-1]
    for i, byte in enumerate(tile.codes):
        r, c = divmod(i, columns)
        out[2 * r * columns + c], out[(2 * r + 1) * columns + c] = halves(byte)
    return out, tuple(shape)


def _factor(v: Operands, name: str, axis: int) -> tuple[list[float], tuple[int, ...]]:
    """A factor's numbers as float32, times the scales of their blocks along `axis` where it has some."""
    tile = v[name]
    numbers, shape = _unpacked(tile, axis) if tile.dtype == "fp4x2" else (tile.numbers, tile.shape)
    scale = v.get(f"{name}_scale")
    if scale is None:
        return numbers, shape
    # leading dimensions of the elements and of the scales broadcast to one another
    lead = _together(shape[:-2], scale.shape[:-2])
    numbers = broadcast(numbers, shape, (*lead, *shape[-2:]))
    scales = broadcast(scale.numbers, scale.shape, (*lead, *scale.shape[-2:]))
    rows, columns = shape[-2:]
    out = []
    for b in range(math.prod(lead)):
        for r in range(rows):
            for c in range(columns):
                x = numbers[(b * rows + r) * columns + c]
                if axis == -1:
                    s = scales[(b * rows + r) * (columns // BLOCK) + c // BLOCK]
                else:
                    s = scales[(b * (rows // BLOCK) + r // BLOCK) * columns + c]
                out.append(f32(x * s))
    return out, (*lead, rows, columns)


def _together(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    return tuple(max(x, y) if 0 not in (x, y) else 0 for x, y in zip(a, b, strict=True))


def _terms(v: Operands) -> list[list[float]]:
    """For each element of acc, the products that are summed."""
    *lead, m, n = v["acc"].shape
    (a, a_shape), (b, b_shape) = _factor(v, "a", -1), _factor(v, "b", -2)
    k = a_shape[-1]
    a, b = broadcast(a, a_shape, (*lead, m, k)), broadcast(b, b_shape, (*lead, k, n))
    out = []
    for batch in range(math.prod(lead)):
        columns = [b[batch * k * n + j : (batch + 1) * k * n : n] for j in range(n)]
        for i in range(m):
            row = a[(batch * m + i) * k : (batch * m + i + 1) * k]
            for column in columns:
                out.append([x * y for x, y in zip(row, column, strict=True)])
    return out


def _sum(terms: list[float], before: float) -> tuple[float, float]:
    """before + the sum of the terms, and how far off it may be."""
    every = [*terms, before]
    if not all(map(math.isfinite, every)):
        finite = math.fsum(abs(x) for x in every if math.isfinite(x))
        # an infinite term decides, unless the others may be infinite too on the way
        return sum(x for x in every if not math.isfinite(x)), 0.0 if finite < 3.4e38 else math.inf
    magnitude = math.fsum(map(abs, every))
    if magnitude >= 3.4e38:
        return math.fsum(every), math.inf
    # products below the normal numbers round too
    result = math.fsum(every)
    error = len(terms) * (U * math.fsum(map(abs, terms)) + 2.0**-149) + (U * abs(result) if before else 0.0)
    return result, error


def _float(accumulating: bool) -> Row:
    def row(v: Operands) -> dict[str, Any]:
        old = v["acc"].numbers if accumulating else [0.0] * v["acc"].size
        sums = [_sum(t, o) for t, o in zip(_terms(v), old, strict=True)]
        return {"acc": Near([s for s, _ in sums], [e for _, e in sums])}

    return row


def _integer(accumulating: bool) -> Row:
    def row(v: Operands) -> dict[str, Any]:
        old = v["acc"].numbers if accumulating else [0] * v["acc"].size
        return {"acc": [wrapped(sum(map(int, t)) + o) for t, o in zip(_terms(v), old, strict=True)]}

    return row


# -- activations: the function, and its error in addition to what is rounded ---------------------------


def gelu(x: float) -> float:
    """The tanh form."""
    if math.isinf(x):
        return x if x > 0 else math.nan
    return x / (1 + exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def gelu_erf(x: float) -> float:
    """With the error function."""
    if math.isinf(x):
        return x if x > 0 else math.nan
    return x / 2 * math.erfc(-x / math.sqrt(2))


def silu(x: float) -> float:
    """x / (1 + e ** -x)."""
    if math.isinf(x):
        return x if x > 0 else math.nan
    return x / (1 + exp(-x))


def _square(x: float) -> float:
    return f32(largest(x, 0.0) * largest(x, 0.0))


def tiny(x: float) -> float:
    """An error for what may be 0."""
    return TINY if abs(x) < 2 * TINY else 0.0


Activation = tuple[Callable[[float], float], Callable[[float, float], float]]
ACTIVATIONS: list[Activation] = [
    (lambda x: x, lambda x, y: 0.0),
    (lambda x: largest(x, 0.0), lambda x, y: 0.0),
    (_square, lambda x, y: 0.0),
    (safe(gelu_erf), lambda x, y: ulp(f32(y)) + tiny(y)),
    (safe(gelu), lambda x, y: 2.0**-20 * abs(x) if math.isfinite(x) else 0.0),
    (safe(silu), lambda x, y: 4 * ulp(f32(y)) + tiny(y)),
]


def _out(v: Operands) -> dict[str, Any]:
    if v["act"] >= len(ACTIVATIONS):
        raise Stopped("operand")
    shape, dtype = v["dst"].shape, v["dst"].dtype
    numbers = [f32(x) for x in v["acc"].numbers]
    if "scale" in v:
        numbers = [f32(x * v["scale"]) for x in numbers]
    for name in ("rows", "cols"):
        if name in v:
            numbers = [f32(x * s) for x, s in zip(numbers, v[name].spread(shape), strict=True)]
    if "bias" in v:
        numbers = [f32(x + b) for x, b in zip(numbers, v["bias"].spread(shape), strict=True)]
    function, error = ACTIVATIONS[v["act"]]
    made = [function(x) for x in numbers]
    saturate = bool(v["sat"])

    def store(_: str, x: float) -> int:
        return cast(f32(x), dtype, NEAREST, saturate)

    errors = [error(x, y) for x, y in zip(numbers, made, strict=True)]
    return {"dst": Near(made, errors, store)}


PRODUCTS: dict[str, Row] = {
    "mm.i8": _integer(False),
    "mma.i8": _integer(True),
    **dict.fromkeys(("mout", "mout.bias", "mout.scale", "mout.scale.bias"), _out),
}
for _form in ("", ".mx8", ".mx4", ".mx8.mx4", ".wmx8", ".wmx4"):
    PRODUCTS[f"mm{_form}"] = _float(False)
    PRODUCTS[f"mma{_form}"] = _float(True)
