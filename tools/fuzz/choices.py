"""What random programs choose from: how often a row is drawn, which sizes and numbers it can take."""

from __future__ import annotations

import random
from collections.abc import Callable

from sohu.isa import ROWS, Row

FLOATS = ("0.0", "-0.0", "1.0", "-1.5", "0.3", "2.0", "-7.25", "1e-3", "300.0", "3e38", "1e-40", "inf", "-inf", "nan")
INTEGERS = (0, 1, -1, 2, 3, 5, 31, 32, 63, 64, 100, -128, 2**31 - 1, -(2**31))
NUMERIC = {"f32", "bf16", "f16", "i32"}


def weight(row: Row) -> int:
    """How often a row is drawn: as many cells of coverage as it has."""
    if not row.engine.is_async:
        return 0
    choices = sorted((len(k.dtypes) for _, _, k in row.data), reverse=True) or [1]
    converts = len(choices) == 2 and choices[1] > 6  # pairs of dtypes count
    return 85 if converts else choices[0]


def as_they_are(sizes: dict[str, int], rng: random.Random) -> None:
    """No more is asked of the sizes."""


def _at_most(small: str, large: str) -> Callable[[dict[str, int], random.Random], None]:
    def fit(sizes: dict[str, int], rng: random.Random) -> None:
        sizes[large] = max(sizes[large], sizes[small])

    return fit


def _equal(a: str, b: str) -> Callable[[dict[str, int], random.Random], None]:
    def fit(sizes: dict[str, int], rng: random.Random) -> None:
        sizes[a] = sizes[b]

    return fit


def _fit_pages(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["S"], sizes["P"] = max(1, sizes["S"]), max(1, sizes["P"])
    sizes["N"] = -(-sizes["R"] // sizes["S"]) + rng.randrange(2)


def _fit_table(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["V"] = max(1, sizes["V"])


def _fit_tree(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["N"] = max(sizes["N"], sizes["R"])


def _fit_one(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["N"] = 1


def _fit_part(sizes: dict[str, int], rng: random.Random) -> None:
    sizes["D"] = max(sizes["D"], 2 * sizes["H"])


def _some(name: str) -> Callable[[dict[str, int], random.Random], None]:
    def fit(sizes: dict[str, int], rng: random.Random) -> None:
        sizes[name] = max(1, sizes[name])

    return fit


FITTED: dict[str, Callable[[dict[str, int], random.Random], None]] = {
    "vtopk.row": _at_most("K", "C"),
    "vroute": _at_most("K", "E"),
    "vtake.row": _some("C"),
    "vrope.part": _fit_part,
    "vosm.tree": _fit_tree,
    "cce.reducescatter": _equal("M", "R"),
    "cce.allgather": _equal("M", "R"),
    "cce.alltoallv": _fit_one,
    "cce.permute": _fit_one,
    **dict.fromkeys(("dma.gather", "dma.gather.pad", "dma.scatter", "dma.scatter.add"), _fit_table),
    **dict.fromkeys(("dma.gather.pages", "dma.scatter.pages"), _fit_pages),
    **dict.fromkeys(("vmax.row", "vmin.row", "vargmax.row", "vargmin.row"), _some("C")),
    **dict.fromkeys(("vmax.col", "vmin.col"), _some("R")),
}
# rows whose error is bounded for numbers of moderate size
NARROW = {
    r.mnemonic for r in ROWS
    if r.mnemonic.startswith(("mm", "vosm", "vrms", "vln", "vrope", "vswi", "vge", "vroute", "vsum"))
}  # fmt: skip
NUMBERS = {
    "scale": ("1.0", "0.25", "0.125", "-0.5", "3.0"),
    "eps": ("0.0", "1e-5", "0.5"),
    "cap": ("1.0", "2.5", "30.0"),
    "alpha": ("1.0", "1.702"),
    "limit": ("7.0", "2.0", "0.5"),
}
