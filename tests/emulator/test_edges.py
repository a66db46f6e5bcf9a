"""The ends of things: empty tiles, positions near 2^63, ranks, conversions that cannot be exact, accuracy."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.emulator import Device
from sohu.isa import ROWS, Row, Space, f32, i32
from sohu.isa.operands import Data, X

from tests.emulator.support import Array, after_prologue, kernel, named, run, stopped

BIG = (1 << 63) - 1


def tiles(body: str, decl: str, **inputs: Array) -> dict[str, Array]:
    """All named tiles after a kernel whose tiles were filled by the host."""
    device = Device("small")
    program = kernel(body, decl)
    after_prologue(device, program)
    for name, value in inputs.items():
        named(device.machine, name)[...] = value
    device.machine.run()
    return {t.name: named(device.machine, t.name).copy() for t in program.kernels["k"].tiles}


OSM = """.tile s, sram, f32, [2, 3]
.tile m, sram, f32, [2, 1]
.tile l, sram, f32, [2, 1]
.tile o, sram, f32, [2, 4]"""


def osm(qpos: int, kpos: int, **state: Any) -> dict[str, Array]:
    start = {"s": np.ones((2, 3)), "m": -np.inf, "l": 0.0, "o": 0.0} | state
    body = f"lf x20, 1.0\n li x21, {qpos}\n li x22, {kpos}\n vosm s, s, m, l, o, x20, x21, x22, causal=1"
    return tiles(body, OSM, **start)


def test_a_row_with_nothing_unmasked_leaves_its_state_alone() -> None:
    got = osm(0, 9, l=5.0, o=np.full((2, 4), np.inf))
    assert (got["s"] == 0).all() and np.isneginf(got["m"]).all()
    assert (got["l"] == 5).all() and np.isposinf(got["o"]).all()


@pytest.mark.parametrize(
    ("qpos", "kpos", "seen"),
    [
        (0, BIG, [0, 0]),
        (BIG, -BIG - 1, [3, 3]),
        (-BIG - 1, BIG, [0, 0]),
        (BIG, BIG, [1, 2]),
        (BIG, BIG - 1, [2, 3]),
        (5, 6, [0, 1]),
    ],
)
def test_causal_positions_do_not_wrap(qpos: int, kpos: int, seen: list[int]) -> None:
    assert osm(qpos, kpos)["l"][:, 0].tolist() == seen


def test_iota_wraps_like_all_integers() -> None:
    get = tiles(f"li x20, {BIG}\n viota a, x20", ".tile a, sram, i32, [3]")
    assert get["a"].tolist() == [-1, 0, 1]


BROADCASTING = [
    r for r in ROWS if r.engine.value in ("VPU", "MXU") and any(k.pattern.leading == "...?" for _, _, k in r.data)
]


@pytest.mark.parametrize("row", BROADCASTING, ids=lambda r: r.mnemonic)
def test_sources_may_have_more_leading_ones_than_the_result(row: Row) -> None:
    decl, operands, plain = [], [], []
    words = [d for _, _, k in row.data for d in k.pattern.dims]
    size = {d.name: max(4, *(2 * e.divisor for e in words if e.name == d.name)) for d in words} | {
        "1": 1,
        "H": 2,
    }  # H is half of another
    for o in row.operands:
        if o not in [d for _, d, _ in row.data]:
            text = "x0" if isinstance(o.kind, X) else "1"
            operands.append(f"{o.name}=0" if o.keyword else text)
            plain.append(operands[-1])
            continue
        kind = o.kind
        assert isinstance(kind, Data)
        shape = [size[d.name] // d.divisor for d in kind.pattern.dims] or [4]
        space = Space.SRAM if Space.SRAM in row.spaces(kind) else Space.ACC
        dtype = min(kind.dtypes, key=lambda d: (d is not f32, d is not i32, d.code))
        decl.append(f".tile {o.name}_, {space}, {dtype}, {shape}")
        plain.append(f"{o.name}_")
        if kind.pattern.leading == "...?":
            decl.append(f".tile {o.name}1_, {space}, {dtype}, {[1, *shape]}, at=0x{len(decl):x}0000")
            operands.append(f"{o.name}1_")
        else:
            operands.append(f"{o.name}_")
    written = next(o.name for _, o, k in row.data if k.writes_data)

    def result(args: list[str], suffix: str) -> Array:
        device = Device("small")
        after_prologue(device, kernel(f"{row.mnemonic} {', '.join(args)}", "\n".join(decl)))
        for _, o, k in row.data:
            name = f"{o.name}{suffix}_" if k.pattern.leading == "...?" else f"{o.name}_"
            view = named(device.machine, name)
            view[...] = np.arange(view.size).reshape(view.shape) % 7 + 1
        device.machine.run()
        return named(device.machine, f"{written}_").copy()

    assert np.array_equal(result(operands, "1"), result(plain, ""))


@pytest.mark.parametrize("to", ["i32", "u8"])
@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_dma_saturates_where_an_integer_cannot_hold_a_float(to: str, dtype: str) -> None:
    decl = (
        f".param h, in, {dtype}, [N]\n.param o, out, {to}, [N]\n.tile a, sram, {to}, [16]\n.tile b, sram, {dtype}, [16]"
    )
    x = np.array([np.nan, np.inf, -np.inf, 60000, -60000, 2.75, -2.75, -0.0] * 2, np.float32)
    stored = x.astype({"f32": np.float32, "f16": np.float16, "bf16": ml_dtypes.bfloat16}[dtype])
    ends = np.iinfo(to.replace("u", "uint").replace("i3", "int3"))
    exact = stored.astype(np.float64)
    want = [0 if np.isnan(v) else int(max(ends.min, min(ends.max, np.trunc(v)))) for v in exact.tolist()]
    for body in ("dma.load a, h\n dma.store o, a", "dma.load b, h\n dma.store o, b"):
        _, result = run(body, decl, [stored])
        assert result.outputs["o"].numpy().tolist() == want
    fills, _ = run("dma.fill a, nan", f".tile a, sram, {to}, [2]")
    assert named(fills.machine, "a").tolist() == [0, 0]
    fills, _ = run("dma.fill a, 1e20", f".tile a, sram, {to}, [2]")
    assert named(fills.machine, "a").tolist() == [ends.max] * 2


# The worst that a search over float32 found for each; the manual says 4 ULP.
@pytest.mark.parametrize(
    ("op", "exact", "low", "high"),
    [
        ("vexp", np.exp, -87, 88),
        ("vlog", np.log, 0.5, 1.5),
        ("vtanh", np.tanh, -4, 4),
        ("vsqrt", np.sqrt, 0.01, 100),
        ("vrsqrt", lambda x: 1 / np.sqrt(x), 0.01, 100),
        ("vsigmoid", lambda x: 1 / (1 + np.exp(-x)), -80, 80),
    ],
)
def test_functions_are_as_accurate_as_the_manual_says(op: str, exact: Any, low: float, high: float) -> None:
    manual = ROWS[op].semantics.__globals__["__doc__"]
    assert op in manual and "within 4 ULP" in manual
    rng = np.random.default_rng(0)
    x = rng.uniform(low, high, 1 << 16).astype(np.float32)
    x[:3] = [-38.466045, -16.652199, 0.5035303] if low < 0 else [0.7828563, 0.7816223, 1.5]
    got = tiles(f"{op} a, a", f".tile a, sram, f32, [{x.size}]", a=x)["a"]
    with np.errstate(all="ignore"):
        want = exact(x.astype(np.float64))
        ulp = np.spacing(np.abs(want).astype(np.float32)).astype(np.float64)
    assert np.max(np.abs(got - want) / ulp) <= 4


def test_an_empty_tile_costs_no_memory_whatever_its_other_sizes() -> None:
    for body in ("viota a, 0", "vfill a, 0.0", "vsum.row d, a"):
        decl = ".tile a, sram, f32, [0, 4294967295]\n.tile d, sram, f32, [0, 1]"
        e = stopped(body, decl)
        assert e.category == "operand" and "is empty, but its other dimensions" in e.message


def test_a_program_deadlocks_on_every_chip_that_deadlocks_on_the_least() -> None:
    body = "vpu.sync wait s1>=1\n" + "vpu.sync\n" * 8 + "mxu.sync signal s1"
    for seed in (None, 1):
        assert stopped(body, device=Device("sohu", schedule=seed)).category == "deadlock"
    run(body.replace("vpu.sync\n", "", 1), device=Device("sohu"))


def test_a_register_holds_no_larger_size_than_there_is_room_for() -> None:
    decl = ".tile a, sram, f32, [x20<=4], at=0\n.tile b, sram, f32, [4], at=16"
    e = stopped("li x20, 5\n viota a, 5", decl)
    assert e.category == "out-of-bounds" and "x20 holds 5" in e.message and "room for 4" in e.message
    assert tiles("li x20, 4\n viota a, 5", decl)["b"].tolist() == [0] * 4
    run("li x20, 5\n viota a, 5", ".tile a, sram, f32, [x20], at=0")  # no largest size is known


def test_a_word_that_is_no_instruction_is_named_by_pc_and_line() -> None:
    said = str(stopped("nop\n .inst 0xfff"))
    assert said.startswith("k.s:4: error[illegal-instruction]: opcode 0xfff") and "pc 0x0010: no instruction" in said
    said = str(stopped("nop\n .inst 1 << 127 | 0x2a"))
    assert "error[reserved-bits]: nop: reserved bits 127 are set" in said and "pc 0x0010" in said
