"""Expressions of the debugger: `t[0:4, :]`, `x5 + 1`, `acc - s > 0`.

Read by a parser of our own and computed by walking the tree. Names mean registers, tiles and symbols of the
program, and nothing else: no attributes, no calls, nothing of Python's.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sohu.debugger.errors import CommandError
from sohu.isa import DType, Tile

MAX_DEPTH = 50
MAX_BITS = 4096  # of an integer result: no expression can eat the host


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


Lookup: TypeAlias = Callable[[str], Value]

_TOKEN = re.compile(
    r"\s*(?:(?P<float>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)"
    r"|(?P<int>0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)"
    r"|(?P<name>\$?\.?[^\W\d][\w.]*)"
    r"|(?P<op>\.\.\.|//|==|!=|<=|>=|[-+*/%<>()\[\],:&|^]))"
)

# Loosest first, as Python has it.
_LEVELS: tuple[dict[str, Callable[[Any, Any], Any]], ...] = (
    {
        "==": operator.eq, "!=": operator.ne, "<": operator.lt,
        "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    },
    {"|": operator.or_},
    {"^": operator.xor},
    {"&": operator.and_},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod},
)  # fmt: skip


@dataclass(frozen=True)
class _Token:
    kind: str  # "int", "float", "name", "op", "end"
    text: str
    at: int


def evaluate(text: str, lookup: Lookup) -> Value:
    """The value of an expression; `lookup` gives names their values and raises CommandError for unknown ones.

    Raises CommandError that says what is wrong and where.
    """
    try:
        with np.errstate(all="ignore"):
            return _Parser(text, lookup).run()
    except (ValueError, TypeError, IndexError, ArithmeticError) as e:
        raise CommandError(f"{text.strip()}: {e}") from None
    except MemoryError:
        raise CommandError(f"{text.strip()}: the host has no memory for it", help="slice it") from None


class _Parser:
    """Recursive descent; computes while it reads."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        self.text = text
        self.lookup = lookup
        self.tokens = self._tokens()
        self.at = 0
        self.depth = 0

    def run(self) -> Value:
        if self.peek.kind == "end":
            raise CommandError("an expression is missing", help="such as x5, t[0:4, :] or $pc")
        value = self.level(0)
        if self.peek.kind != "end":
            raise self.error(f"{self.peek.text!r} is not expected here")
        return value

    # -- tokens ------------------------------------------------------------------------------------

    def _tokens(self) -> list[_Token]:
        out, at = [], 0
        text = self.text.rstrip()
        while at < len(text):
            m = _TOKEN.match(text, at)
            if m is None:
                rest = text[at:].lstrip()
                raise self.error(f"{rest[0]!r} means nothing here", len(text) - len(rest))
            kind = m.lastgroup or "op"
            out.append(_Token(kind, m[kind], m.start(kind)))
            at = m.end()
        return [*out, _Token("end", "the end", len(text))]

    @property
    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *texts: str) -> _Token | None:
        """The next token if it is one of these operators."""
        token = self.peek
        if token.kind == "op" and token.text in texts:
            self.at += 1
            return token
        return None

    def expect(self, text: str) -> None:
        if self.take(text) is None:
            raise self.error(f"expected {text!r}, found {self.peek.text!r}")

    def error(self, why: str, at: int | None = None) -> CommandError:
        column = self.peek.at if at is None else at
        return CommandError(f"{why}\n    {self.text}\n    {' ' * column}^")

    # -- expressions -------------------------------------------------------------------------------

    def level(self, n: int) -> Value:
        if n == len(_LEVELS):
            return self.unary()
        if n == 0:
            self.deeper()
        left = self.level(n + 1)
        while (op := self.take(*_LEVELS[n])) is not None:
            right = self.level(n + 1)
            left = self.computed(_LEVELS[n][op.text](_operand(left), _operand(right)))
        self.depth -= n == 0
        return left

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error("this nests too deeply")

    def unary(self) -> Value:
        if self.take("-") is None:
            return self.postfix()
        self.deeper()
        value = self.computed(-_operand(self.unary()))
        self.depth -= 1
        return value

    def computed(self, data: Any) -> Value:
        if isinstance(data, (bool, np.bool_)):
            return Value(int(data))
        if isinstance(data, int) and data.bit_length() > MAX_BITS:
            raise self.error(f"this number has more than {MAX_BITS} bits")
        if isinstance(data, np.generic):
            data = data.item()
        return Value(data)

    def postfix(self) -> Value:
        value = self.atom()
        while self.take("["):
            at = self.peek.at
            if not isinstance(value.data, np.ndarray):
                raise self.error("only a tile can be sliced", at)
            index = self.index()
            value = Value(np.asarray(value.data[index]), value.dtype)
        return value

    def index(self) -> tuple[Any, ...]:
        parts: list[Any] = []
        while True:
            parts.append(self.slice())
            if self.take("]"):
                return tuple(parts)
            self.expect(",")

    def slice(self) -> Any:
        """`i`, `a:b`, `a:b:c`, `a:+length`, `...`"""
        if self.take("..."):
            return Ellipsis
        start = None if self.ahead(":") else self.integer()
        if not self.take(":"):
            return start
        if start is not None and self.take("+"):
            return slice(start, start + self.integer())
        stop = None if self.ahead(":", ",", "]") else self.integer()
        step = None
        if self.take(":") and not self.ahead(",", "]"):
            step = self.integer()
        return slice(start, stop, step)

    def ahead(self, *texts: str) -> bool:
        return self.peek.kind == "op" and self.peek.text in texts

    def integer(self) -> int:
        at = self.peek.at
        value = self.level(0).data
        if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iu":
            value = int(value)
        if not isinstance(value, int):
            raise self.error("an index is an integer", at)
        return value

    def atom(self) -> Value:
        token = self.peek
        self.at += 1
        if token.kind == "int":
            if len(token.text) > MAX_BITS // 4:
                raise self.error("this number is too long", token.at)
            return Value(int(token.text, 0 if token.text[:2].lower() in ("0x", "0b") else 10))
        if token.kind == "float":
            return Value(float(token.text))
        if token.kind == "name":
            return self.lookup(token.text)
        self.at -= 1
        if self.take("("):
            value = self.level(0)
            self.expect(")")
            return value
        raise self.error(f"expected a number or a name, found {token.text!r}")


def _operand(value: Value) -> Any:
    """What arithmetic sees: narrow floats as float32, as the chip computes; integers with room to spare."""
    data = value.data
    if isinstance(data, np.ndarray):
        if value.dtype is not None and value.dtype.is_float:
            return data.astype(np.float32)
        return data.astype(np.int64) if data.dtype.kind in "iub" else data
    if isinstance(data, int) and value.is_float_bits:
        return float(np.uint32(data & 0xFFFFFFFF).view(np.float32))
    return data
