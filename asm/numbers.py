"""Numbers in source: literals, and the arithmetic of constant expressions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from sohu.asm.diagnostics import Mistake
from sohu.isa import DType, e8m0
from sohu.isa.numerics import FP4, convert, format_of, pack_fp4

Number: TypeAlias = "int | float"
Span: TypeAlias = tuple[int, int]

BITS = 128  # a raw instruction word is the widest number there is
_MAX_DIGITS = 64


def integer_literal(text: str, span: Span) -> int:
    """Decimal, 0x and 0b numbers; raises Mistake when out of range."""
    if len(text) > _MAX_DIGITS + 2 + BITS * text.startswith(("0b", "0B")):
        raise Mistake("A003", f"a number of {len(text)} digits does not fit {BITS} bits", span)
    base = {"0x": 16, "0b": 2}.get(text[:2].lower(), 10)
    return int(_fits(int(text, base), span))


def float_literal(text: str, span: Span) -> float:
    """Decimal and hexadecimal floats, inf and nan, as a double; raises Mistake when out of range."""
    try:
        value = float.fromhex(text) if text[:2] in ("0x", "0X") else float(text)
    except OverflowError:
        value = float("inf")
    if value in (float("inf"), float("-inf")) and text != "inf":
        raise Mistake("A003", f"{text} is larger than any double", span, help="write inf for infinity")
    return value


def _fits(value: Number, span: Span) -> Number:
    if isinstance(value, int) and not -(1 << (BITS - 1)) <= value < 1 << BITS:
        raise Mistake("A025", f"the value does not fit {BITS} bits", span)
    return value


def unary(op: str, a: Number, span: Span) -> Number:
    """`-a`, `+a`, `~a` or `!a`; raises Mistake."""
    if op == "!":
        return int(not a)
    if op == "~":
        if isinstance(a, float):
            raise Mistake("A025", "~ takes an integer", span)
        return ~a
    return _fits(-a, span) if op == "-" else a


def _divide(a: int, b: int) -> int:
    return -(-a // b) if (a < 0) != (b < 0) else a // b  # toward zero, as in C and GNU as


# 1 for true, 0 for false.
_TRUTH: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
}
_BOTH: dict[str, Callable[[Any, Any], Number]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_INTEGER: dict[str, Callable[[int, int], int]] = {
    "/": _divide,
    "%": lambda a, b: a - b * _divide(a, b),
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}
_ALL = _BOTH | _INTEGER


def binary(op: str, a: Number, b: Number, span: Span) -> Number:
    """`a op b`, as C computes it but in 128 bits; raises Mistake for what has no value."""
    if op in _TRUTH:
        return int(_TRUTH[op](a, b))
    if op in "/%" and b == 0:
        raise Mistake("A025", "division by zero", span)
    if isinstance(a, float) or isinstance(b, float):
        if op == "/":
            return float(a) / float(b)
        if op not in _BOTH:
            raise Mistake("A025", f"{op} takes integers", span)
        return _BOTH[op](float(a), float(b))
    if op in ("<<", ">>") and not 0 <= b < BITS:
        raise Mistake("A025", f"a shift by {b}; it must be 0..{BITS - 1}", span)
    return _fits(_ALL[op](a, b), span)


def pack_number(value: Number, dtype: DType) -> bytes:
    """One element of data, little-endian; floats rounded once, to nearest even.

    Negative integers are two's complement. Floats that are too large become infinity. Raises ValueError, with the
    range, for an integer that does not fit, and for what a float dtype does not have: infinity in fp8e4m3, zero and
    negative numbers in e8m0.
    """
    if not dtype.is_float:
        bits = dtype.itemsize * 8
        return pack_integer(value, bits)
    wide = np.float64(value)
    with np.errstate(over="ignore"):
        single = np.float32(wide)
        if dtype.itemsize < 4 and np.isfinite(single) and single != wide and not single.view(np.uint32) & 1:
            # to odd, so that the second rounding sees that something was cut off
            single = np.nextafter(single, np.float32(np.inf if wide > single else -np.inf))
        if dtype.itemsize > 1:
            return bytes(single.astype(dtype.np).tobytes())
        narrow = convert(np.array([single]), dtype.np, saturate=False)
    if np.isnan(narrow[0]) and not np.isnan(wide):
        largest = f"{format_of(dtype.np).largest:g}"
        raise ValueError(
            f"{value} does not fit {dtype}: {'2^-127..2^127' if dtype is e8m0 else f'-{largest}..{largest}'}"
        )
    return bytes(narrow.tobytes())


def pack_numbers(values: Sequence[Number], dtype: DType) -> bytes:
    """Numbers of a packed dtype, a multiple of those in an element; rounded to nearest even.

    Raises ValueError, with the range, for one that does not fit.
    """
    wide = np.array(values, np.float64)
    if not (np.abs(wide) <= 6).all():
        raise ValueError(f"{wide[~(np.abs(wide) <= 6)][0]:g} does not fit {dtype}: -6..6")
    return pack_fp4(convert(wide, FP4)).tobytes()


def pack_integer(value: Number, bits: int) -> bytes:
    """An integer of `bits` bits, little-endian; raises ValueError (with the range) when it does not fit."""
    if isinstance(value, float):
        raise ValueError(f"{value!r} is no integer")
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise ValueError(f"{value} does not fit {bits} bits: {-(1 << (bits - 1))}..{(1 << bits) - 1}")
    return (value & ((1 << bits) - 1)).to_bytes(bits // 8, "little")
