"""What the rows of the second executor take and give: tiles of numbers, exact results, results with a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

from tests.emulator.reference.formats import INTEGERS, code, f32, is_nan, stored, value

Shape = tuple[int, ...]
Number = Any  # float or int


class Stopped(Exception):
    """A fault, by its category."""

    def __init__(self, category: str) -> None:
        super().__init__(category)
        self.category = category


class Nd:
    """A tile's elements: codes in row-major order, and the numbers they mean."""

    def __init__(self, shape: Shape, dtype: str, codes: Sequence[int]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.codes = list(codes)

    @property
    def numbers(self) -> list[Number]:
        """What the codes mean."""
        return [value(self.dtype, c) for c in self.codes]

    @property
    def size(self) -> int:
        """Number of elements."""
        return len(self.codes)

    def spread(self, shape: Shape) -> list[Number]:
        """The numbers, broadcast to a shape."""
        return broadcast(self.numbers, self.shape, shape)

    def rows(self) -> list[list[Number]]:
        """The lines along the last axis."""
        n, c = self.numbers, self.shape[-1]
        return [n[i * c : (i + 1) * c] for i in range(math.prod(self.shape[:-1]))]


def broadcast(flat: list[Any], shape: Shape, to: Shape) -> list[Any]:
    """Elements of one shape as those of another that it broadcasts to, from the right."""
    if shape == to:
        return flat
    strides, step = [], 1
    for d in reversed(shape):
        strides.append(0 if d == 1 else step)
        step *= d
    strides = strides[: len(to)] + [0] * (len(to) - len(strides))
    steps = strides[::-1]
    out = [0]
    for d, s in zip(to, steps, strict=True):
        out = [a + i * s for a in out for i in range(d)]
    return [flat[a] for a in out]


def places(shape: Shape) -> Iterator[Shape]:
    """All indices of a shape, in row-major order."""
    return product(*(range(d) for d in shape))


class Codes(list[int]):
    """Results that are codes: rounded by the row itself."""


class Anything(list[int]):
    """Codes where the manual says nothing of the result; what another executor has is right."""


class Near:
    """Results with an absolute error each, before they are rounded to the dtype.

    `store` makes a code of a number, where it is not the usual rounding.
    """

    def __init__(
        self, numbers: Sequence[Number], errors: Sequence[float], store: Callable[[str, Number], int] = stored
    ) -> None:
        self.numbers = list(numbers)
        self.errors = list(errors)
        self.store = store


def exact(numbers: Sequence[Number]) -> Near:
    """Results without an error, but for the sign of a zero."""
    return Near(numbers, [0.0] * len(numbers))


def same_results(
    dtype: str, result: Any, seen: list[int] | None, size: int
) -> tuple[list[int], tuple[int, str] | None]:
    """The codes to write, and the first place where `seen` is not among what the result allows, with what that is."""
    if isinstance(result, Near):
        return _near(dtype, result, seen, size)
    codes = list(result) if isinstance(result, (Codes, Anything)) else [stored(dtype, x) for x in result]
    assert len(codes) == size, (len(codes), size)
    if seen is None:
        return codes, None
    if isinstance(result, Anything):
        return seen, None
    for i, (want, got) in enumerate(zip(codes, seen, strict=True)):
        if want != got and not (is_nan(dtype, want) and is_nan(dtype, got)):
            return codes, (i, f"{value(dtype, want)!r} ({want:#x})")
    return seen, None  # the same, but for payloads of NaN


def _near(dtype: str, result: Near, seen: list[int] | None, size: int) -> tuple[list[int], tuple[int, str] | None]:
    codes = [result.store(dtype, x) for x in result.numbers]
    assert len(codes) == size, (len(codes), size)
    if seen is None:
        return codes, None
    for i, (x, e, want, got) in enumerate(zip(result.numbers, result.errors, codes, seen, strict=True)):
        if want == got or not e < math.inf:
            continue
        have, centre = value(dtype, got), value(dtype, want)
        if centre != centre or have != have:
            if centre != centre and have != have:
                continue
            beyond = {result.store(dtype, x - e), result.store(dtype, x + e)}
            if have != have and any(is_nan(dtype, c) for c in beyond):
                continue  # what is too large is NaN here
            return codes, (i, repr(centre))
        if math.isinf(x) and have != centre:
            return codes, (i, repr(centre))
        low, high = value(dtype, result.store(dtype, x - e)), value(dtype, result.store(dtype, x + e))
        if dtype in INTEGERS and low > high:
            continue  # it wraps between them
        if low != low or high != high or low <= have <= high:
            continue
        return codes, (i, f"{low!r} to {high!r}")
    return seen, None


def wrapped(x: int) -> int:
    """Two's complement of 32 bits."""
    return value("i32", x & 0xFFFFFFFF)  # type: ignore[return-value]


def beside(x: float, like: Nd) -> Number:
    """A number beside a tile as an element of it."""
    if like.dtype not in INTEGERS:
        return x
    if not (math.isfinite(x) and x == math.floor(x) and -(2**31) <= x < 2**31):
        raise Stopped("operand")
    return int(x)


def match(operands: Sequence[tuple[str, Shape]]) -> None:
    """Whether shapes are what the patterns of docs/isa/encoding.md say."""
    sizes: dict[str, int] = {"1": 1}
    lead: Shape | None = None
    for pattern, shape in operands:
        words = pattern.split()
        leading = words.pop(0) if words and words[0].startswith("...") else ""
        if len(shape) < len(words):
            if leading != "...?":
                raise Stopped("operand")
            shape = (1,) * (len(words) - len(shape)) + shape
        extra = len(shape) - len(words)
        if extra and not leading:
            raise Stopped("operand")
        for word, size in zip(words, shape[extra:], strict=True):
            name, _, part = word.rstrip("?").partition("/")
            whole = size * int(part or 1)
            if name not in sizes:
                sizes[name] = whole
            elif whole != sizes[name] and not (word.endswith("?") and size == 1):
                raise Stopped("operand")
        mine = shape[:extra]
        if leading and lead is None:
            lead = mine
        elif leading == "..." and mine != lead:
            raise Stopped("operand")
        elif leading == "...?":
            assert lead is not None
            less = mine
            while len(less) > len(lead) and less[0] == 1:
                less = less[1:]
            if len(less) > len(lead):
                raise Stopped("operand")
            if any(a not in (1, b) for a, b in zip(reversed(less), reversed(lead), strict=False)):
                raise Stopped("operand")


def single(numbers: Sequence[float]) -> list[float]:
    """Each rounded to float32."""
    return [f32(x) for x in numbers]


def cast(x: Number, dtype: str, how: float, saturate: bool) -> int:
    """One rounding to a dtype. Only integers and dtypes of a byte saturate."""
    return code(dtype, x, how, saturate and dtype not in ("f32", "bf16", "f16"))
