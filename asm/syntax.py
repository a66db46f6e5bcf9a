"""One line of source -> a Statement. Constants are folded as it is read.

The grammar is grammar.lark, which grammar.py reads by. Nearly all lines are also read by statements.py, in a tenth of
the time, and with the same result.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from sohu.asm.diagnostics import Mistake
from sohu.asm.numbers import Number, binary, unary

MAX_LINE = 1 << 16  # characters; bounds what one line can cost
MAX_DEPTH = 100  # of an expression with names in it


@dataclass(slots=True)
class Const:
    """A number known when it is read."""

    value: Number
    start: int
    end: int
    depth: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


@dataclass(slots=True)
class Ref:
    """A name, whose meaning follows from where it stands; `.` for the current place.

    The assembler sets `meaning`: which definition of a constant is meant.
    """

    name: str
    start: int
    end: int
    depth: int = 0
    meaning: Any = None

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


@dataclass(slots=True)
class LocalRef:
    """A numeric label, `1b` or `1f`. The assembler sets `at`: which definition of that number is meant."""

    number: int
    forward: bool
    start: int
    end: int
    at: int = -1
    depth: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


@dataclass(slots=True)
class Operation:
    """One or two operands and an operator."""

    op: str
    operands: tuple[Expression, ...]
    start: int
    end: int
    depth: int

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


@dataclass(slots=True)
class Call:
    """A function of expressions, such as `min(a, b)`."""

    name: Ref
    operands: tuple[Expression, ...]
    start: int
    end: int
    depth: int

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


Expression: TypeAlias = "Const | Ref | LocalRef | Operation | Call"


@dataclass(slots=True)
class Text:
    """A string: its bytes, UTF-8 unless escapes say otherwise."""

    value: bytes
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


@dataclass(slots=True)
class Bounded:
    """`size <= bound`, a dimension from a register with the most that there is room for."""

    size: Expression
    bound: Expression

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.size.start, self.bound.end


@dataclass(slots=True)
class List:
    """`[a, b, ...]`."""

    items: list[Expression | Bounded]
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


@dataclass(slots=True)
class Raw:
    """What a macro or a directive such as .macro reads for itself: the text after its name."""

    text: str
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


Value: TypeAlias = "Expression | Text | List | Raw"


@dataclass(slots=True)
class Pair:
    """`name=value`."""

    name: Ref
    value: Value

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.name.start, self.value.end


Argument: TypeAlias = "Value | Pair"


@dataclass(slots=True)
class Sync:
    """`wait sem >= value` or `signal sem += value`."""

    kind: str
    sem: Ref
    value: Expression | None
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0."""
        return self.start, self.end


@dataclass(slots=True)
class Statement:
    """A line: labels, then perhaps an instruction or directive."""

    labels: list[Ref | Const] = field(default_factory=list)
    op: Ref | None = None
    args: list[Argument] = field(default_factory=list)
    sync: list[Sync] = field(default_factory=list)
    end: int = 0  # column after its last argument, where more would stand


def parse_line(line: str, rule: Literal["start", "call"] = "start") -> Statement:
    """Read one line (without its newline), with "call" one that calls a macro; raises Mistake."""
    from sohu.asm.statements import read_statement  # they are made of what is defined here

    if len(line) > MAX_LINE:
        raise Mistake("A001", f"a line of {len(line)} characters; at most {MAX_LINE} are read", (0, 1))
    if rule == "start" and (statement := read_statement(line)) is not None:
        return statement
    from sohu.asm.grammar import parse  # only now: to make the parser takes a tenth of a second

    return parse(line, rule)


_LEADING_LABEL = re.compile(r"\s*([^\W\d][\w.]*|\.[^\W\d][\w.]*)\s*:")


def leading_labels(line: str) -> list[Ref | Const]:
    """The named labels at the beginning of a line that can't be read further."""
    labels: list[Ref | Const] = []
    at = 0
    while (found := _LEADING_LABEL.match(line, at)) is not None and len(labels) < MAX_DEPTH:
        labels.append(Ref(found[1], *found.span(1)))
        at = found.end()
    return labels


_ESCAPES = {"n": b"\n", "t": b"\t", "r": b"\r", "0": b"\0", '"': b'"', "\\": b"\\"}


def string_literal(literal: str, start: int) -> Text:
    """The text that a literal in quotes, at column `start`, stands for; raises Mistake."""
    end = start + len(literal)
    out = bytearray()
    body = literal[1:-1]
    i = 0
    while i < len(body):
        if body[i] != "\\":
            stop = body.find("\\", i)
            stop = len(body) if stop < 0 else stop
            try:
                out += body[i:stop].encode()
            except UnicodeEncodeError:
                raise Mistake("A003", "this string is no Unicode text", (start, end)) from None
            i = stop
            continue
        at = start + 1 + i
        if body[i + 1] == "x":
            digits = body[i + 2 : i + 4]
            if len(digits) != 2 or not all(c in "0123456789abcdefABCDEF" for c in digits):
                raise Mistake("A003", "\\x takes two hexadecimal digits", (at, at + 2))
            out.append(int(digits, 16))
            i += 4
        elif body[i + 1] in _ESCAPES:
            out += _ESCAPES[body[i + 1]]
            i += 2
        else:
            known = " ".join(f"\\{c}" for c in (*_ESCAPES, "xHH"))
            raise Mistake("A003", f"unknown escape \\{body[i + 1]}", (at, at + 2), help=f"there are: {known}")
    return Text(bytes(out), start, end)


def quote(data: bytes) -> str:
    """The string literal that reads as `data`."""
    out = ['"']
    for char in data.decode("utf-8", "surrogateescape"):
        if (code := ord(char)) >= 0xDC80 and code <= 0xDCFF:  # a byte that is no UTF-8
            out.append(f"\\x{code - 0xDC00:02x}")
        elif char in '"\\':
            out.append("\\" + char)
        elif char == "\n":
            out.append("\\n")
        elif char == "\t":
            out.append("\\t")
        elif char.isprintable():
            out.append(char)
        else:
            out += [f"\\x{b:02x}" for b in char.encode()]
    return "".join(out) + '"'


_LEVELS = ("||", "&&", "== != < <= > >=", "|", "^", "&", "<< >>", "+ -", "* / %")  # from the loosest
PRECEDENCE = {op: level for level, ops in enumerate(_LEVELS) for op in ops.split()}


def prefix(op: str, start: int, a: Expression) -> Expression:
    """An operator before an operand, at column `start`; raises Mistake."""
    if isinstance(a, Const):
        return Const(unary(op, a.value, (start, a.end)), start, a.end)
    return Operation(op, (a,), start, a.end, deeper((start, a.end), a))


def chain(operands: Sequence[Expression], operators: Sequence[str]) -> Expression:
    """Operands with operators between them, by precedence; raises Mistake."""
    done: list[Expression] = [operands[0]]
    waiting: list[str] = []
    for op, operand in zip(operators, operands[1:], strict=True):
        while waiting and PRECEDENCE[waiting[-1]] >= PRECEDENCE[op]:
            _reduce(done, waiting)
        waiting.append(op)
        done.append(operand)
    while waiting:
        _reduce(done, waiting)
    return done[0]


def _reduce(operands: list[Expression], operators: list[str]) -> None:
    op, b, a = operators.pop(), operands.pop(), operands.pop()
    span = (a.start, b.end)
    if isinstance(a, Const) and isinstance(b, Const):
        operands.append(Const(binary(op, a.value, b.value, span), *span))
    else:
        operands.append(Operation(op, (a, b), *span, deeper(span, a, b)))


def deeper(span: tuple[int, int], *operands: Expression) -> int:
    """Depth of an operation at `span`; raises Mistake beyond MAX_DEPTH."""
    depth = 1 + max(o.depth for o in operands)
    if depth > MAX_DEPTH:
        raise Mistake("A025", f"an expression more than {MAX_DEPTH} operators deep", span)
    return depth
