"""Kernels over narrow dtypes: fp8, i8 and block-scaled tiles."""

import re

import numpy as np
import pytest
from sohu.dsl import CompileError
from sohu.emulator import MachineError
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
from tests.dsl.support import ops, rand, run, same
from tests.dsl.test_instructions import build


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
    with pytest.raises(MachineError, match="does not fit"):
        run(double, x)
    y, z = run(double, x, checks="all,-overflow")
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
        q, rows = sohu.quantize(x[...], sohu.i8)
        acc = q @ w[...].T
        y[...] = sohu.epilogue(
            acc, rows=rows, cols=scale[None, :], bias=bias[None, :], activation="silu", dtype=sohu.bf16
        )

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
        q, s = sohu.mx_quantize(x[...])
        y[...] = sohu.mx_matmul(q, w[...].T, scales[...].T, s)
        z[...] = sohu.mx_matmul(x[...].to(sohu.bf16), w[...].T, scales[...].T)

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
        q, s = sohu.mx_quantize(x[...])
        y[...] = sohu.mx_dequantize(q, s)

    with pytest.raises(CompileError, match="48 is no multiple of 32"):
        quantized(np.zeros((4, 48), np.float32))


def test_quantizing_and_back() -> None:
    @sohu.kernel
    def there_and_back(
        x: sohu.In[sohu.f32, "R C"],
        rows: sohu.Out[sohu.f32, "R C"],
        whole: sohu.Out[sohu.f32, "R C"],
        fixed: sohu.Out[sohu.i8, "R C"],
        four: sohu.Out[sohu.bf16, "R C"],
    ):  # type: ignore[no-untyped-def]
        t = x[...]
        q, s = sohu.quantize(t, sohu.fp8e4m3)
        rows[...] = sohu.dequantize(q, s)
        q, s = sohu.quantize(t, sohu.i8, axis=None)
        whole[...] = sohu.dequantize(q, s)
        fixed[...] = sohu.quantize(t, sohu.i8, sohu.full((1, 1), 0.5))
        q, s = sohu.mx_quantize(t, sohu.fp4x2)
        four[...] = sohu.mx_dequantize(q, s, sohu.bf16)

    x = rand(6, 64)
    rows, whole, fixed, four = run(there_and_back, x)
    scale = symmetric_scale(x, fp8e4m3.np, -1)
    same(rows, widen(quantize(x, scale, fp8e4m3.np)) * scale, 0)
    scale = symmetric_scale(x, np.dtype(np.int8), None)  # type: ignore[arg-type]
    same(whole, widen(quantize(x, scale, np.dtype(np.int8))) * scale, 0)
    assert (fixed == np.rint(x / 0.5)).all()
    elements, scales = mx_quantize(x, FP4)
    same(four, mx_dequantize(elements.astype(np.float32), widen(scales)).astype(sohu.bf16.np), 0)


def test_casts_round_as_they_are_told() -> None:
    @sohu.kernel
    def casts(
        x: sohu.In[sohu.f32, "C"],
        down: sohu.Out[sohu.fp8e4m3, "C"],
        random: sohu.Out[sohu.fp8e4m3, "C"],
        wrapped: sohu.Out[sohu.i8, "C"],
        seed: sohu.Index,
    ):  # type: ignore[no-untyped-def]
        down[:] = sohu.cast(x[:], sohu.fp8e4m3, "zero")
        random[:] = sohu.cast(x[:], sohu.fp8e4m3, "stochastic", key=seed)
        wrapped[:] = sohu.cast(x[:], sohu.i8, saturate=False)

    x = np.full(4000, 1.0 + 1 / 32, np.float32)  # a quarter of the way from 1 to 1.125
    x[0] = 300
    down, random, wrapped = run(casts, x, seed=5, checks="all,-overflow")
    assert (down[1:] == 1).all() and down[0] == 288
    assert 0.22 < (random[1:].astype(np.float32) > 1).mean() < 0.28
    assert wrapped[0] == 300 - 256


def test_epilogues() -> None:
    @sohu.kernel
    def layers(
        x: sohu.In[sohu.f32, "M K"],
        b: sohu.In[sohu.f32, "K"],
        y: sohu.Out[sohu.f32, "M K"],
        z: sohu.Out[sohu.fp8e4m3, "M K"],
        scaled: sohu.Out[sohu.f32, "M K"],
        all: sohu.Out[sohu.f32, "M K"],
    ):  # type: ignore[no-untyped-def]
        y[...] = sohu.epilogue(x[...] @ x[...].T @ x[...], bias=b[None, :], activation="relu2")
        z[...] = sohu.epilogue(x[...] @ x[...].T @ x[...], 0.25, dtype=sohu.fp8e4m3)
        scaled[...] = sohu.epilogue(x[...] @ x[...].T @ x[...], 0.25, bias=b[None, :])
        all[...] = sohu.epilogue(x[...] @ x[...].T @ x[...], 0.25, b[:, None], b[None, :], b[None, :])

    x, b = rand(8, 8), rand(8, seed=1)
    y, z, scaled, everything = run(layers, x, b)
    exact = x.astype(np.float64) @ x.T @ x
    same(y, (np.maximum(exact + b, 0) ** 2).astype(np.float32), 1e-5)
    same(z, convert((exact * 0.25).astype(np.float32), fp8e4m3.np), 0.07)
    same(scaled, (exact * 0.25 + b).astype(np.float32), 1e-5)
    same(everything, (exact * 0.25 * b[:, None] * b + b).astype(np.float32), 1e-5)


def test_narrow_products_accumulate_in_place() -> None:
    @sohu.kernel
    def twice(x: sohu.In[sohu.i8, "M K"], w: sohu.In[sohu.i8, "K N"], y: sohu.Out[sohu.i32, "M N"]):  # type: ignore[no-untyped-def]
        acc = sohu.zeros((x.M, w.N), sohu.i32)
        for _ in sohu.range(3):
            acc = acc + x[...] @ w[...]
        y[...] = acc

    rng = np.random.default_rng(0)
    x, w = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((5, 40), (40, 6)))
    assert (run(twice, x, w) == 3 * (x.astype(np.int32) @ w.astype(np.int32))).all()
    assert [op.name for op in ops(twice.compile(x, w), "mma.i8")] == ["mma.i8"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sohu.quantize(x[...], sohu.f16)", "the dtype of quantized elements is not f16"),
        ("sohu.quantize(x[...], sohu.i8, axis=0)", "quantizing over axis 0"),
        ("sohu.mx_quantize(x[...], sohu.i8)", "the dtype of block-scaled elements is not i8"),
        ("sohu.mx_matmul(x[...], x[...], x[...])", "the right side is not f32"),
        ('sohu.cast(x[...], sohu.i8, "up")', "no rounding 'up'"),
        ("sohu.cast(x[...], sohu.fp4x2)", "the dtype of a cast is not fp4x2"),
        ("x[...].to(sohu.fp4x2)", "no conversion of f32 to fp4x2"),
        ('sohu.epilogue(x[...] @ x[...], activation="tanh")', "no activation 'tanh'"),
        ('sohu.isa_op("vquant.row", x[...])', "vquant.row gives fp8e4m3, fp8e5m2, i8: which?"),
    ],
)
def test_what_is_refused(body: str, says: str) -> None:
    text = f'import sohu\n@sohu.kernel\ndef k(x: sohu.In[sohu.f32, "32 32"]):\n    t = {body}\n'
    with pytest.raises(CompileError, match=re.escape(says)):
        build(text, f"narrow {body}").compile(np.zeros((32, 32), np.float32))
