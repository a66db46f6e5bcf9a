"""Casts and quantization, from their pages in docs/isa/, one element at a time."""

from __future__ import annotations

import math
from typing import Any

from tests.emulator.reference.elements import Operands, Row, columns, divide, largest, random_words
from tests.emulator.reference.formats import FLOATS, NEAREST, ZERO, code, f32, halves, value
from tests.emulator.reference.values import Anything, Codes, Nd, cast

BLOCK = 32
_SMALLEST_NORMAL = 2.0**-126


def _cast(v: Operands) -> dict[str, Any]:
    how = ZERO if v["rtz"] else NEAREST
    dtype, saturate = v["dst"].dtype, bool(v["sat"])
    return {"dst": Codes(cast(x, dtype, how, saturate) for (x,) in columns(v, ("src",)))}


def _stochastic(v: Operands) -> dict[str, Any]:
    dst = v["dst"]
    words = random_words(v, dst.size)
    numbers = [x for (x,) in columns(v, ("src",))]
    return {
        "dst": Codes(
            cast(x, dst.dtype, (w >> 8) * 2.0**-24, bool(v["sat"])) for x, w in zip(numbers, words, strict=True)
        )
    }


def _packed(numbers: list[float], how: float) -> Codes:
    halves_of = [code("fp4", x, how) for x in numbers]
    return Codes(low | high << 4 for low, high in zip(halves_of[::2], halves_of[1::2], strict=True))


def _unpacked(tile: Nd) -> list[float]:
    return [x for byte in tile.codes for x in halves(byte)]


def _pack(v: Operands) -> dict[str, Any]:
    return {"dst": _packed(v["src"].numbers, ZERO if v["rtz"] else NEAREST)}


def _unpack(v: Operands) -> dict[str, Any]:
    return {"dst": _unpacked(v["src"])}


def _quantized(x: float, scale: float, dtype: str) -> int:
    quotient = f32(divide(x, scale))
    if dtype == "i8" and quotient == quotient:
        quotient = max(-127.0, min(127.0, quotient))
    return code(dtype, quotient, NEAREST, True)


def _given(v: Operands) -> dict[str, Any]:
    shape = v["src"].shape
    return {
        "dst": Codes(
            _quantized(x, s, v["dst"].dtype) for x, s in zip(v["src"].numbers, v["scale"].spread(shape), strict=True)
        )
    }


def _largest_of(dtype: str) -> float:
    return 127.0 if dtype == "i8" else float(value(dtype, FLOATS[dtype].top))


def _dynamic(axes: int) -> Row:
    """A scale for each group of elements that share all indices but the last `axes`."""

    def row(v: Operands) -> dict[str, Any]:
        src, dtype = v["src"], v["dst"].dtype
        group = math.prod(src.shape[-axes:])
        numbers = src.numbers
        scales: list[float] = []
        codes: list[int] = []
        for i in range(v["scale"].size):
            mine = numbers[i * group : (i + 1) * group]
            amax = largest(0.0, *map(abs, mine))
            scale = 1.0 if amax == 0 else f32(amax / _largest_of(dtype))
            if scale < _SMALLEST_NORMAL:
                scale = _SMALLEST_NORMAL
            scales.append(scale)
            codes += [_quantized(x, scale, dtype) for x in mine]
        return {"dst": Codes(codes), "scale": scales}

    return row


def _dequantized(v: Operands) -> dict[str, Any]:
    scales = v["scale"].spread(v["src"].shape)
    return {"dst": [f32(x) * s for x, s in zip(v["src"].numbers, scales, strict=True)]}


def _power(amax: float, emax: int) -> int:
    """The code of a block's scale."""
    if not math.isfinite(amax):
        return 255
    if amax == 0:
        return 0
    return max(0, min(254, math.frexp(amax)[1] - 1 - emax + 127))


def _blocks(v: Operands, dtype: str) -> tuple[list[list[float]], list[int]]:
    """Each block's numbers divided by its scale, and the codes of the scales."""
    numbers = v["src"].numbers
    emax = math.frexp(value(dtype, FLOATS[dtype].top))[1] - 1
    scaled, codes = [], []
    for i in range(0, len(numbers), BLOCK):
        block = numbers[i : i + BLOCK]
        c = _power(largest(*map(abs, block)), emax)
        codes.append(c)
        scaled.append([x / 2.0 ** (c - 127) if c < 255 else math.nan for x in block])
    return scaled, codes


def _mx(v: Operands) -> dict[str, Any]:
    dtype = v["dst"].dtype
    scaled, codes = _blocks(v, dtype)
    elements = [code(dtype, x, NEAREST, True) for block in scaled for x in block]
    # of a block whose scale is NaN nothing is said of the elements
    made = Anything(elements) if 255 in codes else Codes(elements)
    return {"dst": made, "scale": Codes(codes)}


def _mx_fp4(v: Operands) -> dict[str, Any]:
    scaled, codes = _blocks(v, "fp4")
    packed = _packed([x for block in scaled for x in block], NEAREST)
    return {"dst": Anything(packed) if 255 in codes else packed, "scale": Codes(codes)}


def _from_mx(v: Operands) -> dict[str, Any]:
    numbers = _unpacked(v["src"]) if v["src"].dtype == "fp4x2" else v["src"].numbers
    scales = [s for s in v["scale"].numbers for _ in range(BLOCK)]
    return {"dst": [x * s for x, s in zip(numbers, scales, strict=True)]}


QUANTIZING: dict[str, Row] = {
    "vcast": _cast,
    "vcast.sr": _stochastic,
    "vpack.fp4": _pack,
    "vunpack.fp4": _unpack,
    "vquant": _given,
    "vquant.row": _dynamic(1),
    "vquant.all": _dynamic(2),
    "vdequant": _dequantized,
    "vmxquant": _mx,
    "vmxquant.fp4": _mx_fp4,
    "vmxdequant": _from_mx,
    "vmxdequant.fp4": _from_mx,
}
