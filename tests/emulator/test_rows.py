"""The semantics of every row, through the machine, against the plain reference; all dtypes a row takes."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
import pytest
from sohu.emulator import Device, conformance
from sohu.isa import ROWS, DType, Row, e8m0, fp4x2

from tests.emulator.reference.cases import CASES, Array, Case

WITHOUT_DATA = {r.mnemonic for r in ROWS if not r.data}
# Rows with tiles that do no arithmetic; tests of the machine and of debug output run them.
ELSEWHERE = {"sld", "dbg.printt"}

_DEVICE = Device("small")


def test_every_row_with_tiles_has_a_reference() -> None:
    assert set(CASES) == {r.mnemonic for r in ROWS} - WITHOUT_DATA - ELSEWHERE


def _fill(shape: tuple[int, ...], dtype: DType, below: int, positive: bool, rng: np.random.Generator) -> Array:
    if below:
        return rng.integers(0, below, shape).astype(dtype.np)
    if not dtype.is_float:
        if dtype is fp4x2:
            return rng.integers(0, 256, shape).astype(dtype.np)
        return rng.integers(1 if positive or dtype.np == np.uint8 else -50, 50, shape).astype(dtype.np)
    if dtype is e8m0:
        return np.exp2(rng.integers(-4, 4, shape)).astype(dtype.np)
    x = rng.standard_normal(shape) * 2
    return (np.abs(x) + 0.1 if positive else x).astype(dtype.np)


CHECKS = [
    pytest.param(name, case, choice, id=f"{name}-{i}-" + "-".join(d.name for d in choice.values()))
    for name, cases in CASES.items()
    for i, case in enumerate(cases)
    for choice in conformance.dtype_choices(ROWS[name])
    if not case.floats_only or all(d.is_float for d in choice.values())
]


def _values(row: Row, case: Case, dtypes: dict[str, DType], alike: dict[str, str]) -> dict[str, Any]:
    """Random elements for each tile operand of a case; those of `alike` have another operand's."""
    rng = np.random.default_rng(crc32(row.mnemonic.encode()))
    values: dict[str, Any] = {}
    for _, o, _ in row.data:
        small = case.small_ints.get(o.name, 0)
        values[o.name] = _fill(case.shapes[o.name], dtypes[o.name], small, case.positive, rng)
        if o.name in case.given:
            values[o.name] = np.array(case.given[o.name]).astype(dtypes[o.name].np)
    return values | {n: values[m] for n, m in alike.items()}


def _number(value: Any) -> int | float:
    """A scalar operand of a case, which may say that it comes in a register."""
    if isinstance(value, str):
        letter, _, number = value.partition(":")
        return float(number) if letter == "f" else int(number)
    return value  # type: ignore[no-any-return]


def _check(row: Row, case: Case, dtypes: dict[str, DType], alike: dict[str, str]) -> None:
    """Run one instruction on random elements, and compare what comes out with what the reference says."""
    values = _values(row, case, dtypes, alike)
    scalars = {o.name: o.default for o in row.operands if o.keyword}
    scalars |= {name: _number(value) for name, value in case.scalars.items()}
    pair = next(iter(alike.items()), None)
    run = conformance.Case(case.shapes, dtypes, scalars, alike=pair)
    results = conformance.execute(_DEVICE, row, run, values)
    with np.errstate(all="ignore"):
        exact = case.reference(values | scalars)
    assert set(exact) == {o.name for _, o, k in row.data if k.writes_data}
    conformance.compare(row, run, values, results, exact, case.ulps, case.slack)


@pytest.mark.parametrize(("name", "case", "dtypes"), CHECKS)
def test_row_agrees_with_the_reference(name: str, case: Case, dtypes: dict[str, DType]) -> None:
    _check(ROWS[name], case, dtypes, {})


def _pairs(row: Row, case: Case) -> list[tuple[str, str, DType]]:
    """(input, output) of one shape, space and dtype: they may be the very same tile."""
    return [
        (i.name, o.name, min(ki.dtypes & ko.dtypes, key=lambda d: d.code))
        for _, i, ki in row.data
        for _, o, ko in row.data
        if not ki.writes_data and ko.writes_data and case.shapes[i.name] == case.shapes[o.name]
        if ki.dtypes & ko.dtypes and row.spaces(ki) == row.spaces(ko) and not case.small_ints and not case.given
    ]


IN_PLACE = [
    pytest.param(name, case, *pair, id=f"{name}-{i}-{pair[1]}={pair[0]}")
    for name, cases in CASES.items()
    for i, case in enumerate(cases)
    for pair in _pairs(ROWS[name], case)
]


@pytest.mark.parametrize(("name", "case", "source", "target", "dtype"), IN_PLACE)
def test_row_works_in_place(name: str, case: Case, source: str, target: str, dtype: DType) -> None:
    """An input that is the very same tile as an output is read as it was before."""
    row, alike = ROWS[name], {source: target}
    dtypes = {o.name: dtype if dtype in k.dtypes else min(k.dtypes, key=lambda d: d.code) for _, o, k in row.data}
    _check(row, case, dtypes, alike)
