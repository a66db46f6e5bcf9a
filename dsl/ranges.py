"""What is known at compile time of a run-time index: the least and the most it can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sohu.dsl.ir import Value

Index = int | Value


def constant(v: Any) -> int | float | None:
    """The number that an index, or the op behind a value, is; None when only the run knows."""
    if isinstance(v, (int, float)):
        return v
    if isinstance(v, Value) and v.op is not None and v.op.name == "const":
        return v.op.attrs["value"]
    return None


class Ranges:
    """Bounds of indices.

    `bound` gives the largest size of a named dimension, or None; asking it is how a kernel comes to depend on
    that bound, so it is asked for nothing that a constant answers. `dims` are the named dimensions, `loops` the
    indices of loops with the (start, stop, step) of each.
    """

    def __init__(self, bound: Callable[[str], int | None]) -> None:
        self.bound = bound
        self.dims: dict[Value, str] = {}
        self.loops: dict[Value, tuple[Index, Index, int]] = {}

    def upper(self, x: Index) -> int | None:
        """The most x can be, or None when nothing says."""
        c = constant(x)
        if c is not None:
            return int(c)
        assert isinstance(x, Value)
        if x in self.dims:
            return self.bound(self.dims[x])
        if x in self.loops:
            stop = self.upper(self.loops[x][1])
            return None if stop is None else stop - 1
        if x.op is None:
            return None
        a, *rest = x.op.operands
        match x.op.name:
            case "min":
                known = [int(c) for c in map(constant, x.op.operands) if c is not None]
                known = known or [u for u in map(self.upper, x.op.operands) if u is not None]
                return min(known, default=None)
            case "max":
                return _both(max, self.upper(a), self.upper(rest[0]))
            case "add":
                return _both(lambda p, q: p + q, self.upper(a), self.upper(rest[0]))
            case "sub":
                return _both(lambda p, q: p - q, self.upper(a), self.lower(rest[0]))
            case "mul" if self.at_least_0(a) and self.at_least_0(rest[0]):
                return _both(lambda p, q: p * q, self.upper(a), self.upper(rest[0]))
            case "div" if (by := constant(rest[0])) and by > 0:
                most = self.upper(a)
                return None if most is None else most // int(by)
            case "rem" if (by := constant(rest[0])) and by > 0:
                return int(by) - 1
        return None

    def lower(self, x: Index) -> int | None:
        """The least x can be, or None when nothing says."""
        c = constant(x)
        if c is not None:
            return int(c)
        assert isinstance(x, Value)
        if x in self.dims:
            return 0
        if x in self.loops:
            return self.lower(self.loops[x][0])
        if x.op is None:
            return None
        a, *rest = x.op.operands
        match x.op.name:
            case "min":
                return _both(min, self.lower(a), self.lower(rest[0]))
            case "max":
                return max((n for n in map(self.lower, x.op.operands) if n is not None), default=None)
            case "add":
                return _both(lambda p, q: p + q, self.lower(a), self.lower(rest[0]))
            case "sub" if self.at_most(rest[0], a):
                return 0
            case "mul" if self.at_least_0(a) and self.at_least_0(rest[0]):
                return _both(lambda p, q: p * q, self.lower(a), self.lower(rest[0]))
            case "div" if (by := constant(rest[0])) and by > 0:
                least = self.lower(a)
                return None if least is None else least // int(by)
            case "rem" if (by := constant(rest[0])) and by > 0:
                return 0
        return None

    def at_least_0(self, x: Index) -> bool:
        """Whether x is certainly not negative."""
        least = self.lower(x)
        return least is not None and least >= 0

    def at_most(self, x: Index, size: Index) -> bool:
        """Whether x is certainly no more than `size`."""
        if x is size:
            return True
        if isinstance(x, Value) and x in self.loops and self.at_most(self.loops[x][1], size):
            return True
        if isinstance(x, Value) and x.op is not None and x.op.name == "min":
            return any(self.at_most(v, size) for v in x.op.operands)
        a, b = constant(x), constant(size)
        if a is not None and b is not None:
            return a <= b
        return a is not None and a <= 0 and self.at_least_0(size)

    def bounded(self, x: Index) -> bool:
        """Whether `upper` would answer, asking nothing of any dimension."""
        asking, self.bound = self.bound, lambda _: 1
        try:
            return self.upper(x) is not None
        finally:
            self.bound = asking


def _both(f: Callable[[int, int], int], a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else f(a, b)
