"""Cumulative sums, top-k, sorting and picking, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.emulator.reference.plain import ROWWISE, Array, Case, Shapes, Values, at, indices

TOPK: Shapes = {"values": (2, 3, 4), "indices": (2, 3, 4), "src": (2, 3, 9)}
TAKE: Shapes = {"dst": (2, 3, 4), "src": (2, 3, 7), "index": (2, 3, 4)}
SORT: Shapes = dict.fromkeys(("keys", "payload", "src", "src_payload"), (3, 9))


def rows(array: Array) -> Any:
    """Each row as a list of numbers, with its index."""
    for i in indices(array.shape[:-1]):
        yield i, [at(array, (*i, c)) for c in range(array.shape[-1])]


def largest_first(row: list[Any]) -> list[int]:
    """Positions of a row's elements in the order in which they are taken out."""
    left, order = dict(enumerate(row)), []
    while left:
        best = next(iter(left))
        for i, x in left.items():
            if x > left[best]:
                best = i
        order.append(best)
        del left[best]
    return order


def _argmin(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i, row in rows(v["src"]):
        out[(*i, 0)] = largest_first([-x for x in row])[0]
    return {"dst": out}


def _cumsum(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for i, row in rows(v["src"]):
        for c in range(len(row)):
            part = row[:c] if v["exclusive"] else row[: c + 1]
            out[(*i, c)] = math.fsum(part) if isinstance(row[0], float) else sum(part)
    return {"dst": out}


def _topk(v: Values) -> dict[str, Array]:
    values, positions = (np.empty(v[n].shape, object) for n in ("values", "indices"))
    for i, row in rows(v["src"]):
        for k, c in enumerate(largest_first(row)[: values.shape[-1]]):
            values[(*i, k)], positions[(*i, k)] = row[c], c
    return {"values": values, "indices": positions}


def _sort(v: Values) -> dict[str, Array]:
    keys, payload = (np.empty(v[n].shape, object) for n in ("keys", "payload"))
    for i, row in rows(v["src"]):
        order = largest_first(row if v["descending"] else [-x for x in row])
        for c, at_ in enumerate(order):
            keys[(*i, c)] = row[at_]
            payload[(*i, c)] = at(v["src_payload"], (*i, at_))
    return {"keys": keys, "payload": payload}


def _take(v: Values) -> dict[str, Array]:
    out = np.empty(v["dst"].shape, object)
    for *i, k in indices(out.shape):
        out[(*i, k)] = at(v["src"], (*i, int(v["index"][(*i, k)])))
    return {"dst": out}


SAME: Shapes = {"dst": (2, 3, 7), "src": (2, 3, 7)}
CASES: dict[str, list[Case]] = {
    "vargmin.row": [Case(ROWWISE, _argmin), Case(ROWWISE, _argmin, small_ints={"src": 3})],
    "vcumsum.row": [Case(SAME, _cumsum, {"exclusive": e}, slack=1e-5) for e in (0, 1)],
    "vtopk.row": [Case(TOPK, _topk), Case(TOPK, _topk, small_ints={"src": 3})],
    "vsort.row": [Case(SORT, _sort, {"descending": d}, small_ints={"src": 4}) for d in (0, 1)],
    "vtake.row": [
        Case(TAKE, _take, small_ints={"index": 7}),
    ],
}
