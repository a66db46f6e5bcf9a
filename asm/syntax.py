"""One line of source -> a Statement. The grammar is grammar.lark; constants are folded as it is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal, TypeAlias

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, v_args
from sohu.asm.diagnostics import Mistake
from sohu.asm.numbers import Number, binary, float_literal, integer_literal, unary

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
    if len(line) > MAX_LINE:
        raise Mistake("A001", f"a line of {len(line)} characters; at most {MAX_LINE} are read", (0, 1))
    try:
        statement: Statement = _PARSER.parse(line, start=rule)  # type: ignore[assignment]  # the transformer's result
    except UnexpectedToken as e:
        if e.token.type == "TEXT":  # no token of this line: lark has looked among those of other rules
            raise _unreadable(line, e.token.start_pos or 0) from None
        raise _unexpected(line, e.token, e.expected) from None
    except UnexpectedCharacters as e:
        raise _unreadable(line, e.pos_in_stream or 0) from None
    except UnexpectedEOF as e:
        raise _unexpected(line, Token("$END", ""), e.expected) from None
    return statement


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


def _text(token: Token) -> Text:
    start, end = _span(token)
    out = bytearray()
    body = str(token)[1:-1]
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


def _span(token: Token) -> tuple[int, int]:
    start = token.start_pos or 0
    return start, start + len(token)


def _ref(token: Token) -> Ref:
    return Ref(str(token), *_span(token))


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Makes nodes while the line is parsed."""

    def integer(self, token: Token) -> Const:
        return Const(integer_literal(token, _span(token)), *_span(token))

    def float(self, token: Token) -> Const:
        return Const(float_literal(token, _span(token)), *_span(token))

    def name(self, token: Token) -> Const | Ref:
        if token in ("inf", "nan"):
            return Const(float_literal(token, _span(token)), *_span(token))
        return _ref(token)

    def local(self, token: Token) -> LocalRef:
        span = _span(token)
        return LocalRef(integer_literal(token[:-1], span), token[-1] == "f", *span)

    def unary(self, op: Token, a: Expression) -> Expression:
        start, _ = _span(op)
        if isinstance(a, Const):
            return Const(unary(op, a.value, (start, a.end)), start, a.end)
        return Operation(str(op), (a,), start, a.end, _deeper((start, a.end), a))

    def chain(self, first: Expression, *rest: Any) -> Expression:
        operands: list[Expression] = [first]
        operators: list[str] = []
        for op, operand in zip(rest[::2], rest[1::2], strict=True):
            while operators and PRECEDENCE[operators[-1]] >= PRECEDENCE[op]:
                _reduce(operands, operators)
            operators.append(str(op))
            operands.append(operand)
        while operators:
            _reduce(operands, operators)
        return operands[0]

    def function(self, name: Token, *operands: Any) -> Call:
        start, _ = _span(name)
        *inner, closing = operands
        end = _span(closing)[1]
        return Call(_ref(name), tuple(inner), start, end, _deeper((start, end), *inner))

    def bounded(self, size: Expression, _le: Token, bound: Expression) -> Bounded:
        return Bounded(size, bound)

    def string(self, token: Token) -> Text:
        return _text(token)

    def pair(self, name: Token, value: Value) -> Pair:
        return Pair(_ref(name), value)

    def wait(self, word: Token, sem: Token, value: Expression) -> Sync:
        return Sync("wait", _ref(sem), value, _span(word)[0], value.end)

    def signal(self, word: Token, sem: Token, value: Expression | None = None) -> Sync:
        return Sync("signal", _ref(sem), value, _span(word)[0], value.end if value else _span(sem)[1])

    def label(self, token: Token) -> Ref | Const:
        if token.type == "INT":
            return Const(integer_literal(token, _span(token)), *_span(token))
        return _ref(token)

    def location(self, word: Token, *numbers: Token) -> Statement:
        return Statement(op=_ref(word), args=[self.integer(n) for n in numbers], end=_span(numbers[-1])[1])

    def file(self, word: Token, number: Token, path: Token) -> Statement:
        return Statement(op=_ref(word), args=[self.integer(number), _text(path)], end=_span(path)[1])

    def raw(self, word: Token, text: Token | None = None) -> Statement:
        if text is None:
            return Statement(op=_ref(word), end=_span(word)[1])
        return Statement(op=_ref(word), args=[Raw(str(text), *_span(text))], end=_span(text)[1])

    def call(self, *parts: Any) -> Statement:
        last = parts[-1]
        *labels, op = parts[:-1] if last.type == "TEXT" else parts
        statement = self.raw(op, last if last.type == "TEXT" else None)
        statement.labels = list(labels)
        return statement

    def here(self, token: Token) -> Ref:
        return _ref(token)

    def list(self, opening: Token, *rest: Any) -> List:
        return List(list(rest[:-1]), _span(opening)[0], _span(rest[-1])[1])

    def statement(self, op: Token, *rest: Argument | Sync) -> Statement:
        args = [r for r in rest if not isinstance(r, Sync)]
        sync = [r for r in rest if isinstance(r, Sync)]
        end = args[-1].span[1] if args else _span(op)[1]
        return Statement(op=_ref(op), args=args, sync=sync, end=end)

    def start(self, *parts: Ref | Const | Statement) -> Statement:
        if parts and isinstance(parts[-1], Statement):
            statement = parts[-1]
            statement.labels = [p for p in parts[:-1] if not isinstance(p, Statement)]
            return statement
        return Statement(labels=[p for p in parts if not isinstance(p, Statement)])


_LEVELS = ("||", "&&", "== != < <= > >=", "|", "^", "&", "<< >>", "+ -", "* / %")  # from the loosest
PRECEDENCE = {op: level for level, ops in enumerate(_LEVELS) for op in ops.split()}


def _reduce(operands: list[Expression], operators: list[str]) -> None:
    op, b, a = operators.pop(), operands.pop(), operands.pop()
    span = (a.start, b.end)
    if isinstance(a, Const) and isinstance(b, Const):
        operands.append(Const(binary(op, a.value, b.value, span), *span))
    else:
        operands.append(Operation(op, (a, b), *span, _deeper(span, a, b)))


def _deeper(span: tuple[int, int], *operands: Expression) -> int:
    depth = 1 + max(o.depth for o in operands)
    if depth > MAX_DEPTH:
        raise Mistake("A025", f"an expression more than {MAX_DEPTH} operators deep", span)
    return depth


_WORDS = {
    "STRING": "a string", "INT": "a number", "NAME": "a name", "TEXT": "text", "$END": "the end of the line",
}  # fmt: skip
_OPERATORS = {"OPERATOR", "SUM", "COMPARISON", "LOGIC", "LPAR"}
_OPERAND = {"INT", "FLOAT", "LOCAL", "SUM", "NOT", "LPAR", "HERE"}


def _wanted(expected: set[str]) -> str:
    """`an operand or ','`, from the parser's terminals."""
    left = set(expected)
    if "NAME" in left:
        left -= {"RAW", "LOC", "FILE"}
    words = []
    if left >= _OPERAND:
        words.append("an operand" if "NAME" in left else "a number")
        left -= _OPERAND | {"NAME", "LSQB", "STRING"}
    else:
        left -= _OPERATORS  # an operator could always follow: not worth a word
        if "RSQB" not in left:
            left.discard("LE")
    words += sorted(_WORDS.get(name, _LITERALS.get(name, name)) for name in left)
    return ", ".join(words[:-1]) + " or " + words[-1] if len(words) > 1 else "".join(words)


def _unexpected(line: str, token: Token, expected: Any) -> Mistake:
    wanted = _wanted(set(expected))
    if token.type == "$END":
        end = len(line[: _comment(line)].rstrip())
        return Mistake("A002", f"the line ends where {wanted} is expected", (end, end + 1))
    return Mistake("A002", f"expected {wanted}, found {str(token)!r}", _span(token))


def _unreadable(line: str, at: int) -> Mistake:
    if line[at] == '"':
        return Mistake("A003", "this string is not closed", (at, len(line)), help='strings end with " on their line')
    if line[at].isdigit():
        end = at
        while end < len(line) and (line[end].isalnum() or line[end] in "._"):
            end += 1
        return Mistake("A003", f"{line[at:end]!r} is no number", (at, end))
    hint = "comments begin with # or //" if line[at] in ";@!" else ""
    if line[at] == "\\":
        hint = "\\name stands for a parameter of the macro or .irp that it is in, and there is none of this name here"
        return Mistake("A002", "unexpected character \\", (at, at + 1), help=hint)
    return Mistake("A002", f"unexpected character {line[at]!r}", (at, at + 1), help=hint)


def _comment(line: str) -> int:
    """Column where the comment of a line begins, or its end. Quotes are heeded."""
    quoted = False
    i = 0
    while i < len(line):
        if quoted and line[i] == "\\":
            i += 1
        elif line[i] == '"':
            quoted = not quoted
        elif not quoted and (line[i] == "#" or line.startswith("//", i)):
            return i
        i += 1
    return len(line)


_PARSER = Lark(
    resources.files("sohu.asm").joinpath("grammar.lark").read_text(encoding="utf-8"),
    parser="lalr",
    start=["start", "call"],
    transformer=_Builder(),
    maybe_placeholders=False,
)
_LITERALS = {t.name: repr(t.pattern.value) for t in _PARSER.terminals}
