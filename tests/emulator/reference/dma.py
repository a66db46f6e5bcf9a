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


def _scatter_add(v: Values) -> dict[str, Array]:
    out = np.empty(v["table"].shape, object)
    for i in indices(out.shape):
        out[i] = at(v["table"], i)
    for r, c in indices(v["src"].shape):
        if v["index"][r] >= 0:
            out[int(v["index"][r]), c] += at(v["src"], (r, c))
    return {"table": out}


def _gather_pad(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for r, c in indices(out.shape):
        out[r, c] = at(v["table"], (int(v["index"][r]), c)) if v["index"][r] >= 0 else 0
    return {"dst": out}


def _place(v: Values, r: int) -> tuple[int, int]:
    size = v["pool"].shape[1]
    n = v["start"] + r
    return int(v["pages"][n // size]), n % size


def _gather_pages(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for r, c in indices(out.shape):
        out[r, c] = at(v["pool"], (*_place(v, r), c))
    return {"dst": out}


def _scatter_pages(v: Values) -> dict[str, Array]:
    out = np.empty(v["pool"].shape, object)
    for i in indices(out.shape):
        out[i] = at(v["pool"], i)
    for r, c in indices(v["src"].shape):
        out[(*_place(v, r), c)] = at(v["src"], (r, c))
    return {"pool": out}


GATHER: Shapes = {"dst": (4, 5), "table": (6, 5), "index": (4,)}
SCATTER: Shapes = {"table": (6, 5), "src": (4, 5), "index": (4,)}
PAGES: Shapes = {"pool": (6, 3, 5), "pages": (4,)}

CASES: dict[str, list[Case]] = {
    "dma.load": [Case(BLOCK, each(same, "src"))],
    "dma.store": [Case(BLOCK, each(same, "src"))],
    "dma.copy": [Case(BLOCK, each(same, "src"))],
    "dma.fill": [Case({"dst": (3, 5)}, each(same, "value"), {"value": 2.5}, floats_only=True)],
    "dma.gather": [Case(GATHER, _gather, small_ints={"index": 6})],
    "dma.scatter": [Case(SCATTER, _scatter, small_ints={"index": 6})],
    "dma.scatter.add": [
        Case(SCATTER, _scatter_add, slack=1e-5, small_ints={"index": 6}),
        Case(SCATTER, _scatter_add, slack=1e-5, given={"index": [2, -1, 2, 2]}),
        Case(SCATTER, _scatter_add, given={"index": [-1, -5, -(2**31), -1]}),
    ],
    "dma.gather.pad": [
        Case(GATHER, _gather_pad, small_ints={"index": 6}),
        Case(GATHER, _gather_pad, given={"index": [-1, 5, -9, 0]}),
    ],
    "dma.gather.pages": [
        Case(PAGES | {"dst": (7, 5)}, _gather_pages, {"start": f"i:{s}"}, small_ints={"pages": 6}) for s in (0, 2, 5)
    ],
    "dma.scatter.pages": [
        Case(PAGES | {"src": (7, 5)}, _scatter_pages, {"start": f"i:{s}"}, given={"pages": [5, 0, 3, 1]})
        for s in (0, 2, 5)
    ],
}
