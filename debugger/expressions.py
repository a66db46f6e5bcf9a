"""Expressions of the debugger: `t[0:4, :]`, `x5 + 1`, `max(abs(acc - s)) > 1e-3 and x5 == 3`.

Read by a parser of our own, once, into functions of a lookup. Names mean registers, tiles and symbols of the program,
functions are those of functions.py, and there is nothing else: nothing of Python's can be reached.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sohu.asm.names import nearest
from sohu.debugger.errors import CommandError
from sohu.debugger.functions import (
    ATTRIBUTES,
    COMPARISONS,
    LEVELS,
    MAX_BITS,
    attribute,
    both,
    call,
    computed,
    counted,
    either,
    function,
    function_names,
    invert,
    operand,
    power,
    truth,
)
from sohu.debugger.values import Lookup, Value

MAX_DEPTH = 50
MAX_LENGTH = 20_000  # characters

Node: TypeAlias = Callable[[Lookup], Value]

_TOKEN = re.compile(
    r"\s*(?:(?P<float>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)"
    r"|(?P<int>0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)"
    r"|(?P<name>\$\$?\d*(?!\w)|\$?\.?[^\W\d][\w.]*)"
    r"|(?P<op>\.\.\.|//|\*\*|==|!=|<=|>=|<<|>>|=|[-+*/%<>()\[\],:&|^@~]))"
)
_WORDS = ("and", "or", "not")


@dataclass(frozen=True)
class _Token:
    kind: str  # "int", "float", "name", "op", "end"
    text: str
    at: int


@dataclass(frozen=True)
class Expression:
    """An expression that has been read: quick to evaluate again and again."""

    text: str
    run: Node

    def evaluate(self, lookup: Lookup) -> Value:
        """Its value now; `lookup` gives names their values and raises CommandError for unknown ones.

        Raises CommandError that says what is wrong and, where it can, with which part.
        """
        try:
            with np.errstate(all="ignore"):
                return self.run(lookup)
        except (ValueError, TypeError, IndexError, ArithmeticError) as e:
            raise CommandError(f"{self.text}: {e}") from None
        except MemoryError:
            raise CommandError(f"{self.text}: the host has no memory for it", help="slice it") from None

    def true(self, lookup: Lookup) -> bool:
        """Whether it holds, as a condition; raises CommandError also for elements that need not agree."""
        return truth(operand(self.evaluate(lookup)))


@functools.lru_cache(maxsize=256)
def compile_expression(text: str) -> Expression:
    """Read an expression; raises CommandError that marks what is wrong."""
    parser = _Parser(text)
    made = parser.whole()
    if parser.stuck is not None and parser.peek.kind == "end":
        raise parser.stuck
    if parser.peek.kind != "end":
        raise parser.error(f"{parser.peek.text!r} is not expected here")
    return made


def evaluate(text: str, lookup: Lookup) -> Value:
    """The value of an expression; raises CommandError that says what is wrong and where."""
    return compile_expression(text).evaluate(lookup)


def leading(text: str) -> tuple[Expression, str]:
    """The longest expression at the beginning of `text`, and what follows it; raises CommandError."""
    parser = _Parser(text)
    made = parser.whole()
    rest = text[parser.peek.at :]
    return Expression(text[: parser.peek.at].strip(), made.run), rest.strip()


class _Parser:
    """Recursive descent."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.stuck: CommandError | None = None
        self.tokens = self._tokens()
        self.at = 0
        self.depth = 0

    def whole(self) -> Expression:
        if self.peek.kind == "end":
            if self.stuck is not None:
                raise self.stuck
            raise CommandError("an expression is missing", help="such as x5, t[0:4, :] or $pc")
        node = self.either()
        return Expression(self.text.strip(), node)

    # -- tokens ------------------------------------------------------------------------------------

    def _tokens(self) -> list[_Token]:
        out: list[_Token] = []
        at = 0
        text = self.text.rstrip()
        if len(text) > MAX_LENGTH:
            raise CommandError(f"an expression has at most {MAX_LENGTH:,} characters")
        while at < len(text):
            m = _TOKEN.match(text, at)
            if m is None:
                rest = text[at:].lstrip()
                where = len(text) - len(rest)
                self.stuck = self.error(f"{rest[0]!r} means nothing here", where)
                return [*out, _Token("end", "the end", where)]
            kind = m.lastgroup or "op"
            out.append(_Token(kind, m[kind], m.start(kind)))
            at = m.end()
        return [*out, _Token("end", "the end", len(text))]

    @property
    def peek(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *texts: str) -> _Token | None:
        """The next token if it is one of these operators or words."""
        token = self.peek
        if token.text in texts and (token.kind == "op" or token.text in _WORDS):
            self.at += 1
            return token
        return None

    def expect(self, text: str) -> None:
        if self.take(text) is None:
            if self.stuck is not None and self.peek.kind == "end":
                raise self.stuck
            raise self.error(f"expected {text!r}, found {self.peek.text!r}")

    def error(self, why: str, at: int | None = None, help: str = "") -> CommandError:
        column = self.peek.at if at is None else at
        if len(self.text) > 200:  # marking a column of that helps nobody
            return CommandError(f"{why}, at character {column + 1}", help=help)
        return CommandError(f"{why}\n    {self.text}\n    {' ' * column}^", help=help)

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error("this nests too deeply")

    # -- operators ---------------------------------------------------------------------------------

    def either(self) -> Node:
        self.deeper()
        parts = [self.both()]
        while self.take("or"):
            parts.append(self.both())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else _logical(parts, either, True)

    def both(self) -> Node:
        parts = [self.negated()]
        while self.take("and"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else _logical(parts, both, False)

    def negated(self) -> Node:
        if not self.take("not"):
            return self.compared()
        self.deeper()
        node = self.negated()
        self.depth -= 1

        def run(lookup: Lookup) -> Value:
            return computed(np.logical_not(operand(node(lookup))))

        return run

    def compared(self) -> Node:
        """`a < b`, and `a < b < c` as Python means it."""
        first = self.level(0)
        rest: list[tuple[Callable[[Any, Any], Any], Node]] = []
        while (op := self.take(*COMPARISONS)) is not None:
            rest.append((COMPARISONS[op.text], self.level(0)))
        if not rest:
            return first

        def run(lookup: Lookup) -> Value:
            left, out = operand(first(lookup)), None
            for compare, node in rest:
                right = operand(node(lookup))
                holds = compare(left, right)
                out = holds if out is None else both(out, holds)
                left = right
            return computed(out)

        return run

    def level(self, n: int) -> Node:
        if n == len(LEVELS):
            return self.unary()
        first = self.level(n + 1)
        rest: list[tuple[Callable[[Any, Any], Any], Node]] = []
        while (op := self.take(*LEVELS[n])) is not None:
            rest.append((LEVELS[n][op.text], self.level(n + 1)))
        if not rest:
            return first

        def run(lookup: Lookup) -> Value:
            left = first(lookup)
            for apply, node in rest:
                left = computed(apply(operand(left), operand(node(lookup))))
            return left

        return run

    def unary(self) -> Node:
        op = self.take("-", "+", "~")
        if op is None:
            return self.raised()
        self.deeper()
        node = self.unary()
        self.depth -= 1
        apply = {"-": lambda a: -counted(a), "+": counted, "~": invert}[op.text]
        return lambda lookup: computed(apply(operand(node(lookup))))

    def raised(self) -> Node:
        base = self.postfix()
        if not self.take("**"):
            return base
        self.deeper()
        exponent = self.unary()
        self.depth -= 1
        return lambda lookup: computed(power(operand(base(lookup)), operand(exponent(lookup))))

    # -- slices and attributes ---------------------------------------------------------------------

    def postfix(self) -> Node:
        node = self.atom()
        count = 0
        while True:
            token = self.peek
            if self.take("["):
                node = self.sliced(node)
            elif token.kind == "name" and token.text.startswith(".") and _attributes(token.text[1:]):
                self.at += 1
                node = _with_attributes(node, token.text[1:].split("."))
            else:
                return node
            count += 1
            if count > MAX_DEPTH:
                raise self.error("this nests too deeply")

    def sliced(self, node: Node) -> Node:
        refused = self.error("only a tile can be sliced")
        parts = self.index()

        def run(lookup: Lookup) -> Value:
            value = node(lookup)
            if not isinstance(value.data, np.ndarray):
                raise refused
            index = tuple([part(lookup) for part in parts])
            if any(isinstance(i, int) and i.bit_length() > 62 for i in index):
                raise IndexError("an index is out of bounds")
            if Ellipsis not in index:
                index = (*index, Ellipsis)  # so that one element is a view too
            return Value(value.data[index], value.dtype)

        return run

    def index(self) -> list[Callable[[Lookup], Any]]:
        parts = [self.slice()]
        while not self.take("]"):
            self.expect(",")
            parts.append(self.slice())
        return parts

    def slice(self) -> Callable[[Lookup], Any]:
        """`i`, `a:b`, `a:b:c`, `a:+length`, `...`"""
        if self.take("..."):
            return lambda _: Ellipsis
        start = None if self.ahead(":") else self.integer()
        if not self.take(":"):
            assert start is not None
            return start
        if start is not None and self.take("+"):
            begin, length = start, self.integer()

            def counted(lookup: Lookup) -> slice:
                at = begin(lookup)
                return slice(at, at + length(lookup))

            return counted
        stop = None if self.ahead(":", ",", "]") else self.integer()
        step = None
        if self.take(":") and not self.ahead(",", "]"):
            step = self.integer()
        return lambda lookup: slice(*[None if p is None else p(lookup) for p in (start, stop, step)])

    def ahead(self, *texts: str) -> bool:
        return self.peek.kind == "op" and self.peek.text in texts

    def integer(self) -> Callable[[Lookup], int]:
        refused = self.error("an index is an integer")
        node = self.either()

        def run(lookup: Lookup) -> int:
            value = node(lookup).data
            if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "iu":
                value = int(value)
            if not isinstance(value, int):
                raise refused
            return value

        return run

    # -- what stands alone -------------------------------------------------------------------------

    def atom(self) -> Node:
        token = self.peek
        self.at += 1
        if token.kind == "int":
            if len(token.text) > MAX_BITS // 4:
                raise self.error("this number is too long", token.at)
            number = Value(int(token.text, 0 if token.text[:2].lower() in ("0x", "0b") else 10))
            return lambda _: number
        if token.kind == "float":
            real = Value(float(token.text))
            return lambda _: real
        if token.kind == "name" and token.text not in _WORDS:
            return self.called(token) if self.ahead("(") else _name(token.text)
        self.at -= 1
        if self.take("("):
            node = self.either()
            self.expect(")")
            return node
        if self.stuck is not None and token.kind == "end":
            raise self.stuck
        raise self.error(f"expected a number or a name, found {token.text!r}")

    def called(self, token: _Token) -> Node:
        """`max(t, axis=1)`"""
        name = token.text
        found = function(name)
        if found is None:
            hint = nearest(name, function_names()) or f"there are: {', '.join(function_names())}"
            raise self.error(f"there is no function {name!r}", token.at, help=hint)
        f = found
        self.take("(")
        nodes: list[Node] = []
        named: dict[str, Node] = {}
        while not self.take(")"):
            if nodes or named:
                self.expect(",")
            following = self.tokens[self.at + 1 : self.at + 2]
            if self.peek.kind == "name" and following and following[0].text == "=":
                word = self.peek.text
                if word not in f.named or word in named:
                    raise self.error(f"{name} is written {f.usage}", help=f.doc)
                self.at += 2
                named[word] = self.either()
            elif named:
                raise self.error(f"{name} is written {f.usage}", help="arguments with names come last")
            else:
                nodes.append(self.either())
        if len(nodes) not in f.counts:
            raise self.error(f"{name} is written {f.usage}", token.at, help=f.doc)

        def run(lookup: Lookup) -> Value:
            return call(name, f, [n(lookup) for n in nodes], {k: n(lookup) for k, n in named.items()})

        return run


def _attributes(text: str) -> bool:
    return all(part in ATTRIBUTES for part in text.split("."))


def _with_attributes(node: Node, names: list[str]) -> Node:
    return lambda lookup: _attributes_of(node(lookup), names)


def _attributes_of(value: Value, names: list[str]) -> Value:
    for name in names:
        value = attribute(name, value)
    return value


def _name(text: str) -> Node:
    """A name; what ends like an attribute can still be one: tiles may be called `a.T`."""
    base = text
    names: list[str] = []
    while "." in base[1:]:
        head, _, tail = base.rpartition(".")
        if tail not in ATTRIBUTES or not head:
            break
        base = head
        names.insert(0, tail)
    if not names:
        return lambda lookup: lookup(text)

    def run(lookup: Lookup) -> Value:
        for i in range(len(names), 0, -1):  # the longest name first
            try:
                value = lookup(".".join([base, *names[:i]]))
            except CommandError:
                continue
            return _attributes_of(value, names[i:])
        return _attributes_of(lookup(base), names)

    return run


def _logical(parts: list[Node], apply: Callable[[Any, Any], Any], decided: bool) -> Node:
    """`and`, `or`: elementwise where there are elements; of single numbers, what comes after the answer is left."""

    def run(lookup: Lookup) -> Value:
        left = operand(parts[0](lookup))
        for node in parts[1:]:
            if np.ndim(left) == 0 and bool(left) is decided:
                return Value(int(decided))
            left = apply(left, operand(node(lookup)))
        return computed(left if np.ndim(left) else bool(left))

    return run
