"""Lines read by hand, as the grammar reads them and in a tenth of the time.

grammar.lark remains the truth: of a line that is not read here, it says what it is, or what is wrong with it.
"""

from __future__ import annotations

import re

from sohu.asm.diagnostics import Mistake
from sohu.asm.numbers import float_literal, integer_literal
from sohu.asm.syntax import (
    Argument,
    Bounded,
    Call,
    Const,
    Expression,
    List,
    LocalRef,
    Pair,
    Ref,
    Statement,
    Sync,
    Value,
    chain,
    deeper,
    prefix,
    string_literal,
)

# Tokens are those of grammar.lark. A name that is a word of its own there is kept apart, by _WORDS.
_TOKEN = re.compile(
    r"""[ \t\f\r]*+(?:
      (?P<name>\.?[^\W\d][\w.]*+)
    | (?P<local>[0-9]++[bf])(?![\w.])
    | (?P<float>(?:0[xX][0-9a-fA-F]++(?:\.[0-9a-fA-F]*+)?[pP][+-]?[0-9]++
        |(?:[0-9]++\.[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|[0-9]++[eE][+-]?[0-9]++))(?![\w.])
    | (?P<int>0[xX][0-9a-fA-F]++|0[bB][01]++|[0-9]++)(?![\w.])
    | (?P<string>"(?:[^"\\]|\\.)*+")
    | (?P<end>(?:(?:\#|//).*+)?\Z)
    | (?P<sign><<|>>|&&|\|\||==|!=|<=|>=|\+=|[-+*/%&|^~!<>=(),:\[\].])
    )""",
    re.VERBOSE,
)
_WORDS = re.compile(r"wait|signal|\.(?:loc|file|macro|irpc?|ifn?c|ifn?b)")
_ARITHMETIC = frozenset({"|", "^", "&", "<<", ">>", "+", "-", "*", "/", "%"})
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "&&", "||"})
_PREFIXES = frozenset({"+", "-", "~", "!"})
_DEEPEST = 40  # expressions in one another


class _Unread(Exception):
    """This line is for the grammar."""


def read_statement(line: str) -> Statement | None:
    """What the grammar's `start` makes of a line, or None where only the grammar can tell."""
    try:
        return _Line(line).statement()
    except (_Unread, Mistake):
        return None


class _Line:
    """A line's tokens, as (kind, text, column), and how far they are read."""

    def __init__(self, line: str) -> None:
        self.tokens: list[tuple[str, str, int]] = []
        self.at = 0
        self.depth = 0
        match = _TOKEN.match
        found = match(line)
        while found is not None:
            kind = found.lastgroup or ""
            text = found[kind]
            end = found.end()
            self.tokens.append((text if kind == "sign" else kind, text, end - len(text)))
            if kind == "end":
                return
            found = match(line, end)
        raise _Unread

    def next(self, kind: str) -> tuple[str, int]:
        """Text and column of the token at hand, which must be of this kind."""
        found, text, start = self.tokens[self.at]
        if found != kind:
            raise _Unread
        self.at += 1
        return text, start

    def sees(self, kind: str) -> bool:
        """Go past the token at hand, if it is of this kind."""
        if self.tokens[self.at][0] != kind:
            return False
        self.at += 1
        return True

    def ref(self) -> Ref:
        """A name."""
        text, start = self.next("name")
        if _WORDS.fullmatch(text) is not None:
            raise _Unread
        return Ref(text, start, start + len(text))

    def integer(self) -> Const:
        """A whole number."""
        text, start = self.next("int")
        span = (start, start + len(text))
        return Const(integer_literal(text, span), *span)

    # -- lines -----------------------------------------------------------------------------------

    def statement(self) -> Statement:
        """The whole line."""
        tokens = self.tokens
        labels: list[Ref | Const] = []
        while tokens[self.at][0] in ("name", "int") and tokens[self.at + 1][0] == ":":
            labels.append(self.ref() if tokens[self.at][0] == "name" else self.integer())
            self.at += 1
        if tokens[self.at][0] == "end":
            return Statement(labels)
        if tokens[self.at][1] in (".loc", ".file"):
            return self.place(labels)
        op = self.ref()
        args: list[Argument] = []
        if tokens[self.at][0] != "end" and tokens[self.at][1] not in ("wait", "signal"):
            args.append(self.argument())
            while self.sees(","):
                args.append(self.argument())
        sync = []
        while tokens[self.at][0] != "end":
            sync.append(self.sync())
        return Statement(labels, op, args, sync, args[-1].span[1] if args else op.end)

    def place(self, labels: list[Ref | Const]) -> Statement:
        """`.loc` or `.file`."""
        word, start = self.next("name")
        args: list[Argument] = [self.integer()]
        if word == ".file":
            args.append(string_literal(*self.next("string")))
        else:
            args.append(self.integer())
            if self.tokens[self.at][0] == "int":
                args.append(self.integer())
        self.next("end")
        return Statement(labels, Ref(word, start, start + len(word)), args, [], args[-1].span[1])

    def sync(self) -> Sync:
        """`wait` or `signal`."""
        word, start = self.next("name")
        if word == "wait":
            sem = self.ref()
            self.next(">=")
            value = self.expression()
            return Sync(word, sem, value, start, value.end)
        if word != "signal":
            raise _Unread
        sem = self.ref()
        if not self.sees("+="):
            return Sync(word, sem, None, start, sem.end)
        value = self.expression()
        return Sync(word, sem, value, start, value.end)

    # -- arguments -------------------------------------------------------------------------------

    def argument(self) -> Argument:
        """A value, or name=value."""
        if self.tokens[self.at][0] == "name" and self.tokens[self.at + 1][0] == "=":
            name = self.ref()
            self.at += 1
            return Pair(name, self.value())
        return self.value()

    def value(self) -> Value:
        """An expression, string or list."""
        kind = self.tokens[self.at][0]
        if kind == "string":
            return string_literal(*self.next(kind))
        if kind != "[":
            return self.expression()
        _, start = self.next(kind)
        items: list[Expression | Bounded] = []
        if self.tokens[self.at][0] != "]":
            items.append(self.dimension())
            while self.sees(","):
                items.append(self.dimension())
        _, end = self.next("]")
        return List(items, start, end + 1)

    def dimension(self) -> Expression | Bounded:
        """An element of a list."""
        size = self.arithmetic()
        return Bounded(size, self.arithmetic()) if self.sees("<=") else size

    # -- expressions -----------------------------------------------------------------------------

    def expression(self) -> Expression:
        """What stands between comparisons and the like."""
        first = self.arithmetic()
        if self.tokens[self.at][0] not in _COMPARISONS:
            return first
        operands, operators = [first], []
        while (op := self.tokens[self.at][0]) in _COMPARISONS:
            self.at += 1
            operators.append(op)
            operands.append(self.arithmetic())
        return chain(operands, operators)

    def arithmetic(self) -> Expression:
        """What stands between other operators."""
        first = self.unary()
        if self.tokens[self.at][0] not in _ARITHMETIC:
            return first
        operands, operators = [first], []
        while (op := self.tokens[self.at][0]) in _ARITHMETIC:
            self.at += 1
            operators.append(op)
            operands.append(self.unary())
        return chain(operands, operators)

    def unary(self) -> Expression:
        """An operand, with the operators before it."""
        op, _, start = self.tokens[self.at]
        if op not in _PREFIXES:
            return self.atom()
        self.at += 1
        return prefix(op, start, self.deep())

    def deep(self, nested: bool = False) -> Expression:
        """An operand or, `nested`, an expression inside another."""
        if self.depth == _DEEPEST:
            raise _Unread
        self.depth += 1
        found = self.expression() if nested else self.unary()
        self.depth -= 1
        return found

    def atom(self) -> Expression:
        """One operand."""
        kind, text, start = self.tokens[self.at]
        span = (start, start + len(text))
        if kind == "name":
            name = self.ref()
            if self.tokens[self.at][0] == "(":
                return self.call(name)
            return Const(float_literal(text, span), *span) if text in ("inf", "nan") else name
        if kind == "int":
            return self.integer()
        self.at += 1
        if kind == "float":
            return Const(float_literal(text, span), *span)
        if kind == "local":
            return LocalRef(integer_literal(text[:-1], span), text[-1] == "f", *span)
        if kind == ".":
            return Ref(text, *span)
        if kind != "(":
            raise _Unread
        found = self.deep(nested=True)
        self.next(")")
        return found

    def call(self, name: Ref) -> Expression:
        """A function and its operands."""
        self.next("(")
        operands = [self.deep(nested=True)]
        while self.sees(","):
            operands.append(self.deep(nested=True))
        _, end = self.next(")")
        return Call(name, tuple(operands), name.start, end + 1, deeper((name.start, end + 1), *operands))
