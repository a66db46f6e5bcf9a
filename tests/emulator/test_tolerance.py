"""The float64 shadow, and the checker that stops where the machine strays from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sohu.dsl import Kernel
from sohu.dsl.kernels import attention, matmul, mlp, norm, softmax
from sohu.emulator import Device, MachineError, examples
from sohu.emulator.checks import chosen
from sohu.emulator.checks.tolerance import Tolerance
from sohu.emulator.shadow import Home, Shadows, roundoff
from sohu.isa import ROWS, Row, SohuError, Space, Tile, bf16, f16, f32, fp8e4m3, i8

from tests.emulator.support import kernel, random_floats, run, stopped

Array = np.ndarray[Any, np.dtype[Any]]
X = random_floats((4, 64))


def watched(limit: float = 1e-3, **options: Any) -> Device:
    """A small chip that compares with float64."""
    return Device("small", checks=f"error>{limit}", **options)


def checker(device: Device) -> Tolerance:
    """Its checker."""
    (found,) = device.machine.hooks.checks
    assert isinstance(found, Tolerance)
    return found


def shadow(device: Device, name: str) -> Array | None:
    """What a declared tile of kernel `k` holds in float64; None where that is what is stored."""
    machine = device.machine
    tile = next(t for t in machine.program.kernels["k"].tiles if t.name == name)
    held = machine.t[tile.reg]
    assert held is not None
    shadows = checker(device).shadows
    spot = shadows.spot(held)
    return None if spot is None else shadows.of(spot)


# -- how it is asked for -----------------------------------------------------------------------------------


def test_it_wants_a_limit_and_is_no_part_of_all() -> None:
    assert chosen("error>1e-3") == ("error>0.001",)
    assert not any(name.startswith("error") for name in chosen("all"))
    assert set(chosen("all,error>0.1")) == {*chosen("all"), "error>0.1"}
    assert set(chosen("all,error>0.1,-error")) == set(chosen("all"))
    for spec, says in (
        ("error", "error>LIMIT"),
        ("error>", "a number"),
        ("error>-1", "a number"),
        ("nan>3", "written nan"),
    ):
        with pytest.raises(SohuError) as e:
            chosen(spec)
        assert says in e.value.help


# -- what float64 computes ---------------------------------------------------------------------------------

# Those whose examples show what a dtype does not hold: that is an error
_SATURATING = {"mout", "vcast", "vquant", "vexp2"}


@pytest.mark.parametrize("row", [r for r in ROWS if r.data and not r.collective], ids=lambda r: r.mnemonic)
def test_every_row_computes_in_float64(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its example's result is near what float64 gives, and its semantics takes float64."""
    devices: list[Device] = []

    def device(*args: Any, **options: Any) -> Device:
        devices.append(Device(*args, **options, checks="error>1e-6"))
        return devices[-1]

    monkeypatch.setattr(examples, "Device", device)
    if row.mnemonic in _SATURATING:
        with pytest.raises(examples.ExampleError, match="and float64 gives"):
            examples.run_example(row)
    else:
        examples.run_example(row)
    assert not checker(devices[0]).refused


def test_what_rounding_takes_away_stays_in_the_shadow() -> None:
    body = "vmuls t, x, 1.0009765625\n vmov h, t\n vadds t, h, -1.0\n dma.store y, t"
    tiles = ".param x, in, f32, [4, 64]\n.param y, out, f32, [4, 64]\n.tile s, sram, f32, [4, 64]\n"
    tiles += ".tile t, sram, f32, [4, 64]\n.tile h, sram, bf16, [4, 64]"
    ones = np.ones((4, 64), np.float32)
    device, result = run("dma.load s, x\n" + body.replace("t, x,", "t, s,"), tiles, [ones], watched(1))
    assert np.array_equal(result.outputs["y"].numpy(), np.zeros((4, 64)))  # bf16 has lost it
    found = shadow(device, "t")
    assert found is not None and np.array_equal(found, np.full((4, 64), 2.0**-10))


def test_data_decides_as_on_the_machine() -> None:
    """1 + 2^-10 in bf16 is 1: not above 1, whatever float64 has."""
    tiles = "\n".join(
        f".tile {n}, sram, {d}, [4]" for n, d in (("a", "f32"), ("h", "bf16"), ("m", "f32"), ("r", "f32"))
    )
    body = "vfill a, 1.0009765625\n vmov h, a\n vfill a, 1.0\n vlt m, a, h\n vsel r, m, h, a\n vfloor m, h"
    device, _ = run(body, tiles, (), watched())
    assert np.array_equal(shadow(device, "r"), np.ones(4)) and np.array_equal(shadow(device, "m"), np.ones(4))


def test_what_only_moves_carries_its_shadow() -> None:
    tiles = ".param x, in, f32, [4, 64]\n.param y, inout, bf16, [64, 4]\n"
    tiles += ".tile s, sram, f32, [4, 64]\n.tile h, sram, bf16, [4, 64]\n.tile b, sram, bf16, [64, 4]"
    body = "dma.load s, x\n vmov h, s\n tswap t40, h, 0, 1\n dma.store y, t40\n dma.load b, y"
    device, _ = run(body, tiles, [X, np.zeros((64, 4), bf16.np)], watched())
    assert np.array_equal(shadow(device, "b"), X.astype(np.float64).T)


def test_what_the_sequencer_stores_is_as_it_is() -> None:
    """Two elements of eight, whose shadow is then what was stored; the others keep theirs."""
    tiles = ".param y, inout, bf16, [8]\n.tile s, sram, f32, [8]\n.tile h, sram, bf16, [8]"
    device = watched()
    y = device.tensor(np.zeros(8, bf16.np))
    body = f"vfill s, 1.0009765625\n vmov h, s\n dma.store y, h\n li x5, {y.address}\n sd x0, x5, 8"
    run(f"{body}\n dma.load h, y", tiles, [y], device)
    assert y.numpy().tolist() == [1, 1, 1, 1, 0, 0, 0, 0]
    found = shadow(device, "h")
    assert found is not None and found.tolist() == [1.0009765625] * 4 + [0.0] * 4


def test_each_launch_begins_with_what_is_there() -> None:
    tiles = ".param y, inout, bf16, [64]\n.tile s, sram, f32, [64]\n.tile h, sram, bf16, [64]"
    device = watched()
    y = device.tensor(np.full(64, 1.0, bf16.np))
    body = "dma.load h, y\n vmuls s, h, 1.0009765625\n vmov h, s\n dma.store y, h"
    for _ in range(40):  # by 4 % of which bf16 keeps nothing
        run(body, tiles, [y], device)
    assert float(y.numpy()[0]) == 1.0


# -- what it finds -----------------------------------------------------------------------------------------

QUANT = ".param x, in, f32, [4, 64]\n.param y, out, f32, [4, 64]\n" + "\n".join(
    f".tile {n}, sram, {d}, [{s}]"
    for n, d, s in (("s", "f32", "4, 64"), ("q", "fp8e4m3", "4, 64"), ("i", "i8", "4, 64"), ("c", "f32", "4, 1"))
)


def quantized(scale: float, dtype: str = "q") -> str:
    return f"dma.load s, x\n vfill c, {scale}\n vquant {dtype}, s, c\n vdequant s, {dtype}, c\n dma.store y, s"


@pytest.mark.parametrize("dtype", ["q", "i"])
def test_a_scale_that_does_not_fit_is_an_error(dtype: str) -> None:
    fits = float(np.abs(X).max()) / (448 if dtype == "q" else 127)
    run(quantized(fits, dtype), QUANT, [X], watched())
    for wrong in (fits / 1.25, fits / 100, fits * 1e5):
        e = stopped(quantized(wrong, dtype), QUANT, [X], watched())
        assert e.category == "tolerance" and e.instruction.startswith("vquant") and e.operand == "dst", wrong
        assert "float64 gives" in e.message and "does the scale fit" in e.help and e.line is not None
        assert e.line.line == next(
            i for i, t in enumerate(QUANT.splitlines() + quantized(1).splitlines(), 2) if "vquant" in t
        )


def test_too_large_for_f16_is_an_error() -> None:
    e = stopped("vfill a, 300.0\n vmul h, a, a", ".tile a, sram, f32, [4]\n.tile h, sram, f16, [4]", (), watched())
    assert e.category == "tolerance" and "is inf, and float64 gives 90000" in e.message


def test_small_steps_lost_in_a_sum_are_found_when_they_are_beyond_the_limit() -> None:
    tiles = ".tile a, sram, bf16, [4]"
    body = "vfill a, 1.0\n loop 100, 1f\n vadds a, a, 0.001\n1:"
    assert stopped(body, tiles, (), watched()).instruction.startswith("vadds")
    run(body, tiles, (), watched(0.2))


def test_masks_of_infinity_are_none() -> None:
    tiles = ".tile a, sram, f32, [2, 4]\n.tile m, sram, f32, [2, 1]"
    neg = "0xff800000"
    body = f"li x5, {neg}\n vfill a, x5\n viota a, 0\n vfill m, x5\n vmax.row m, a\n vsub a, a, m\n vexp a, a"
    run(body, tiles, (), watched())


def test_what_saturation_has_made_a_number_is_one_from_there_on() -> None:
    tiles = ".tile a, sram, f32, [4]\n.tile q, sram, fp8e4m3, [4]"
    device, _ = run("li x5, 0x7f800000\n vfill a, x5\n vcast q, a", tiles, (), watched())
    assert np.array_equal(shadow(device, "q"), np.full(4, 448.0))


def test_bytes_written_over_it_take_the_shadow_away() -> None:
    tiles = ".param x, in, u8, [8]\n.tile a, sram, f32, [4]\n.tile h, sram, bf16, [4]\n.tile b, sram, u8, [8], over=h"
    body = "vfill a, 1.0009765625\n vmov h, a\n dma.load b, x"
    device, _ = run(body, tiles, [np.zeros(8, np.uint8)], watched())
    assert shadow(device, "h") is None and shadow(device, "a") is not None


def test_after_a_report_the_rest_is_judged_by_itself() -> None:
    """Who goes on after a finding is told of the next one, not of what the first one has done."""
    device = watched()
    text = quantized(1e-5)
    device.start(kernel(text, QUANT), "k", [X])
    with pytest.raises(MachineError):
        device.machine.run()
    assert shadow(device, "q") is None


@pytest.mark.parametrize("schedule", [None, 3, "timed"])
def test_every_schedule_finds_it(schedule: Any) -> None:
    body = quantized(1e-5).replace("x\n", "x signal loaded\n").replace("s, c\n", "s, c wait loaded>=1\n")
    e = stopped(body, f"{QUANT}\n.sem loaded", [X], watched(schedule=schedule))
    assert e.category == "tolerance" and e.instruction.startswith("vquant")


# -- kernels -----------------------------------------------------------------------------------------------


def _rand(*shape: int, dtype: Any = np.float32) -> Array:
    return random_floats(shape).astype(dtype)


CASES: dict[str, tuple[Kernel, Callable[[Any], list[Any]], dict[str, Any]]] = {
    "softmax": (softmax.softmax, lambda d: [_rand(40, 24, dtype=d)], {"rows": 8}),
    "matmul": (
        matmul.matmul,
        lambda d: [_rand(20, 40, dtype=d), _rand(40, 24, dtype=d)],
        {"bm": 8, "bn": 16, "bk": 16},
    ),
    "mlp": (mlp.gated_mlp, lambda d: [_rand(*s, dtype=d) for s in [(12, 16), (24, 16), (24, 16), (24, 16)]], {"bm": 8}),
    "rmsnorm": (norm.rmsnorm, lambda d: [_rand(20, 16, dtype=d), _rand(16, dtype=d)], {"rows": 8}),
    "attention": (
        attention.attention,
        lambda d: [_rand(9, 2, 2, 8, dtype=d), _rand(2, 24, 8, dtype=d), _rand(2, 24, 8, dtype=d)],
        {"bq": 4, "bk": 8, "pos": 6, "scale": 0.3},
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, bf16.np], ids=["f32", "bf16"])
@pytest.mark.parametrize("name", CASES)
def test_kernels_that_are_right_run_and_give_the_same(name: str, dtype: Any) -> None:
    made, arrays, more = CASES[name]
    args = arrays(dtype)
    bare = made(*args, device=Device("small"), **more)
    device = watched(1e-4 if dtype is np.float32 else 1e-2)
    seen = made(*args, device=device, **more)
    assert np.asarray(seen).tobytes() == np.asarray(bare).tobytes()
    assert not checker(device).refused


# -- the memory it is kept in ------------------------------------------------------------------------------


def test_ranges_are_cut_and_put_together() -> None:
    home = Home(Space.SRAM, 0, 1024)
    home.add(0, 64, f32, 0.0)
    home.add(16, 32, bf16, 0.1)
    assert [(r.low, r.high, r.dtype) for r in home.ranges] == [(0, 16, f32), (16, 32, bf16), (32, 64, f32)]
    home.cut(8, 40)
    assert [(r.low, r.high) for r in home.ranges] == [(0, 8), (40, 64)]
    assert [r.low for r in home.overlapping(4, 41)] == [0, 40] and not home.overlapping(8, 40)
    home.forget()
    assert not home.overlapping(0, 1024)


def test_tiles_within_tiles_share_their_shadow() -> None:
    device = Device("small")
    shadows = Shadows(device.memories)
    device.memories.sram[:256].view(np.float32)[:] = 7

    def tile(base: int, dims: list[int], strides: list[int]) -> Tile:
        return Tile(Space.SRAM, f32, base, dims, strides)

    column = shadows.spot(tile(4, [4, 1], [4, 1]))
    whole = shadows.spot(tile(0, [4, 4], [4, 1]))
    turned = shadows.spot(tile(0, [4, 4], [1, 4]))
    other = shadows.spot(Tile(Space.SRAM, bf16, 0, [8]))
    assert column is not None and whole is not None and turned is not None and other is not None
    assert shadows.of(whole) is None
    shadows.claim(column, 0.5)[...] = 1.5
    expected = np.full((4, 4), 7.0)
    expected[:, 1] = 1.5
    assert np.array_equal(shadows.of(whole), expected) and np.array_equal(shadows.of(turned), expected.T)
    assert whole.range is not None and whole.range.roundoff == 0.5
    assert shadows.of(other) is None  # of another dtype: bits
    shadows.claim(other, 0.0)[...] = 3
    assert shadows.of(whole) is None and np.array_equal(shadows.of(other), np.full(8, 3.0))


def test_a_snapshot_brings_it_back() -> None:
    home = Home(Space.SRAM, 0, 1024)
    home.add(0, 64, f32, 0.25)
    home.plane(4)[:16] = np.arange(16)
    saved = home.save()
    home.plane(4)[:16] = 0
    home.ranges[0].roundoff = 1.0
    home.cut(0, 32)
    home.load(saved)
    assert [(r.low, r.high, r.roundoff) for r in home.ranges] == [(0, 64, 0.25)]
    assert home.save()[0][-1] is saved[0][-1]  # nothing has been written since
    assert np.array_equal(home.plane(4)[:16], np.arange(16))


def test_units_of_roundoff() -> None:
    assert [roundoff(d) for d in (f32, f16, bf16, fp8e4m3)] == [2.0**-24, 2.0**-11, 2.0**-8, 2.0**-4]
    assert roundoff(i8) == 0.5 / 127
