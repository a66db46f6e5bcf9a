"""Casts and quantization, one element at a time, in exact fractions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np

from tests.emulator.reference.mxu import E2M1, e2m1
from tests.emulator.reference.plain import Array, Case, Shapes, Values, at, f32, indices
from tests.emulator.reference.vpu_random import philox

Round = Callable[[Fraction], int]


@dataclass(frozen=True)
class _Format:
    """Bits of fraction, exponent of the smallest normal number, largest number (OFP8 1.0, table 1; MX 1.0, table 5)."""

    fraction: int
    emin: int
    largest: float


_FORMATS = {
    "float32": _Format(23, -126, 3.4028234663852886e38),
    "bfloat16": _Format(7, -126, 3.3895313892515355e38),
    "float16": _Format(10, -14, 65504.0),
    "float8_e4m3fn": _Format(3, -6, 448.0),
    "float8_e5m2": _Format(2, -14, 57344.0),
}
_FP4 = _Format(1, 0, 6.0)


def _exponent(x: Fraction) -> int:
    """floor(log2(x)), x > 0."""
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if Fraction(2) ** e <= x else e - 1


def _rounded(x: float, f: _Format, whole: Round) -> float:
    if x == 0 or not math.isfinite(x):
        return x
    exact = abs(Fraction(x))
    unit = Fraction(2) ** (max(_exponent(exact), f.emin) - f.fraction)
    return math.copysign(min(float(whole(exact / unit) * unit), f.largest), x)


def _converted(x: float | int, dtype: Any, whole: Round) -> float | int:
    """As the manual says it, saturating."""
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        n = whole(abs(Fraction(x)))
        return max(int(ends.min), min(int(ends.max), -n if x < 0 else n))
    if dtype == ml_dtypes.float8_e8m0fnu:
        if x <= 0:
            return math.nan
        exact = Fraction(x)
        below = Fraction(2) ** _exponent(exact)
        part = (exact - below) / below  # of the way to the next power
        up = part >= Fraction(1, 2) if whole is round else whole(part) == 1
        return float(min(max(below * 2 if up else below, Fraction(2) ** -127), Fraction(2) ** 127))
    return _rounded(float(x), _FORMATS[dtype.name], whole)


def _cast(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i in indices(out.shape):
        out[i] = _converted(at(v["src"], i), v["dst"].dtype, math.trunc if v["rtz"] else round)
    return {"dst": out}


def _stochastic(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for n, i in enumerate(indices(out.shape)):
        counter = (v["stream"] % 2**64) << 64 | (v["block"] + n // 4) % 2**64
        uniform = Fraction(philox(counter, v["key"] % 2**64)[n % 4] >> 8, 2**24)

        def whole(x: Fraction, uniform: Fraction = uniform) -> int:
            return math.floor(x) + (x - math.floor(x) > uniform)

        out[i] = _converted(at(v["src"], i), v["dst"].dtype, whole)
    return {"dst": out}


def _code(x: float) -> int:
    """The four bits of a number of E2M1."""
    return E2M1.index(abs(x)) | (8 if math.copysign(1, x) < 0 else 0)


def _packed(numbers: Callable[[tuple[int, ...]], float], shape: tuple[int, ...]) -> Array:
    out = np.empty(shape, object)
    for *lead, c in indices(shape):
        out[(*lead, c)] = _code(numbers((*lead, 2 * c))) | _code(numbers((*lead, 2 * c + 1))) << 4
    return out


def _pack(v: Values) -> dict[str, Array]:
    whole: Round = math.trunc if v["rtz"] else round
    return {"dst": _packed(lambda i: _rounded(float(v["src"][i]), _FP4, whole), v["dst"].shape)}


def _nibble(v: Values, i: tuple[int, ...]) -> float:
    *lead, c = i
    byte = int(v["src"][(*lead, c // 2)])
    return e2m1(byte >> 4 if c % 2 else byte & 15)


def _unpack(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i in indices(out.shape):
        out[i] = _nibble(v, i)
    return {"dst": out}


def _quantized(x: float, scale: float, dtype: Any) -> float | int:
    quotient = f32(x / scale)  # float32 of the double is the float32 of the exact quotient: 53 >= 2 * 24 + 2
    n = _converted(quotient, dtype, round)
    return max(-127, int(n)) if dtype == np.int8 else n


def _given(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i in indices(out.shape):
        out[i] = _quantized(float(v["src"][i]), float(at(v["scale"], i)), v["dst"].dtype)
    return {"dst": out}


def _dynamic(over: int) -> Callable[[Values], dict[str, Array]]:
    """With a scale for each group of elements that share all but the last `over` indices."""

    def reference(v: Values) -> dict[str, Array]:
        dtype = v["dst"].dtype
        largest = 127.0 if dtype == np.int8 else _FORMATS[dtype.name].largest
        amax: dict[tuple[int, ...], float] = {}
        for i in indices(v["src"].shape):
            amax[i[:-over]] = max(amax.get(i[:-over], 0.0), abs(float(v["src"][i])))
        scale, out = np.empty(v["scale"].shape, object), np.empty(v["dst"].shape, object)
        for i in indices(scale.shape):
            scale[i] = f32(amax[i[:-over]] / largest) or 1.0
        for i in indices(out.shape):
            out[i] = _quantized(float(v["src"][i]), float(at(scale.astype(np.float64), i)), dtype)
        return {"dst": out, "scale": scale}

    return reference


def _dequantized(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i in indices(out.shape):
        out[i] = f32(at(v["src"], i)) * at(v["scale"], i)
    return {"dst": out}


def _blocks(v: Values, f: _Format) -> tuple[Array, Callable[[tuple[int, ...]], float]]:
    """Scales, and the element at an index."""
    scale = np.empty(v["scale"].shape, object)
    emax = _exponent(Fraction(f.largest))
    for *lead, b in indices(scale.shape):
        amax = max(abs(float(v["src"][(*lead, 32 * b + c)])) for c in range(32))
        power = _exponent(Fraction(amax)) - emax if amax else -127
        scale[(*lead, b)] = 2.0 ** max(-127, min(127, power))
    return scale, lambda i: _rounded(float(v["src"][i]) / scale[(*i[:-1], i[-1] // 32)], f, round)


def _mx(v: Values) -> dict[str, Array]:
    scale, element = _blocks(v, _FORMATS[v["dst"].dtype.name])
    out = np.empty(v["dst"].shape, object)
    for i in indices(out.shape):
        out[i] = element(i)
    return {"dst": out, "scale": scale}


def _mx_fp4(v: Values) -> dict[str, Array]:
    scale, element = _blocks(v, _FP4)
    return {"dst": _packed(element, v["dst"].shape), "scale": scale}


def _from_mx(v: Values) -> dict[str, Array]:
    packed = v["src"].dtype == np.uint8
    out = np.empty(v["dst"].shape, object)
    for *lead, c in indices(out.shape):
        number = _nibble(v, (*lead, c)) if packed else float(v["src"][(*lead, c)])
        out[(*lead, c)] = number * float(v["scale"][(*lead, c // 32)])
    return {"dst": out}


CAST: Shapes = {"dst": (3, 5), "src": (3, 1)}
WIDE: Shapes = {"dst": (3, 5), "src": (3, 5)}
SEED = {"key": "i:99", "block": "i:-1", "stream": "i:3"}
ROW: Shapes = {"dst": (2, 3, 7), "scale": (2, 3, 1), "src": (2, 3, 7)}
ALL: Shapes = {"dst": (2, 3, 7), "scale": (2, 1, 1), "src": (2, 3, 7)}
MX: Shapes = {"dst": (2, 3, 64), "scale": (2, 3, 2), "src": (2, 3, 64)}

CASES: dict[str, list[Case]] = {
    "vcast": [Case(CAST, _cast), Case(WIDE, _cast), Case(WIDE, _cast, {"rtz": 1})],
    "vcast.sr": [Case(WIDE, _stochastic, SEED), Case(CAST, _stochastic, SEED)],
    "vpack.fp4": [Case({"dst": (3, 4), "src": (3, 8)}, _pack, {"rtz": rtz}) for rtz in (0, 1)],
    "vunpack.fp4": [Case({"dst": (3, 8), "src": (3, 4)}, _unpack)],
    "vquant": [Case(ROW | {"scale": s}, _given, positive=True) for s in ((3, 1), (2, 1, 7))],
    "vquant.row": [Case(ROW, _dynamic(1)), Case(dict.fromkeys(ROW, (2, 3, 1)), _dynamic(1))],
    "vquant.all": [Case(ALL, _dynamic(2)), Case(dict.fromkeys(ALL, (2, 1, 1)), _dynamic(2))],
    "vdequant": [Case(ROW | {"scale": s}, _dequantized) for s in ((3, 1), (7,))],
    "vmxquant": [Case(MX, _mx)],
    "vmxquant.fp4": [Case(MX | {"dst": (2, 3, 32)}, _mx_fp4)],
    "vmxdequant": [Case(MX, _from_mx)],
    "vmxdequant.fp4": [Case(MX | {"src": (2, 3, 32)}, _from_mx)],
}
