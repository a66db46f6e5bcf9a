"""Tiles as pictures of characters: histograms and heat maps. Computed in pieces, so that large tensors need no copy."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from sohu.debugger.errors import CommandError
from sohu.debugger.values import Value
from sohu.debugger.views import numbers, numbers_of
from sohu.isa import DType

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS, ASCII_LEVELS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
SHADES = " .:-=+*#%@"
RAMP = (17, 18, 54, 90, 126, 162, 198, 203, 209, 215, 221, 227, 230)  # of 256 colours, dark to light
NAN, INF = "N", "I"
MAX_BINS = 200
MAX_COLUMNS = 1 << 26
_AT_ONCE = 1 << 20  # elements
_F64 = NDArray[np.float64]


def plain(stream: TextIO) -> bool:
    """True where block characters cannot be relied on: a dumb terminal, the C locale, no UTF-8."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "")
    locale = next((v for name in ("LC_ALL", "LC_CTYPE", "LANG") if (v := os.environ.get(name))), "")
    return encoding != "utf8" or locale in ("C", "POSIX") or (stream.isatty() and os.environ.get("TERM") == "dumb")


# -- what a format can hold ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """What a number format holds: its largest number and, of floats, the smallest normal and the smallest at all."""

    name: str
    largest: float
    normal: float = 0.0
    smallest: float = 0.0
    lowest: float = 0.0


def range_of(dtype: DType | None, stored: np.dtype[Any]) -> Range | None:
    """The range of a chip's dtype, or of NumPy's; None where that says nothing."""
    name, np_dtype = (dtype.name, dtype.np) if dtype is not None else (str(stored), stored)
    if dtype is not None and dtype.numbers > 1:
        np_dtype = np.dtype(ml_dtypes.float4_e2m1fn)
    if np_dtype.kind in "iu":
        info = np.iinfo(np_dtype)
        return Range(name, float(info.max), lowest=float(info.min))
    if np_dtype.kind == "b":
        return None
    finfo: Any = ml_dtypes.finfo  # untyped
    try:
        limits = finfo(np_dtype)
    except (ValueError, TypeError, KeyError):
        return None
    smallest = float(limits.smallest_subnormal) if float(limits.min) < 0 else float(limits.smallest_normal)
    return Range(name, float(limits.max), float(limits.smallest_normal), smallest, float(limits.min))


# -- histograms ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Histogram:
    """How many elements lie where. edges: one more than counts; with `log`, of magnitudes, zero left out.

    subnormal, largest, beyond, lost: of the format `range`, if there is one: how many are below its normal numbers, at
    its largest number, too large for it, and so small that they become zero in it.
    """

    edges: _F64
    counts: NDArray[np.int64]
    log: bool
    size: int
    zeros: int
    nans: int
    infs: int
    range: Range | None
    subnormal: int = 0
    largest: int = 0
    beyond: int = 0
    lost: int = 0


def histogram(value: Value, bins: int, *, log: bool = False, dtype: DType | None = None) -> Histogram:
    """Count the elements of a tile; `dtype`: of which format's range, by default its own.

    Raises CommandError for what has no elements, and for a number of bins that cannot be shown.
    """
    if not 1 <= bins <= MAX_BINS:
        raise CommandError(f"{bins} bins cannot be shown", help=f"1 to {MAX_BINS}")
    if not isinstance(value.data, np.ndarray) or value.data.size == 0:
        raise CommandError("a histogram is one of the elements of a tile", help="hist t")
    found = range_of(dtype or value.dtype, value.data.dtype)
    nans = infs = zeros = size = subnormal = largest = beyond = lost = 0
    low, high = math.inf, -math.inf
    for x in numbers_of(value):
        finite = x[np.isfinite(x)]
        size += x.size
        nans += int(np.count_nonzero(np.isnan(x)))
        zeros += int(np.count_nonzero(finite == 0))
        magnitude = np.abs(finite)
        if found is not None:
            tiny = (magnitude < found.normal) & (magnitude > 0)
            gone = tiny & (magnitude <= found.smallest / 2)  # half of it rounds to zero
            subnormal += int(np.count_nonzero(tiny & ~gone))
            lost += int(np.count_nonzero(gone))
            largest += int(np.count_nonzero((finite == found.largest) | (finite == found.lowest)))
            beyond += int(np.count_nonzero((finite > found.largest) | (finite < found.lowest)))
        infs += x.size - finite.size
        if log:
            finite = magnitude[magnitude > 0]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    edges = _edges(low, high, bins, log)
    counts = np.zeros(max(len(edges) - 1, 0), np.int64)
    for x in numbers_of(value) if len(counts) else ():
        part = x[np.isfinite(x)]
        part = np.abs(part[part != 0]) if log else part
        counts += np.histogram(part, edges)[0]
    return Histogram(edges, counts, log, size, zeros, nans, infs - nans, found, subnormal, largest, beyond, lost)


def _edges(low: float, high: float, bins: int, log: bool) -> _F64:
    """The edges of bins; of powers of two for `log`, so many of them a bin that there are at most `bins`."""
    if low > high:
        return np.zeros(0)
    if not log:
        if low == high:
            room = abs(low) * 1e-3 or 1.0
            return np.array([low - room, high + room])
        return _spread(low, high, bins)
    first, last = math.frexp(low)[1] - 1, math.frexp(high)[1]
    step = max(1, -(-(last - first) // bins))
    exponents = np.arange(first, last + step, step)
    edges: _F64 = np.ldexp(1.0, exponents.clip(-1074, 1023))
    edges[-1] = max(edges[-1], high)  # 2**1024 is no float64
    return edges


def _spread(low: float, high: float, bins: int) -> _F64:
    """Equal bins from low to high, also where their distance is no float64."""
    part = np.linspace(0, 1, bins + 1)
    edges: _F64 = low * (1 - part) + high * part
    edges[0], edges[-1] = low, high
    return edges


def render_histogram(h: Histogram, width: int, ascii: bool) -> list[str]:
    """A line for each bin, and what is not in them."""
    labels = [f"{_number(a)} .. {_number(b)}" for a, b in itertools.pairwise(h.edges)]
    if h.log:
        powers = [f"2^{round(math.log2(e))}" for e in h.edges[:-1].tolist()]
        last = h.edges[-1].item()
        powers.append(f"2^{round(math.log2(last))}" if math.frexp(last)[0] == 0.5 else _number(last))
        labels = [f"{a} .. {b}" for a, b in itertools.pairwise(powers)]
    wide = max((len(label) for label in labels), default=0)
    count_width = max((len(f"{n:,}") for n in h.counts), default=1)
    room = max(10, min(width, 120) - wide - count_width - 6 - (24 if h.log else 0))
    most = int(h.counts.max()) if len(h.counts) else 0
    out = []
    for i, (label, n) in enumerate(zip(labels, h.counts.tolist(), strict=True)):
        mark = _marks(h, i)
        bar = _bar(n / most if most else 0.0, room, ascii)
        out.append(f"  {label:>{wide}} |{bar:<{room}} {n:>{count_width},}{mark}".rstrip())
    parts = [f"{h.size:,} elements", f"zero {h.zeros:,}", f"nan {h.nans:,}", f"inf {h.infs:,}"]
    if (r := h.range) is not None and r.normal:
        parts.insert(2, f"subnormal {h.subnormal:,}")
    out.append("  " + "   ".join(parts))
    if r is not None:
        says = f"  {r.name} holds up to {_number(r.largest)}" + (
            f", normal from {_number(r.normal)}" if r.normal else ""
        )
        says += f"; at the limit {h.largest:,}" if h.largest else ""
        says += f"; beyond it {h.beyond:,}" if h.beyond else ""
        says += f"; too small for it {h.lost:,}" if h.lost else ""
        out.append(says)
    return out


def _marks(h: Histogram, i: int) -> str:
    """Where the format's limits lie among bins of magnitudes."""
    if not h.log or h.range is None:
        return ""
    low, high = h.edges[i], h.edges[i + 1]
    names = (("smallest", h.range.smallest), ("normal from here", h.range.normal), ("largest", h.range.largest))
    here = [name for name, at in names if at and low <= at < high]
    return f"  < {', '.join(here)} {h.range.name}" if here else ""


def _bar(part: float, room: int, ascii: bool) -> str:
    """A bar of a length; something that is there shows."""
    if part <= 0:
        return ""
    if ascii:
        return "#" * max(1, round(part * room))
    eighths = max(1, round(part * room * 8))
    return "█" * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")


def sparkline(h: Histogram, ascii: bool) -> str:
    """A histogram in one line: `-1.5 ▁▂▅█▃▁ 2`."""
    if not len(h.counts):
        return "no finite elements"
    levels = ASCII_LEVELS if ascii else LEVELS
    most = int(h.counts.max())
    bars = "".join(" " if not n else levels[max(0, math.ceil(n / most * 8) - 1)] for n in h.counts.tolist())
    return f"{_number(h.edges[0])} |{bars}| {_number(h.edges[-1])}"


def _number(x: float) -> str:
    return f"{x:.4g}"


# -- heat maps -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heat:
    """A tile seen from afar: of each cell what `of` says ("mean" or "largest magnitude"), and what is no number there.

    cells: NaN where a cell has no finite element. rows, columns: where cells begin, and the end.
    """

    cells: _F64
    nan: NDArray[np.bool_]
    inf: NDArray[np.bool_]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    of: str


def heat(value: Value, height: int, width: int, *, magnitude: bool = False) -> Heat:
    """Divide a tile of one or two dimensions into at most height x width cells; raises CommandError for others."""
    data = value.data
    if not isinstance(data, np.ndarray) or data.size == 0:
        raise CommandError("a heat map is one of the elements of a tile", help="heat t")
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    if data.ndim > 2:
        index = ", ".join("0" * (data.ndim - 2))
        raise CommandError(f"a heat map has two dimensions, this has {data.ndim}", help=f"slice it: [{index}]")
    data = data.reshape(1, -1) if data.ndim < 2 else data
    if data.shape[1] > MAX_COLUMNS:
        raise CommandError(f"rows of {data.shape[1]:,} elements are too long for a heat map", help="slice it")
    packed = value.dtype is not None and value.dtype.numbers > 1
    count = data.shape[1] * (2 if packed else 1)
    rows, columns = _cuts(data.shape[0], height), _cuts(count, width)
    shape = len(rows) - 1, len(columns) - 1
    total, number = np.zeros(shape), np.zeros(shape, np.int64)
    nan, inf = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    at = columns[:-1]
    for i in range(shape[0]):
        step = max(1, _AT_ONCE // data.shape[1])
        for first in range(rows[i], rows[i + 1], step):
            x = numbers(Value(data[first : min(first + step, rows[i + 1])], value.dtype))
            finite = np.isfinite(x)
            nan[i] |= np.logical_or.reduceat(np.isnan(x), at, axis=1).any(axis=0)
            inf[i] |= np.logical_or.reduceat(np.isinf(x), at, axis=1).any(axis=0)
            clean = np.where(finite, np.abs(x) if magnitude else x, 0.0)
            number[i] += np.add.reduceat(finite, at, axis=1, dtype=np.int64).sum(axis=0)
            if magnitude:
                total[i] = np.maximum(total[i], np.maximum.reduceat(clean, at, axis=1).max(axis=0))
            else:
                total[i] += np.add.reduceat(clean, at, axis=1).sum(axis=0)
    with np.errstate(all="ignore"):
        cells = np.where(number > 0, total if magnitude else total / number, np.nan)
    return Heat(cells, nan, inf, rows, columns, "largest magnitude" if magnitude else "mean")


def _cuts(size: int, most: int) -> NDArray[np.int64]:
    """Where at most `most` nearly equal parts begin, and the end."""
    parts = max(1, min(size, most))
    return np.arange(parts + 1, dtype=np.int64) * size // parts


def render_heat(h: Heat, colour: bool) -> list[str]:
    """A line for each row of cells, with the rows of the tile it stands for; columns and the scale below."""
    finite = h.cells[np.isfinite(h.cells)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    last = int(h.rows[-1]) - 1
    label = max(len(_span(int(a), int(b))) for a, b in zip(h.rows[:-1], h.rows[1:], strict=True))
    label = max(label, len(str(last)))
    out = []
    for i in range(h.cells.shape[0]):
        cells = [_cell(h, i, j, low, high, colour) for j in range(h.cells.shape[1])]
        out.append(f"{_span(int(h.rows[i]), int(h.rows[i + 1])):>{label}} |{_joined(cells, colour)}|")
    each = int(h.columns[-1]) / h.cells.shape[1]
    out.append(f"{'':>{label}}  columns 0..{int(h.columns[-1]) - 1}, {each:.3g} a cell; {h.of} of a cell")
    if finite.size:
        steps = RAMP if colour else SHADES
        scale = [_shade(k, colour) for k in range(len(steps))]
        out.append(f"{'':>{label}}  {_number(low)} {_joined(scale, colour)} {_number(high)}{_legend(h)}")
    else:
        out.append(f"{'':>{label}}  no finite elements{_legend(h)}")
    return out


def _legend(h: Heat) -> str:
    """How many cells hold what is no number."""
    nans, infs = int(h.nan.sum()), int((h.inf & ~h.nan).sum())
    out = f"   {NAN} nan in {nans:,} cell{'s' * (nans != 1)}" if nans else ""
    return out + (f"   {INF} inf in {infs:,} cell{'s' * (infs != 1)}" if infs else "")


def _span(a: int, b: int) -> str:
    return str(a) if b == a + 1 else f"{a}..{b - 1}"


def _cell(h: Heat, i: int, j: int, low: float, high: float, colour: bool) -> tuple[str, str]:
    """The colour codes and the character of a cell."""
    if h.nan[i, j] or h.inf[i, j]:
        return ("1;97;41" if colour else "", NAN if h.nan[i, j] else INF)
    part = 0.0 if high == low else (h.cells[i, j] / 2 - low / 2) / (high / 2 - low / 2)
    steps = len(RAMP) if colour else len(SHADES)
    return _shade(min(steps - 1, int(part * steps)), colour)


def _shade(step: int, colour: bool) -> tuple[str, str]:
    return (f"48;5;{RAMP[step]}", " ") if colour else ("", SHADES[step])


def _joined(cells: Sequence[tuple[str, str]], colour: bool) -> str:
    """Cells side by side; those of one colour share its codes."""
    if not colour:
        return "".join(c for _, c in cells)
    return "".join(f"\x1b[{codes}m{text}\x1b[0m" for codes, text in _runs(cells))


def _runs(cells: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    codes, text = cells[0][0], ""
    for code, c in cells:
        if code != codes:
            yield codes, text
            codes, text = code, ""
        text += c
    yield codes, text
