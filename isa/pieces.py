"""Work on large tiles, cut into pieces: the same pieces for the same shapes, whoever does them.

`run` says where pieces run: one after the other, or on the threads of an executor that has set it. Since shapes alone
say how work is cut, results do not depend on how many threads there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

Task = Callable[[], object]

LARGE = 5 << 15  # elements from which work on a tile is cut
MOST = 8  # pieces


def _in_turn(tasks: Sequence[Task]) -> None:
    """Do them one after the other."""
    for task in tasks:
        task()


run: Callable[[Sequence[Task]], None] = _in_turn  # executors replace it


def cuts(size: int, count: int, step: int) -> Iterator[tuple[int, int]]:
    """About equal pieces of a range, with edges at multiples of `step`."""
    steps = -(-size // step)
    count = min(count, steps)
    edges = [min(steps * i // count * step, size) for i in range(count + 1)]
    return itertools.pairwise(edges)


def in_pieces(semantics: Callable[..., Any], least: int, *operands: Any) -> None:
    """Call semantics for pieces of the first axis of its first operand, an array; of the second axis too, where the
    first is short and the rank is more than `least`.

    Arrays of the same rank are cut alike, unless they broadcast along the axis; those, and arrays of a lower rank, are
    passed whole.
    """
    if not operands[0].size:  # an empty tile beside a large one has no pieces
        semantics(*operands)
        return
    run([partial(semantics, *part) for part in _parts(operands, least, _count(operands))])


def is_large(arrays: Iterable[Any]) -> bool:
    """Whether work on these arrays is cut."""
    return bool(max(a.size for a in arrays) >= LARGE)


def _count(operands: Sequence[Any]) -> int:
    return min(MOST, max(x.size for x in operands if isinstance(x, np.ndarray)) // (LARGE // 2))


def _parts(operands: Sequence[Any], least: int, count: int) -> Iterator[list[Any]]:
    first = operands[0]
    length = first.shape[0]
    full = [isinstance(x, np.ndarray) and x.ndim == first.ndim for x in operands]
    if length < count and first.ndim > least:
        for i in range(length):
            inner = [x[i if x.shape[0] > 1 else 0] if f else x for x, f in zip(operands, full, strict=True)]
            yield from _parts(inner, least, -(-count // length))
        return
    for start, end in cuts(length, count, 1):
        yield [x[start:end] if f and x.shape[0] > 1 else x for x, f in zip(operands, full, strict=True)]
