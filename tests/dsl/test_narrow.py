"""Kernels over narrow dtypes: fp8, i8 and block-scaled tiles."""

import numpy as np
import pytest
from sohu.dsl import CompileError
from sohu.isa import fp8e4m3, fp8e5m2
from sohu.isa.numerics import (
    FP4,
    convert,
    mx_dequantize,
    mx_quantize,
    pack_fp4,
    quantize,
    symmetric_scale,
    unpack_fp4,
    widen,
)

import sohu
from tests.dsl.support import rand, run, same


def test_a_product_of_two_different_floats() -> None:
    @sohu.kernel
    def product(x: sohu.In[sohu.bf16, "M K"], w: sohu.In[sohu.fp8e4m3, "K N"], y: sohu.Out[sohu.f32, "M N"]):  # type: ignore[no-untyped-def]
        y[...] = x[...] @ w[...]

    x, w = rand(33, 40, dtype=sohu.bf16.np), rand(40, 17, seed=1, dtype=fp8e4m3.np)
    same(run(product, x, w), x.astype(np.float32) @ w.astype(np.float32))


def test_fp8_out_saturates() -> None:
    @sohu.kernel
    def double(x: sohu.In[sohu.fp8e5m2, "R C"], y: sohu.Out[sohu.fp8e4m3, "R C"], z: sohu.Out[sohu.i8, "R C"]):  # type: ignore[no-untyped-def]
        t = x[...].to(sohu.f32) * 2
        y[...] = t
        z[...] = t.to(sohu.i8)

    x = (rand(5, 70) * 200).astype(fp8e5m2.np)
    y, z = run(double, x)
    wide = x.astype(np.float32) * 2
    assert y.dtype == fp8e4m3.np and (y == convert(wide, fp8e4m3.np)).all()
    assert (z == np.clip(np.trunc(wide), -128, 127)).all()


def test_a_linear_layer_in_i8_with_scales_of_its_own() -> None:
    """Activations are quantized per token on the chip, weights per channel before."""

    @sohu.kernel
    def linear(
        x: sohu.In[sohu.f32, "M K"],
        w: sohu.In[sohu.i8, "N K"],
        scale: sohu.In[sohu.f32, "N"],
        bias: sohu.In[sohu.f32, "N"],
        y: sohu.Out[sohu.bf16, "M N"],
    ):  # type: ignore[no-untyped-def]
        q, rows = sohu.isa_op("vquant.row", x[...], dtype=sohu.i8)
        acc = q @ w[...].T
        y[...] = sohu.isa_op("mout.scale.bias", acc, rows, scale[None, :], bias[None, :], dtype=sohu.bf16, act=5)

    x, w, bias = rand(9, 64), rand(24, 64, seed=1), rand(24, seed=2)
    scale = symmetric_scale(w, np.dtype(np.int8), -1)
    wq = quantize(w, scale, np.dtype(np.int8))
    got = run(linear, x, wq, scale[:, 0], bias)
    rows = symmetric_scale(x, np.dtype(np.int8), -1)
    exact = quantize(x, rows, np.dtype(np.int8)).astype(np.float64) @ wq.T.astype(np.float64)
    z = exact * rows * scale.T + bias
    same(got, (z / (1 + np.exp(-z))).astype(np.float32).astype(sohu.bf16.np), 0.01)
    z = x @ w.T + bias
    assert np.abs(got.astype(np.float32) - z / (1 + np.exp(-z))).max() < 0.5  # near the layer that was quantized


def test_mxfp4_weights_and_mxfp8_activations() -> None:
    @sohu.kernel
    def linear(
        x: sohu.In[sohu.f32, "M K"],
        w: sohu.In[sohu.fp4x2, "N P"],
        scales: sohu.In[sohu.e8m0, "N B"],
        y: sohu.Out[sohu.f32, "M N"],
        z: sohu.Out[sohu.f32, "M N"],
    ):  # type: ignore[no-untyped-def]
        q, s = sohu.isa_op("vmxquant", x[...], dtype=sohu.fp8e4m3)
        y[...] = sohu.isa_op("mm.mx8.mx4", q, s, w[...].T, scales[...].T)
        z[...] = sohu.isa_op("mm.wmx4", x[...].to(sohu.bf16), w[...].T, scales[...].T)

    x, w = rand(6, 96), rand(8, 96, seed=1)
    elements, scales = mx_quantize(w, FP4)
    packed = pack_fp4(elements)
    y, z = run(linear, x, packed, scales)
    wide = mx_dequantize(unpack_fp4(packed), widen(scales)).astype(np.float64)
    q, s = mx_quantize(x, fp8e4m3.np)
    same(y, (mx_dequantize(widen(q), widen(s)) @ wide.T).astype(np.float32), 1e-5)
    same(z, (x.astype(sohu.bf16.np).astype(np.float64) @ wide.T).astype(np.float32), 1e-5)


def test_what_does_not_multiply() -> None:
    @sohu.kernel
    def product(x: sohu.In[sohu.i8, "M K"], w: sohu.In[sohu.bf16, "K N"], y: sohu.Out[sohu.f32, "M N"]):  # type: ignore[no-untyped-def]
        y[...] = x[...] @ w[...]

    with pytest.raises(CompileError, match="a matrix product of i8 and bf16"):
        product(np.zeros((4, 4), np.int8), np.zeros((4, 4), sohu.bf16.np))


def test_blocks_are_whole() -> None:
    @sohu.kernel
    def quantized(x: sohu.In[sohu.f32, "M 48"], y: sohu.Out[sohu.f32, "M 48"]):  # type: ignore[no-untyped-def]
        q, s = sohu.isa_op("vmxquant", x[...], dtype=sohu.fp8e4m3)
        y[...] = sohu.isa_op("vmxdequant", q, s, dtype=sohu.f32)

    with pytest.raises(CompileError, match="48 is no multiple of 32"):
        quantized(np.zeros((4, 48), np.float32))
