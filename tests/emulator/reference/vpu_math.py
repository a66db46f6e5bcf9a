"""More elementwise functions, one element at a time."""

from __future__ import annotations

import math

from tests.emulator.reference.plain import UNARY, Case, Shapes, each

PAIR: Shapes = {"dst": (3, 5), "a": (3, 5), "b": (1, 5)}
SRC: Shapes = {"dst": (3, 5), "src": (3, 5)}


def _even(x: float) -> int:
    below = math.floor(x)
    if x - below == 0.5:
        return below + below % 2
    return math.floor(x + 0.5)


def _logical(a: int, b: int) -> int:
    return int((a & 0xFFFFFFFF) // 2 ** (b % 32))


CASES: dict[str, list[Case]] = {
    "verf": [Case(UNARY, each(math.erf, "src"), ulps=1)],
    "vsin": [Case(UNARY, each(math.sin, "src"), ulps=1)],
    "vcos": [Case(UNARY, each(math.cos, "src"), ulps=1)],
    "vexp2": [Case(UNARY, each(lambda x: 2.0**x, "src"), ulps=2)],
    "vround": [Case(SRC, each(_even, "src"))],
    "vfloor": [Case(SRC, each(math.floor, "src"))],
    "vceil": [Case(SRC, each(math.ceil, "src"))],
    "vclamp": [
        Case(SRC, each(lambda x, low, high: min(max(x, low), high), "src", "low", "high"), scalars)
        for scalars in ({"low": "f:-1.5", "high": "f:0.75"}, {"low": "f:2.0", "high": "f:1.0"})
    ],
    "vfma": [Case(PAIR | {"c": (3, 1)}, each(lambda a, b, c: a * b + c, "a", "b", "c"), ulps=1)],
    "vand": [Case(PAIR, each(lambda a, b: a & b, "a", "b"))],
    "vor": [Case(PAIR, each(lambda a, b: a | b, "a", "b"))],
    "vxor": [Case(PAIR, each(lambda a, b: a ^ b, "a", "b"))],
    "vsll": [Case(PAIR, each(lambda a, b: a * 2 ** (b % 32), "a", "b"))],
    "vsra": [Case(PAIR, each(lambda a, b: math.floor(a / 2 ** (b % 32)), "a", "b"))],
    "vsrl": [Case(PAIR, each(_logical, "a", "b"))],
    "vidiv": [Case(PAIR, each(lambda a, b: math.floor(a / b), "a", "b"), positive=True)],
    "virem": [Case(PAIR, each(lambda a, b: a - b * math.floor(a / b), "a", "b"), positive=True)],
}
