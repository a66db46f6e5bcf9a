"""What expressions can compute: arithmetic whose cost is bounded before it begins, and a fixed list of functions.

Nothing here is found by its name in Python: what is not in FUNCTIONS or ATTRIBUTES does not exist for expressions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.debugger.errors import CommandError
from sohu.debugger.values import Value
from sohu.isa import DTYPES, DType, fp4x2
from sohu.isa.numerics import convert, unpack_fp4

MAX_BITS = 4096  # of an integer result: no expression can eat the host
MAX_ELEMENTS = 1 << 28  # of anything that is computed: 1 GiB as float32
MAX_PRODUCT = 1 << 36  # multiplications of one matrix product, some seconds
_SLICE = "slice it first: t[0:64, :]"


def operand(value: Value) -> Any:
    """What arithmetic sees: narrow floats as float32, as the chip computes; integers with room to spare.

    Raises CommandError for more elements than are copied at once.
    """
    data = value.data
    if isinstance(data, np.ndarray):
        within(data.shape)
        if value.dtype is fp4x2:
            return unpack_fp4(np.atleast_1d(data))
        if value.dtype is not None and value.dtype.is_float:
            return data.astype(np.float32)
        return data.astype(np.int64) if data.dtype.kind in "iu" else data
    if isinstance(data, int) and value.is_float_bits:
        return float(np.uint32(data & 0xFFFFFFFF).view(np.float32))
    return data


def computed(data: Any) -> Value:
    """The value of a result; raises CommandError for an integer that is too large."""
    if isinstance(data, (bool, np.bool_)):
        return Value(int(data))
    if isinstance(data, int):
        if data.bit_length() > MAX_BITS:
            raise CommandError(f"this number has more than {MAX_BITS} bits")
        return Value(data)
    if isinstance(data, np.generic):
        # a float32 prints shorter than the float64 that is equal to it
        return Value(np.asarray(data)) if data.dtype == np.float32 else Value(data.item())
    if isinstance(data, float):
        return Value(data)
    assert isinstance(data, np.ndarray)
    return Value(data)


def within(*shapes: Sequence[int]) -> None:
    """Raises CommandError when shapes do not go together, or have too many elements when they do."""
    try:
        count = prod(np.broadcast_shapes(*map(tuple, shapes)))
    except ValueError:
        names = " and ".join(str(list(s)) for s in shapes)
        raise CommandError(f"shapes {names} do not go together") from None
    if count > MAX_ELEMENTS:
        raise CommandError(f"{count:,} elements are too many to compute with", help=_SLICE)


# -- operators -----------------------------------------------------------------------------------------


def _elementwise(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        within(np.shape(a), np.shape(b))
        return f(a, b)

    return apply


def counted(a: Any) -> Any:
    """What arithmetic sees of truth: 0 and 1."""
    return a.astype(np.int64) if isinstance(a, np.ndarray) and a.dtype == np.bool_ else a


def _arithmetic(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def apply(a: Any, b: Any) -> Any:
        within(np.shape(a), np.shape(b))
        return f(counted(a), counted(b))

    return apply


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


def power(a: Any, b: Any) -> Any:
    """`a ** b`; raises CommandError for an integer that is too large, before it is computed."""
    if isinstance(a, int) and isinstance(b, int) and b >= 0 and _bits(a) * b > MAX_BITS:
        raise CommandError(f"this number has more than {MAX_BITS} bits")
    within(np.shape(a), np.shape(b))
    result = counted(a) ** counted(b)
    if isinstance(result, complex):
        raise CommandError("a negative number has no real power that is no integer")
    return result


def _shift(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int) and _bits(a) + b > MAX_BITS:
        raise CommandError(f"this number has more than {MAX_BITS} bits")
    within(np.shape(a), np.shape(b))
    return counted(a) << counted(b)


def _product(a: Any, b: Any) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        raise CommandError("@ multiplies matrices", help="* multiplies numbers")
    last, shape = np.shape(a)[-1], np.shape(b)
    columns = shape[-1] if len(shape) > 1 else 1
    rows = prod(np.shape(a)[:-1])
    if prod(shape[:-2]) * rows * columns * last > MAX_PRODUCT or rows * columns * prod(shape[:-2]) > MAX_ELEMENTS:
        raise CommandError("these matrices are too large to be multiplied here", help=_SLICE)
    return counted(a) @ counted(b)


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    op: _elementwise(f)
    for op, f in {
        "==": operator.eq, "!=": operator.ne, "<": operator.lt,
        "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    }.items()
}  # fmt: skip

# Loosest first, as Python has it.
LEVELS: tuple[dict[str, Callable[[Any, Any], Any]], ...] = (
    {"|": _elementwise(operator.or_)},
    {"^": _elementwise(operator.xor)},
    {"&": _elementwise(operator.and_)},
    {"<<": _shift, ">>": _arithmetic(operator.rshift)},
    {"+": _arithmetic(operator.add), "-": _arithmetic(operator.sub)},
    {
        "*": _arithmetic(operator.mul), "/": _arithmetic(operator.truediv),
        "//": _arithmetic(operator.floordiv), "%": _arithmetic(operator.mod), "@": _product,
    },
)  # fmt: skip


def invert(a: Any) -> Any:
    """`~a`, of integers and of truth."""
    return np.logical_not(a) if isinstance(a, np.ndarray) and a.dtype == np.bool_ else ~a


def truth(data: Any) -> bool:
    """Whether a condition holds; raises CommandError for elements that need not agree."""
    if isinstance(data, np.ndarray) and data.size != 1:
        raise CommandError(
            f"a condition of {data.size:,} elements is neither true nor false", help="say any(...) or all(...)"
        )
    return bool(data)


def both(a: Any, b: Any) -> Any:
    """`a and b`, element by element."""
    within(np.shape(a), np.shape(b))
    return np.logical_and(a, b)


def either(a: Any, b: Any) -> Any:
    """`a or b`, element by element."""
    within(np.shape(a), np.shape(b))
    return np.logical_or(a, b)


# -- functions -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Function:
    """One function: how it is written, what it gives, and what computes it.

    run: takes values; arguments that are named are numbers. counts: how many positional arguments it takes.
    """

    usage: str
    doc: str
    run: Callable[..., Any]
    counts: range
    named: tuple[str, ...] = ()


FUNCTIONS: dict[str, Function] = {}


def _define(usage: str, doc: str, run: Callable[..., Any], least: int, most: int, named: tuple[str, ...] = ()) -> None:
    FUNCTIONS[usage.partition("(")[0]] = Function(usage, doc, run, range(least, most + 1), named)


def _axis(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, int):
        raise CommandError("an axis is an integer", help="max(t, 1): along the rows")
    return value


def _reduce(f: Callable[..., Any], wide: bool = False) -> Callable[..., Any]:
    def run(t: Value, axis: Value | None = None, keepdims: Value | None = None) -> Any:
        data = np.asarray(operand(t))
        options: dict[str, Any] = {"axis": _axis(axis.data if axis is not None else None)}
        if keepdims is not None:
            options["keepdims"] = bool(keepdims.data)
        if wide and data.dtype.kind == "f":
            options["dtype"] = np.float64
        return f(data, **options)

    return run


def _place(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(t: Value, axis: Value | None = None) -> Any:
        data = np.asarray(operand(t))
        at = f(data, axis=_axis(axis.data if axis is not None else None))
        if axis is not None or data.ndim < 2:
            return at
        return np.array(np.unravel_index(at, data.shape))

    return run


def _each(f: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda t: f(counted(operand(t)))


def _float(f: Callable[[Any], Any]) -> Callable[..., Any]:
    def run(t: Value) -> Any:
        data = operand(t)
        return f(float(data) if isinstance(data, int) else counted(data))

    return run


def _norm(t: Value, axis: Value | None = None) -> Any:
    data = np.asarray(operand(t)).astype(np.float64)
    return np.sqrt(np.sum(data * data, axis=_axis(axis.data if axis is not None else None)))


def _round(t: Value, digits: Value | None = None) -> Any:
    places = 0 if digits is None else digits.data
    if not isinstance(places, int) or abs(places) > 30:
        raise CommandError("round(x, digits): how many digits is a small integer")
    return np.round(counted(operand(t)), places)


def _where(condition: Value, *others: Value) -> Any:
    test = np.asarray(operand(condition))
    if not others:
        return np.argwhere(test)
    if len(others) != 2:
        raise CommandError("where wants one argument, or three", help="where(t > 0, t, 0)")
    a, b = map(operand, others)
    within(test.shape, np.shape(a), np.shape(b))
    return np.where(test, a, b)


def _near(a: Value, b: Value, tol: Value | None = None) -> Any:
    x, y = (np.asarray(operand(v), np.float64) for v in (a, b))
    within(x.shape, y.shape)
    limit = 1e-6 if tol is None else float(operand(tol))
    return np.all((x == y) | (np.abs(x - y) <= limit * np.maximum(1, np.abs(y))))


def _shape(t: Value) -> Any:
    return np.array(np.shape(t.data), np.int64)


def _dtype(t: Value) -> Any:
    if t.dtype is not None:
        return np.array(t.dtype.name)
    return np.array(str(t.data.dtype) if isinstance(t.data, np.ndarray) else type(t.data).__name__)


def _transposed(t: Value) -> Any:
    return t.data.T if isinstance(t.data, np.ndarray) else t.data


def _cast(dtype: DType) -> Callable[..., Any]:
    def run(t: Value) -> Any:
        return convert(np.atleast_1d(np.asarray(operand(t))), dtype.np, saturate=False).reshape(np.shape(t.data))

    return run


_REDUCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "max": (np.max, "the largest element (NaN if there is one)"),
    "min": (np.min, "the smallest element (NaN if there is one)"),
    "any": (np.any, "1 if one is true"),
    "all": (np.all, "1 if each is true"),
    "count_nonzero": (np.count_nonzero, "how many are not zero, or true"),
}
_MAPS: dict[str, tuple[Callable[..., Any], str]] = {
    "isnan": (np.isnan, "1 where it is NaN"),
    "isinf": (np.isinf, "1 where it is infinite"),
    "isfinite": (np.isfinite, "1 where it is neither"),
    "exp": (np.exp, "e to the power of it"),
    "log": (np.log, "the natural logarithm"),
    "sqrt": (np.sqrt, "the square root"),
    "floor": (np.floor, "the next integer below"),
}
for _name, (_f, _doc) in _REDUCTIONS.items():
    _define(f"{_name}(t, axis)", _doc, _reduce(_f), 1, 2, ("axis", "keepdims"))
for _name, (_f, _doc) in _MAPS.items():
    _define(f"{_name}(t)", _doc, _float(_f), 1, 1)
_define("sum(t, axis)", "the sum, in float64", _reduce(np.sum, wide=True), 1, 2, ("axis", "keepdims"))
_define("mean(t, axis)", "the mean, in float64", _reduce(np.mean, wide=True), 1, 2, ("axis", "keepdims"))
_define("norm(t, axis)", "the root of the sum of squares, in float64", _norm, 1, 2, ("axis",))
_define("argmax(t, axis)", "the indices of the largest element", _place(np.argmax), 1, 2, ("axis",))
_define("argmin(t, axis)", "the indices of the smallest element", _place(np.argmin), 1, 2, ("axis",))
_define("where(c, a, b)", "a where c is true, else b; where(c): the indices where it is", _where, 1, 3)
_define("near(a, b, tol)", "1 if each |a - b| <= tol * max(1, |b|); tol is 1e-6", _near, 2, 3, ("tol",))
_define("round(t, digits)", "to the nearest, halves to even", _round, 1, 2, ("digits",))
_define("shape(t)", "its dimensions", _shape, 1, 1)
_define("dtype(t)", "its element type", _dtype, 1, 1)
_define("abs(t)", "without sign", _each(np.abs), 1, 1)
ATTRIBUTES: dict[str, Callable[[Value], Any]] = {"T": _transposed, "shape": _shape, "dtype": _dtype}


def function(name: str) -> Function | None:
    """The function of that name; a dtype's name rounds to it."""
    known = FUNCTIONS.get(name)
    if known is None and (dtype := DTYPES.get(name)) is not None and dtype.numbers == 1:
        known = Function(f"{name}(t)", f"rounded to {name}", _cast(dtype), range(1, 2))
    return known


def function_names() -> list[str]:
    """All of them."""
    return [*FUNCTIONS, *(d.name for d in DTYPES.values() if d.numbers == 1)]


def call(name: str, f: Function, values: Sequence[Value], named: Mapping[str, Value]) -> Value:
    """What a function gives; raises CommandError for arguments that it does not take."""
    if len(values) not in f.counts or not set(named) <= set(f.named):
        raise CommandError(f"{name} is written {f.usage}", help=f.doc)
    kept = attribute_dtype(name, values)
    try:
        data = f.run(*values, **named)
    except TypeError as e:
        raise CommandError(f"{f.usage}: {e}") from None
    made = computed(data)
    return made if kept is None else Value(made.data, kept)


def attribute_dtype(name: str, values: Sequence[Value]) -> DType | None:
    """The chip's dtype of a result that is no plain NumPy one."""
    return DTYPES.get(name) if name in DTYPES and values else None


def attribute(name: str, value: Value) -> Value:
    """`.T`, `.shape`, `.dtype`"""
    data = ATTRIBUTES[name](value)
    return Value(data, value.dtype, value.tile) if name == "T" else computed(data)


def as_array(value: Value) -> NDArray[Any]:
    """The numbers of a value, for statistics and comparisons; raises CommandError for too many."""
    return np.asarray(operand(value))
