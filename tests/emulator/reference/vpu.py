"""Elementwise operations, reductions and selection, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.emulator.reference.plain import COLWISE, ONE, ROWWISE, UNARY, Case, Shapes, along, each, exp, f32, same


def _argmax(line: list[Any]) -> int:
    best = 0
    for i, x in enumerate(line):
        if x > line[best]:
            best = i
    return best


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


CASES: dict[str, list[Case]] = {
    "vmov": [Case(UNARY, each(same, "src"))],
    "vfill": [Case({"dst": (3, 5)}, each(same, "value"), {"value": -1.5}, floats_only=True)],
    "viota": [
        Case({"dst": (2, 3, 5)}, lambda _: {"dst": np.array([[[7, 8, 9, 10, 11]] * 3] * 2, object)}, {"start": 7})
    ],
    "vneg": [Case(UNARY, each(lambda x: -x, "src"))],
    "vabs": [Case(UNARY, each(abs, "src"))],
    "vexp": [Case(UNARY, each(exp, "src"), ulps=2)],
    "vlog": [Case(UNARY, each(math.log, "src"), ulps=2, positive=True)],
    "vsqrt": [Case(UNARY, each(math.sqrt, "src"), positive=True)],
    "vrsqrt": [Case(UNARY, each(lambda x: 1 / math.sqrt(x), "src"), ulps=2, positive=True)],
    "vtanh": [Case(UNARY, each(math.tanh, "src"), ulps=2)],
    "vsigmoid": [Case(UNARY, each(lambda x: 1 / (1 + exp(-x)), "src"), ulps=4)],
    "vf2i": [Case(UNARY, each(_truncate, "src"))],
    "vi2f": [Case(UNARY, each(lambda x: f32(x), "src"))],
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
}
