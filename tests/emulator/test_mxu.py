"""Matrix products beyond the plain reference: transposed and packed views, saturation, exact integers, costs."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.emulator import Device
from sohu.isa import ROWS, CostArgs, Space, bf16, e8m0, f32, fp4x2, fp8e4m3, i8, i32, load_chip
from sohu.isa.numerics import FP4, convert, mx_dequantize, mx_quantize, pack_fp4, widen

from tests.emulator.support import kernel, random_floats, stopped

Array = NDArray[Any]


def launched(body: str, declarations: str, args: dict[str, Any], output: str) -> Array:
    """What a kernel leaves in `output`; its tensors are all in SRAM-sized tiles of the same name with `t` before."""
    return Device("small").launch(kernel(body, declarations), "k", args).outputs[output].numpy()


def test_weights_with_k_last_are_a_transposed_view() -> None:
    """w[N, K/2] of mxfp4, as checkpoints have it, against the dense product."""
    x = random_floats((5, 96), 1).astype(bf16.np)
    w = random_floats((7, 96), 2)
    elements, scales = mx_quantize(w, FP4)
    packed = pack_fp4(elements)
    y = launched(
        """
        dma.load tx, x
        dma.load tw, w
        dma.load ts, s       signal s0
        tswap tw, tw, 0, 1
        tswap ts, ts, 0, 1
        mm.wmx4 acc, tx, tw, ts  wait s0>=1 signal s1
        vmov ty, acc         wait s1>=1 signal s2
        dma.store y, ty      wait s2>=1
        """,
        """
        .param x, in, bf16, [5, 96]
        .param w, in, fp4x2, [7, 48]
        .param s, in, e8m0, [7, 3]
        .param y, out, f32, [5, 7]
        .tile tx, sram, bf16, [5, 96]
        .tile tw, sram, fp4x2, [7, 48]
        .tile ts, sram, e8m0, [7, 3]
        .tile ty, sram, f32, [5, 7]
        .tile acc, acc, f32, [5, 7]
        """,
        {"x": x, "w": packed, "s": scales},
        "y",
    )
    dense = x.astype(np.float64) @ mx_dequantize(elements.astype(np.float32), widen(scales)).astype(np.float64).T
    np.testing.assert_allclose(y, dense, rtol=1e-5, atol=1e-5)
    assert np.abs(y - x.astype(np.float32) @ w.T).max() < 8  # and it is near what was quantized


def test_a_scaled_factor_on_the_left_by_exchanged_views() -> None:
    """x[M, K] of mxfp4 times w[K, N] of bf16: the transposed product into transposed accumulators."""
    x, w = random_floats((5, 64), 1), random_floats((64, 7), 2).astype(bf16.np)
    elements, scales = mx_quantize(x, FP4)
    y = launched(
        """
        dma.load tx, x
        dma.load tw, w
        dma.load ts, s       signal s0
        tswap tx, tx, 0, 1
        tswap ts, ts, 0, 1
        tswap tw, tw, 0, 1
        tswap acc, acc, 0, 1
        mm.wmx4 acc, tw, tx, ts  wait s0>=1 signal s1
        tswap acc, acc, 0, 1
        mout ty, acc         wait s1>=1 signal s2
        dma.store y, ty      wait s2>=1
        """,
        """
        .param x, in, fp4x2, [5, 32]
        .param w, in, bf16, [64, 7]
        .param s, in, e8m0, [5, 2]
        .param y, out, f32, [5, 7]
        .tile tx, sram, fp4x2, [5, 32]
        .tile tw, sram, bf16, [64, 7]
        .tile ts, sram, e8m0, [5, 2]
        .tile ty, sram, f32, [5, 7]
        .tile acc, acc, f32, [5, 7]
        """,
        {"x": pack_fp4(elements), "w": w, "s": scales},
        "y",
    )
    dense = mx_dequantize(elements.astype(np.float32), widen(scales)).astype(np.float64) @ w.astype(np.float64)
    np.testing.assert_allclose(y, dense, rtol=1e-5, atol=1e-5)


def test_sums_of_i8_wrap_and_are_exact() -> None:
    a = np.full((1, 66_000), -128, np.int8)
    got = launched(
        "dma.load ta, a\n dma.load tb, b signal s0\n mm.i8 c, ta, tb wait s0>=1\n mma.i8 c, ta, tb signal s1\n"
        " vmov tc, c wait s1>=1 signal s2\n dma.store y, tc wait s2>=1",
        ".param a, in, i8, [1, 66000]\n.param b, in, i8, [66000, 1]\n.param y, out, i32, [1, 1]\n"
        ".tile ta, sram, i8, [1, 66000]\n.tile tb, sram, i8, [66000, 1]\n.tile tc, sram, i32, [1, 1]\n"
        ".tile c, acc, i32, [1, 1]",
        {"a": a, "b": a.reshape(-1, 1)},
        "y",
    )
    exact = 2 * 66_000 * 128 * 128
    assert got[0, 0] == (exact + 2**31) % 2**32 - 2**31 != exact


@pytest.mark.parametrize("k", [1023, 1024, 1025, 4095])
def test_sums_of_i8_beyond_what_float32_holds(k: int) -> None:
    a = np.full((1, k), 127, np.int8)
    acc = np.empty((1, 1), np.int32)
    ROWS["mm.i8"].semantics(acc, a, a.T)
    assert acc[0, 0] == 127 * 127 * k


@pytest.mark.parametrize("sat", [0, 1])
@pytest.mark.parametrize("dtype", [fp8e4m3, i8, bf16], ids=str)
def test_saturation_on_the_way_out(dtype: Any, sat: int) -> None:
    values = np.float32([[449, 1e9, -1e9, 126.5, 127.5, 3e38]])
    got = launched(
        f"dma.load t, x signal s0\n vmov c, t wait s0>=1 signal s1\n mout d, c, sat={sat}, scale=2.0 wait s1>=1"
        " signal s2\n dma.store y, d wait s2>=1",
        f".param x, in, f32, [1, 6]\n.param y, out, {dtype}, [1, 6]\n.tile t, sram, f32, [1, 6]\n"
        f".tile d, sram, {dtype}, [1, 6]\n.tile c, acc, f32, [1, 6]",
        {"x": values},
        "y",
    ).astype(np.float64)
    with np.errstate(all="ignore"):
        wide = values * np.float32(2)
    if dtype is i8:
        whole = [898, 2 * 10**9, -2 * 10**9, 253, 255, 0]
        want = [max(-128, min(127, v)) if sat else (v + 128) % 256 - 128 for v in whole]
        want[-1] = 127 if sat else 0
    elif dtype is bf16:
        want = wide[0].astype(bf16.np).astype(np.float64).tolist()
        assert want[-1] == np.inf  # floats of 16 bits never saturate
    else:
        want = [448.0 if v > 0 else -448.0 for v in wide[0]] if sat else [np.nan] * 6
        want[3], want[4] = 256.0, 256.0
    np.testing.assert_array_equal(got[0], want)


def test_what_is_refused() -> None:
    tiles = ".tile c, acc, f32, [4, 4]\n.tile d, sram, f32, [4, 4]\n"
    e = stopped("mout d, c, act=7", tiles)
    assert e.category == "operand" and "there is no activation 7" in e.message
    block = ".tile c, acc, f32, [4, 4]\n.tile a, sram, fp8e4m3, [4, {k}]\n.tile s, sram, e8m0, [4, 1]\n"
    block += ".tile b, sram, fp8e4m3, [{k}, 4]\n.tile t, sram, e8m0, [1, 4]\n"
    e = stopped("mm.mx8 c, a, s, b, t", block.format(k=48))
    assert e.category == "operand" and "1 does not fit K/32=1 rest 16 in a" in e.message
    e = stopped("mm c, d, d", ".tile c, acc, f32, [4, 4]\n.tile d, sram, i8, [4, 4]\n")
    assert "has dtype i8, mm takes" in e.message
    e = stopped("mm.i8 c, d, d", ".tile c, acc, i32, [4, 4]\n.tile d, sram, u8, [4, 4]\n")
    assert "has dtype u8, mm.i8 takes i8" in e.message


def test_rates_follow_the_slower_factor() -> None:
    chip = load_chip("sohu")
    spaces = (Space.ACC, Space.SRAM, Space.SRAM, Space.SRAM)
    n = 4096

    def cycles(mnemonic: str, *dtypes: Any) -> float:
        shapes = ((n, n),) * (1 + len(dtypes))
        acc = i32 if mnemonic == "mm.i8" else f32
        args = CostArgs(chip, shapes, (acc, *dtypes), spaces[: 1 + len(dtypes)], {"M": n, "K": n, "N": n})
        return ROWS[mnemonic].cost(args) - (2 * chip.mxu_rows + chip.mxu_cols - 2)

    fast = cycles("mm", fp8e4m3, fp8e4m3)
    assert fast == n**3 / (chip.mxu_arrays * chip.mxu_rows * chip.mxu_cols)
    assert cycles("mm.i8", i8, i8) == fast == cycles("mm.mx4", fp4x2, e8m0, fp4x2, e8m0)
    assert (
        cycles("mm", bf16, fp8e4m3) == cycles("mm", fp8e4m3, bf16) == cycles("mm.wmx4", bf16, fp4x2, e8m0) == 2 * fast
    )
    assert cycles("mm", f32, fp8e4m3) == 8 * fast


def test_fp8_products_are_those_of_their_float32() -> None:
    a, b = random_floats((40, 50), 3).astype(fp8e4m3.np), random_floats((50, 30), 4).astype(ml_dtypes.float8_e5m2)
    y = launched(
        "dma.load ta, a\n dma.load tb, b signal s0\n mm c, ta, tb wait s0>=1 signal s1\n"
        " mout tc, c, scale=0.5 wait s1>=1 signal s2\n dma.store y, tc wait s2>=1",
        ".param a, in, fp8e4m3, [40, 50]\n.param b, in, fp8e5m2, [50, 30]\n.param y, out, fp8e4m3, [40, 30]\n"
        ".tile ta, sram, fp8e4m3, [40, 50]\n.tile tb, sram, fp8e5m2, [50, 30]\n.tile tc, sram, fp8e4m3, [40, 30]\n"
        ".tile c, acc, f32, [40, 30]",
        {"a": a, "b": b},
        "y",
    )
    product = a.astype(np.float32) @ b.astype(np.float32)
    assert (y == convert(product * np.float32(0.5), fp8e4m3.np)).mean() > 0.999  # sums differ in their last bits
