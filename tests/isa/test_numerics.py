"""The arithmetic of formats against ml_dtypes, value by value, and against plain numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.isa import bf16, e8m0, f16, f32, fp8e4m3, fp8e5m2, i8, i32, u8
from sohu.isa.numerics import (
    BLOCK,
    FP4,
    Rounding,
    convert,
    format_of,
    mx_dequantize,
    mx_quantize,
    pack_fp4,
    quantize,
    symmetric_scale,
    unpack_fp4,
    widen,
)

pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")  # NaN and overflow are meant

Array = NDArray[Any]
FP8 = (fp8e4m3.np, fp8e5m2.np)
NARROW = (*FP8, FP4)


def every(dtype: np.dtype[Any]) -> Array:
    """All values of a dtype of at most 16 bits."""
    if dtype == FP4:
        return np.arange(16, dtype=np.uint8).view(FP4)
    return np.arange(1 << 8 * dtype.itemsize, dtype=f"u{dtype.itemsize}").view(dtype)


def same(a: Array, b: Array) -> bool:
    """Equal, signs of zeros included; NaN equals NaN."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    both = np.isnan(x) & np.isnan(y)
    return bool((both | ((x == y) & (np.signbit(x) == np.signbit(y)))).all())


def telling(dtype: np.dtype[Any]) -> Array:
    """float32 that rounding to a narrow format can get wrong: its values, the midpoints, both 1 ulp off, the ends."""
    values = every(dtype).astype(np.float32)
    values = np.unique(values[np.isfinite(values)])
    largest = values[-1]
    beyond = np.float32(largest + (largest - values[-2]))
    points = np.concatenate([values, (values[1:] + values[:-1]) / 2, [(largest + beyond) / 2, beyond, 3 * largest]])
    points = points.astype(np.float32)
    tiny = np.float32([1e-45, 1e-38, 1e-30, 3.4e38, np.inf, np.nan])
    near = [np.nextafter(points, np.float32(to)) for to in (np.inf, -np.inf)]
    out = np.concatenate([points, *near, tiny])
    return np.concatenate([out, -out]).astype(np.float32)


@pytest.mark.parametrize("dtype", [bf16.np, f16.np, *FP8, e8m0.np, i8.np, u8.np], ids=str)
def test_widening_is_exact(dtype: np.dtype[Any]) -> None:
    values = every(dtype)
    assert same(widen(values), values.astype(np.float32))
    assert same(widen(values.reshape(2, -1).T[::3]), values.reshape(2, -1).T[::3].astype(np.float32))


@pytest.mark.parametrize("to", NARROW, ids=str)
@pytest.mark.parametrize("source", [bf16.np, f16.np], ids=str)
def test_nearest_agrees_with_ml_dtypes_on_all_16_bit_inputs(source: np.dtype[Any], to: np.dtype[Any]) -> None:
    x = every(source)
    number = ~np.isnan(x.astype(np.float32)) if to == FP4 else np.ones(x.shape, bool)
    with np.errstate(all="ignore"):
        want = x.astype(np.float32).astype(to)
    got = convert(x, to, saturate=False)
    assert same(got[number], want[number])
    assert not got[~number].astype(np.float32).any()


@pytest.mark.parametrize("to", [*NARROW, bf16.np, f16.np], ids=str)
def test_nearest_agrees_with_ml_dtypes_between_values(to: np.dtype[Any]) -> None:
    x = telling(to)
    x = x[~np.isnan(x)] if to == FP4 else x
    with np.errstate(all="ignore"):
        assert same(convert(x, to, saturate=False), x.astype(to))
        saturated = np.clip(x, -format_of(to).largest, format_of(to).largest).astype(to)
    assert same(convert(x, to), saturated)


@pytest.mark.parametrize("to", [*NARROW, bf16.np, f16.np], ids=str)
def test_the_general_rounding_agrees_with_the_fast_one(to: np.dtype[Any]) -> None:
    """float64 takes the way that toward-zero and stochastic rounding take."""
    x = telling(to)
    for saturate in (False, True):
        assert same(convert(x.astype(np.float64), to, saturate=saturate), convert(x, to, saturate=saturate))


@pytest.mark.parametrize("to", [*NARROW, bf16.np, f16.np], ids=str)
def test_toward_zero_takes_the_largest_value_that_is_not_larger(to: np.dtype[Any]) -> None:
    values = every(to).astype(np.float64)
    values = np.unique(np.abs(values[np.isfinite(values)]))
    x = telling(to)
    x = x[np.isfinite(x)]
    want = np.copysign(values[np.searchsorted(values, np.abs(x).astype(np.float64), side="right") - 1], x)
    assert same(convert(x, to, Rounding.ZERO), want)


@pytest.mark.parametrize("to", [*NARROW, bf16.np, f16.np], ids=str)
def test_what_is_too_large(to: np.dtype[Any]) -> None:
    largest = format_of(to).largest
    x = np.float32([np.inf, -np.inf, 3.4e38, -3.4e38])
    for how in Rounding:
        words = np.zeros(4, np.uint32)
        if to == bf16.np:
            x = x[:2]
        assert same(convert(x, to, how, True, words[: x.size]), np.copysign(largest, x))
        if to == FP4:
            continue
        past = np.copysign(np.inf if format_of(to).infinite else np.nan, x)
        assert same(convert(x, to, how, False, words[: x.size]), past)
    assert np.isnan(convert(np.float32([np.nan]), to).astype(np.float32))[0] == (to != FP4)


@pytest.mark.parametrize("to", [*NARROW, bf16.np, f16.np], ids=str)
def test_stochastic_rounding(to: np.dtype[Any]) -> None:
    """Neighbours only, the upper one for exactly the share of words that the cut-off part is of their distance."""
    x = telling(to)
    x = x[np.isfinite(x) & (np.abs(x) <= format_of(to).largest)]
    down = convert(x, to, Rounding.ZERO).astype(np.float64)
    wide = x.astype(np.float64)
    least = convert(x, to, Rounding.STOCHASTIC, True, np.zeros(x.size, np.uint32)).astype(np.float64)
    most = convert(x, to, Rounding.STOCHASTIC, True, np.full(x.size, 0xFFFFFFFF, np.uint32)).astype(np.float64)
    assert same(most, np.where(np.abs(wide - down) > np.abs(least - down) * (1 - 2.0**-24), least, down))
    exact = wide == down
    assert same(least[exact], down[exact]) and (np.abs(least[~exact]) > np.abs(down[~exact])).all()
    words = np.arange(256, dtype=np.uint32) << np.uint32(24)
    for share in range(0, 256, 17):
        value = np.full(256, 1 + share / 256 * 0.5 ** format_of(to).fraction, np.float32)
        up = convert(value, to, Rounding.STOCHASTIC, True, words).astype(np.float32) > 1
        assert up.sum() == (
            share if to.itemsize == 1 else round((float(value[0]) - 1) * 2.0 ** format_of(to).fraction * 256)
        )


def _plain_e8m0(x: float) -> float:
    """The nearest power of two, the larger of two as near."""
    if math.isnan(x) or x <= 0:
        return math.nan
    candidates = [Fraction(2) ** e for e in range(-127, 128)]
    return float(min(candidates, key=lambda c: (abs(c - Fraction(x)), -c)))


def test_e8m0() -> None:
    x = np.float32([0, -1, 1, 1.49, 1.5, 1.51, 3, 2.99, 6, 1e-45, 2e-39, 1.7e38, 2.5e38, 2.6e38, np.nan, 0.3, 1e-10])
    assert same(convert(x, e8m0.np), np.array([_plain_e8m0(float(v)) for v in x]))
    finite = x[(x > 0) & (x < 2e38)]
    with np.errstate(all="ignore"):
        assert same(convert(finite, e8m0.np, saturate=False), finite.astype(e8m0.np))
    powers = every(e8m0.np)
    assert same(convert(widen(powers), e8m0.np), powers)
    assert convert(np.float32([3.9, 2.1]), e8m0.np, Rounding.ZERO).astype(np.float32).tolist() == [2, 2]
    past = np.float32([np.inf, 2.6e38])
    assert convert(past, e8m0.np).astype(np.float64).tolist() == [2.0**127] * 2
    assert np.isnan(convert(past, e8m0.np, saturate=False).astype(np.float32)).all()
    words = np.array([0, 0x7F000000, 0x80000000, 0xFF000000], np.uint32)
    up = convert(np.full(4, 1.5, np.float32), e8m0.np, Rounding.STOCHASTIC, True, words)
    assert up.astype(np.float32).tolist() == [2, 2, 1, 1]


@pytest.mark.parametrize("to", [i8.np, u8.np, i32.np], ids=str)
def test_integers(to: np.dtype[Any]) -> None:
    low, high = int(np.iinfo(to).min), int(np.iinfo(to).max)
    x = np.float32([0.5, 1.5, 2.5, -0.5, -1.5, 127.5, 128, 300.7, -129, 3e9, -3e9, np.inf, -np.inf, np.nan, 1e30])
    rules = {Rounding.NEAREST: round, Rounding.ZERO: math.trunc}
    for how, rule in rules.items():
        for v, got in zip(x.tolist(), convert(x, to, how).tolist(), strict=True):
            want = 0 if math.isnan(v) else low if v == -math.inf else high if v == math.inf else rule(v)
            assert got == max(low, min(high, want)), (v, how)
        for v, got in zip(x.tolist(), convert(x, to, how, saturate=False).tolist(), strict=True):
            want = rule(v) if math.isfinite(v) else 0
            assert got == (want - low) % (high - low + 1) + low, (v, how)
    ints = np.array([0, -1, 127, 128, 255, 256, -(2**31), 2**31 - 1], np.int32)
    assert convert(ints, to).tolist() == [max(low, min(high, v)) for v in ints.tolist()]
    assert convert(ints, to, saturate=False).tolist() == [(v - low) % (high - low + 1) + low for v in ints.tolist()]
    exact = convert(np.int32([2**24 + 1, 2**31 - 1, -77]), f32.np)
    assert exact.tolist() == [2**24, 2**31, -77]
    assert convert(np.int32([257, 259]), bf16.np).astype(np.float32).tolist() == [256, 260]


def test_fp4_pairs() -> None:
    codes = np.arange(256, dtype=np.uint8)
    numbers = unpack_fp4(codes.reshape(16, 16))
    assert numbers.shape == (16, 32) and numbers.dtype == np.float32
    low, high = (codes & 15).view(FP4), (codes >> 4).view(FP4)
    assert same(numbers.reshape(-1, 2), np.stack([low, high], -1).astype(np.float32))
    assert (pack_fp4(numbers.astype(FP4)) == codes.reshape(16, 16)).all()
    columns = unpack_fp4(codes.reshape(16, 16), axis=-2)
    assert columns.shape == (32, 16) and same(columns, unpack_fp4(codes.reshape(16, 16).T).T)


MX_FORMATS = [pytest.param(d, id=str(d)) for d in NARROW]


@pytest.mark.parametrize("to", MX_FORMATS)
def test_mx_blocks(to: np.dtype[Any]) -> None:
    """Section 6.3 of OCP MX 1.0, one block at a time, in exact arithmetic."""
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((40, 2 * BLOCK)) * np.exp2(rng.integers(-140, 120, (40, 2 * BLOCK)))).astype(np.float32)
    x[:12] = rng.standard_normal((12, 2 * BLOCK)).astype(np.float32)
    x[0, :BLOCK] = 0
    x[1, 3], x[1, BLOCK + 3] = np.nan, np.inf
    x[2] = np.exp2(np.arange(2 * BLOCK) - 20)
    elements, scales = mx_quantize(x, to)
    assert elements.dtype == to and scales.dtype == e8m0.np and scales.shape == (40, 2)
    emax = int(math.log2(float(ml_dtypes.finfo(to).max)))
    values = [Fraction(float(v)) for v in np.unique(np.abs(every(to).astype(np.float64))) if np.isfinite(v)]
    for r in range(40):
        for b in range(2):
            block = [float(v) for v in x[r, b * BLOCK : (b + 1) * BLOCK]]
            scale = float(scales[r, b])
            amax = max(map(abs, block)) if all(map(math.isfinite, block)) else math.nan
            if math.isnan(amax):
                assert math.isnan(scale)
                continue
            power = math.floor(math.log2(amax)) - emax if amax else -127
            assert scale == 2.0 ** max(-127, min(127, power)), (r, b)
            for c, v in enumerate(block):
                got = abs(Fraction(float(elements[r, b * BLOCK + c])))
                exact = abs(Fraction(v)) / Fraction(scale)
                best = min(abs(w - exact) for w in values)
                assert abs(got - exact) == best and math.copysign(1, v) == np.copysign(
                    1, float(elements[r, b * BLOCK + c])
                )
    back = mx_dequantize(widen(elements) if to != FP4 else elements.astype(np.float32), widen(scales))
    assert np.isnan(back[1]).all()
    worst = 2.0 ** (emax + 1) - float(ml_dtypes.finfo(to).max)  # an amax just below the next power of two saturates
    assert (np.abs(back - x)[3:12] <= np.repeat(widen(scales)[3:12], BLOCK, -1) * worst).all()


def test_mx_blocks_along_another_axis() -> None:
    x = np.random.default_rng(2).standard_normal((3, 64)).astype(np.float32)
    elements, scales = mx_quantize(x, fp8e4m3.np)
    flat = mx_dequantize(widen(elements), widen(scales))
    assert same(mx_dequantize(widen(elements).T, widen(scales).T, axis=0), flat.T)


@pytest.mark.parametrize("to", [*FP8, i8.np], ids=str)
def test_symmetric_quantization(to: np.dtype[Any]) -> None:
    x = (np.random.default_rng(3).standard_normal((5, 33)) * 10).astype(np.float32)
    x[1] = 0
    largest = 127 if to == i8.np else float(ml_dtypes.finfo(to).max)
    scale = symmetric_scale(x, to, -1)
    assert scale.shape == (5, 1) and scale[1] == 1
    assert same(scale[[0, 2]], np.abs(x[[0, 2]]).max(-1, keepdims=True) / np.float32(largest))
    q = quantize(x, scale, to)
    assert q.dtype == to and np.abs(q.astype(np.float32)).max() == largest
    step = scale if to == i8.np else np.maximum(np.abs(x) * 2.0 ** -format_of(to).fraction, scale * 2.0**-6)
    assert (np.abs(q.astype(np.float32) * scale - x) <= step * 0.51).all()
    assert quantize(np.float32([[-1000]]), np.float32([[1]]), i8.np).tolist() == [[-127]]
    assert (symmetric_scale(np.full((1, 4), 1e-44, np.float32), to, -1) == np.finfo(np.float32).tiny).all()
