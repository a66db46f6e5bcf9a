"""A plain reference for the arithmetic of every row: Python numbers, one element at a time.

Each entry gives the shapes of the tiles, and a function from the stored inputs (nested by index) to the
exact outputs, computed in double precision from the manual's text. It shares no code with the semantics.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Values = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Case:
    """One row under test: tile shapes, scalar operands, what comes out, and how exact that is.

    ulps: of float32, before rounding to the stored dtype; slack: an absolute error that the manual allows.
    """

    shapes: Shapes
    reference: Callable[[Values], dict[str, Array]]
    scalars: dict[str, Any] = field(default_factory=dict)  # operand -> immediate, or "f:1.5" in a register
    ulps: float = 0.0
    slack: float = 0.0
    positive: bool = False  # inputs > 0
    small_ints: dict[str, int] = field(default_factory=dict)  # index operands: values below this
    floats_only: bool = False


def indices(shape: tuple[int, ...]) -> Any:
    """All index tuples of a shape."""
    return itertools.product(*(range(n) for n in shape))


def at(array: Array, index: tuple[int, ...]) -> Any:
    """An element as a Python number, broadcast as in NumPy."""
    own = index[len(index) - array.ndim :]
    value = array[tuple(0 if n == 1 else i for i, n in zip(own, array.shape, strict=True))]
    return int(value) if array.dtype.kind in "iu" else float(value)


def each(f: Callable[..., Any], *names: str) -> Callable[[Values], dict[str, Array]]:
    """dst[i] = f(of the named operands' elements at i)."""

    def reference(v: Values) -> dict[str, Array]:
        out = np.empty(v["dst"].shape, object)
        for i in indices(out.shape):
            out[i] = f(*(at(v[n], i) if isinstance(v[n], np.ndarray) else v[n] for n in names))
        return {"dst": out}

    return reference


def along(f: Callable[[list[Any]], Any], axis: int) -> Callable[[Values], dict[str, Array]]:
    """dst = f(all elements of a line of src)."""

    def reference(v: Values) -> dict[str, Array]:
        src = v["src"]
        out = np.empty(v["dst"].shape, object)
        for i in indices(out.shape):
            line = []
            for c in range(src.shape[axis]):
                j = list(i)
                j[axis] = c
                line.append(at(src, tuple(j)))
            out[i] = f(line)
        return {"dst": out}

    return reference


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _f32(x: float) -> float:
    return float(np.float32(x))


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


def _gather(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for r, c in indices(out.shape):
        out[r, c] = at(v["table"], (int(v["index"][r]), c))
    return {"dst": out}


def _scatter(v: Values) -> dict[str, Array]:
    out = np.empty(v["table"].shape, object)
    for i in indices(out.shape):
        out[i] = at(v["table"], i)
    for r, c in indices(v["src"].shape):
        out[int(v["index"][r]), c] = at(v["src"], (r, c))
    return {"table": out}


def _argmax(line: list[Any]) -> int:
    best = 0
    for i, x in enumerate(line):
        if x > line[best]:
            best = i
    return best


def _vosm(v: Values) -> dict[str, Array]:
    p, m, total, o = (np.empty(v[n].shape, object) for n in "pmlo")
    s, scale, qpos, kpos = v["s"], v["scale"], v["qpos"], v["kpos"]
    for *lead, r in indices(s.shape[:-1]):
        row = (*lead, r)
        z = []
        for c in range(s.shape[-1]):
            masked = v["causal"] and kpos + c > qpos + r
            z.append(-math.inf if masked else _f32(float(s[(*row, c)]) * scale))
        old = float(v["m"][(*row, 0)])
        new = max([old, *z])
        base = 0.0 if new == -math.inf else new
        weights = [_exp(x - base) for x in z]
        alpha = _exp(old - base)
        for c, w in enumerate(weights):
            p[(*row, c)] = w
        m[(*row, 0)] = new
        total[(*row, 0)] = float(v["l"][(*row, 0)]) * alpha + math.fsum(weights)
        for d in range(o.shape[-1]):
            o[(*row, d)] = float(v["o"][(*row, d)]) * alpha
    return {"p": p, "m": m, "l": total, "o": o}


def _vrms(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for *lead, c in indices(out.shape):
        row = [float(x) for x in v["src"][tuple(lead)]]
        mean = math.fsum(x * x for x in row) / len(row)
        out[(*lead, c)] = row[c] / math.sqrt(mean + v["eps"]) * float(v["weight"][c])
    return {"dst": out}


def _vrope(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    half = out.shape[-1] // 2
    for *lead, t, i in indices((*out.shape[:-1], half)):
        first, second = (2 * i, 2 * i + 1) if v["interleaved"] else (i, i + half)
        a, b = float(v["src"][(*lead, t, first)]), float(v["src"][(*lead, t, second)])
        cos, sin = at(v["cos"], (*lead, t, i)), at(v["sin"], (*lead, t, i))
        out[(*lead, t, first)] = a * cos - b * sin
        out[(*lead, t, second)] = b * cos + a * sin
    return {"dst": out}


def _truncate(x: float) -> int:
    if math.isnan(x):
        return 0
    return max(-(2**31), min(2**31 - 1, math.trunc(x) if math.isfinite(x) else int(math.copysign(2**40, x))))


def _select(cond: Any, a: Any, b: Any) -> Any:
    return a if cond != 0 else b


def _sum(line: list[Any]) -> Any:
    return math.fsum(line) if isinstance(line[0], float) else sum(line)


def _broadcast(**extra: tuple[int, ...]) -> Shapes:
    return {"dst": (3, 5), "a": (3, 5), "b": (1, 5)} | extra


UNARY: Shapes = {"dst": (3, 5), "src": (3, 1)}
ROWWISE: Shapes = {"dst": (2, 3, 1), "src": (2, 3, 7)}
COLWISE: Shapes = {"dst": (2, 1, 7), "src": (2, 3, 7)}
ONE: Shapes = {"dst": (3, 5), "a": (3, 5)}
OSM: Shapes = {"p": (2, 3, 4), "s": (2, 3, 4), "m": (2, 3, 1), "l": (2, 3, 1), "o": (2, 3, 6)}
MM: Shapes = {"acc": (2, 3, 4), "a": (2, 3, 5), "b": (1, 5, 4)}
BLOCK: Shapes = {"dst": (3, 5), "src": (3, 5)}
GATHER: Shapes = {"dst": (4, 5), "table": (6, 5), "index": (4,)}
SCATTER: Shapes = {"table": (6, 5), "src": (4, 5), "index": (4,)}
ROPE: Shapes = {"dst": (2, 3, 8), "src": (2, 3, 8), "cos": (3, 4), "sin": (1, 4)}


def _copy(x: Any) -> Any:
    return x


CASES: dict[str, list[Case]] = {
    "dma.load": [Case(BLOCK, each(_copy, "src"))],
    "dma.store": [Case(BLOCK, each(_copy, "src"))],
    "dma.copy": [Case(BLOCK, each(_copy, "src"))],
    "dma.fill": [Case({"dst": (3, 5)}, each(_copy, "value"), {"value": 2.5}, floats_only=True)],
    "dma.gather": [Case(GATHER, _gather, small_ints={"index": 6})],
    "dma.scatter": [Case(SCATTER, _scatter, small_ints={"index": 6})],
    "mm": [Case(MM, lambda v: {"acc": _matmul(v)}, slack=1e-5)],
    "mma": [Case(MM, _mma, slack=1e-5)],
    "vmov": [Case(UNARY, each(_copy, "src"))],
    "vfill": [Case({"dst": (3, 5)}, each(_copy, "value"), {"value": -1.5}, floats_only=True)],
    "viota": [
        Case({"dst": (2, 3, 5)}, lambda _: {"dst": np.array([[[7, 8, 9, 10, 11]] * 3] * 2, object)}, {"start": 7})
    ],
    "vneg": [Case(UNARY, each(lambda x: -x, "src"))],
    "vabs": [Case(UNARY, each(abs, "src"))],
    "vexp": [Case(UNARY, each(_exp, "src"), ulps=2)],
    "vlog": [Case(UNARY, each(math.log, "src"), ulps=2, positive=True)],
    "vsqrt": [Case(UNARY, each(math.sqrt, "src"), positive=True)],
    "vrsqrt": [Case(UNARY, each(lambda x: 1 / math.sqrt(x), "src"), ulps=2, positive=True)],
    "vtanh": [Case(UNARY, each(math.tanh, "src"), ulps=2)],
    "vsigmoid": [Case(UNARY, each(lambda x: 1 / (1 + _exp(-x)), "src"), ulps=4)],
    "vf2i": [Case(UNARY, each(_truncate, "src"))],
    "vi2f": [Case(UNARY, each(lambda x: _f32(x), "src"))],
    "vadd": [Case(_broadcast(), each(lambda a, b: a + b, "a", "b"))],
    "vsub": [Case(_broadcast(), each(lambda a, b: a - b, "a", "b"))],
    "vmul": [Case(_broadcast(), each(lambda a, b: a * b, "a", "b"))],
    "vdiv": [Case(_broadcast(), each(lambda a, b: a / b, "a", "b"), positive=True)],
    "vmax": [Case(_broadcast(), each(max, "a", "b"))],
    "vmin": [Case(_broadcast(), each(min, "a", "b"))],
    "vlt": [Case(_broadcast(), each(lambda a, b: int(a < b), "a", "b"))],
    "vle": [Case(_broadcast(), each(lambda a, b: int(a <= b), "a", "b"))],
    "veq": [Case(_broadcast(), each(lambda a, b: int(a == b), "a", "b"))],
    "vsel": [Case(_broadcast(cond=(3, 1)), each(_select, "cond", "a", "b"), small_ints={"cond": 2})],
    "vadds": [Case(ONE, each(lambda a, x: a + x, "a", "value"), {"value": 3.0})],
    "vmuls": [Case(ONE, each(lambda a, x: a * x, "a", "value"), {"value": -2.0})],
    "vrsubs": [Case(ONE, each(lambda a, x: x - a, "a", "value"), {"value": 3.0})],
    "vrdivs": [Case(ONE, each(lambda a, x: x / a, "a", "value"), {"value": 3.0}, positive=True)],
    "vdivs": [Case(ONE, each(lambda a, x: a / x, "a", "value"), {"value": 3.0})],
    "vmaxs": [Case(ONE, each(max, "a", "value"), {"value": 1.0})],
    "vmins": [Case(ONE, each(min, "a", "value"), {"value": 1.0})],
    "vsum.row": [Case(ROWWISE, along(_sum, -1), slack=1e-5)],
    "vmax.row": [Case(ROWWISE, along(max, -1))],
    "vmin.row": [Case(ROWWISE, along(min, -1))],
    "vargmax.row": [Case(ROWWISE, along(_argmax, -1))],
    "vsum.col": [Case(COLWISE, along(_sum, -2), slack=1e-5)],
    "vmax.col": [Case(COLWISE, along(max, -2))],
    "vmin.col": [Case(COLWISE, along(min, -2))],
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
            each(lambda g, u: g / (1 + _exp(-g)) * u, "gate", "up"),
            ulps=8,
        )
    ],
    "cce.allreduce": [Case(BLOCK, each(_copy, "src"))],
}
