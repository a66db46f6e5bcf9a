"""What a plain reference is made of: cases, and loops over elements with Python numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Values = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Case:
    """One row under test: tile shapes, scalar operands, what comes out, and how exact that is.

    ulps: of float32, before rounding to the stored dtype; slack: an absolute error that the manual allows.
    """

    shapes: Shapes
    reference: Callable[[Values], dict[str, Array]]
    scalars: dict[str, Any] = field(default_factory=dict)  # operand -> immediate, or "f:1.5" in a register
    ulps: float = 0.0
    slack: float = 0.0
    positive: bool = False  # inputs > 0
    small_ints: dict[str, int] = field(default_factory=dict)  # index operands: values below this
    floats_only: bool = False
    given: dict[str, Any] = field(default_factory=dict)  # operand -> its elements, where random ones will not do


def indices(shape: tuple[int, ...]) -> Any:
    """All index tuples of a shape."""
    return itertools.product(*(range(n) for n in shape))


def at(array: Array, index: tuple[int, ...]) -> Any:
    """An element as a Python number, broadcast as in NumPy."""
    own = index[len(index) - array.ndim :]
    value = array[tuple(0 if n == 1 else i for i, n in zip(own, array.shape, strict=True))]
    return int(value) if array.dtype.kind in "iu" else float(value)


def each(f: Callable[..., Any], *names: str) -> Callable[[Values], dict[str, Array]]:
    """dst[i] = f(of the named operands' elements at i)."""

    def reference(v: Values) -> dict[str, Array]:
        out = np.empty(v["dst"].shape, object)
        for i in indices(out.shape):
            out[i] = f(*(at(v[n], i) if isinstance(v[n], np.ndarray) else v[n] for n in names))
        return {"dst": out}

    return reference


def along(f: Callable[[list[Any]], Any], axis: int) -> Callable[[Values], dict[str, Array]]:
    """dst = f(all elements of a line of src)."""

    def reference(v: Values) -> dict[str, Array]:
        src = v["src"]
        out = np.empty(v["dst"].shape, object)
        for i in indices(out.shape):
            line = []
            for c in range(src.shape[axis]):
                j = list(i)
                j[axis] = c
                line.append(at(src, tuple(j)))
            out[i] = f(line)
        return {"dst": out}

    return reference


def exp(x: float) -> float:
    """e ** x, infinite where that is too large."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def f32(x: float) -> float:
    """The nearest float32."""
    return float(np.float32(x))


def same(x: Any) -> Any:
    """The element itself."""
    return x


UNARY: Shapes = {"dst": (3, 5), "src": (3, 1)}
ROWWISE: Shapes = {"dst": (2, 3, 1), "src": (2, 3, 7)}
COLWISE: Shapes = {"dst": (2, 1, 7), "src": (2, 3, 7)}
ONE: Shapes = {"dst": (3, 5), "a": (3, 5)}
BLOCK: Shapes = {"dst": (3, 5), "src": (3, 5)}
