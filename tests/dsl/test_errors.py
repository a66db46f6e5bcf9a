"""Every message of the compiler, whole, with its caret; every code that the compiler can give."""

from __future__ import annotations

import importlib
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.dsl import CompileError, In, Index, InOut, Out, Scalar, f32, kernel
from sohu.isa import SohuError

import sohu

INVALID = Path(__file__).parent / "invalid"
CASES = sorted(p.stem for p in INVALID.glob("*.py"))
DSL = Path(__file__).parents[2] / "dsl"


def message(name: str) -> str:
    module = importlib.import_module(f"tests.dsl.invalid.{name}")
    with pytest.raises(CompileError) as caught:
        module.attempt()
    assert name.startswith(caught.value.code) or not name.startswith("K")
    return str(caught.value).replace(str(INVALID), "") + "\n"


@pytest.mark.parametrize("name", CASES)
def test_message(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"invalid/{name}.txt", message(name))


@pytest.mark.parametrize("name", CASES)
def test_the_caret_stands_under_what_the_location_says(name: str) -> None:
    module = importlib.import_module(f"tests.dsl.invalid.{name}")
    with pytest.raises(CompileError) as caught:
        module.attempt()
    loc = caught.value.loc
    assert loc is not None
    line = Path(loc.file).read_text().splitlines()[loc.line - 1]
    shown = str(caught.value).splitlines()
    at = next(i for i, text in enumerate(shown) if text.startswith(f"{loc.line:>4} | "))
    marked = "".join(c for c, mark in zip(line, shown[at + 1][7:], strict=False) if mark == "^")
    assert shown[at][7:] == line and marked.strip() == marked != ""


def test_every_code_has_its_message() -> None:
    codes = {c for p in DSL.glob("*.py") for c in re.findall(r'"(K\d{3})"', p.read_text())}
    tested = {c.partition("_")[0] for c in CASES if c.startswith("K")}
    # K090 is tested with the text of the IR, K099 with the verifier
    assert codes - {"K090", "K099"} == tested


@kernel
def double(x: In[f32, "R C"], y: Out[f32, "R C"], n: Index = 0, *, rows: int = 8):
    for r in sohu.range(n, x.R, rows):
        y[r : r + rows] = x[r : r + rows] * 2


@kernel
def update(x: InOut[f32, "8"], s: Scalar, i: Index):
    x[i : i + 1] = x[i : i + 1] * s


X = np.ones((4, 6), np.float32)
WRONG: list[tuple[str, Callable[[], Any], str]] = [
    ("dtype", lambda: double(X.astype(np.float64)), "no dtype float64"),
    ("other dtype", lambda: double(X.astype(np.float16)), "argument x of kernel double: dtype f16, wants dtype f32"),
    ("rank", lambda: double(X[0]), "shape [6] of rank 1, wants rank 2: [R, C]"),
    ("sizes", lambda: double(X, np.zeros((4, 7), np.float32)), "C = 7, wants [R, C]: C = 6"),
    ("static size", lambda: update(np.zeros(9, np.float32), 1.0, 0), "shape [9], wants [8]"),
    ("order of memory", lambda: double(X.T), "not C-contiguous"),
    ("read-only", lambda: update(np.broadcast_to(np.float32(1), 8), 1.0, 0), "not C-contiguous"),
    ("a list", lambda: double(X.tolist()), "a list, wants an array"),
    ("too many", lambda: double(X, X, 1, 2), "takes 3 arguments (x, y, n), not 4"),
    ("too few", lambda: double(), "argument x"),
    ("unknown", lambda: double(X, rowz=4), "no parameter 'rowz'"),
    ("twice", lambda: double(X, X, x=X), "argument x is given twice"),
    ("float for an index", lambda: double(X, n=1.5), "argument n of kernel double: 1.5 (float), wants an integer"),
    ("array for an index", lambda: update(np.zeros(8, np.float32), 1.0, np.zeros(2)), "argument i of kernel update"),
    ("text for a scalar", lambda: update(np.zeros(8, np.float32), "1", 0), "argument s of kernel update"),
    ("a list at compile time", lambda: double(X, rows=[8]), "rows is a list"),
    ("an unknown bound", lambda: double.compile(X, bounds={"Q": 1}), "no dimension 'Q'"),
    ("a bad bound", lambda: double.compile(X, bounds={"R": -1}), "R = -1, wants a size"),
    ("an unknown chip", lambda: double.compile(X, chip="smal"), "unknown chip 'smal'"),
    ("outside a kernel", lambda: sohu.exp(X), "sohu.exp belongs inside a @sohu.kernel function"),
]


@pytest.mark.parametrize(("call", "says"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_wrong_calls_get_one_clear_error(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(SohuError) as caught:
        call()
    assert says in str(caught.value)
    assert str(caught.value).count("\n") <= 1


def test_a_source_that_has_changed_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    path.write_text('from sohu.dsl import In, f32\n\n\ndef k(x: In[f32, "N"]):\n    pass\n')
    module = runpy.run_path(str(path))
    path.write_text("\n\n\n\n# longer now\n" + path.read_text())
    with pytest.raises(CompileError, match="the file has changed") as caught:
        kernel(module["k"]).compile(bounds={"N": 1})
    assert caught.value.code == "K001"


def test_a_kernel_stopped_by_an_error_works_afterwards() -> None:
    with pytest.raises(SohuError):
        double(X[0])
    assert (double(X) == 2).all()
