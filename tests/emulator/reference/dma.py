"""Transfers, one element at a time."""

from __future__ import annotations

import numpy as np

from tests.emulator.reference.plain import BLOCK, Array, Case, Shapes, Values, at, each, indices, same


def _gather(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for r, c in indices(out.shape):
        out[r, c] = at(v["table"], (int(v["index"][r]), c))
    return {"dst": out}


def _scatter(v: Values) -> dict[str, Array]:
    out = np.empty(v["table"].shape, object)
    for i in indices(out.shape):
        out[i] = at(v["table"], i)
    for r, c in indices(v["src"].shape):
        out[int(v["index"][r]), c] = at(v["src"], (r, c))
    return {"table": out}


GATHER: Shapes = {"dst": (4, 5), "table": (6, 5), "index": (4,)}
SCATTER: Shapes = {"table": (6, 5), "src": (4, 5), "index": (4,)}

CASES: dict[str, list[Case]] = {
    "dma.load": [Case(BLOCK, each(same, "src"))],
    "dma.store": [Case(BLOCK, each(same, "src"))],
    "dma.copy": [Case(BLOCK, each(same, "src"))],
    "dma.fill": [Case({"dst": (3, 5)}, each(same, "value"), {"value": 2.5}, floats_only=True)],
    "dma.gather": [Case(GATHER, _gather, small_ints={"index": 6})],
    "dma.scatter": [Case(SCATTER, _scatter, small_ints={"index": 6})],
}
