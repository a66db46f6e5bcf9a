"""Every value of every narrow format, and float32 at, between and beside them: ml_dtypes and plain integers agree.

Three implementations meet here: sohu.isa.numerics, which the emulator uses; ml_dtypes; and the bit-level one of the
second executor (tests/emulator/reference/formats.py), which knows all ways to round.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.isa import DTYPES, bf16, e8m0, f16, f32, fp8e4m3, fp8e5m2, i8, i32, u8
from sohu.isa.numerics import FP4, Rounding, convert, mx_dequantize, mx_quantize, unpack_fp4, widen

from tests.emulator.reference import formats

pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")  # NaN and overflow are meant

Array = NDArray[Any]
FLOATS = {"bf16": bf16.np, "f16": f16.np, "fp8e4m3": fp8e4m3.np, "fp8e5m2": fp8e5m2.np, "fp4": FP4}
INTEGERS = {"i8": i8.np, "u8": u8.np, "i32": i32.np}
NAMED = [pytest.param(name, to, id=name) for name, to in FLOATS.items()]
WHOLE = [pytest.param(name, to, id=name) for name, to in INTEGERS.items()]
WAYS = {Rounding.NEAREST: formats.NEAREST, Rounding.ZERO: formats.ZERO}
UNIFORM = (0, 1, 0x7FFFFF, 0x800000, 0x800001, 0xFFFFFF)  # upper 24 bits of random words


def every(dtype: np.dtype[Any]) -> Array:
    """All values of a dtype of at most 16 bits."""
    if dtype == FP4:
        return np.arange(16, dtype=np.uint8).view(FP4)
    return np.arange(1 << 8 * dtype.itemsize, dtype=f"u{dtype.itemsize}").view(dtype)


def codes(values: Array) -> Array:
    """Their bits."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def same(got: Array, want: Array) -> bool:
    """The same bits, or any two NaN."""
    if got.dtype.kind in "iu":
        return bool(np.array_equal(got, want))
    both = np.isnan(got.astype(np.float64)) & np.isnan(want.astype(np.float64))
    return bool((both | (codes(got) == codes(want))).all())


def beside(points: Array) -> Array:
    """float32 points of both signs, their neighbours, the ends of float32, and no numbers."""
    points = points.astype(np.float32)
    near = [np.nextafter(points, np.float32(to)) for to in (np.inf, -np.inf)]
    ends = np.float32([0, 1e-45, 1.1754942e-38, 1.1754944e-38, 3.4028235e38, np.inf, np.nan])
    out = np.unique(np.concatenate([points, *near, ends]))
    return np.unique(np.concatenate([out, -out]).view(np.uint32)).view(np.float32)  # -0 too


def telling(dtype: np.dtype[Any]) -> Array:
    """All values, all midpoints, and where the largest number ends, with their neighbours."""
    values = np.unique(np.abs(every(dtype).astype(np.float64)))
    values = values[np.isfinite(values)]
    past = values[-1] + (values[-1] - values[-2])
    middle = (values[1:] + values[:-1]) / 2
    return beside(np.concatenate([values, middle, [(values[-1] + past) / 2, past]]))


def whole(dtype: np.dtype[Any]) -> Array:
    """All halves that a byte is near, or powers of two around the ends of 32 bits, with their neighbours."""
    if dtype.itemsize == 1:
        return beside(np.arange(0, 300, 0.5))
    powers = np.exp2(np.arange(34.0))
    return beside(np.concatenate([powers, powers + 0.5, powers - 0.5, powers * 1.5, np.arange(0, 40, 0.5)]))


def plain(name: str, numbers: list[Any], how: float, saturate: bool, to: np.dtype[Any]) -> Array:
    """What plain integers make of them, one at a time."""
    made = np.array([formats.code(name, x, how, saturate) for x in numbers], np.uint64)
    return made.astype(f"u{to.itemsize}").view(to)


@pytest.mark.parametrize(("name", "to"), NAMED)
def test_a_code_means_the_same(name: str, to: np.dtype[Any]) -> None:
    numbers = every(to)
    want = numbers.astype(np.float32)
    mine = np.array([formats.value(name, int(c)) for c in codes(numbers)], np.float32)
    assert same(mine, want)
    if to != FP4:
        assert same(widen(numbers), want)


def test_a_scale_means_the_same() -> None:
    numbers = every(e8m0.np)
    want = numbers.astype(np.float64)
    assert np.array_equal([formats.value("e8m0", c) for c in range(256)], want, equal_nan=True)
    assert np.array_equal(widen(numbers), want, equal_nan=True)
    assert np.array_equal(want[:255], [2.0 ** (c - 127) for c in range(255)]) and math.isnan(want[255])


def test_float32_means_the_same() -> None:
    rng = np.random.default_rng(0)
    bits = np.concatenate([rng.integers(0, 1 << 32, 100_000, np.uint32), codes(whole(i32.np))])
    bits = np.concatenate([bits, np.uint32([0x7F800001, 0x7FFFFFFF, 0xFF800001, 0x00800000, 0x807FFFFF])])
    want = bits.view(np.float32).astype(np.float64)
    assert np.array_equal([formats.value("f32", c) for c in bits.tolist()], want, equal_nan=True)
    wide = rng.standard_normal(100_000) * np.exp2(rng.integers(-155, 130, 100_000))
    assert same(plain("f32", wide.tolist(), formats.NEAREST, False, f32.np), wide.astype(np.float32))


@pytest.mark.parametrize(("name", "to"), NAMED)
@pytest.mark.parametrize("saturate", [False, True])
def test_float32_to_nearest(name: str, to: np.dtype[Any], saturate: bool) -> None:
    x = telling(to)
    got = convert(x, to, Rounding.NEAREST, saturate)
    assert same(got, plain(name, x.tolist(), formats.NEAREST, saturate, to))
    number = ~np.isnan(x) if to == FP4 else np.ones(x.shape, bool)  # E2M1 has no NaN, and ml_dtypes gives something
    if saturate:
        largest = float(ml_dtypes.finfo(to).max)
        x = np.clip(x, -largest, largest)
    assert same(got[number], x[number].astype(to))


@pytest.mark.parametrize(("name", "to"), NAMED)
@pytest.mark.parametrize("saturate", [False, True])
def test_float32_toward_zero(name: str, to: np.dtype[Any], saturate: bool) -> None:
    x = telling(to)
    got = convert(x, to, Rounding.ZERO, saturate)
    assert same(got, plain(name, x.tolist(), formats.ZERO, saturate, to))


@pytest.mark.parametrize(("name", "to"), NAMED)
@pytest.mark.parametrize("uniform", UNIFORM)
def test_float32_stochastically(name: str, to: np.dtype[Any], uniform: int) -> None:
    x = telling(to)
    if to.itemsize > 1:  # each number of the many with one of the words
        x = x[UNIFORM.index(uniform) :: len(UNIFORM)]
    words = np.full(x.size, uniform << 8 | 0x5A, np.uint32)  # the lower bits decide nothing
    for saturate in (False, True):
        got = convert(x, to, Rounding.STOCHASTIC, saturate, words)
        assert same(got, plain(name, x.tolist(), uniform * 2.0**-24, saturate, to))


@pytest.mark.parametrize(("name", "to"), NAMED)
@pytest.mark.parametrize("source", [*FLOATS.values(), e8m0.np], ids=str)
def test_every_value_of_a_format_in_every_other(source: np.dtype[Any], name: str, to: np.dtype[Any]) -> None:
    values = every(source)
    x = values.astype(np.float32) if source == FP4 else values
    numbers = values.astype(np.float32).tolist()
    for way, how in WAYS.items():
        for saturate in (False, True):
            assert same(convert(x, to, way, saturate), plain(name, numbers, how, saturate, to)), (way, saturate)


@pytest.mark.parametrize("source", FLOATS.values(), ids=str)
def test_every_value_of_a_format_as_a_scale(source: np.dtype[Any]) -> None:
    numbers = every(source).astype(np.float32)
    for way, how in WAYS.items():
        for saturate in (False, True):
            want = plain("e8m0", numbers.tolist(), how, saturate, e8m0.np)
            assert np.array_equal(codes(convert(numbers, e8m0.np, way, saturate)), codes(want))


@pytest.mark.parametrize("saturate", [False, True])
def test_float32_as_a_scale(saturate: bool) -> None:
    """At every power of two, at every midpoint, and beside them."""
    powers = np.exp2(np.arange(-149.0, 128.0))
    x = beside(np.concatenate([powers, powers[:-1] * 1.5, [3.3e38]]))
    for way, how in WAYS.items():
        got = convert(x, e8m0.np, way, saturate)
        assert np.array_equal(codes(got), codes(plain("e8m0", x.tolist(), how, saturate, e8m0.np)))
    for uniform in UNIFORM:
        got = convert(x, e8m0.np, Rounding.STOCHASTIC, saturate, np.full(x.size, uniform << 8, np.uint32))
        assert np.array_equal(codes(got), codes(plain("e8m0", x.tolist(), uniform * 2.0**-24, saturate, e8m0.np)))
    inside = x[(x >= 2.0**-126) & (x < 1.4 * 2.0**127)]
    assert same(convert(inside, e8m0.np), inside.astype(e8m0.np))


@pytest.mark.parametrize(("name", "to"), WHOLE)
@pytest.mark.parametrize("saturate", [False, True])
def test_float32_as_integers(name: str, to: np.dtype[Any], saturate: bool) -> None:
    x = whole(to)
    for way, how in WAYS.items():
        assert same(convert(x, to, way, saturate), plain(name, x.tolist(), how, saturate, to)), way
    for uniform in UNIFORM:
        words = np.full(x.size, uniform << 8, np.uint32)
        got = convert(x, to, Rounding.STOCHASTIC, saturate, words)
        assert same(got, plain(name, x.tolist(), uniform * 2.0**-24, saturate, to))
    ends = np.iinfo(to)
    finite = x[np.isfinite(x) & (np.rint(x) >= ends.min) & (np.rint(x.astype(np.float64)) <= ends.max)]
    assert np.array_equal(convert(finite, to), np.rint(finite.astype(np.float64)).astype(to))


@pytest.mark.parametrize(("name", "to"), WHOLE)
@pytest.mark.parametrize("source", INTEGERS.values(), ids=str)
def test_integers_as_integers(source: np.dtype[Any], name: str, to: np.dtype[Any]) -> None:
    edges = [n + d for n in (-(2**31), -(2**16), -256, -128, 0, 127, 128, 255, 256, 2**31 - 2) for d in (-1, 0, 1)]
    ends = np.iinfo(source)
    x = every(source) if source.itemsize == 1 else np.array([n for n in edges if ends.min <= n <= ends.max], source)
    for saturate in (False, True):
        want = plain(name, x.tolist(), formats.NEAREST, saturate, to)
        assert np.array_equal(convert(x, to, saturate=saturate), want)
        low, high = int(np.iinfo(to).min), int(np.iinfo(to).max)
        for n, got in zip(x.tolist(), want.tolist(), strict=True):
            assert got == (max(low, min(high, n)) if saturate else (n - low) % (high - low + 1) + low)


@pytest.mark.parametrize(("name", "to"), [*NAMED, pytest.param("f32", f32.np, id="f32")])
def test_integers_are_rounded_once(name: str, to: np.dtype[Any]) -> None:
    """Not by way of float32, which would make a tie of what is just beside one."""
    powers = [1 << n for n in range(31)]
    middles = [p + p // 512 + (p >> n) for p in powers for n in range(1, 31)]
    near = sorted({n + d for n in [*powers, *middles] for d in (-1, 0, 1) if 0 <= n + d < 2**31})
    x = np.array([*near, *(-n for n in near), -(2**31)], np.int32)
    for way, how in WAYS.items():
        got = convert(x, to, way, True)
        assert same(got, plain(name, x.tolist(), how, True, to)), way
    for n, got in zip(x.tolist(), convert(x, to).astype(np.float64).tolist(), strict=True):
        if abs(n) <= float(ml_dtypes.finfo(to).max):
            digits = int(ml_dtypes.finfo(to).nmant) + 1
            step = Fraction(2) ** max(abs(n).bit_length() - digits, -digits) if n else Fraction(1)
            assert Fraction(got) == round(Fraction(n) / step) * step or abs(n) < 4


@pytest.mark.parametrize("to", [fp8e4m3.np, fp8e5m2.np, FP4], ids=str)
def test_every_element_with_every_scale(to: np.dtype[Any]) -> None:
    """mxfp8 and mxfp4 as numbers: exact, or infinite beyond float32."""
    elements = every(to)
    blocks = np.zeros((256, -(-elements.size // 32) * 32), to)
    blocks[:, : elements.size] = elements
    scales = np.repeat(every(e8m0.np)[:, None], blocks.shape[1] // 32, axis=1)
    wide = blocks.astype(np.float32)
    got = mx_dequantize(wide, widen(scales))
    want = (blocks.astype(np.float64) * every(e8m0.np).astype(np.float64)[:, None]).astype(np.float32)
    assert same(got, want)
    if to == FP4:
        packed = (codes(blocks[:, 0::2]) | codes(blocks[:, 1::2]) << np.uint8(4)).astype(np.uint8)
        assert same(unpack_fp4(packed), wide)


@pytest.mark.parametrize("to", [fp8e4m3.np, fp8e5m2.np, FP4], ids=str)
def test_blocks_at_every_power_of_two(to: np.dtype[Any]) -> None:
    """The largest number of a block at, just below and just above each power: the scale of OCP MX 1.0, section 6.3."""
    powers = np.exp2(np.arange(-149.0, 128.0)).astype(np.float32)
    amax = np.unique(np.concatenate([powers, np.nextafter(powers, np.float32(0)), np.nextafter(powers, np.float32(3))]))
    amax = amax[amax > 0]
    values = telling(to)
    values = values[np.isfinite(values)]
    rng = np.random.default_rng(1)
    x = np.zeros((amax.size, 32), np.float32)
    x[:, 0] = np.where(rng.random(amax.size) < 0.5, amax, -amax)
    emax = math.frexp(float(ml_dtypes.finfo(to).max))[1] - 1
    for r, largest in enumerate(amax.tolist()):
        power = max(-127, min(127, math.frexp(largest)[1] - 1 - emax))
        some = rng.choice(values, 31) * np.float32(2.0**power)  # at ties between elements
        x[r, 1:] = np.where(np.abs(some) <= largest, some, 0)
        x[r, 31] = 0
    elements, scales = mx_quantize(x, to)
    name = {fp8e4m3.np: "fp8e4m3", fp8e5m2.np: "fp8e5m2"}.get(to, "fp4")
    for r, largest in enumerate(amax.tolist()):
        power = max(-127, min(127, math.frexp(largest)[1] - 1 - emax))
        assert float(scales[r, 0]) == 2.0**power, largest
        scaled = [float(v) / 2.0**power for v in x[r].tolist()]
        assert same(elements[r], plain(name, scaled, formats.NEAREST, True, to)), largest


def test_these_are_all_dtypes() -> None:
    """A new one belongs into the tests above."""
    assert {*FLOATS, *INTEGERS, "f32", "e8m0", "fp4x2"} - {"fp4"} == set(DTYPES)
