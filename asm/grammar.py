"""Lines by grammar.lark, the truth about what a line can be, and the messages for those that can't."""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, Literal

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, v_args
from sohu.asm.diagnostics import Mistake
from sohu.asm.names import nearest
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
    Raw,
    Ref,
    Statement,
    Sync,
    Text,
    Value,
    chain,
    deeper,
    prefix,
    string_literal,
)


def parse(line: str, rule: Literal["start", "call"]) -> Statement:
    """Read one line by a rule of the grammar; raises Mistake."""
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


def _span(token: Token) -> tuple[int, int]:
    start = token.start_pos or 0
    return start, start + len(token)


def _ref(token: Token) -> Ref:
    return Ref(str(token), *_span(token))


def _text(token: Token) -> Text:
    return string_literal(str(token), _span(token)[0])


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
        return prefix(str(op), start, a)

    def chain(self, first: Expression, *rest: Any) -> Expression:
        return chain([first, *rest[1::2]], [str(op) for op in rest[::2]])

    def function(self, name: Token, *operands: Any) -> Call:
        start, _ = _span(name)
        *inner, closing = operands
        end = _span(closing)[1]
        return Call(_ref(name), tuple(inner), start, end, deeper((start, end), *inner))

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


_DIRECTIVE = re.compile(r"\s*(?:[\w.]+:\s*)*+\.")  # after labels


def _unexpected(line: str, token: Token, expected: Any) -> Mistake:
    left = set(expected)
    if "COMMA" in left:
        left.discard("EQUAL")  # after the name of an operand that has one: not worth a word
    if _DIRECTIVE.match(line):
        left -= {"WAIT", "SIGNAL"}
    wanted = _wanted(left)
    if token.type == "$END":
        end = len(line[: _comment(line)].rstrip())
        return Mistake("A002", f"the line ends where {wanted} is expected", (end, end + 1))
    span = _span(token)
    before = line[: span[0]].split()[-1:]
    help = nearest(before[0], ("wait", "signal")) if before and "WAIT" in left else ""
    return Mistake("A002", f"expected {wanted}, found {str(token)!r}", span, help=help)


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
