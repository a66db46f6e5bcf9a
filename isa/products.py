"""Matrix products in float32, in panels: the same panels for the same shapes, whoever computes them.

A large product is cut into panels by its shape alone. Each panel is one call of BLAS; `run` says where they run: one
after the other, or on the threads of an executor that has set it. The sums of an element all lie within one panel, so
as long as BLAS itself uses one thread, results do not depend on how many threads there are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]  # float32
Task = Callable[[], object]

LARGE = 1 << 19  # multiplications from which a product is cut
PANEL = 1 << 20  # multiplications that a panel has at least, if there are to be more than two
MOST = 8  # panels
_STEP = 16  # rows or columns, of which the edges of panels are multiples


def _in_turn(tasks: Sequence[Task]) -> None:
    for task in tasks:
        task()


run: Callable[[Sequence[Task]], None] = _in_turn  # executors replace it


def multiply(a: Floats, b: Floats, out: Floats) -> None:
    """out = a @ b, as NumPy's matmul: [..., M, K] @ [..., K, N], leading dimensions broadcast to out's."""
    tasks = [_multiplied(*panel) for panel in panels(a, b, out)]
    if len(tasks) == 1:
        tasks[0]()
    else:
        run(tasks)


def accumulate(a: Floats, b: Floats, out: Floats) -> None:
    """out += a @ b; shapes as in `multiply`."""
    tasks = [_accumulated(*panel) for panel in panels(a, b, out)]
    if len(tasks) == 1:
        tasks[0]()
    else:
        run(tasks)


def _multiplied(a: Floats, b: Floats, out: Floats) -> Task:
    return lambda: np.matmul(a, b, out=out)


def _accumulated(a: Floats, b: Floats, out: Floats) -> Task:
    return lambda: np.add(out, np.matmul(a, b), out=out)


def panels(a: Floats, b: Floats, out: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
    """The pieces of a product; one for a small product.

    Cut along the longest of: the first leading dimension, columns, rows (in that order, where they are equal).
    """
    work = out.size * a.shape[-1]
    if work < LARGE:
        yield a, b, out
        return
    count = max(2, min(MOST, work // PANEL))
    rows, columns = out.shape[-2:]
    if out.ndim > 2 and out.shape[0] >= count:
        for start, end in _cuts(out.shape[0], count, 1):
            yield _leading(a, out.ndim, start, end), _leading(b, out.ndim, start, end), out[start:end]
    elif columns >= rows and columns >= 2 * _STEP:
        for start, end in _cuts(columns, count, _STEP):
            yield a, b[..., start:end], out[..., start:end]
    elif rows >= 2 * _STEP:
        for start, end in _cuts(rows, count, _STEP):
            yield a[..., start:end, :], b, out[..., start:end, :]
    else:
        yield a, b, out


def _leading(array: Floats, ndim: int, start: int, end: int) -> Floats:
    return array if array.ndim < ndim or array.shape[0] == 1 else array[start:end]


def _cuts(size: int, count: int, step: int) -> Iterator[tuple[int, int]]:
    """About equal pieces of a range, with edges at multiples of `step`."""
    steps = -(-size // step)
    count = min(count, steps)
    edges = [min(steps * i // count * step, size) for i in range(count + 1)]
    return itertools.pairwise(edges)
