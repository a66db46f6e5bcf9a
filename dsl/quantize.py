"""Functions of the language over narrow dtypes: casts, scales, block-scaled products, the way out of accumulators.

What they compute is in the manual (docs/isa/numerics.md); dtypes choose the row of the table.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sohu.dsl.builder import Builder, describe
from sohu.dsl.ir import Dim, Value
from sohu.dsl.language import intrinsic, tile
from sohu.isa import DType, f32, fp4x2, fp8e4m3
from sohu.isa.dtypes import Factor, Fp8, Number, Scalable

ACTIVATIONS = ("none", "relu", "relu2", "gelu", "gelu_tanh", "silu")  # by their number in `mout`
ROUNDINGS = ("nearest", "zero", "stochastic")


def _one_of(b: Builder, dtype: Any, among: Collection[DType], what: str) -> DType:
    if dtype not in among:
        raise b.error("K038", f"{what} is not {describe(dtype)}", help=f"one of {', '.join(d.name for d in among)}")
    assert isinstance(dtype, DType)
    return dtype


@intrinsic
def cast(
    b: Builder,
    x: Any,
    dtype: DType,
    rounding: str = "nearest",
    saturate: bool = True,
    key: Any = 0,
    block: Any = 0,
    stream: Any = 0,
) -> Value:
    """x in another dtype with a rounding of one's choice: nearest, zero or stochastic (vcast, vcast.sr).

    key, block and stream say which random words stochastic rounding takes, as in `uniform`.
    """
    dtype = _one_of(b, dtype, Number, "the dtype of a cast")
    if rounding not in ROUNDINGS:
        raise b.error("K031", f"no rounding {rounding!r}", help=f"one of {', '.join(ROUNDINGS)}")
    sat = int(saturate)
    if rounding == "stochastic":
        seed = (b.value(key), b.value(block), b.value(stream))
        return b.one("vcast.sr", tile(b, x), *seed, dtype=dtype, sat=sat)
    return b.one("vcast", tile(b, x), dtype=dtype, rtz=int(rounding == "zero"), sat=sat)


@intrinsic
def quantize(b: Builder, x: Any, dtype: DType, scale: Any = None, axis: Any = -1) -> Any:
    """x / scale in fp8 or i8 (vquant); without a scale, (x / scale, scale) with a float32 scale made from the data.

    That is one for each row (axis=-1, vquant.row), or one for each matrix (axis=None, vquant.all).
    """
    dtype, x = _one_of(b, dtype, Scalable, "the dtype of quantized elements"), tile(b, x)
    if scale is not None:
        return b.one("vquant", x, tile(b, scale), dtype=dtype)
    if axis is not None and axis not in (-1, len(x.tile.dims) - 1):
        raise b.error("K041", f"quantizing over axis {describe(axis)}", help="axis=-1, or None for the whole matrix")
    return tuple(b.inst("vquant.all" if axis is None else "vquant.row", x, dtype=dtype))


@intrinsic
def dequantize(b: Builder, x: Any, scale: Any, dtype: DType = f32) -> Value:
    """x * scale, in a float dtype (vdequant)."""
    return b.one("vdequant", tile(b, x), tile(b, scale), dtype=dtype)


@intrinsic
def mx_quantize(b: Builder, x: Any, dtype: DType = fp8e4m3) -> tuple[Value, ...]:
    """(elements, scales) of OCP Microscaling: blocks of 32 along the last axis, in fp8 or fp4x2 (vmxquant).

    Elements of fp4x2 are bytes of two numbers, so that the last axis is half as long.
    """
    dtype = _one_of(b, dtype, (*Fp8, fp4x2), "the dtype of block-scaled elements")
    if dtype is fp4x2:
        return tuple(b.inst("vmxquant.fp4", tile(b, x)))
    return tuple(b.inst("vmxquant", tile(b, x), dtype=dtype))


@intrinsic
def mx_dequantize(b: Builder, elements: Any, scales: Any, dtype: DType = f32) -> Value:
    """The numbers of block-scaled elements (vmxdequant)."""
    elements = tile(b, elements)
    row = "vmxdequant.fp4" if elements.tile.dtype is fp4x2 else "vmxdequant"
    return b.one(row, elements, tile(b, scales), dtype=dtype)


@intrinsic
def mx_matmul(b: Builder, x: Any, w: Any, w_scale: Any, x_scale: Any = None) -> Value:
    """x @ w with block-scaled w, of fp8 or fp4x2, [K, N] with scales [K/32, N]; float32 in the accumulators.

    x is of any float, or block-scaled too and given with its scales, [M, K/32]. fp4x2 has K/2 bytes along K.
    """
    x, w = tile(b, x), tile(b, w)
    right = _block_scaled(b, w, "the right side")
    if x_scale is None:
        _one_of(b, x.tile.dtype, Factor, "the left side of a product without scales")
        return b.one(f"mm.w{right}", x, w, tile(b, w_scale))
    left = _block_scaled(b, x, "the left side")
    if (left, right) == ("mx4", "mx8"):
        raise b.error("K034", "a product of mxfp4 and mxfp8", help="the left side is mxfp8 where the two differ")
    row = f"mm.{left}" if left == right else f"mm.{left}.{right}"
    return b.one(row, x, tile(b, x_scale), w, tile(b, w_scale))


def _block_scaled(b: Builder, v: Value, what: str) -> str:
    return "mx4" if _one_of(b, v.tile.dtype, (*Fp8, fp4x2), what) is fp4x2 else "mx8"


@intrinsic
def epilogue(
    b: Builder,
    acc: Any,
    scale: Any = None,
    rows: Any = None,
    cols: Any = None,
    bias: Any = None,
    activation: str = "none",
    dtype: DType = f32,
    saturate: bool = True,
) -> Value:
    """activation(acc * scale * rows * cols + bias) on the way out of the accumulators, rounded once to dtype (mout).

    scale: a number; rows and cols: float32 tiles [M, 1] and [1, N]; bias: a tile that broadcasts; each may be left out.
    activation: none, relu, relu2, gelu, gelu_tanh or silu.
    """
    if activation not in ACTIVATIONS:
        raise b.error("K031", f"no activation {activation!r}", help=f"one of {', '.join(ACTIVATIONS)}")
    options = {"dtype": dtype, "act": ACTIVATIONS.index(activation), "sat": int(saturate)}
    acc = tile(b, acc)
    biases = [] if bias is None else [tile(b, bias)]
    if rows is None and cols is None and (scale is None or bias is None):
        return b.one("mout.bias", acc, *biases, **options) if biases else b.one("mout", acc, scale or 1.0, **options)

    def one(number: Any) -> Value:
        return b.one("vfill", number, shape=(Dim(1, 1), Dim(1, 1)), dtype=f32)

    if rows is None:
        rows, scale = one(1.0 if scale is None else scale), None
    cols = one(1.0) if cols is None else tile(b, cols)
    if scale is not None:
        cols = b.one("vmuls", cols, scale)
    return b.one("mout.scale.bias" if biases else "mout.scale", acc, tile(b, rows), cols, *biases, **options)
