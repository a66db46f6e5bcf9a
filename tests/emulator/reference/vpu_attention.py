"""Masks of attention, one query and one key at a time."""

from __future__ import annotations

import math
from typing import Any

from tests.emulator.reference.fused import OSM, osm
from tests.emulator.reference.plain import Array, Case, Shapes, Values, each


def _window(v: Values) -> dict[str, Array]:
    def visible(r: int, c: int) -> bool:
        query, key = v["qpos"] + r, v["kpos"] + c
        if v["causal"] and key > query:
            return False
        return bool(v["window"] <= 0 or abs(query - key) < v["window"] or key < v["sinks"])

    return osm(v, visible)


# node -> parent: 0 and 2 follow the context
PARENTS = [-1, 0, -1, 1, 1, 2, 0, 4]


def _tree(v: Values) -> dict[str, Array]:
    start, parents = v["start"], [int(p) for p in v["parents"]]

    def path(slot: int) -> list[int]:
        """A slot, and those of the tree that it follows."""
        slots = [slot]
        while slots[-1] >= start and parents[slots[-1] - start] >= 0:
            slots.append(start + parents[slots[-1] - start])
        return slots

    def position(slot: int) -> int:
        return slot if slot < start else start + len(path(slot)) - 1

    def visible(r: int, c: int) -> bool:
        query, key = v["qslot"] + r, v["kslot"] + c
        if key >= start + len(parents):
            return False
        seen = key in path(query) if min(query, key) >= start else key <= query
        return seen and bool(v["window"] <= 0 or position(query) - position(key) < v["window"])

    return osm(v, visible)


def _scalars(**numbers: int) -> dict[str, Any]:
    return {"scale": "f:0.25"} | {n: x if n == "causal" else f"i:{x}" for n, x in numbers.items()}


TREE: Shapes = OSM | {"p": (2, 3, 9), "s": (2, 3, 9), "parents": (8,)}
CASES: dict[str, list[Case]] = {
    "vosm.window": [
        Case(OSM, _window, _scalars(**numbers), ulps=8, slack=1e-6)
        for numbers in (
            {"qpos": 5, "kpos": 3, "window": 2, "sinks": 0, "causal": 1},
            {"qpos": 5, "kpos": 1, "window": 3, "sinks": 2, "causal": 1},
            {"qpos": 2, "kpos": 2, "window": 2, "sinks": 0, "causal": 0},
            {"qpos": 1, "kpos": 0, "window": 0, "sinks": 9, "causal": 1},
            {"qpos": 1, "kpos": 2, "window": 1, "sinks": 9, "causal": 1},
            {"qpos": 9, "kpos": 0, "window": -1, "sinks": 0, "causal": 0},
            {"qpos": 2**62, "kpos": -(2**62), "window": 2**62, "sinks": -(2**63), "causal": 0},
            {"qpos": -(2**63), "kpos": 2**63 - 1, "window": 0, "sinks": 0, "causal": 1},
        )
    ],
    "vosm.tree": [
        Case(TREE, _tree, _scalars(**numbers), ulps=8, slack=1e-6, given={"parents": PARENTS})
        for numbers in (
            {"qslot": 12, "kslot": 8, "start": 10, "window": 0},
            {"qslot": 15, "kslot": 10, "start": 10, "window": 0},
            {"qslot": 15, "kslot": 7, "start": 10, "window": 3},
            {"qslot": 9, "kslot": 6, "start": 10, "window": 2},
            {"qslot": 3, "kslot": 0, "start": 10, "window": 2},
        )
    ],
    "vsoftcap": [
        Case({"dst": (3, 5), "src": (3, 1)}, each(lambda x, cap: cap * math.tanh(x / cap), "src", "cap"), s, ulps=4)
        for s in ({"cap": 2.5}, {"cap": "f:50.0"})
    ],
}
