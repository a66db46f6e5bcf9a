"""Arithmetic of number formats: rounding, saturation, packing, block scales.

Sources: OCP 8-bit Floating Point Specification (OFP8) 1.0, table 1 and section 5; OCP Microscaling Formats (MX)
Specification 1.0, sections 5 and 6; ml_dtypes for the formats themselves. tests/isa/test_numerics.py compares all of it
with ml_dtypes, value by value.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]

BLOCK = 32  # elements that share a scale (MX 1.0, table 1)
FP4 = np.dtype(ml_dtypes.float4_e2m1fn)
_E8M0 = np.dtype(ml_dtypes.float8_e8m0fnu)
_E8M0_BIAS = 127
_E8M0_NAN = 255
_UNIFORM = 2.0**-24


class Rounding(enum.IntEnum):
    """How a number that a format lacks becomes one that it has."""

    NEAREST = 0  # ties to even
    ZERO = 1
    STOCHASTIC = 2  # away from zero with the probability of the part cut off


@dataclass(frozen=True)
class Format:
    """What is particular to a binary float format.

    fraction: bits of it; emin: exponent of the smallest normal number; largest: finite; infinite: whether it has
    infinities.
    """

    fraction: int
    emin: int
    largest: float
    infinite: bool

    @property
    def emax(self) -> int:
        """Exponent of the largest finite number."""
        return int(np.frexp(self.largest)[1]) - 1


@functools.cache
def format_of(dtype: np.dtype[Any]) -> Format:
    """The format of a signed float dtype of NumPy or ml_dtypes."""
    finfo: Any = ml_dtypes.finfo  # untyped
    info = finfo(dtype)
    with np.errstate(all="ignore"):
        infinite = bool(np.isinf(np.array(np.inf).astype(dtype).astype(np.float64)))
    return Format(int(info.nmant), int(info.minexp), float(info.max), infinite)


# -- from a format -----------------------------------------------------------------------------------------


@functools.cache
def _table(dtype: np.dtype[Any]) -> Floats:
    """The float32 of each byte."""
    return np.arange(256, dtype=np.uint8).view(dtype).astype(np.float32)


@functools.cache
def _table_of_pairs(dtype: np.dtype[Any]) -> NDArray[np.uint64]:
    """The two float32 of each pair of bytes, side by side as one number."""
    codes = np.arange(1 << 16, dtype=np.uint16)
    both = np.stack([codes & 255, codes >> 8], axis=-1).astype(np.uint8)
    return _table(dtype)[both].view(np.uint64).reshape(1 << 16)


def widen(values: Array) -> Floats:
    """Any floats or integers as float32, a new array: exact for all floats; i32 rounded to nearest even.

    Float64, which no tile has, stays that.
    """
    if values.dtype == np.float64:
        return values.copy()
    if values.dtype.itemsize > 1 or values.dtype.kind in "iu":
        return values.astype(np.float32)
    codes = values.view(np.uint8)  # tables are several times as fast as astype
    if codes.ndim and codes.strides[-1] == 1 and codes.shape[-1] % 2 == 0:
        return _table_of_pairs(values.dtype)[codes.view(np.uint16)].view(np.float32)
    if codes.ndim > 1 and codes.strides[-2] == 1 and codes.shape[-2] % 2 == 0:  # a transposed matrix
        return widen(values.swapaxes(-1, -2)).swapaxes(-1, -2)
    return _table(values.dtype)[codes]


@functools.cache
def _fp4_pairs() -> NDArray[np.uint64]:
    """The two float32 of each byte of fp4x2, side by side as one number."""
    codes = np.arange(256, dtype=np.uint8)
    both = np.stack([codes & 15, codes >> 4], axis=-1).view(FP4).astype(np.float32)
    return np.ascontiguousarray(both).view(np.uint64).reshape(256)


def unpack_fp4(packed: Bytes, axis: int = -1) -> Floats:
    """The numbers of fp4x2 elements as float32: `axis` is twice as long, the low half of a byte comes first."""
    if axis in (-1, packed.ndim - 1):
        return _fp4_pairs()[np.ascontiguousarray(packed)].view(np.float32)
    # moving the axis to the end and back makes a view; its user (a matrix product) takes any strides
    return np.moveaxis(unpack_fp4(np.moveaxis(packed, axis, -1)), -1, axis)


def pack_fp4(values: Array) -> Bytes:
    """Pairs of E2M1 (dtype float4_e2m1fn) along the last axis as bytes, the first of a pair in the low half."""
    codes = np.ascontiguousarray(values).view(np.uint8)
    packed: Bytes = (codes[..., 0::2] & np.uint8(15)) | (codes[..., 1::2] << np.uint8(4))
    return packed


# -- to a format -------------------------------------------------------------------------------------------


def convert(
    values: Array,
    to: np.dtype[Any],
    rounding: Rounding = Rounding.NEAREST,
    saturate: bool = True,
    words: NDArray[np.uint32] | None = None,
) -> Array:
    """Numbers in another dtype, rounded once. `to` is a float or integer dtype, or FP4 (one number per element).

    saturate: what is too large, infinity included, becomes the largest finite number of its sign; otherwise infinity,
    NaN in formats without infinities (E2M1, which has neither, always saturates), and integers wrap. NaN stays NaN; as
    an integer or E2M1 it is 0. words: for stochastic rounding, as many random words as there are values; the upper 24
    bits of each decide.

    E8M0 has powers of two: nearest takes the larger of two that are equally near. Numbers below the
    smallest become the smallest; zero and negative numbers become NaN. In float64, which no tile has, all stay.
    """
    if to == np.float64:
        return values.astype(np.float64)
    if to == _E8M0:
        return _to_e8m0(values, rounding, saturate, words)
    if to.kind in "iu":
        return _to_integers(values, to, rounding, saturate, words)
    values = _for_rounding(values)
    single = values.dtype == np.float32
    if single and to.itemsize == 1 and rounding is not Rounding.STOCHASTIC:
        return _codes(to, rounding, saturate)[_upper_bits(values)].view(to)
    if not single or (rounding is not Rounding.NEAREST and to.itemsize < 4):
        values = _rounded(values, format_of(to), rounding, words)
    return _finished(values, to, saturate)


def _finished(values: Array, to: np.dtype[Any], saturate: bool) -> Array:
    """Float32, or what needs no rounding, in another float dtype."""
    if to == FP4:
        values = np.where(np.isnan(values), 0, values)
    if saturate or to == FP4:
        largest = format_of(to).largest
        values = np.clip(values, -largest, largest)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(to)


def _upper_bits(values: Floats) -> NDArray[np.uint32]:
    """The upper 16 bits of each float32, and whether the lower ones hold anything: enough to round to a byte."""
    bits = values.view(np.uint32)
    upper = bits >> np.uint32(16)
    upper <<= np.uint32(1)
    upper |= (bits & np.uint32(0xFFFF)) != 0
    return upper


@functools.cache
def _codes(to: np.dtype[Any], rounding: Rounding, saturate: bool) -> Bytes:
    """The byte of each number that _upper_bits gives; a table is several times as fast as astype."""
    upper = np.arange(1 << 17, dtype=np.uint32)
    values = (upper >> np.uint32(1) << np.uint32(16) | upper & np.uint32(1)).view(np.float32)
    rounded = values if rounding is Rounding.NEAREST else _rounded(values, format_of(to), rounding, None)
    return _finished(rounded, to, saturate).view(np.uint8)


def store(
    dst: Array,
    values: Array,
    rounding: Rounding = Rounding.NEAREST,
    saturate: bool = True,
    words: NDArray[np.uint32] | None = None,
) -> None:
    """dst[...] = values, converted. Only integers and dtypes of a byte saturate: floats of 16 bits have infinities."""
    narrow = dst.dtype.itemsize == 1 or dst.dtype.kind in "iu"
    dst[...] = convert(values, dst.dtype, rounding, saturate and narrow, words)


def _for_rounding(values: Array) -> Array:
    """In a dtype that holds them exactly and that this module computes in: float32 or float64."""
    if values.dtype.kind in "iu":
        return values.astype(np.float64 if values.dtype.itemsize > 2 else np.float32)
    return values if values.dtype in (np.float32, np.float64) else widen(values)


def _rounded(values: Array, f: Format, rounding: Rounding, words: NDArray[np.uint32] | None) -> NDArray[np.float64]:
    """Finite values rounded to a format as if it had no largest number."""
    wide = values.astype(np.float64)
    exponent = np.maximum(np.frexp(wide)[1] - 1, f.emin) - f.fraction
    with np.errstate(invalid="ignore"):
        rounded: NDArray[np.float64] = np.ldexp(_to_whole(np.ldexp(wide, -exponent), rounding, words), exponent)
    return rounded


def _to_whole(wide: NDArray[np.float64], rounding: Rounding, words: NDArray[np.uint32] | None) -> NDArray[np.float64]:
    """Whole numbers from float64, rounded; infinities and NaN stay."""
    whole: NDArray[np.float64] = np.rint(wide) if rounding is Rounding.NEAREST else np.trunc(wide)
    if rounding is Rounding.STOCHASTIC:
        assert words is not None and words.size == wide.size
        uniform = (words.reshape(wide.shape) >> np.uint32(8)) * _UNIFORM
        with np.errstate(invalid="ignore"):  # infinity has no part to cut off
            whole += np.copysign(np.abs(wide - whole) > uniform, wide)
    return whole


def _to_integers(
    values: Array, to: np.dtype[Any], rounding: Rounding, saturate: bool, words: NDArray[np.uint32] | None
) -> Array:
    if values.dtype.kind in "iu":
        if not saturate:
            return values.astype(to)
        ends = np.iinfo(to)
        return np.clip(values.astype(np.int64), ends.min, ends.max).astype(to)
    whole = _to_whole(_for_rounding(values).astype(np.float64), rounding, words)
    whole = np.where(np.isnan(whole), 0, whole)
    if saturate:
        ends = np.iinfo(to)
        return np.clip(whole, ends.min, ends.max).astype(to)
    span = 2.0 ** (8 * to.itemsize)
    with np.errstate(invalid="ignore"):
        wrapped = np.where(np.isinf(whole), 0, np.fmod(whole, span))  # exact: |.| < 2^32
    return wrapped.astype(np.int64).astype(to)


def _to_e8m0(values: Array, rounding: Rounding, saturate: bool, words: NDArray[np.uint32] | None) -> Array:
    wide = _for_rounding(values).astype(np.float64)
    fraction, exponent = np.frexp(wide)  # fraction in [0.5, 1)
    power = exponent.astype(np.int64) - 1
    if rounding is Rounding.NEAREST:
        power += fraction >= 0.75
    elif rounding is Rounding.STOCHASTIC:
        assert words is not None and words.size == wide.size
        power += 2 * fraction - 1 > (words.reshape(wide.shape) >> np.uint32(8)) * _UNIFORM
    code = np.maximum(power + _E8M0_BIAS, 0)
    top = _E8M0_NAN - 1 if saturate else _E8M0_NAN  # the first code that is too large means NaN
    code = np.where(np.isposinf(wide), top, np.minimum(code, top))
    return np.where(wide > 0, code, _E8M0_NAN).astype(np.uint8).view(_E8M0)


# -- scales ------------------------------------------------------------------------------------------------


def largest_of(dtype: np.dtype[Any]) -> float:
    """The largest number that quantization uses: the largest finite float, and 127 of i8 on both sides."""
    return float(np.iinfo(dtype).max) if dtype.kind in "iu" else format_of(dtype).largest


def symmetric_scale(values: Floats, to: np.dtype[Any], axis: int | tuple[int, ...]) -> Floats:
    """amax / largest along `axis`, which is kept with size 1; 1 where all are zero. float32, rounded once.

    A scale too small for a normal float32 is the smallest normal one. NaN where any value is NaN, as amax is.
    """
    amax = np.max(np.abs(values), axis=axis, keepdims=True, initial=0)
    scale = amax / np.float32(largest_of(to))
    tiny = np.finfo(np.float32).tiny
    return np.where(amax == 0, np.float32(1), np.maximum(scale, tiny)).astype(np.float32)


def quantize(values: Floats, scale: Floats, to: np.dtype[Any]) -> Array:
    """values / scale in float32, then rounded to nearest even, saturating; i8 stays within -127..127."""
    with np.errstate(all="ignore"):
        scaled = values / scale
    if to.kind in "iu":
        scaled = np.clip(scaled, -largest_of(to), largest_of(to))
    return convert(scaled, to)


def mx_quantize(values: Floats, to: np.dtype[Any]) -> tuple[Array, Array]:
    """Blocks of 32 along the last axis, which is a multiple of that: (elements, scales in E8M0).

    MX 1.0, section 6.3: the scale is 2 ^ (floor(log2(amax)) - emax of the element's format), clamped to E8M0's range;
    elements are values / scale, rounded to nearest even, saturating. A block of zeros has the smallest scale. One
    with a NaN or an infinity has the scale NaN, and with it all of its values are.
    """
    blocks = values.reshape(*values.shape[:-1], values.shape[-1] // BLOCK, BLOCK)
    amax = np.max(np.abs(blocks), axis=-1, initial=0)
    power = np.frexp(amax.astype(np.float64))[1].astype(np.int64) - 1 - format_of(to).emax
    code = np.clip(power + _E8M0_BIAS, 0, _E8M0_NAN - 1)
    code[amax == 0] = 0
    finite = np.isfinite(amax)
    # exact but for subnormal products, which are far below the smallest element and become 0 all the same
    with np.errstate(invalid="ignore"):
        scaled = blocks * np.ldexp(np.float32(1), _E8M0_BIAS - code)[..., None]
    scaled[~finite] = 0
    elements = convert(scaled, to).reshape(values.shape)
    return elements, np.where(finite, code, _E8M0_NAN).astype(np.uint8).view(_E8M0)


def mx_dequantize(elements: Floats, scales: Floats, axis: int = -1) -> Floats:
    """elements * scale of their block, float32; blocks of 32 along `axis`, other axes broadcast.

    What exceeds float32 is infinite.
    """
    wide = np.moveaxis(elements, axis, -1)
    blocks = wide.reshape(*wide.shape[:-1], wide.shape[-1] // BLOCK, BLOCK)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = blocks * np.moveaxis(scales, axis, -1)[..., None]
    return np.moveaxis(scaled.reshape(*scaled.shape[:-2], wide.shape[-1]), -1, axis)
