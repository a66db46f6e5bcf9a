"""How far two tiles are apart: absolute and relative error, units in the last place, the worst elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from sohu.debugger.errors import CommandError
from sohu.debugger.values import Value
from sohu.debugger.views import numbers
from sohu.isa import dtype_of

_AT_ONCE = 1 << 20  # elements
_F64 = NDArray[np.float64]
_I64 = NDArray[np.int64]


@dataclass(frozen=True)
class Worst:
    """One element: its indices, what it is in each, and how far apart that is; ulps is None where there are none."""

    index: tuple[int, ...]
    a: float
    b: float
    absolute: float
    relative: float
    ulps: int | None


@dataclass(frozen=True)
class Difference:
    """What `compare` finds; b is the reference.

    relative errors are |a - b| / |b|, over elements where b is not zero. Means are over elements that are finite in
    both. beyond: how many have |a - b| > tolerance * max(1, |b|). strange: how many are NaN or infinite in only one of
    the two, or differently; they are beyond every tolerance. ulps: in `unit`, the coarser format of the two (None, ""
    when one holds no floats).
    """

    shape: tuple[int, ...]
    size: int
    different: int
    strange: int
    max_absolute: float
    mean_absolute: float
    max_relative: float
    mean_relative: float
    max_ulps: int | None
    unit: str
    tolerance: float
    beyond: int
    worst: tuple[Worst, ...]


def compare(a: Value, b: Value, *, tolerance: float = 1e-3, worst: int = 5) -> Difference:
    """Compare two tiles element by element; raises CommandError when their shapes differ."""
    x, y = np.asarray(a.data), np.asarray(b.data)
    if a.dtype is not None and a.dtype.numbers > 1:
        x = numbers(a)
    if b.dtype is not None and b.dtype.numbers > 1:
        y = numbers(b)
    for array in (x, y):
        if array.dtype.kind in "UOSc":
            raise CommandError(f"elements of {array.dtype} cannot be compared")
    if x.shape != y.shape:
        hint = ""
        if x.shape == y.shape[::-1]:
            hint = "one is the other transposed: write .T after it"
        elif x.size == y.size:
            hint = "they have equally many elements"
        raise CommandError(f"shapes differ: {list(x.shape)} and {list(y.shape)}", help=hint or "compare slices")
    unit = _unit(a, b)
    return _Sum(x, y, unit, tolerance, worst).result()


class _Sum:
    """Goes through two arrays in pieces."""

    def __init__(self, x: NDArray[Any], y: NDArray[Any], unit: np.dtype[Any] | None, tol: float, worst: int) -> None:
        self.shape, self.size, self.unit, self.tolerance, self.wanted = x.shape, x.size, unit, tol, worst
        self.different = self.strange = self.beyond = 0
        self.counted = self.related = 0
        self.absolute = self.relative = 0.0  # sums
        self.max_absolute = self.max_relative = 0.0
        self.max_ulps = 0
        self.found: list[Worst] = []
        with np.errstate(all="ignore"):
            self.walk(x.reshape(1) if x.ndim == 0 else x, y.reshape(1) if y.ndim == 0 else y, ())

    def walk(self, x: NDArray[Any], y: NDArray[Any], at: tuple[int, ...]) -> None:
        if x.size > _AT_ONCE and x.ndim > 1 and x.size > x.shape[0] and x.size // x.shape[0] > _AT_ONCE:
            for i in range(x.shape[0]):
                self.walk(x[i], y[i], (*at, i))
            return
        rows = max(1, _AT_ONCE * x.shape[0] // x.size) if x.size else 1
        for i in range(0, x.shape[0], rows):
            self.add(x[i : i + rows].astype(np.float64), y[i : i + rows].astype(np.float64), at, i)

    def add(self, x: _F64, y: _F64, at: tuple[int, ...], first: int) -> None:
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        finite = np.isfinite(x) & np.isfinite(y)
        strange = ~same & ~finite
        error = np.where(same, 0.0, np.abs(x - y))
        error[strange] = np.inf
        size = np.abs(y)
        ratio = np.where(same, 0.0, error / size)
        self.different += int(np.count_nonzero(~same))
        self.strange += int(np.count_nonzero(strange))
        self.beyond += int(np.count_nonzero(strange | (finite & (error > self.tolerance * np.maximum(1, size)))))
        if (count := int(np.count_nonzero(finite))) != 0:
            self.counted += count
            self.absolute += float(error[finite].sum())
            self.max_absolute = max(self.max_absolute, float(error[finite].max()))
        related = finite & (size > 0)
        if (count := int(np.count_nonzero(related))) != 0:
            self.related += count
            self.relative += float(ratio[related].sum())
            self.max_relative = max(self.max_relative, float(ratio[related].max()))
        ulps = None
        if self.unit is not None:
            ulps = np.abs(_ordinal(x, self.unit) - _ordinal(y, self.unit))
            ulps[~finite | same] = 0
            self.max_ulps = max(self.max_ulps, int(ulps.max(initial=0)))
        self.keep(x, y, error, ratio, ulps, at, first)

    def keep(
        self,
        x: _F64,
        y: _F64,
        error: _F64,
        ratio: _F64,
        ulps: NDArray[np.int64] | None,
        at: tuple[int, ...],
        first: int,
    ) -> None:
        flat = error.reshape(-1)
        count = min(self.wanted, int(np.count_nonzero(flat)))
        if not count:
            return
        chosen = np.argpartition(flat, flat.size - count)[flat.size - count :]
        for k in chosen.tolist():
            inner = tuple(int(i) for i in np.unravel_index(k, error.shape))
            index = (*at, first + inner[0], *inner[1:]) if self.shape else ()
            ulp = None if ulps is None or not np.isfinite(error[inner]) else int(ulps[inner])
            self.found.append(
                Worst(index, float(x[inner]), float(y[inner]), float(error[inner]), float(ratio[inner]), ulp)
            )
        self.found.sort(key=lambda w: (-w.absolute, w.index))
        del self.found[self.wanted :]

    def result(self) -> Difference:
        return Difference(
            self.shape,
            self.size,
            self.different,
            self.strange,
            self.max_absolute,
            self.absolute / self.counted if self.counted else 0.0,
            self.max_relative,
            self.relative / self.related if self.related else 0.0,
            None if self.unit is None else self.max_ulps,
            "" if self.unit is None else str(dtype_of(self.unit) or self.unit),
            self.tolerance,
            self.beyond,
            tuple(self.found),
        )


def _unit(a: Value, b: Value) -> np.dtype[Any] | None:
    """The coarser of two float formats; computed values count as what NumPy computed them in."""
    found: list[tuple[int, np.dtype[Any]]] = []
    finfo: Any = ml_dtypes.finfo  # untyped
    for value in (a, b):
        stored = value.dtype.np if value.dtype is not None else np.asarray(value.data).dtype
        if value.dtype is not None and not value.dtype.is_float:
            return None
        if stored.kind in "iub" or stored.itemsize > 8:
            return None
        try:
            info = finfo(stored)
        except (ValueError, TypeError, KeyError):
            return None
        if float(info.min) >= 0:  # powers of two have no units in the last place
            return None
        found.append((int(info.nmant), stored))
    return min(found, key=lambda f: f[0])[1]


def _ordinal(x: _F64, unit: np.dtype[Any]) -> _I64:
    """The place of each number among all those of a format, zero for zero."""
    size = unit.itemsize
    bits = x.astype(unit).view(f"u{size}")
    if size == 8:
        signed = bits.view(np.int64)
        return np.where(signed < 0, -(signed & np.int64((1 << 63) - 1)), signed)
    sign = 1 << (8 * size - 1)
    wide = bits.astype(np.int64)
    return np.where(wide & sign, -(wide & (sign - 1)), wide)
