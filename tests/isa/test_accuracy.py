"""Functions of one number at every bfloat16, against double precision: as exact as the manual says."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.isa import ROWS

from tests.emulator.reference.exactly import cosine_of, sine_of

Array = NDArray[Any]
# the upper half of a float32, every one but NaN
ALL = np.arange(1 << 16, dtype=np.uint32) << 16
EVERY = ALL.view(np.float32)[~np.isnan(ALL.view(np.float32))]


def _each(f: Callable[[float], float]) -> Callable[[Array], Array]:
    return np.vectorize(f, otypes=[float])


def _gelu(x: float) -> float:
    return x * math.erfc(-x / math.sqrt(2)) / 2 if math.isfinite(x) or x > 0 else math.nan


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


TINY = 2.0**-120
EXACT: dict[str, tuple[Callable[[Array], Array], int]] = {  # and units in the last place of float32
    "vexp": (np.exp, 4),
    "vexp2": (np.exp2, 4),
    "vlog": (np.log, 4),
    "vsqrt": (np.sqrt, 4),
    "vrsqrt": (lambda x: 1 / np.sqrt(x), 4),
    "vtanh": (np.tanh, 4),
    "vsigmoid": (lambda x: 1 / (1 + np.exp(-x)), 4),
    "verf": (_each(math.erf), 4),
    "vsin": (np.sin, 4),
    "vcos": (np.cos, 4),
    "vround": (np.rint, 0),
    "vfloor": (np.floor, 0),
    "vceil": (np.ceil, 0),
    "vrelu2": (lambda x: np.maximum(x, 0) ** 2, 0),
    "vsilu": (lambda x: x / (1 + np.exp(-x)), 4),
    "vgelu.erf": (_each(_gelu), 1),
}


def errors(mnemonic: str, exact: Callable[[Array], Array]) -> tuple[Array, Array, Array]:
    """Results, what they should be, and how far apart they are in units in the last place."""
    got = np.empty_like(EVERY)
    with np.errstate(all="ignore"):
        ROWS[mnemonic].semantics(got, EVERY)
        want = exact(EVERY.astype(np.float64))
        narrow = want.astype(np.float32)
        same = (got == narrow) | (np.isnan(got) & np.isnan(narrow))
        ulps = np.where(same, 0.0, np.abs(got - want.astype(np.float64)) / np.spacing(np.abs(narrow)))
    return got, want, ulps


@pytest.mark.parametrize("mnemonic", EXACT)
def test_units_in_the_last_place(mnemonic: str) -> None:
    exact, allowed = EXACT[mnemonic]
    got, want, ulps = errors(mnemonic, exact)
    tiny = (np.abs(want) > 0) & (np.abs(want) < TINY)
    worst = np.argmax(np.where(tiny, 0, np.nan_to_num(ulps, nan=np.inf)))
    assert tiny[worst] or ulps[worst] <= allowed, (EVERY[worst], got[worst], want[worst])
    assert (np.abs(got[tiny] - want[tiny]) <= TINY).all()  # what is less than that may be 0


@pytest.mark.parametrize("mnemonic", ["vgelu", "vgeglu"])
def test_the_tanh_form_of_gelu(mnemonic: str) -> None:
    x = EVERY[np.isfinite(EVERY) & (np.abs(EVERY) < 1e12)]
    got = np.empty_like(x)
    with np.errstate(all="ignore"):
        ROWS[mnemonic].semantics(*((got, x) if mnemonic == "vgelu" else (got, x, np.full_like(x, 3))))
        want = _gelu_tanh(x.astype(np.float64)) * (1 if mnemonic == "vgelu" else 3)
    assert (np.abs(got - want) <= 2.0**-20 * np.abs(x) * 3).all()


def test_rotary_tables_at_any_position() -> None:
    """A position has 31 bits and a frequency 24: their product does not fit a double, and is exact all the same."""
    position = np.array([2**31 - 1, -(2**31) + 1, 2**30 + 12345, 131_071, 1, 0], np.int32)
    frequency = np.array([2.1762895584106445, 1.0, 0.1, 0.749894209, 1e-4], np.float32)
    cos, sin = np.empty((6, 5), np.float32), np.empty((6, 5), np.float32)
    ROWS["vrope.table"].semantics(cos, sin, position, frequency, 1.0)
    for t, p in enumerate(position.tolist()):
        for i, f in enumerate(frequency.tolist()):
            for got, exact in ((cos[t, i], cosine_of(p * Fraction(f))), (sin[t, i], sine_of(p * Fraction(f)))):
                assert abs(float(got) - exact) <= np.spacing(np.float32(abs(exact)))


def _ulps(got: Array, exact: Array) -> Array:
    """Errors, where the result is not tiny."""
    error = np.abs(got - exact) / np.spacing(np.abs(exact.astype(np.float32))).astype(np.float64)
    return np.where(np.abs(exact) > 2 * TINY, error, 0)


@pytest.mark.parametrize("spread", [1, 10, 40, 80])
def test_routers_and_clamped_gates_of_any_spread(spread: int) -> None:
    """An operand of an exponential that is rounded first costs as many ULP as it is large."""
    rng = np.random.default_rng(spread)
    logits = (rng.standard_normal((500, 8)) * spread).astype(np.float32)
    weights, experts = np.empty((500, 4), np.float32), np.empty((500, 4), np.int32)
    ROWS["vroute"].semantics(weights, experts, logits)
    chosen = np.take_along_axis(logits, experts.astype(np.int64), -1).astype(np.float64)
    powers = np.exp(chosen - chosen[:, :1])
    assert _ulps(weights, powers / powers.sum(-1, keepdims=True)).max() <= 16
    gate, up, out = logits, rng.standard_normal((500, 8)).astype(np.float32), np.empty((500, 8), np.float32)
    with np.errstate(over="ignore"):
        ROWS["vswiglu.clamp"].semantics(out, gate, up, 1.702, 7.0)
        g, alpha = np.minimum(gate.astype(np.float64), 7), float(np.float32(1.702))
        exact = g / (1 + np.exp(-alpha * g)) * (up + 1.0)
    assert (_ulps(out, exact) <= 16 + np.abs(alpha * g)).all()
