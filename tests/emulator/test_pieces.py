"""Rows whose work is cut into pieces give the same bits as in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sohu.emulator.workers import at_work
from sohu.isa import ROWS, DType, Row, i32, pieces
from sohu.isa.operands import XF, XFI, Imm, X
from sohu.isa.shapes import Pattern, Shape

from tests.emulator.support import random_floats
from tests.emulator.test_rows import CHECKS, Case, _check

SPLIT = [r for r in ROWS if r.split]
SIZES = {"R": 6, "C": 8, "D": 8, "T": 6}
LEADING: dict[int, list[Shape]] = {0: [()], 1: [(3,)], 2: [(2, 5), (1, 7)]}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is large."""
    monkeypatch.setattr(pieces, "LARGE", 2)


def test_the_rows_that_cost_most_are_cut() -> None:
    assert {"vosm", "vswiglu", "vrope", "vrms", "vrms.add", "vexp", "vadd"} <= {r.mnemonic for r in SPLIT}


@pytest.mark.parametrize(("name", "case", "dtypes"), [c.values for c in CHECKS if ROWS[str(c.values[0])].split])
def test_against_the_plain_reference(name: str, case: Case, dtypes: dict[str, DType], tiny: None) -> None:
    _check(ROWS[name], case, dtypes, {})


def _shape(pattern: Pattern, leading: Shape, broadcast: bool) -> Shape:
    """A shape for a pattern, or one that broadcasts where the pattern allows it."""
    named = tuple(
        1 if d.name == "1" or (broadcast and d.broadcast) else SIZES[d.name] // d.divisor for d in pattern.dims
    )
    inner = named or (6, 8)
    if pattern.leading == "...?" and broadcast:
        return inner if len(leading) < 2 else (1, leading[1], *inner)
    return (*leading, *inner) if pattern.leading else inner


@pytest.mark.parametrize("broadcast", [False, True])
@pytest.mark.parametrize("row", SPLIT, ids=lambda r: r.mnemonic)
def test_bits_do_not_depend_on_where_pieces_run(row: Row, broadcast: bool, tiny: None) -> None:
    """In one piece, in pieces, and in pieces on three threads: higher ranks, and operands that broadcast."""
    for leading in [s for shapes in LEADING.values() for s in shapes]:
        arrays, scalars = [], []
        for n, o in enumerate(row.operands):
            data = next((k for _, d, k in row.data if d is o), None)
            if data is not None:
                shape = _shape(data.pattern, leading, broadcast)
                whole = np.full(shape, 1, np.int32) if data.dtypes == frozenset({i32}) else random_floats(shape, seed=n)
                arrays.append(np.abs(whole))
            elif isinstance(o.kind, (XF, XFI)):
                scalars.append(0.5)
            elif isinstance(o.kind, (X, Imm)):
                scalars.append(1)
        if arrays[0].ndim < row.split:
            continue

        def results(call: Any, arrays: list[Any] = arrays, scalars: list[Any] = scalars) -> list[bytes]:
            own = [a.copy() for a in arrays]
            with np.errstate(all="ignore"):
                call(*own, *scalars)
            return [a.tobytes() for a in own]

        whole = results(row.semantics)
        assert results(lambda *a: pieces.in_pieces(row.semantics, row.split, *a)) == whole
        with at_work(3):
            assert results(lambda *a: pieces.in_pieces(row.semantics, row.split, *a)) == whole
