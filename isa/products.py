"""Matrix products with sums in float32, in panels: the same panels for the same shapes, whoever computes them.

Factors are floats as they are stored (bf16, fp8, ...) or as float32. A large product is cut into panels by its shape
alone, and each is one call of BLAS (isa/pieces.py says where they run). The sums of an element all lie within one
panel, so as long as BLAS itself uses one thread, results do not depend on how many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.isa import pieces
from sohu.isa.numerics import widen
from sohu.isa.pieces import cuts

Array = NDArray[Any]
Floats = NDArray[Any]  # float32
Native = Callable[[Array, Array, Floats, bool], bool]

LARGE = 1 << 19  # multiplications from which a product is cut
PANEL = 1 << 25  # multiplications that a panel has at least, if there are to be more than two
FEW = 8  # rows of a product in float64 for which its factor is not converted as a whole
PIECE = 1 << 17  # elements of it at a time
MOST = 4  # panels: each of them packs the factor that is not cut anew
_STEP = 16  # rows or columns, of which the edges of panels are multiples


# out = a @ b, or out += a @ b (the last argument), of factors as stored; False when it is not made for them.
native: Native | None = None


def multiply(a: Array, b: Array, out: Floats) -> None:
    """out = a @ b, as NumPy's matmul: [..., M, K] @ [..., K, N], leading dimensions broadcast to out's."""
    _product(a, b, out, False)


def accumulate(a: Array, b: Array, out: Floats) -> None:
    """out += a @ b; shapes as in `multiply`."""
    _product(a, b, out, True)


def _product(a: Array, b: Array, out: Floats, add: bool) -> None:
    if out.dtype == np.float64:
        _exactly(a, b, out, add)
        return
    if out.size * a.shape[-1] < LARGE:
        _panel(a, b, out, add)
        return
    if native is None:  # one factor is in every panel: it is made float32 once, the other one panel by panel
        if out.shape[-1] >= out.shape[-2]:
            a = _floats(a)
        else:
            b = _floats(b)
    pieces.run([partial(_panel, *panel, add) for panel in panels(a, b, out)])


def _exactly(a: Array, b: Array, out: NDArray[np.float64], add: bool) -> None:
    """In float64, of factors of any dtype. For few rows a factor is converted a piece at a time, in a cache."""
    if not add:
        out.fill(0)
    if not (a.size and b.size):
        return
    if out.ndim != 2 or out.shape[0] > FEW or a.ndim != 2 or b.ndim != 2 or b.dtype == np.float64:
        pieces.run([partial(_add, *panel) for panel in panels(_doubles(a), _doubles(b), out)])
        return
    a = _doubles(a)
    along = int(b.strides[0] < b.strides[1])  # 1, of a transposed factor: columns are what lies together
    length, step = b.shape[along], max(1, PIECE // max(b.shape[1 - along], 1))
    parts = list(cuts(length, MOST if b.size > MOST * PIECE else 1, step))
    if along:
        pieces.run([partial(_columns, a, b, out, *part, step) for part in parts])
        return
    sums = [np.zeros(out.shape) for _ in parts]
    pieces.run([partial(_rows, a, b, to, *part, step) for to, part in zip(sums, parts, strict=True)])
    for part_sum in sums:
        out += part_sum


def _columns(a: Array, b: Array, out: NDArray[np.float64], start: int, end: int, step: int) -> None:
    for at in range(start, end, step):
        some = slice(at, min(at + step, end))
        out[:, some] += a @ _doubles(b[:, some])


def _rows(a: Array, b: Array, out: NDArray[np.float64], start: int, end: int, step: int) -> None:
    for at in range(start, end, step):
        some = slice(at, min(at + step, end))
        out += a[:, some] @ _doubles(b[some])


def _add(a: Array, b: Array, out: NDArray[np.float64]) -> None:
    out += np.matmul(a, b)


def _doubles(factor: Array) -> NDArray[np.float64]:
    if factor.dtype.itemsize < 4:
        factor = widen(factor)
    return factor.astype(np.float64, copy=False)


def _panel(a: Array, b: Array, out: Floats, add: bool) -> None:
    if native is not None and a.dtype != np.float32 and native(a, b, out, add):
        return
    if add:
        out += np.matmul(_floats(a), _floats(b))
    else:
        np.matmul(_floats(a), _floats(b), out=out)


def _floats(factor: Array) -> Floats:
    return factor if factor.dtype == np.float32 else widen(factor)


def panels(a: Floats, b: Floats, out: Floats) -> Iterator[tuple[Floats, Floats, Floats]]:
    """The pieces of a product.

    Cut along the longest of: the first leading dimension, columns, rows (in that order, where they are equal).
    """
    count = max(2, min(MOST, out.size * a.shape[-1] // PANEL))
    rows, columns = out.shape[-2:]
    if out.ndim > 2 and out.shape[0] >= count:
        for start, end in cuts(out.shape[0], count, 1):
            yield _leading(a, out.ndim, start, end), _leading(b, out.ndim, start, end), out[start:end]
    elif columns >= rows and columns >= 2 * _STEP:
        for start, end in cuts(columns, count, _STEP):
            yield a, b[..., start:end], out[..., start:end]
    elif rows >= 2 * _STEP:
        for start, end in cuts(rows, count, _STEP):
            yield a[..., start:end, :], b, out[..., start:end, :]
    else:
        yield a, b, out


def _leading(array: Floats, ndim: int, start: int, end: int) -> Floats:
    return array if array.ndim < ndim or array.shape[0] == 1 else array[start:end]
