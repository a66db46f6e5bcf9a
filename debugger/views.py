"""Values as text: a tile's dtype, shape and statistics in a line, its elements as NumPy prints them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.debugger.errors import CommandError
from sohu.debugger.values import Value
from sohu.isa import DType, fp4x2
from sohu.isa.numerics import unpack_fp4

SHOWN = 200  # elements beyond which only the edges of a tile are printed
FEW = 8  # integers that need no headline
MAX_SHOWN = 100_000  # with /e
SPARKS = 40  # bins of a histogram in one line
FORMATS = {
    "x": "hexadecimal: the bits, as stored",
    "d": "decimal",
    "f": "the float32 that a scalar's low 32 bits hold",
    "e": "every element",
    "s": "statistics only",
    "h": "with a histogram in one line",
}
_CHUNK = 1 << 20


def check_formats(formats: str) -> None:
    """Raises CommandError for an unknown format."""
    for f in formats:
        if f not in FORMATS:
            known = ", ".join(f"{k} ({v})" for k, v in FORMATS.items())
            raise CommandError(f"no format {f!r}", help=f"there are: {known}")


def render(value: Value, name: str, formats: str, width: int, ascii: bool = False) -> str:
    """A value as `print` shows it; ascii: without block characters. Raises CommandError for an unknown format."""
    check_formats(formats)
    if not isinstance(value.data, np.ndarray):
        return f"{name} = {scalar(value, formats)}"
    data = value.data
    if data.dtype.kind == "U":
        return f"{name} = {data}"
    shown = unpack_fp4(np.atleast_1d(data)) if value.dtype is fp4x2 and "x" not in formats else data
    if data.ndim == 0 and shown is data:
        return f"{name} = {elements(data, formats, width)}  ({value.dtype or data.dtype})"
    if value.dtype is None and data.ndim == 1 and data.size <= FEW and data.dtype.kind in "iu" and not formats:
        return f"{name} = {elements(data, formats, width)}"  # a shape, indices
    kind = str(value.dtype or data.dtype)
    head = f"{name} = {kind}{list(data.shape)}  {statistics(shown)}".rstrip() + _where(value)
    if "h" in formats and data.size:
        from sohu.debugger.charts import histogram, sparkline  # it needs what is above

        head += f"\n{sparkline(histogram(value, SPARKS), ascii)}"
    return head if set(formats) & {"s", "h"} and "e" not in formats else f"{head}\n{elements(shown, formats, width)}"


def _where(value: Value) -> str:
    return "" if value.tile is None else f" in {value.tile.space} at {value.tile.base:#x}"


def scalar(value: Value, formats: str = "") -> str:
    """One number: decimal and, for larger integers, hexadecimal; a float32's bits as the float too."""
    data = value.data
    if isinstance(data, float):
        if "x" in formats:
            return data.hex()
        return repr(data)
    if not isinstance(data, int):
        return str(data)  # a text
    if "x" in formats:
        return hex(data & (1 << 64) - 1) if -(1 << 63) <= data < 1 << 64 else hex(data)
    if "f" in formats or (value.is_float_bits and "d" not in formats):
        return f"{as_float(data)}  ({data & 0xFFFFFFFF:#010x} as f32)"
    return str(data) if "d" in formats or -10 < data < 10 else f"{data}  ({data & (1 << 64) - 1:#x})"


def as_float(bits: int) -> np.float32:
    """The float32 in the low 32 bits of a scalar register."""
    return np.uint32(bits & 0xFFFFFFFF).view(np.float32)


def headline(data: NDArray[Any], dtype: DType | None) -> str:
    """`f32[128, 64]  min -1.5  max 2  mean 0.25`, and how many elements are no numbers."""
    kind = str(dtype) if dtype is not None else str(data.dtype)
    return f"{kind}{list(data.shape)}  {statistics(data)}".rstrip()


def statistics(data: NDArray[Any]) -> str:
    """Minimum, maximum and mean of the finite elements; counts of NaN and infinity where there are any."""
    if data.size == 0:
        return "no elements"
    if data.dtype.kind == "U":
        return ""
    if data.dtype == np.bool_:
        return f"{int(np.count_nonzero(data)):,} of {data.size:,} true"
    low, high, total, count, nans, infs = np.inf, -np.inf, 0.0, 0, 0, 0
    for part in chunks(data):
        x = part.astype(np.float64)
        finite = np.isfinite(x)
        nans += int(np.count_nonzero(np.isnan(x)))
        infs += int(np.count_nonzero(np.isinf(x)))
        x = x[finite]
        if x.size:
            low, high = min(low, float(x.min())), max(high, float(x.max()))
            total += float(x.sum())
            count += x.size
    out = [f"min {low:.6g}  max {high:.6g}  mean {total / count:.6g}"] if count else []
    out += [f"{nans:,} nan"] if nans else []
    out += [f"{infs:,} inf"] if infs else []
    return "  ".join(out)


def chunks(data: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Pieces of at most about _CHUNK elements, so that a large tensor needs no large copy."""
    if data.size <= _CHUNK or data.ndim == 0:
        yield data
        return
    rows = max(1, _CHUNK * data.shape[0] // data.size)
    for i in range(0, data.shape[0], rows):
        part = data[i : i + rows]
        if part.shape[0] == 1 and part.size > _CHUNK:
            yield from chunks(part[0])
        else:
            yield part


def numbers_of(value: Value) -> Iterator[NDArray[np.float64]]:
    """The elements of a tile as float64, in such pieces; packed ones as the numbers they hold."""
    for part in chunks(np.asarray(value.data)):
        yield numbers(Value(part, value.dtype))


def numbers(value: Value) -> NDArray[np.float64]:
    """The elements of a tile as float64, copied; packed ones as the numbers they hold."""
    data = np.asarray(value.data)
    if value.dtype is fp4x2:
        data = unpack_fp4(np.atleast_1d(data))
    if data.dtype.kind in "US":
        raise CommandError("a text holds no numbers")
    return data.astype(np.float64)


def elements(data: NDArray[Any], formats: str, width: int) -> str:
    """The elements, in NumPy's way."""
    every = "e" in formats
    if every and data.size > MAX_SHOWN:
        raise CommandError(f"{data.size:,} elements are too many to print", help="slice it: t[0:4, :]")
    options: dict[str, Any] = {}
    if "x" in formats:
        data = np.ascontiguousarray(data).view(f"u{data.dtype.itemsize}").reshape(data.shape)
        digits = 2 * data.dtype.itemsize
        options["formatter"] = {"int": lambda v: f"0x{int(v):0{digits}x}"}
    elif data.dtype.kind == "V" or (data.dtype.itemsize < 4 and data.dtype.kind not in "iub"):
        data = data.astype(np.float32)  # narrow floats print as short as they are
        options["precision"] = 4
    return np.array2string(
        data, max_line_width=width, threshold=MAX_SHOWN if every else SHOWN, suppress_small=False, **options
    )
