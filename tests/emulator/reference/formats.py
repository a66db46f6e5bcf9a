"""Number formats bit by bit, in Python's integers: what a code means, and which code a number is rounded to.

Written from docs/isa/numerics.md. A code is the unsigned integer of an element's bytes. Floats of the manual are
Python floats here, which hold all of them exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

SIZES = {
    "f32": 4, "bf16": 2, "f16": 2, "fp8e4m3": 1, "fp8e5m2": 1, "e8m0": 1, "fp4x2": 1, "i32": 4, "u8": 1, "i8": 1,
}  # fmt: skip
CODES = {1: "f32", 2: "bf16", 3: "f16", 4: "fp8e4m3", 5: "fp8e5m2", 6: "e8m0", 7: "fp4x2", 8: "i32", 9: "u8", 10: "i8"}
INTEGERS = {"i32": (-(2**31), 2**31 - 1), "u8": (0, 255), "i8": (-128, 127), "fp4x2": (0, 255)}
NEAREST, ZERO = -1.0, -2.0  # ways to round; one of 0 to 1 is the uniform number of stochastic rounding


@dataclass(frozen=True)
class Float:
    """A sign, some bits of exponent and of fraction.

    emin: exponent of the smallest normal number; top: code of the largest finite number; infinity: its code, or None;
    nan: a code of it, or None.
    """

    bits: int
    fraction: int
    emin: int
    top: int
    infinity: int | None
    nan: int | None


FLOATS = {
    "f32": Float(32, 23, -126, 0x7F7FFFFF, 0x7F800000, 0x7FC00000),
    "bf16": Float(16, 7, -126, 0x7F7F, 0x7F80, 0x7FC0),
    "f16": Float(16, 10, -14, 0x7BFF, 0x7C00, 0x7E00),
    "fp8e4m3": Float(8, 3, -6, 0x7E, None, 0x7F),
    "fp8e5m2": Float(8, 2, -14, 0x7B, 0x7C, 0x7E),
    "fp4": Float(4, 1, 0, 7, None, None),  # a half of fp4x2
}


def is_float(dtype: str) -> bool:
    """Whether an element is one float."""
    return dtype not in INTEGERS


@lru_cache(1 << 16)
def value(dtype: str, code: int) -> float | int:
    """The number of a code; fp4x2 gives its byte."""
    if dtype in INTEGERS:
        low, high = INTEGERS[dtype]
        return code if code <= high else code - (high - low + 1)
    if dtype == "e8m0":
        return math.nan if code == 255 else 2.0 ** (code - 127)
    f = FLOATS[dtype]
    magnitude = code & ((1 << (f.bits - 1)) - 1)
    sign = -1.0 if code >> (f.bits - 1) else 1.0
    if magnitude > f.top:
        return sign * math.inf if magnitude == f.infinity else math.nan
    exponent, fraction = magnitude >> f.fraction, magnitude & ((1 << f.fraction) - 1)
    if exponent:
        return sign * math.ldexp((1 << f.fraction) + fraction, exponent - 1 + f.emin - f.fraction)
    return sign * math.ldexp(fraction, f.emin - f.fraction)


def _whole(x: float, how: float) -> int:
    """A number that is not negative as a whole one."""
    below = math.floor(x)
    rest = x - below  # exact: x has at most 53 bits
    if how == NEAREST:
        return below + (rest > 0.5 or (rest == 0.5 and below % 2 == 1))
    if how == ZERO:
        return below
    return below + (rest > how)


def code(dtype: str, x: float | int, how: float = NEAREST, saturate: bool = False) -> int:
    """The code of a number rounded once to a dtype (also "fp4"), as the chapter's tables have it."""
    if dtype in INTEGERS:
        return _integer(dtype, x, how, saturate)
    x = float(x)
    if dtype == "e8m0":
        return _power(x, how, saturate)
    f = FLOATS[dtype]
    if x != x:
        return 0 if f.nan is None else f.nan
    sign = 1 << (f.bits - 1) if math.copysign(1.0, x) < 0 else 0
    if math.isinf(x):
        found = f.top + 1
    else:
        exponent = max(math.frexp(x)[1] - 1, f.emin) if x else f.emin
        steps = exponent - f.emin
        found = (steps << f.fraction) + _whole(math.ldexp(abs(x), f.fraction - exponent), how)
    if found > f.top:
        if saturate or (f.infinity is None and f.nan is None):
            found = f.top
        else:
            found = f.nan if f.infinity is None else f.infinity  # type: ignore[assignment]
    return sign | found


def _power(x: float, how: float, saturate: bool) -> int:
    if not x > 0:
        return 255
    if math.isinf(x):
        return 254 if saturate else 255
    fraction, exponent = math.frexp(x)  # 0.5 to 1
    part = 2 * fraction - 1
    up = part >= 0.5 if how == NEAREST else how != ZERO and part > how
    found = max(exponent - 1 + up + 127, 0)
    return found if found < 255 else 254 if saturate else 255


def _integer(dtype: str, x: float | int, how: float, saturate: bool) -> int:
    low, high = INTEGERS[dtype]
    if isinstance(x, float):
        if x != x:
            return 0
        if math.isinf(x):
            x = 0 if not saturate else high if x > 0 else low
        else:
            x = -_whole(-x, how) if x < 0 else _whole(x, how)
    if saturate:
        x = max(low, min(high, x))
    return int(x) & (high - low)


def f32(x: float) -> float:
    """The nearest float32, of two as near the even one."""
    return value("f32", code("f32", x))


def ulp(x: float) -> float:
    """Distance from a number to the next float32."""
    if not math.isfinite(x):
        return 0.0
    return math.ldexp(1.0, max(math.frexp(x)[1] - 1, -126) - 23) if x else math.ldexp(1.0, -149)


def stored(dtype: str, x: float | int) -> int:
    """The code of a result of arithmetic: rounded to float32, then to the dtype; fp8 saturates. Integers wrap."""
    if dtype in INTEGERS:
        return code(dtype, x)
    if dtype == "f32":
        return code("f32", x)
    return code(dtype, f32(x), saturate=dtype in ("fp8e4m3", "fp8e5m2", "e8m0"))


def is_nan(dtype: str, c: int) -> bool:
    """Whether a code is a NaN."""
    return dtype not in INTEGERS and value(dtype, c) != value(dtype, c)


def moved(c: int, source: str, target: str) -> int:
    """A code of one dtype as the DMA converts it to another."""
    if source == target:
        return c
    x = value(source, c)
    if target in INTEGERS:
        return code(target, x, ZERO, saturate=isinstance(x, float))
    return stored(target, f32(x) if isinstance(x, int) else x)


@cache
def _halves() -> tuple[tuple[float, float], ...]:
    return tuple((value("fp4", b & 15), value("fp4", b >> 4)) for b in range(256))


def halves(byte: int) -> tuple[float, float]:
    """The two numbers of an element of fp4x2, the first in the low half."""
    return _halves()[byte]
