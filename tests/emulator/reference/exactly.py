"""Functions of one number to more digits than a float32 has, whatever the operand."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

_BITS = 320  # of pi: enough to reduce the largest float32, and the square of it


@cache
def _pi() -> int:
    """pi * 2 ** _BITS, by Machin's formula: pi / 4 = 4 arctan(1 / 5) - arctan(1 / 239)."""
    guard = 32
    one = 1 << (_BITS + guard)

    def arctan_of_one_by(n: int) -> int:
        power, total, k = one // n, 0, 0
        while power:
            total += (-1) ** k * (power // (2 * k + 1))
            power //= n * n
            k += 1
        return total

    return (4 * (4 * arctan_of_one_by(5) - arctan_of_one_by(239))) >> guard


def reduced(x: Fraction) -> tuple[int, float]:
    """A quarter of the circle, 0 to 3, and the angle within it from -pi / 4 to pi / 4."""
    half = Fraction(_pi(), 1 << (_BITS + 1))
    turns = round(x / half)
    return turns % 4, float(x - turns * half)


def sine_of(x: Fraction) -> float:
    """Sine of an exact angle."""
    quarter, rest = reduced(x)
    return (math.sin(rest), math.cos(rest), -math.sin(rest), -math.cos(rest))[quarter]


def cosine_of(x: Fraction) -> float:
    """Cosine of an exact angle."""
    quarter, rest = reduced(x)
    return (math.cos(rest), -math.sin(rest), -math.cos(rest), math.sin(rest))[quarter]


def sine(x: float) -> float:
    """Sine; NaN for infinities. Zeros stay."""
    return math.nan if not math.isfinite(x) else x if x == 0 else sine_of(Fraction(x))


def cosine(x: float) -> float:
    """Cosine; NaN for infinities."""
    return math.nan if not math.isfinite(x) else cosine_of(Fraction(x))


def erf(x: float) -> float:
    """The error function."""
    return math.erf(x)


def to_odd(r: Fraction) -> float:
    """The double that rounds to the same float32: cut off, and odd where something was."""
    if not r:
        return 0.0
    exponent = r.numerator.bit_length() - r.denominator.bit_length()
    shift = 60 - exponent
    scaled = abs(r) * (Fraction(2) ** shift)
    whole = math.floor(scaled)
    drop = whole.bit_length() - 50
    kept = whole >> drop
    if whole != kept << drop or scaled != whole:
        kept |= 1
    try:
        out = math.ldexp(float(kept), drop - shift)
    except OverflowError:
        out = math.inf
    return -out if r < 0 else out
