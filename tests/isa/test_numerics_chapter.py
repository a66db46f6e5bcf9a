"""The figures in the manual's chapter on numerics, against ml_dtypes and against measurements."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.isa import DTYPES, ROWS, fp8e4m3, fp8e5m2, i8
from sohu.isa.manual.book import manual
from sohu.isa.numerics import FP4, convert, mx_dequantize, mx_quantize, quantize, symmetric_scale

CHAPTER = manual()["numerics.md"]
ROWS_OF_TABLES = [
    [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in CHAPTER.splitlines() if "|" in line
]


def table_row(first: str, columns: int) -> list[str]:
    (row,) = (r for r in ROWS_OF_TABLES if r and r[0] == first and len(r) == columns)
    return row


FLOATS = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16}
FLOATS |= {"fp8e4m3": ml_dtypes.float8_e4m3fn, "fp8e5m2": ml_dtypes.float8_e5m2, "fp4x2": ml_dtypes.float4_e2m1fn}


@pytest.mark.parametrize("name", FLOATS)
def test_formats(name: str) -> None:
    finfo: Any = ml_dtypes.finfo  # untyped
    info = finfo(FLOATS[name])
    _, bits, largest, normal, smallest, roundoff, has = table_row(f"`{name}`", 7)
    assert bits == f"1 + {info.bits - 1 - info.nmant} + {info.nmant}"
    assert float(largest) == pytest.approx(float(info.max), rel=1e-6)
    for text, exact in (
        (normal, float(info.smallest_normal)),
        (smallest, float(info.smallest_subnormal)),
        (roundoff, 2.0 ** -(info.nmant + 1)),
    ):
        power, decimal = re.fullmatch(r"2\^(-?\d+) \((.*)\)", text).groups()  # type: ignore[union-attr]
        assert 2.0 ** int(power) == exact == pytest.approx(float(decimal), rel=0.01)
    wanted = {"fp8e4m3": "NaN", "fp4x2": "neither"}.get(name, "infinity and NaN")
    assert has == wanted


def test_integers() -> None:
    for d in DTYPES.values():
        if not d.is_float and d.numbers == 1:
            assert table_row(f"`{d.name}`", 3)[1:] == [str(np.iinfo(d.np).min), str(np.iinfo(d.np).max)]


@pytest.mark.parametrize(("name", "dtype"), [("fp8e4m3", fp8e4m3.np), ("fp8e5m2", fp8e5m2.np), ("fp4x2", FP4)])
def test_what_is_too_large(name: str, dtype: np.dtype[Any]) -> None:
    _, saturated, otherwise, nan = table_row(name, 4)
    values = np.float32([np.inf, np.nan])
    spelled = {"infinity": math.inf, "NaN": math.nan}
    for saturate, text in ((True, saturated), (False, otherwise)):
        got = convert(values, dtype, saturate=saturate).astype(np.float64)
        np.testing.assert_array_equal(got, [spelled.get(t) if t in spelled else float(t) for t in (text, nan)])


@pytest.mark.parametrize(("elements", "dtype"), [("fp8e4m3", fp8e4m3.np), ("fp8e5m2", fp8e5m2.np), ("fp4x2", FP4)])
def test_the_error_of_blocks_is_reached_and_not_exceeded(elements: str, dtype: np.dtype[Any]) -> None:
    (row,) = (r for r in ROWS_OF_TABLES if len(r) == 4 and r[1] == elements)
    bound = float(row[3])
    x = (1 + np.arange(1 << 15, dtype=np.float32) / (1 << 15)).reshape(-1, 32)  # 1 to 2: every place in a binade
    q, scales = mx_quantize(x, dtype)
    assert (scales.astype(np.float64) == 2.0 ** -int(row[2])).all()
    worst = np.abs(mx_dequantize(q.astype(np.float32), scales.astype(np.float32)) - x).max() * 2.0 ** int(row[2])
    assert 0.99 * bound < worst <= bound


def test_the_error_of_scaled_integers() -> None:
    x = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    scale = symmetric_scale(x, i8.np, -1)
    assert (np.abs(quantize(x, scale, i8.np).astype(np.float64) * scale - x) <= scale * 0.5000001).all()


# -- measured ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mnemonic", ["vadd", "vsub", "vmul", "vdiv"])
def test_arithmetic_is_correctly_rounded(mnemonic: str) -> None:
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal(10_000).astype(np.float32) for _ in range(2))
    got = np.empty_like(a)
    ROWS[mnemonic].semantics(got, a, b)
    exact = {"vadd": np.add, "vsub": np.subtract, "vmul": np.multiply, "vdiv": np.divide}[mnemonic](
        a.astype(np.float64), b.astype(np.float64)
    )
    assert (got == exact.astype(np.float32)).all()


@pytest.mark.parametrize(("m", "k", "n"), [*itertools.product((1, 7), (1, 300, 2048), (5,))])
def test_the_bound_of_products(m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(k)
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    acc = np.empty((m, n), np.float32)
    ROWS["mm"].semantics(acc, a, b)
    wide = a.astype(np.float64), b.astype(np.float64)
    assert (np.abs(acc - wide[0] @ wide[1]) <= k * 2.0**-24 * (np.abs(wide[0]) @ np.abs(wide[1]))).all()
