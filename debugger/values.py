"""What expressions give, and those of them that are kept: printed ones as $1, $2, and named ones as $name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sohu.asm.names import REGISTERS, nearest
from sohu.debugger.errors import CommandError
from sohu.debugger.style import clean
from sohu.isa import DType, Tile, dtype_of, fp4x2
from sohu.isa.numerics import unpack_fp4

MAX_KEPT = 64 << 20  # bytes of one printed value
MAX_HISTORY = 256 << 20  # bytes of all printed values together; the oldest go first
MAX_RECORDED = 4096  # elements of a value for programs
MAX_VARIABLES = 1 << 30  # bytes of all named values together


@dataclass(frozen=True)
class Value:
    """What an expression gives.

    data: an int, a float, or elements: those of a tile in place when nothing was computed. dtype: of the
    elements as the chip stores them, None for computed ones. tile: the whole tile that was named, if one was.
    """

    data: int | float | NDArray[Any]
    dtype: DType | None = None
    tile: Tile | None = None
    is_float_bits: bool = False  # an int that is known to hold a float32

    @property
    def nbytes(self) -> int:
        """Bytes of its elements."""
        return self.data.nbytes if isinstance(self.data, np.ndarray) else 8

    def copy(self) -> Value:
        """The same, as it is now, whatever happens to the tile."""
        if not isinstance(self.data, np.ndarray):
            return self
        data = self.data.copy()
        data.flags.writeable = False
        return Value(data, self.dtype, None, self.is_float_bits)


def json_number(value: Any) -> int | float | str | None:
    """A number as JSON has it; NaN and infinities, which it has not, as text."""
    if value is None or isinstance(value, int):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return clean(str(value))  # a descriptor
    return number if isfinite(number) else str(number)


def record(value: Value) -> dict[str, Any]:
    """A value for programs: dtype and shape (None and [] of one number), data: its elements in nested lists, None where
    there are more than MAX_RECORDED.
    """
    data = value.data
    if not isinstance(data, np.ndarray):
        return {"dtype": None, "shape": [], "data": json_number(data)}
    shown = unpack_fp4(np.atleast_1d(data)) if value.dtype is fp4x2 else data
    few = shown.size <= MAX_RECORDED
    return {
        "dtype": str(value.dtype or data.dtype),
        "shape": list(shown.shape),
        "data": _nested(shown.tolist()) if few else None,
    }


def _nested(data: Any) -> Any:
    return [_nested(d) for d in data] if isinstance(data, list) else json_number(data)


Lookup: TypeAlias = Callable[[str], Value]
_HISTORY = re.compile(r"\$(\$?)(\d*)")
_NAME = re.compile(r"\$[^\W\d]\w*")


class Values:
    """The value history and the named values of a session."""

    def __init__(self) -> None:
        self._history: list[Value | None] = []  # None: no longer, or never, kept
        self._bytes = 0
        self._oldest = 0
        self.variables: dict[str, Value] = {}  # with their $

    def record(self, value: Value) -> int:
        """Keep a printed value; gives its number."""
        kept = value.nbytes <= MAX_KEPT
        self._history.append(value.copy() if kept else None)
        self._bytes += value.nbytes if kept else 0
        while self._bytes > MAX_HISTORY:
            old = self._history[self._oldest]
            self._bytes -= 0 if old is None else old.nbytes
            self._history[self._oldest] = None
            self._oldest += 1
        return len(self._history)

    @property
    def count(self) -> int:
        """How many values have been printed."""
        return len(self._history)

    def assign(self, name: str, value: Value) -> None:
        """Keep a copy under `$name`; raises CommandError for names that mean something else, and for too much."""
        if _NAME.fullmatch(name) is None or name == "$arg":
            raise CommandError(f"{name} is no name for a value", help="such as $saved: a letter, then letters, digits")
        if name[1:] in REGISTERS or name == "$pc":
            raise CommandError(f"{name} is a register", help=f"set {name} = ... changes it")
        others = sum(v.nbytes for n, v in self.variables.items() if n != name)
        if others + value.nbytes > MAX_VARIABLES:
            raise CommandError(
                f"{name} would need {value.nbytes:,} bytes; of {MAX_VARIABLES:,} for named values {others:,} are used",
                help="keep a slice, or dump it to a file",
            )
        self.variables[name] = value.copy()

    def find(self, name: str) -> Value | None:
        """The value of $, $$, $3, $$2 or $name; None when it is none of these. Raises CommandError for lost ones."""
        if (known := self.variables.get(name)) is not None:
            return known
        m = _HISTORY.fullmatch(name)
        if m is None:
            return None
        last = len(self._history)
        if not last:
            raise CommandError(f"{name}: nothing has been printed yet")
        number = last - int(m[2] or 1) if m[1] else int(m[2] or last)
        if not 1 <= number <= last:
            raise CommandError(f"{name}: printed values are $1 to ${last}")
        value = self._history[number - 1]
        if value is None:
            raise CommandError(f"${number} was too large to be kept", help="set $name = EXPRESSION keeps up to 1 GiB")
        return value

    def over(self, others: Lookup, arguments: Mapping[str, Any]) -> Lookup:
        """A lookup that knows these first, and `$arg.x`: what the host gives for a parameter.

        An unknown $name suggests near ones.
        """

        def lookup(name: str) -> Value:
            if not name.startswith("$"):
                return others(name)
            if name.startswith("$arg."):
                return _argument(name, arguments)
            if (found := self.find(name)) is not None:
                return found
            try:
                return others(name)
            except CommandError as e:
                if name[1:] not in REGISTERS and (hint := nearest(name, self.variables)):
                    raise CommandError(e.message, help=hint) from None
                raise

        return lookup


def _argument(name: str, arguments: Mapping[str, Any]) -> Value:
    word = name.removeprefix("$arg.")
    if word not in arguments:
        hint = nearest(word, arguments) or "info args shows what is given"
        raise CommandError(f"no argument is given for {word!r}", help=hint)
    given = arguments[word]
    if isinstance(given, (int, float)):
        return Value(given)
    data = given if isinstance(given, np.ndarray) else given.view()
    return Value(data, dtype_of(data.dtype) if isinstance(given, np.ndarray) else given.dtype)
