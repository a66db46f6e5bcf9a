"""Every instruction over tiles, called from a kernel by its mnemonic and compared with the plain reference."""

from __future__ import annotations

import linecache
from typing import Any

import numpy as np
import pytest
from sohu.dsl import Kernel
from sohu.emulator import Device
from sohu.isa import DTYPES, ROWS, DType, Row, Space, f32
from sohu.isa.operands import Data

from tests.dsl.support import SMALL
from tests.emulator.reference.cases import CASES, Case


def _dtype(kind: Data) -> DType:
    return f32 if f32 in kind.dtypes else min(kind.dtypes, key=lambda d: d.code)


def _number(value: Any) -> str:
    """The text of a scalar operand of a case, which may say that it comes in a register."""
    return str(value).partition(":")[2] or str(value)


def source(row: Row, case: Case) -> str:
    """A kernel that loads the operands, calls the instruction and stores its results as NAME_out."""
    parameters, arguments, options, results = [], [], [], []
    shape = dtype = ""
    for o in row.operands:
        if isinstance(o.kind, Data):
            dims = case.shapes[o.name]
            spec = f'[{_dtype(o.kind)}, "{" ".join(map(str, dims))}"]'
            if row.spaces(o.kind) == {Space.HBM}:
                parameters.append(f"{o.name}: {'InOut' if o.kind.writes_data else 'In'}{spec}")
                arguments.append(o.name)
                continue
            if o.kind.reads_data:
                parameters.append(f"{o.name}: In{spec}")
                arguments.append(f"{o.name}[...]")
            if o.kind.writes_data:
                parameters.append(f"{o.name}_out: Out{spec}")
                results.append(f"{o.name}_out")
                if not o.kind.reads_data and not shape:
                    shape = f"shape={dims}, "
                    dtype = "" if f32 in o.kind.dtypes else f"dtype={_dtype(o.kind)}, "
        elif o.keyword and o.name in case.scalars:
            options.append(f"{o.name}={_number(case.scalars[o.name])}")
        elif o.name in case.scalars:
            arguments.append(_number(case.scalars[o.name]))
    call = f"sohu.isa_op({', '.join([repr(row.mnemonic), *arguments, *options])}, {shape}{dtype})"
    lines = [f"{', '.join(f'r{i}' for i in range(len(results)))} = {call}" if results else call]
    lines += [f"{name}[...] = r{i}" for i, name in enumerate(results)]
    head = ["import sohu", "from sohu.dsl import In, InOut, Out, kernel", f"from sohu.isa import {', '.join(DTYPES)}"]
    return "\n".join([*head, "@kernel", f"def k({', '.join(parameters)}):", *("    " + line for line in lines), ""])


def build(text: str, name: str) -> Kernel:
    file = f"<kernel of {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope: dict[str, Any] = {}
    exec(compile(text, file, "exec"), scope)  # noqa: S102  # this test's own text
    made: Kernel = scope["k"]
    return made


def elements(row: Row, case: Case) -> dict[str, Any]:
    rng = np.random.default_rng(len(row.mnemonic))
    values: dict[str, Any] = {}
    for _, o, kind in row.data:
        dtype, shape = _dtype(kind), case.shapes[o.name]
        if o.name in case.given:
            values[o.name] = np.array(case.given[o.name]).astype(dtype.np)
        elif not dtype.is_float or o.name in case.small_ints:
            values[o.name] = rng.integers(0, case.small_ints.get(o.name, 9), shape).astype(dtype.np)
        else:
            x = rng.standard_normal(shape)
            values[o.name] = (np.abs(x) + 0.1 if case.positive else x).astype(dtype.np)
    for o in row.operands:
        if not isinstance(o.kind, Data):
            text = _number(case.scalars.get(o.name, o.default))
            values[o.name] = float(text) if "." in text or "e" in text else int(text)
    return values


@pytest.mark.parametrize("mnemonic", CASES)
def test_the_instruction_from_a_kernel(mnemonic: str) -> None:
    row, case = ROWS[mnemonic], CASES[mnemonic][0]
    values = elements(row, case)
    kernel = build(source(row, case), mnemonic)
    in_hbm = {o.name for _, o, k in row.data if row.spaces(k) == {Space.HBM}}
    arguments = {o.name: values[o.name].copy() for _, o, k in row.data if k.reads_data or o.name in in_hbm}
    got = kernel(**arguments, device=Device(SMALL, schedule=1))
    written = [o.name for _, o, k in row.data if k.writes_data]
    made = got if isinstance(got, tuple) else (got,)
    after = dict(zip((n for n in written if n not in in_hbm), made, strict=False)) | {n: arguments[n] for n in in_hbm}
    with np.errstate(all="ignore"):
        exact = case.reference(values)
    for name in written:
        if after[name].dtype == np.int32:
            exact[name] = exact[name].astype(np.int64).astype(np.int32)  # wraps
        np.testing.assert_allclose(after[name].astype(float), exact[name].astype(float), rtol=1e-5, atol=1e-4)
