"""What semantics get and what is stored: rounding, special values, tiles that overlap, views kept."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.emulator import Device
from sohu.isa import Space, Tile, bf16, f32

from tests.emulator.support import Array, after_prologue, kernel, named, random_floats


def vpu(body: str, decl: str, **inputs: Array) -> Any:
    """Run a kernel on tiles filled by the host; gives a function from a tile's name to its elements."""
    device = Device()
    after_prologue(device, kernel(body, decl))
    for name, value in inputs.items():
        named(device.machine, name)[...] = value
    device.machine.run()
    return lambda name: named(device.machine, name).copy()


ALL_BITS = np.arange(1 << 16, dtype=np.uint16)
WIDE = """
    .tile narrow, sram, {dtype}, [65536]
    .tile wide, sram, f32, [65536]
    .tile again, sram, {dtype}, [65536]
"""


@pytest.mark.parametrize(("name", "dtype"), [("bf16", ml_dtypes.bfloat16), ("f16", np.float16)])
@pytest.mark.parametrize("op", ["vmov {}, {}", "vmaxs {}, {}, -inf"])
def test_every_narrow_float_survives_the_way_to_float32_and_back(name: str, dtype: Any, op: str) -> None:
    stored = ALL_BITS.view(dtype)
    body = f"{op.format('wide', 'narrow')}\n{op.format('again', 'wide')}"
    get = vpu(body, WIDE.format(dtype=name), narrow=stored)
    with np.errstate(invalid="ignore"):  # signalling NaNs
        exact, wide, again = (v.astype(np.float64) for v in (stored, get("wide"), get("again")))
    nan = np.isnan(exact)
    assert np.array_equal(wide[~nan], exact[~nan]) and np.array_equal(again[~nan], exact[~nan])
    assert np.isnan(wide[nan]).all() and np.isnan(again[nan]).all()
    if op.startswith("vmov"):
        assert np.array_equal(get("again").view(np.uint16)[~nan], ALL_BITS[~nan])


@pytest.mark.parametrize(("name", "dtype"), [("bf16", ml_dtypes.bfloat16), ("f16", np.float16)])
def test_results_are_rounded_once_to_nearest_even(name: str, dtype: Any) -> None:
    # around every finite narrow value and halfway to the next: below, at and above the tie
    values = ALL_BITS.view(dtype).astype(np.float32)
    values = values[np.isfinite(values)]
    ordered = np.unique(values).astype(np.float64)
    ties = ((ordered[1:] + ordered[:-1]) / 2).astype(np.float32)
    probes = np.concatenate([ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf))])
    n = len(probes)
    decl = f".tile x, sram, f32, [{n}]\n.tile y, sram, {name}, [{n}]"
    got = vpu("vmov y, x", decl, x=probes)("y").astype(np.float64)
    above = np.searchsorted(ordered, probes.astype(np.float64), side="left").clip(1, len(ordered) - 1)
    low, high = ordered[above - 1], ordered[above]
    even_is_high = high.astype(dtype).view(np.uint16) % 2 == 0
    exact = probes.astype(np.float64)
    up = (high - exact < exact - low) | ((high - exact == exact - low) & even_is_high)
    assert np.array_equal(got, np.where(up, high, low))


def test_dma_converts_like_the_vpu() -> None:
    x = np.concatenate([random_floats((4096,)), np.array([np.nan, np.inf, -np.inf, 3.4e38, 1e-40], np.float32)])
    n = len(x)
    device = Device("small")
    decl = f".param x, in, f32, [{n}]\n.param y, out, f16, [{n}]\n.tile a, sram, bf16, [{n}]"
    y = device.launch(kernel("dma.load a, x\n dma.store y, a", decl), "k", [x]).outputs["y"].numpy()
    with np.errstate(over="ignore"):
        expected = x.astype(ml_dtypes.bfloat16).astype(np.float32).astype(np.float16)
    assert np.array_equal(y, expected, equal_nan=True)


def test_infinities_and_nans_follow_ieee_without_a_word() -> None:
    x = np.array([-1, 0, np.inf, -np.inf, np.nan, 3e38], np.float32)
    decl = ".tile x, sram, f32, [6]\n.tile y, sram, f32, [6]\n.tile z, sram, f32, [6]"
    get = vpu("vlog y, x\n vmuls z, x, 10.0", decl, x=x)
    assert np.array_equal(get("y")[:5], np.array([np.nan, -np.inf, np.inf, np.nan, np.nan]), equal_nan=True)
    assert np.array_equal(get("z"), np.array([-10, 0, np.inf, -np.inf, np.nan, np.inf]), equal_nan=True)


def test_integers_stay_integers_and_wrap() -> None:
    x = np.array([2**31 - 1, -(2**31), 1 << 30], np.int32)
    decl = ".tile x, sram, i32, [3]\n.tile y, sram, i32, [3]"
    assert vpu("vadd y, x, x", decl, x=x)("y").tolist() == [-2, 0, -(2**31)]


# -- tiles that overlap -----------------------------------------------------------------------------------

IN_PLACE = [
    ("vadd a, a, a", "a", lambda v: {"a": v["a"] + v["a"]}),
    ("vsub a, b, a", "ab", lambda v: {"a": v["b"] - v["a"]}),
    ("vsel a, a, b, a", "ab", lambda v: {"a": np.where(v["a"] != 0, v["b"], v["a"])}),
    ("vlt a, a, b", "ab", lambda v: {"a": (v["a"] < v["b"]).astype(np.float32)}),
    ("vrms a, a, w, 0.0", "aw",
     lambda v: {"a": v["a"] / np.sqrt((v["a"] ** 2).mean(1, keepdims=True)) * v["w"]}),
    ("vrope a, a, c, s", "acs", lambda v: {"a": np.concatenate(
        [v["a"][:, :4] * v["c"] - v["a"][:, 4:] * v["s"], v["a"][:, 4:] * v["c"] + v["a"][:, :4] * v["s"]], 1)}),
    ("vrope a, a, c, s, interleaved=1", "acs", lambda v: {"a": np.stack(
        [v["a"][:, ::2] * v["c"] - v["a"][:, 1::2] * v["s"], v["a"][:, 1::2] * v["c"] + v["a"][:, ::2] * v["s"]],
        2).reshape(6, 8)}),
    ("vswiglu a, a, b", "ab", lambda v: {"a": v["a"] / (1 + np.exp(-v["a"])) * v["b"]}),
    ("vswiglu a, b, a", "ab", lambda v: {"a": v["b"] / (1 + np.exp(-v["b"])) * v["a"]}),
    ("vsum.row n, n", "n", lambda v: {"n": v["n"]}),
    ("vargmax.row i, n", "n", lambda v: {"i": np.zeros((6, 1))}),
]  # fmt: skip
SHAPES = {"a": "[6, 8]", "b": "[6, 8]", "w": "[8]", "c": "[6, 4]", "s": "[6, 4]", "n": "[6, 1]"}


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
@pytest.mark.parametrize(("body", "inputs", "reference"), IN_PLACE, ids=[c[0] for c in IN_PLACE])
def test_an_output_may_be_an_input(body: str, inputs: str, reference: Any, dtype: str) -> None:
    decl = "\n".join(f".tile {n}, sram, {dtype}, {s}" for n, s in SHAPES.items())
    decl += "\n.tile i, sram, i32, [6, 1]"
    kind = ml_dtypes.bfloat16 if dtype == "bf16" else np.float32
    values = {n: random_floats(tuple(map(int, SHAPES[n][1:-1].split(","))), ord(n)).astype(kind) for n in inputs}
    get = vpu(body, decl, **values)
    expected = reference({n: v.astype(np.float32) for n, v in values.items()})
    for name, want in expected.items():
        tolerance = {"rtol": 1e-2, "atol": 1e-2} if dtype == "bf16" else {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(get(name).astype(np.float32), want, **tolerance)


def test_online_softmax_writes_its_weights_over_the_scores() -> None:
    decl = (
        ".tile p, sram, f32, [4, 5]\n.tile m, sram, f32, [4, 1]\n.tile l, sram, f32, [4, 1]\n.tile o, sram, f32, [4, 3]"
    )
    s = random_floats((4, 5))
    get = vpu(
        "lf x5, 1.0\n vosm p, p, m, l, o, x5, x0, x0", decl, p=s, m=np.full((4, 1), -np.inf), o=random_floats((4, 3))
    )
    e = np.exp(s - s.max(1, keepdims=True))
    np.testing.assert_allclose(get("p"), e, rtol=1e-6)
    np.testing.assert_allclose(get("l"), e.sum(1, keepdims=True), rtol=1e-6)
    assert not get("o").any()


OVERLAPS = [
    # dst and src one element apart, both ways; reversed; transposed; a row broadcast over itself
    ("vadds x, y, 1.0", "[7], at=4", "[7], at=0", lambda y: y + 1),
    ("vadds x, y, 1.0", "[7], at=0", "[7], at=4", lambda y: y + 1),
    ("vmov x, y", "[7], at=0", "[7], at=24, strides=[-1]", lambda y: y),
    ("vmov x, y", "[4, 4], at=0", "[4, 4], at=0, strides=[1, 4]", lambda y: y),
    ("vmul x, x, y", "[4, 4], at=0", "[1, 4], at=0", None),
    ("vrms x, x, y, 0.0", "[4, 4], at=0", "[4], at=0", None),
    ("vrope x, x, y, y", "[4, 4], at=0", "[4, 2], at=0, strides=[4, 1]", None),
    ("vsum.row x, y", "[4, 1], at=4", "[4, 4], at=0", lambda y: y.sum(1, keepdims=True)),
]


@pytest.mark.parametrize(("body", "x", "y", "simple"), OVERLAPS, ids=[f"{c[0]}-{i}" for i, c in enumerate(OVERLAPS)])
def test_inputs_are_read_before_overlapping_outputs_are_written(body: str, x: str, y: str, simple: Any) -> None:
    memory = random_floats((64,), 5)
    results = []
    for copy in (False, True):
        # the same program with y moved out of the way, its elements copied first
        source = body.replace("y", "z") if copy else body
        decl = f".tile x, sram, f32, {x}\n.tile y, sram, f32, {y}\n.tile z, sram, f32, {y.split(', at')[0]}, at=1024"
        device = Device("small")
        after_prologue(device, kernel(source, decl))
        device.machine.memories.sram[:256] = memory.view(np.uint8)
        named(device.machine, "z")[...] = named(device.machine, "y")
        inputs = named(device.machine, "y").copy()
        device.machine.run()
        results.append(named(device.machine, "x").copy())
        if simple is not None:
            np.testing.assert_allclose(results[-1], simple(inputs), rtol=1e-6)
    assert np.array_equal(*results)


def test_interleaved_outputs_do_not_overlap() -> None:
    decl = """
        .tile p, sram, f32, [2, 3]
        .tile m, sram, f32, [2, 1], at=4096, strides=[2, 1]
        .tile l, sram, f32, [2, 1], at=4100, strides=[2, 1]
        .tile o, sram, f32, [2, 3]
    """
    get = vpu("lf x5, 1.0\n vosm p, p, m, l, o, x5, x0, x0", decl, m=np.full((2, 1), -np.inf))
    assert get("l").tolist() == [[3], [3]] and get("m").tolist() == [[0], [0]]


def test_copies_within_hbm_may_overlap() -> None:
    device = Device("small")
    x = device.tensor(np.arange(8, dtype=np.float32))
    body = "tslice t20, h, 0, 0, 7\n tslice t21, h, 0, 1, 7\n dma.copy t21, t20"
    device.launch(kernel(body, ".param h, inout, f32, [N]"), "k", [x])
    assert x.numpy().tolist() == [0, 0, 1, 2, 3, 4, 5, 6]


# -- what is kept between executions ----------------------------------------------------------------------


def test_the_same_instruction_follows_its_registers() -> None:
    body = """
        li x20, 1
        loop 4, 9f
          mul x21, x20, 16
          tbase t30, a, x21
          vadds t30, a, 1.0
          add x20, x20, 1
        9:
    """
    decl = ".tile a, sram, f32, [x20<=4], at=0"
    device = Device("small")
    device.launch(kernel(body, decl), "k")
    memory = device.machine.memories.sram[:128].view(np.float32).reshape(8, 4)
    assert [int(np.count_nonzero(row)) for row in memory] == [0, 1, 2, 3, 4, 0, 0, 0]


def test_memory_freed_and_given_to_another_tensor_is_seen_anew() -> None:
    device = Device("small")
    program = kernel(
        "dma.load a, h\n dma.store o, a", ".param h, in, f32, [N]\n.param o, out, f32, [N]\n.tile a, sram, f32, [8]"
    )
    out = device.empty((8,), f32)
    for value in range(3):
        x = device.tensor(np.full(8, value, np.float32))
        address = x.address
        device.launch(program, "k", [x, out])
        assert out.numpy().tolist() == [value] * 8
        x.free()
    smaller = device.tensor(np.zeros(4, np.float32))
    assert smaller.address == address


def test_two_machines_do_not_share_what_a_descriptor_keeps() -> None:
    tile = Tile(Space.SRAM, f32, 0, (2,))
    a, b = Device("small").machine, Device("small").machine
    a.view(tile)[...] = 1
    b.view(tile)[...] = 2
    assert a.view(tile).tolist() == [1, 1] and b.view(tile).tolist() == [2, 2]


def test_bf16_scratch_does_not_leak_between_executions() -> None:
    decl = ".tile a, sram, bf16, [4]\n.tile b, sram, bf16, [4]"
    get = vpu("vfill a, 1.0\n vadds b, a, 1.0\n vfill a, 3.0\n vadds b, a, 1.0", decl)
    assert get("b").tolist() == [4] * 4 and get("a").dtype == bf16.np
