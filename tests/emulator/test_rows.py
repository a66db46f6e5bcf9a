"""The semantics of every row, through the machine, against the plain reference; all dtypes a row takes."""

from __future__ import annotations

import itertools
import math
from typing import Any
from zlib import crc32

import ml_dtypes
import numpy as np
import pytest
from sohu.emulator import Device
from sohu.isa import DTYPES, ROWS, DType, Row, Space, e8m0, f32, fp4x2, fp8e4m3, fp8e5m2, i8, i32
from sohu.isa.operands import XF, XI, Data, X

from tests.emulator.reference.cases import CASES, Array, Case
from tests.emulator.support import after_prologue, kernel, named

WITHOUT_DATA = {r.mnemonic for r in ROWS if not r.data}
# Rows with tiles that do no arithmetic; tests of the machine and of debug output run them.
ELSEWHERE = {"sld", "dbg.printt"}

_DEVICE = Device("small")


def test_every_row_with_tiles_has_a_reference() -> None:
    assert set(CASES) == {r.mnemonic for r in ROWS} - WITHOUT_DATA - ELSEWHERE


def _dtype_choices(row: Row, case: Case) -> list[dict[str, DType]]:
    """Each operand once in each of its dtypes, the others in their first: all pairs would be many."""
    options = {o.name: sorted(k.dtypes, key=lambda d: d.code) for _, o, k in row.data}
    uniform = {name for name, _ in options.items()} if any(k.view == "num" for _, _, k in row.data) else set()
    out = []
    for d in DTYPES.values():
        choice = {name: d if d in mine else mine[0] for name, mine in options.items()}
        nums = [choice[o.name] for _, o, k in row.data if k.view == "num"]
        if uniform and len({n.is_float for n in nums}) > 1:
            continue
        if case.floats_only and not all(c.is_float for c in choice.values()):
            continue
        if choice not in out:
            out.append(choice)
    for name, mine in options.items():  # one operand differs from the others
        for d in mine:
            choice = {n: d if n == name else o[0] for n, o in options.items()}
            nums = [choice[o.name] for _, o, k in row.data if k.view == "num"]
            if len({n.is_float for n in nums}) <= 1 and not case.floats_only and choice not in out:
                out.append(choice)
    return [choice for choice in out if not _packed_beside_others(row, choice)]


def _packed_beside_others(row: Row, choice: dict[str, DType]) -> bool:
    """Whether operands that could all have one dtype mix packed elements with others, which is refused."""
    free = [choice[o.name] for _, o, k in row.data if len({d.numbers for d in k.dtypes}) > 1]
    return len({d.numbers for d in free}) > 1


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


def _round(exact: Any, dtype: DType) -> Any:
    """A number rounded once to float32 and once to the stored dtype; integers wrap, fp8 saturates."""
    if not dtype.is_float:
        bits = 8 * dtype.itemsize
        if isinstance(exact, float):
            ends = np.iinfo(dtype.np)
            return max(ends.min, min(ends.max, math.trunc(exact)))
        n = int(exact) % (1 << bits)
        return n - (1 << bits) if dtype in (i32, i8) and n >> (bits - 1) else n
    single = np.float32(exact)
    if dtype in (fp8e4m3, fp8e5m2):
        largest = float(ml_dtypes.finfo(dtype.np).max)
        single = np.clip(single, -largest, largest)
    return float(np.array(single).astype(dtype.np))


def _tolerance(exact: float, case: Case, dtype: DType) -> float:
    if not dtype.is_float or not math.isfinite(exact):
        return 0.0
    before = case.ulps * float(np.spacing(np.float32(abs(exact)))) + case.slack
    if not before:
        return 0.0
    # an error before rounding can move the result to the neighbour
    digits = {"f32": 24, "bf16": 8, "f16": 11, "fp8e4m3": 4, "fp8e5m2": 3}[dtype.name]
    return before + (0 if dtype is f32 else 2.0 ** (math.frexp(exact)[1] - digits))


def _operand(name: str, kind: Any, value: Any, setup: list[str]) -> tuple[str, Any]:
    """Text of a scalar operand, and the number the reference gets."""
    if isinstance(kind, (XI, X)) and isinstance(value, str):
        letter, _, number = value.partition(":")
        reg = 20 + len(setup)
        setup.append(f"lf x{reg}, {number}" if letter == "f" else f"li x{reg}, {number}")
        return f"x{reg}", float(number) if letter == "f" else int(number)
    assert not isinstance(kind, XF)
    return str(value), value


CHECKS = [
    pytest.param(name, case, choice, id=f"{name}-{i}-" + "-".join(d.name for d in choice.values()))
    for name, cases in CASES.items()
    for i, case in enumerate(cases)
    for choice in _dtype_choices(ROWS[name], case)
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


def _execute(row: Row, case: Case, dtypes: dict[str, DType], values: dict[str, Any], alike: dict[str, str]) -> None:
    """Run one instruction on the device; adds the scalars to `values`. An operand of `alike` is another one's tile."""
    declarations, operands, setup = [], [], []
    args: dict[str, Array] = {}
    for o in row.operands:
        kind = o.kind
        if o.name in alike:
            operands.append(f"{alike[o.name]}_")
        elif isinstance(kind, Data):
            space = next(s for s in (Space.ACC, Space.SRAM, Space.HBM) if s in row.spaces(kind))
            label = f"{o.name}_"
            dims = ", ".join(map(str, case.shapes[o.name]))
            if space is Space.HBM:
                declarations.append(f".param {label}, inout, {dtypes[o.name]}, [{dims}]")
                args[label] = values[o.name].copy()
            else:
                declarations.append(f".tile {label}, {space}, {dtypes[o.name]}, [{dims}]")
            operands.append(label)
        elif o.name in case.scalars:
            text, values[o.name] = _operand(o.name, kind, case.scalars[o.name], setup)
            operands.append(f"{o.name}={text}" if o.keyword else text)
        else:
            assert o.keyword, f"{row.mnemonic}: the case says nothing of operand {o.name}"
            values[o.name] = o.default
    declarations.sort(key=lambda d: ".tile" in d)
    program = kernel("\n".join([*setup, f"{row.mnemonic} {', '.join(operands)}"]), "\n".join(declarations))
    after_prologue(_DEVICE, program, args)
    for n, v in values.items():
        if isinstance(v, np.ndarray) and n not in alike:
            named(_DEVICE.machine, f"{n}_")[...] = v
    _DEVICE.machine.run()


def _check(row: Row, case: Case, dtypes: dict[str, DType], values: dict[str, Any]) -> None:
    """Compare what the device holds with what the reference makes of `values`."""
    writes = [o.name for _, o, k in row.data if k.writes_data]
    with np.errstate(all="ignore"):
        exact = case.reference(values)
        assert set(exact) == set(writes)
        for n in writes:
            dtype = dtypes[n]
            got = named(_DEVICE.machine, f"{n}_")
            for i in itertools.product(*map(range, got.shape)):
                want = _round(exact[n][i], dtype)
                have = got[i].item() if dtype is i32 else float(got[i])
                if not (math.isnan(have) and math.isnan(want)):
                    assert have == want or abs(have - want) <= _tolerance(want, case, dtype), (n, i, have, want)


@pytest.mark.parametrize(("name", "case", "dtypes"), CHECKS)
def test_row_agrees_with_the_reference(name: str, case: Case, dtypes: dict[str, DType]) -> None:
    row = ROWS[name]
    values = _values(row, case, dtypes, {})
    _execute(row, case, dtypes, values, {})
    _check(row, case, dtypes, values)


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
    values = _values(row, case, dtypes, alike)
    _execute(row, case, dtypes, values, alike)
    _check(row, case, dtypes, values)
