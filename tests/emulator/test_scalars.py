"""Unsigned and float scalars, and the cycle counter."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device
from sohu.isa.operands import bits_f32, f32_bits

from tests.emulator.support import Array, kernel, registers, run, stopped

FLOATS = [0.0, -0.0, 1.0, -1.5, 3.4e38, 1e-45, 1e-38, math.inf, -math.inf, math.nan, 0.1]


def float_results(op: str, pairs: list[tuple[float, float]]) -> list[int]:
    out = []
    for a, b in pairs:
        body = f"lf x5, {a}\n lf x6, {b}\n {op} x7, x5, x6\n {op} x8, x5, {b}"
        x7, x8 = registers(body, 7, 8)
        assert x7 == x8
        out.append(x7)
    return out


PAIRS = list(itertools.product(FLOATS, FLOATS))


@pytest.mark.parametrize(
    ("op", "ufunc"), [("fadd", np.add), ("fsub", np.subtract), ("fmul", np.multiply), ("fdiv", np.divide)]
)
def test_float_arithmetic_is_that_of_binary32(op: str, ufunc: Any) -> None:
    a, b = (np.array(x, np.float32) for x in zip(*PAIRS, strict=True))
    with np.errstate(all="ignore"):
        want = ufunc(a, b)
    want[np.isnan(want)] = bits_f32(0x7FC00000)
    assert float_results(op, PAIRS) == [int(w) for w in want.view(np.uint32)]


@pytest.mark.parametrize("op", ["flt", "fle"])
def test_float_comparisons(op: str) -> None:
    want = [int(a < b if op == "flt" else a <= b) for a, b in PAIRS]
    assert float_results(op, PAIRS) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [(0, 0.0), (-1, -1.0), ((1 << 24) + 1, 2.0**24), ((1 << 24) + 3, 2.0**24 + 4), ((1 << 63) - 1, 2.0**63),
     (-(1 << 63), -(2.0**63)), ((1 << 60) + (1 << 36) + 1, 2.0**60 + 2.0**37)],
)  # fmt: skip
def test_integers_become_floats_with_one_rounding(value: int, want: float) -> None:
    assert registers(f"li x5, {value}\n i2f x6, x5", 6) == [f32_bits(want)]


@pytest.mark.parametrize(
    ("value", "want"),
    [(0.9, 0), (-0.9, 0), (-7.5, -7), (1e10, 10**10), (math.nan, 0), (math.inf, 2**63 - 1), (-math.inf, -(2**63)),
     (9.3e18, 2**63 - 1), (-9.3e18, -(2**63)), (-(2.0**63), -(2**63)), (2.0**62, 2**62)],
)  # fmt: skip
def test_floats_become_integers_toward_zero(value: float, want: int) -> None:
    assert registers(f"lf x5, {value}\n f2i x6, x5", 6) == [want]


ENDS = [0, 1, -1, 2**63 - 1, -(2**63), 12345]


def test_unsigned_order_and_shift() -> None:
    for a, b in itertools.product(ENDS, ENDS):
        less, shifted = registers(f"li x5, {a}\n li x6, {b}\n sltu x7, x5, x6\n srl x8, x5, x6", 7, 8)
        assert less == int(a % 2**64 < b % 2**64)
        unsigned = (a % 2**64) >> (b % 64)
        assert shifted % 2**64 == unsigned


CLOCKED = """
    viota t, 0
    drain
    sdcycle out, 0
    vmuls t, t, 2.0     signal s1
    vexp u, u           wait s1>=1
    sdcycle out, 8
    drain
    sdcycle out, 16
    dbg.cycle "at "
    dma.store y, t
"""
DECLARED = """.param y, out, i32, [64]
    .tile t, sram, i32, [64]
    .tile u, sram, f32, [64]"""


def clocked(device: Device, printed: list[str] | None = None) -> tuple[list[int], Array, Any]:
    body = "sub sp, sp, 32\n" + CLOCKED.replace("out", "sp") + "drain\n ld x20, sp, 0\n ld x21, sp, 8\n ld x22, sp, 16"
    y = np.zeros(64, np.int32)
    result = device.launch(kernel(body, DECLARED), "k", [y])
    return device.machine.x[20:23], y, result


def test_the_clock_is_that_of_the_timer_under_every_schedule() -> None:
    printed: list[str] = []
    stamps, y, result = clocked(Device("small", output=printed.append))
    assert 0 < stamps[0] < stamps[1] < stamps[2] < result.cycles
    assert stamps[1] == stamps[0] + 3  # one for itself, and one for each that issues
    assert stamps[2] > stamps[1] + 1 and printed == [f"at {stamps[2] + 1}"]
    assert y.tolist() == [2 * i for i in range(64)]
    others = [Device("small", schedule=seed, output=printed.append) for seed in (1, 2, 3)]
    for device in (*others, Device("small", timing=True, output=printed.append)):
        again, same, timed = clocked(device)
        assert (again, timed.cycles) == (stamps, result.cycles) and np.array_equal(same, y)


def test_a_program_without_a_clock_runs_without_the_timer_again() -> None:
    device = Device("small", output=lambda _: None)
    clocked(device)
    assert device.machine.timer is not None
    _, result = run("nop", device=device)
    assert result.cycles is None and device.machine.timer is None
    assert clocked(device)[2].cycles is not None


def test_the_counter_is_stored_where_a_program_may_write() -> None:
    assert stopped("sdcycle sp, 4").category == "misaligned"
    assert stopped("sdcycle gp, 0").category == "read-only"


def test_a_signal_to_a_chip() -> None:
    run("cce.signal 0 signal s5+=3\n sync wait s5>=3")
    assert stopped("li x5, 1\n cce.signal x5 signal s5").message == "there is no chip 1: 1 run"
    assert stopped("cce.signal -1").category == "operand"
    assert registers("chips x5\n chipid x6", 5, 6) == [1, 0]
