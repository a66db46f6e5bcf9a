"""Casts and quantization beyond the plain reference: every input, what is too large, what is no number, averages."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.emulator import Device
from sohu.isa import DTYPES, DType, bf16, f16, f32, fp8e4m3, fp8e5m2, i8, u8

from tests.emulator.support import kernel, stopped

pytestmark = pytest.mark.filterwarnings("ignore:.* encountered in:RuntimeWarning")  # NaN and overflow are meant

Array = NDArray[Any]


def through(instruction: str, x: Array, source: DType, *outs: tuple[DType, tuple[int, ...]], setup: str = "") -> Any:
    """What an instruction over tiles o0, o1, ... and x leaves in the first ones."""
    loads, declarations = [], [f".param xm, in, {source}, {list(x.shape)}"]
    stores = []
    for i, (dtype, shape) in enumerate(outs):
        declarations.append(f".param m{i}, out, {dtype}, {list(shape)}")
        stores.append(f" dma.store m{i}, o{i} wait s1>=1")
    declarations.append(f".tile x, sram, {source}, {list(x.shape)}")
    declarations += [f".tile o{i}, sram, {dtype}, {list(shape)}" for i, (dtype, shape) in enumerate(outs)]
    loads.append(" dma.load x, xm signal s0")
    body = "\n".join([setup, *loads, f" {instruction} wait s0>=1 signal s1", *stores])
    made = Device("small").launch(kernel(body, "\n".join(declarations)), "k", {"xm": x}).outputs
    arrays = [made[f"m{i}"].numpy() for i in range(len(outs))]
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.parametrize("sat", [0, 1])
@pytest.mark.parametrize("to", [fp8e4m3, fp8e5m2], ids=str)
@pytest.mark.parametrize("source", [bf16, f16], ids=str)
def test_every_16_bit_float_to_fp8(source: DType, to: DType, sat: int) -> None:
    x = np.arange(1 << 16, dtype=np.uint16).view(source.np).reshape(256, 256)
    got = through(f"vcast o0, x, sat={sat}", x, source, (to, x.shape)).astype(np.float32)
    wide = x.astype(np.float32)
    largest = float(ml_dtypes.finfo(to.np).max)  # type: ignore[no-untyped-call]
    want = (np.clip(wide, -largest, largest) if sat else wide).astype(to.np).astype(np.float32)
    np.testing.assert_array_equal(got, want)
    back = through("vcast o0, x", got.astype(to.np), to, (source, x.shape)).astype(np.float32)
    np.testing.assert_array_equal(back, got)  # fp8 fits both


@pytest.mark.parametrize(("to", "low", "high"), [(i8, -128, 127), (u8, 0, 255)], ids=str)
def test_casts_to_integers(to: DType, low: int, high: int) -> None:
    x = np.float32([[0.5, 1.5, -0.5, -1.5, 127.5, 300.7, -300.7, np.inf, -np.inf, np.nan]])
    saturated = [max(low, min(high, v)) for v in (0, 2, 0, -2, 128, 301, -301, 10**9, -(10**9), 0)]
    assert through("vcast o0, x", x, f32, (to, x.shape))[0].tolist() == saturated
    cut = [max(low, min(high, v)) for v in (0, 1, 0, -1, 127, 300, -300, 10**9, -(10**9), 0)]
    assert through("vcast o0, x, rtz=1", x, f32, (to, x.shape))[0].tolist() == cut
    wrapped = [(v - low) % 256 + low for v in (0, 2, 0, -2, 128, 301, -301)]
    assert through("vcast o0, x, sat=0", x, f32, (to, x.shape))[0].tolist() == [*wrapped, 0, 0, 0]


def test_stochastic_rounding_is_right_on_average_and_repeats() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(rng.uniform(1, 2, 64).astype(np.float32)[:, None], 2048, axis=1)
    seeds = " li x20, 77\n li x21, {}"
    down, up = ((x.astype(np.float64) * 8 + end) // 1 / 8 for end in (0, 1))
    got = through("vcast.sr o0, x, x20, x21, x0", x, f32, (fp8e4m3, x.shape), setup=seeds.format(0)).astype(np.float64)
    assert ((got == down) | (got == up)).all()
    deviation = (got.mean(axis=1) - x[:, 0]) / (0.125 * 0.5 / np.sqrt(2048))  # in standard deviations, at most
    assert np.abs(deviation).max() < 4.5
    again = through("vcast.sr o0, x, x20, x21, x0", x, f32, (fp8e4m3, x.shape), setup=seeds.format(0))
    assert again.tobytes() == got.astype(fp8e4m3.np).tobytes()
    other = through("vcast.sr o0, x, x20, x21, x0", x, f32, (fp8e4m3, x.shape), setup=seeds.format(1 << 20))
    assert 0.2 < (other != again).mean() < 0.5


@pytest.mark.parametrize("to", [fp8e4m3, i8], ids=str)
def test_what_is_no_number_stays_in_its_row(to: DType) -> None:
    x = np.float32([[1, np.nan, 2], [np.inf, 1, -2], [0, 0, 0], [1e-44, 0, 0], [1, 2, 4]])
    q, scale = through("vquant.row o0, o1, x", x, f32, (to, x.shape), (f32, (5, 1)))
    largest = np.float32(448 if to is fp8e4m3 else 127)
    tiny = np.finfo(np.float32).tiny
    np.testing.assert_array_equal(scale[:, 0], [np.nan, np.inf, 1, tiny, np.float32(4) / largest])
    no = np.nan if to is fp8e4m3 else 0
    np.testing.assert_array_equal(q.astype(np.float32)[:4], [[no, no, no], [no, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert q[4, 2] == largest


def test_blocks_with_no_number() -> None:
    x = np.zeros((4, 64), np.float32)
    x[0, 5], x[1, 40], x[2, 1] = np.nan, -np.inf, 3.4e38
    q, scale = through("vmxquant o0, o1, x", x, f32, (fp8e4m3, x.shape), (DTYPES["e8m0"], (4, 2)))
    low, high = 2.0**-127, 2.0 ** (127 - 8)
    np.testing.assert_array_equal(scale.astype(np.float64), [[np.nan, low], [low, np.nan], [high, low], [low, low]])
    assert not q[[0, 1, 3]].astype(np.float32).any() and q[2, 1] == 448


def test_what_is_refused() -> None:
    tiles = ".tile a, sram, {}, [4, 64]\n.tile b, sram, {}, [4, {}]\n.tile s, sram, e8m0, [4, 2]\n"
    for line, declared, says in (
        ("vcast b, a", tiles.format("f32", "fp4x2", 64), "vcast takes"),
        ("vpack.fp4 b, a", tiles.format("f32", "fp4x2", 64), "64 does not fit C=128 in dst"),
        ("vmxquant b, s, a", tiles.format("f32", "i8", 64), "has dtype i8, vmxquant takes fp8e4m3, fp8e5m2"),
        ("vadd b, a, a", tiles.format("f32", "fp8e4m3", 64), "has dtype fp8e4m3, vadd takes"),
    ):
        e = stopped(line, declared)
        assert e.category == "operand" and says in e.message, (line, e.message)
