"""Rows of the VPU that work on elements or along rows, from their pages in docs/isa/. Operands are tiles (Nd) and
numbers by name; what comes back are the results of each output, in row-major order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from tests.emulator.reference.exactly import cosine, erf, sine, to_odd
from tests.emulator.reference.formats import INTEGERS, ZERO, code, f32, ulp
from tests.emulator.reference.values import Codes, Nd, Near, Number, Stopped, beside, exact, wrapped
from tests.emulator.reference.vpu_random import philox

Operands = dict[str, Any]
Row = Callable[[Operands], dict[str, Any]]
U = 2.0**-24  # unit roundoff of float32
TINY = 2.0**-120  # what is less may be 0


def safe(f: Callable[..., float]) -> Callable[..., float]:
    """A function of doubles that gives what IEEE 754 has where Python raises."""

    def wrapped_f(*xs: float) -> float:
        try:
            return f(*xs)
        except OverflowError:
            return math.inf
        except (ValueError, ZeroDivisionError):
            return math.nan

    return wrapped_f


exp = safe(math.exp)


def divide(a: float, b: float) -> float:
    """a / b as IEEE 754 has it."""
    if b == 0:
        if a == 0 or a != a:
            return math.nan
        return math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def multiply(a: float, b: float) -> float:
    """a * b, which Python never refuses."""
    return a * b


def largest(*xs: Number) -> Number:
    """The largest number; NaN if any is."""
    return next((x for x in xs if x != x), max(xs))


def smallest(*xs: Number) -> Number:
    """The smallest number; NaN if any is."""
    return next((x for x in xs if x != x), min(xs))


def columns(v: Operands, names: tuple[str, ...], out: str = "dst") -> list[tuple[Number, ...]]:
    """The operands' numbers that meet at each element of the output."""
    shape = v[out].shape
    return list(zip(*(v[n].spread(shape) for n in names), strict=True))


def each(f: Callable[..., Number], *names: str) -> Row:
    """dst = f of each element, exactly, then rounded."""
    return lambda v: {"dst": [f(*xs) for xs in columns(v, names)]}


def selected(f: Callable[..., Number], *names: str) -> Row:
    """As `each`, where the sign of a zero is open."""
    return lambda v: {"dst": exact([f(*xs) for xs in columns(v, names)])}


def near(f: Callable[..., float], ulps: float, *names: str) -> Row:
    """As `each`, within so many units in the last place of float32; what is tiny may be 0."""

    def row(v: Operands) -> dict[str, Any]:
        numbers = [f(*xs) for xs in columns(v, names)]
        return {"dst": bounded(numbers, ulps)}

    return row


def bounded(numbers: list[float], ulps: float, more: list[float] | None = None) -> Near:
    """Results within so many units in the last place, and `more`."""
    errors = [ulps * ulp(f32(x)) + (TINY if 0 < abs(x) < 2 * TINY else 0.0) for x in numbers]
    if more is not None:
        errors = [e + m for e, m in zip(errors, more, strict=True)]
    return Near(numbers, errors)


def whole(f: Callable[..., int], *names: str) -> Row:
    """dst = f of each element, of i32, which wraps."""
    return lambda v: {"dst": [wrapped(f(*xs)) for xs in columns(v, names)]}


def with_number(f: Callable[[Number, Number], Number], signed_zero: bool = True) -> Row:
    """dst = f(element, value)."""

    def row(v: Operands) -> dict[str, Any]:
        x = beside(v["value"], v["a"])
        out = [f(a, x) for (a,) in columns(v, ("a",))]
        return {"dst": out if signed_zero else exact(out)}

    return row


def _fill(v: Operands) -> dict[str, Any]:
    return {"dst": [beside(v["value"], v["dst"])] * v["dst"].size}


def _iota(v: Operands) -> dict[str, Any]:
    dst = v["dst"]
    count = dst.shape[-1]
    numbers = [(v["start"] + i % count + 2**63) % 2**64 - 2**63 for i in range(dst.size)]
    if dst.dtype in INTEGERS:
        return {"dst": [wrapped(n) for n in numbers]}
    return {"dst": [to_odd(Fraction(n)) for n in numbers]}


def _truncated(v: Operands) -> dict[str, Any]:
    return {"dst": Codes(code("i32", x, ZERO, True) for (x,) in columns(v, ("src",)))}


def _reciprocal_root(x: float) -> float:
    if x == 0:
        return math.copysign(math.inf, x)
    return 1 / math.sqrt(x)


def _logarithm(x: float) -> float:
    return -math.inf if x == 0 else math.log(x)


def _even(x: float) -> float:
    if not math.isfinite(x):
        return x
    below = math.floor(x)
    rest = x - below
    up = rest > 0.5 or (rest == 0.5 and below % 2)
    return math.copysign(float(below + up), x)


def _whole_or_same(f: Callable[[float], int]) -> Callable[[float], float]:
    return lambda x: math.copysign(float(f(x)), x) if math.isfinite(x) else x


def _clamp(v: Operands) -> dict[str, Any]:
    return {"dst": exact([smallest(largest(x, v["low"]), v["high"]) for (x,) in columns(v, ("src",))])}


def _fma(v: Operands) -> dict[str, Any]:
    xs = columns(v, ("a", "b", "c"))
    if v["dst"].dtype in INTEGERS:
        return {"dst": [wrapped(a * b + c) for a, b, c in xs]}
    numbers = [a * b + c for a, b, c in xs]
    return {"dst": Near(numbers, [0.0001 * ulp(f32(x)) for x in numbers])}


def _shifted(f: Callable[[int, int], int]) -> Row:
    return whole(lambda a, b: f(a, b % 32), "a", "b")


def _by(f: Callable[[int, int], int]) -> Row:
    def row(v: Operands) -> dict[str, Any]:
        if 0 in v["b"].numbers:
            raise Stopped("trap")
        return whole(f, "a", "b")(v)

    return row


# -- along lines -----------------------------------------------------------------------------------


def lines(src: Nd, axis: int) -> list[list[Number]]:
    """The lines of a tile along its last axis (-1) or the one before, in row-major order of what is left."""
    if axis == -1:
        return src.rows()
    n, (r, c) = src.numbers, src.shape[-2:]
    return [[n[(b * r + i) * c + j] for i in range(r)] for b in range(math.prod(src.shape[:-2])) for j in range(c)]


def total(line: list[Number]) -> tuple[Number, float]:
    """A sum in an open order, and how far off it may be."""
    if not line or isinstance(line[0], int):
        return wrapped(sum(line)) if line else 0, 0.0
    finite = [x for x in line if math.isfinite(x)]
    if len(finite) < len(line):
        return sum(x for x in line if not math.isfinite(x)), 0.0
    magnitude = math.fsum(map(abs, line))
    # partial sums beyond float32 are infinite, in some orders
    error = len(line) * U * magnitude if magnitude < 3.4e38 else math.inf
    return math.fsum(line), error


def _sum(axis: int) -> Row:
    def row(v: Operands) -> dict[str, Any]:
        sums = [total(line) for line in lines(v["src"], axis)]
        return {"dst": Near([s for s, _ in sums], [e for _, e in sums])}

    return row


def _reduce(f: Callable[..., Number], axis: int) -> Row:
    def row(v: Operands) -> dict[str, Any]:
        if not v["src"].shape[axis]:
            raise Stopped("operand")
        return {"dst": exact([f(*line) for line in lines(v["src"], axis)])}

    return row


def before(a: Number, b: Number) -> bool:
    """Whether a is larger, NaN being larger than everything."""
    return bool(a > b or (a != a and b == b))


def largest_first(line: list[Number], reverse: bool = False) -> list[int]:
    """Positions in the order in which elements are taken out; of equals, the first comes first."""
    left, order = list(range(len(line))), []
    while left:
        best = left[0]
        for i in left[1:]:
            if before(line[best], line[i]) if reverse else before(line[i], line[best]):
                best = i
        order.append(best)
        left.remove(best)
    return order


def _position(smallest_of: bool) -> Row:
    def position(line: list[Number]) -> int:
        best = 0
        for i, x in enumerate(line):
            if x != x:
                return i
            if x < line[best] if smallest_of else x > line[best]:
                best = i
        return best

    def row(v: Operands) -> dict[str, Any]:
        if not v["src"].shape[-1]:
            raise Stopped("operand")
        return {"dst": [position(line) for line in v["src"].rows()]}

    return row


def _cumulative(v: Operands) -> dict[str, Any]:
    out: list[Number] = []
    integers = v["src"].dtype in INTEGERS
    for line in v["src"].rows():
        so_far: Number | None = None
        for x in line:
            earlier = (0 if integers else 0.0) if so_far is None else so_far
            so_far = x if so_far is None else wrapped(so_far + x) if integers else f32(so_far + x)
            out.append(earlier if v["exclusive"] else so_far)
    return {"dst": out}


def _topk(v: Operands) -> dict[str, Any]:
    k = v["indices"].shape[-1]
    if k > v["src"].shape[-1]:
        raise Stopped("operand")
    values: list[Number] = []
    positions: list[Number] = []
    for line in v["src"].rows():
        order = largest_first(line)[:k]
        positions += order
        values += [line[i] for i in order]
    return {"values": values, "indices": positions}


def _sort(v: Operands) -> dict[str, Any]:
    keys: list[Number] = []
    payload: list[Number] = []
    for line, along in zip(v["src"].rows(), v["src_payload"].rows(), strict=True):
        order = largest_first(line, reverse=not v["descending"])
        keys += [line[i] for i in order]
        payload += [along[i] for i in order]
    return {"keys": keys, "payload": payload}


def _take(v: Operands) -> dict[str, Any]:
    out: list[Number] = []
    for line, index in zip(v["src"].rows(), v["index"].rows(), strict=True):
        if any(not 0 <= i < len(line) for i in index):
            raise Stopped("out-of-bounds")
        out += [line[i] for i in index]
    return {"dst": out}


# -- random ----------------------------------------------------------------------------------------


def random_words(v: Operands, count: int) -> list[int]:
    """The words of Philox that belong to the elements of a tile."""
    out: list[int] = []
    for i in range(-(-count // 4)):
        out += philox((v["stream"] % 2**64) << 64 | (v["block"] + i) % 2**64, v["key"] % 2**64)
    return out[:count]


def _bits(v: Operands) -> dict[str, Any]:
    return {"dst": Codes(random_words(v, v["dst"].size))}


def _uniform(v: Operands) -> dict[str, Any]:
    return {"dst": [(w >> 8) * 2.0**-24 for w in random_words(v, v["dst"].size)]}


ELEMENTS: dict[str, Row] = {
    "vmov": each(lambda x: x, "src"),
    "vfill": _fill,
    "viota": _iota,
    "vneg": each(lambda x: -x, "src"),
    "vabs": each(abs, "src"),
    "vexp": near(exp, 4, "src"),
    "vlog": near(safe(_logarithm), 4, "src"),
    "vsqrt": near(safe(math.sqrt), 4, "src"),
    "vrsqrt": near(safe(_reciprocal_root), 4, "src"),
    "vtanh": near(math.tanh, 4, "src"),
    "vsigmoid": near(lambda x: 1 / (1 + exp(-x)), 4, "src"),
    "vf2i": _truncated,
    "vi2f": each(lambda x: f32(x), "src"),
    "vadd": each(lambda a, b: a + b, "a", "b"),
    "vsub": each(lambda a, b: a - b, "a", "b"),
    "vmul": each(lambda a, b: a * b, "a", "b"),
    "vdiv": each(divide, "a", "b"),
    "vmax": selected(largest, "a", "b"),
    "vmin": selected(smallest, "a", "b"),
    "vlt": each(lambda a, b: int(a < b), "a", "b"),
    "vle": each(lambda a, b: int(a <= b), "a", "b"),
    "veq": each(lambda a, b: int(a == b), "a", "b"),
    "vsel": each(lambda c, a, b: a if c != 0 else b, "cond", "a", "b"),
    "vadds": with_number(lambda a, x: a + x),
    "vmuls": with_number(lambda a, x: a * x),
    "vrsubs": with_number(lambda a, x: x - a),
    "vrdivs": with_number(lambda a, x: divide(x, a)),
    "vdivs": with_number(lambda a, x: divide(a, x)),
    "vmaxs": with_number(largest, False),
    "vmins": with_number(smallest, False),
    "vsum.row": _sum(-1),
    "vmax.row": _reduce(largest, -1),
    "vmin.row": _reduce(smallest, -1),
    "vargmax.row": _position(False),
    "vargmin.row": _position(True),
    "vsum.col": _sum(-2),
    "vmax.col": _reduce(largest, -2),
    "vmin.col": _reduce(smallest, -2),
    "vcumsum.row": _cumulative,
    "vtopk.row": _topk,
    "vsort.row": _sort,
    "vtake.row": _take,
    "verf": near(erf, 4, "src"),
    "vsin": near(sine, 4, "src"),
    "vcos": near(cosine, 4, "src"),
    "vexp2": near(safe(lambda x: math.exp2(x)), 4, "src"),
    "vround": each(_even, "src"),
    "vfloor": each(_whole_or_same(math.floor), "src"),
    "vceil": each(_whole_or_same(math.ceil), "src"),
    "vclamp": _clamp,
    "vfma": _fma,
    "vand": whole(lambda a, b: a & b, "a", "b"),
    "vor": whole(lambda a, b: a | b, "a", "b"),
    "vxor": whole(lambda a, b: a ^ b, "a", "b"),
    "vsll": _shifted(lambda a, b: a * 2**b),
    "vsra": _shifted(lambda a, b: a // 2**b),
    "vsrl": _shifted(lambda a, b: (a % 2**32) // 2**b),
    "vidiv": _by(lambda a, b: a // b),
    "virem": _by(lambda a, b: a % b),
    "vrand.bits": _bits,
    "vrand.uniform": _uniform,
}
