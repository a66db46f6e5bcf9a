"""A line of source as tokens, whatever is on it: for highlighting, formatting and editors.

The assembler itself reads lines by grammar.lark, which refuses what is wrong. Here every character belongs to some
token, also in lines that are half written and in bodies of macros; a test holds the two against each other.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise


class Kind(enum.Enum):
    """What a token is."""

    LABEL = "label"  # name or number that a colon follows at the beginning of a line
    MNEMONIC = "mnemonic"  # of an instruction, or a macro that is called
    DIRECTIVE = "directive"
    NAME = "name"  # registers, constants, tiles, labels: what stands among the operands; also `.`
    KEY = "key"  # `q` in `q=1`
    WORD = "word"  # wait, signal
    LOCAL = "local"  # 1b, 1f
    NUMBER = "number"
    STRING = "string"
    SUBSTITUTION = "substitution"  # \name, \@ and \() in the body of a macro
    OPERATOR = "operator"
    PUNCTUATION = "punctuation"
    COMMENT = "comment"
    ERROR = "error"  # what no line can hold


@dataclass(frozen=True, slots=True)
class Token:
    """Text [start, end) of a line, in characters from 0."""

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Column after the token."""
        return self.start + len(self.text)


# Names, numbers and strings are those of grammar.lark.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\f\r]+)
    | (?P<COMMENT>(?:\#|//).*)
    | (?P<STRING>"(?:[^"\\]|\\.)*")
    | (?P<SUBSTITUTION>\\(?:[^\W\d]\w*|@|\(\)))
    | (?P<LOCAL>[0-9]+[bf](?![\w.]))
    | (?P<NUMBER>(?:0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?[pP][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?
        |[0-9]+[eE][+-]?[0-9]+|0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)(?![\w.]))
    | (?P<NAME>\.?[^\W\d][\w.]*|\.(?!\w))
    | (?P<OPERATOR><<|>>|[<>=!+]=|&&|\|\||[-+*/%&|^~!=<>?])
    | (?P<PUNCTUATION>[\[\](),:])
    | (?P<ERROR>[0-9][\w.]*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"wait", "signal"}
_LABEL_PARTS = {Kind.NAME, Kind.NUMBER, Kind.LOCAL, Kind.SUBSTITUTION}


def scan(line: str) -> list[Token]:
    """The tokens of one line (without its end). Together with the blanks between them, they are the line."""
    tokens = [
        Token(Kind[m.lastgroup], m[0], m.start())
        for m in _TOKEN.finditer(line)
        if m.lastgroup is not None and m.lastgroup != "space"
    ]
    at = _labels(tokens)
    _join(tokens, at)
    if at < len(tokens) and tokens[at].kind is Kind.NAME:
        first = tokens[at]
        directive = first.text.startswith(".") and len(first.text) > 1
        tokens[at] = Token(Kind.DIRECTIVE if directive else Kind.MNEMONIC, first.text, first.start)
        at += 1
    for i in range(at, len(tokens)):
        t = tokens[i]
        if t.kind is Kind.NAME:
            follows = i + 1 < len(tokens) and tokens[i + 1].text == "="
            kind = Kind.WORD if t.text in _WORDS else Kind.KEY if follows and i > at else Kind.NAME
            tokens[i] = Token(kind, t.text, t.start)
    return tokens


def _join(tokens: list[Token], at: int) -> None:
    r"""Make one token of a name that a macro puts together, such as row\n or v\op\().row, where it begins a line."""
    end = at
    while end < len(tokens) and tokens[end].kind in _LABEL_PARTS and (end == at or _touch(tokens, end)):
        end += 1
    if any(t.kind is Kind.SUBSTITUTION for t in tokens[at + 1 : end]) and tokens[at].kind is Kind.NAME:
        tokens[at:end] = [Token(Kind.NAME, "".join(t.text for t in tokens[at:end]), tokens[at].start)]


def _labels(tokens: list[Token]) -> int:
    """Mark the labels that begin a line; the index of the token after them."""
    at = 0
    while True:
        end = at
        while end < len(tokens) and tokens[end].kind in _LABEL_PARTS and (end == at or _touch(tokens, end)):
            end += 1
        if end == at or end == len(tokens) or tokens[end].text != ":":
            return at
        for i in range(at, end):
            if tokens[i].kind is not Kind.SUBSTITUTION:
                tokens[i] = Token(Kind.LABEL, tokens[i].text, tokens[i].start)
        at = end + 1


def _touch(tokens: list[Token], i: int) -> bool:
    return tokens[i - 1].end == tokens[i].start


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a line, each a run of tokens; `operands` are without wait and signal."""

    labels: list[Token]
    op: Token | None
    operands: list[Token]
    sync: list[list[Token]]  # a clause each
    comment: Token | None


def parts(tokens: list[Token]) -> Parts:
    """Take a line apart."""
    comment = tokens[-1] if tokens and tokens[-1].kind is Kind.COMMENT else None
    code = tokens[:-1] if comment else tokens
    at = next((i for i, t in enumerate(code) if t.kind in (Kind.MNEMONIC, Kind.DIRECTIVE)), None)
    if at is None:
        end = max((i + 1 for i, t in enumerate(code) if t.text == ":"), default=0)
        return Parts(code[:end], None, code[end:], [], comment)
    starts = [i for i in range(at + 1, len(code)) if code[i].kind is Kind.WORD]
    clauses = [code[a:b] for a, b in pairwise([*starts, len(code)])]
    return Parts(code[:at], code[at], code[at + 1 : starts[0] if starts else None], clauses, comment)


def operands(tokens: list[Token]) -> Iterator[list[Token]]:
    """The operands of a line: what stands between its commas, those in brackets aside."""
    depth = 0
    run: list[Token] = []
    for t in tokens:
        if t.text == "," and not depth:
            yield run
            run = []
            continue
        depth += (t.text in "[(") - (t.text in "])") if t.kind is Kind.PUNCTUATION else 0
        depth = max(depth, 0)
        run.append(t)
    if run:
        yield run
