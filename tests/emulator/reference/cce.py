"""Collectives on one chip, one element at a time."""

from __future__ import annotations

import numpy as np

from tests.emulator.reference.plain import BLOCK, Array, Case, Shapes, Values, at, each, indices, same


def _alltoallv(v: Values) -> dict[str, Array]:
    count = int(v["counts"][0])
    out = np.empty(v["dst"].shape, object)
    for r, c in indices(out.shape):
        out[r, c] = at(v["src"] if r < count else v["dst"], (r, c))
    return {"dst": out, "received": np.array([count], object)}


COPY = each(same, "src")
UNEVEN: Shapes = {"dst": (4, 5), "received": (1,), "src": (3, 5), "counts": (1,)}

# of one chip; tests/isa/test_collectives.py has groups of several
CASES: dict[str, list[Case]] = {
    "cce.allreduce": [Case(BLOCK, COPY)],
    "cce.allreduce.max": [Case(BLOCK, COPY)],
    "cce.reducescatter": [Case(BLOCK, COPY)],
    "cce.allgather": [Case(BLOCK, COPY)],
    "cce.alltoall": [Case(BLOCK, COPY)],
    "cce.alltoallv": [Case(UNEVEN, _alltoallv, given={"counts": [n]}) for n in (0, 2, 3)],
    "cce.broadcast": [Case(BLOCK, COPY, {"root": 0}), Case(BLOCK, COPY, {"root": "i:0"})],
    "cce.permute": [
        Case(BLOCK | {"to": (1,)}, COPY, given={"to": [0]}),
        Case(BLOCK | {"to": (1,)}, each(same, "dst"), given={"to": [-1]}),
    ],
}
