"""The Pygments lexer for Sohu assembly: `pygmentize -l sohu f.s`. What a token is, tokens.py says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

from pygments.lexer import Lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Whitespace
from sohu.asm.names import REGISTERS
from sohu.asm.tokens import Kind, Token, scan
from sohu.isa import DTYPES, ROWS, Space

_TYPES = {Kind.LABEL: Name.Label, Kind.DIRECTIVE: Keyword.Namespace, Kind.KEY: Name.Attribute, Kind.WORD: Keyword,
          Kind.LOCAL: Name.Label, Kind.STRING: String.Double, Kind.SUBSTITUTION: Name.Variable.Magic,
          Kind.OPERATOR: Operator, Kind.PUNCTUATION: Punctuation, Kind.COMMENT: Comment.Single,
          Kind.ERROR: Error}  # fmt: skip
DECLARATION_WORDS = frozenset({*DTYPES, *map(str, Space), "in", "out", "inout", "i64", "noprologue"})


class SohuLexer(Lexer):  # type: ignore[misc]  # Pygments has no types
    """Assembly as sohu-asm reads it, and as the disassembler and the debugger print it."""

    name = "Sohu assembly"
    aliases: ClassVar[list[str]] = ["sohu", "sohu-asm"]
    filenames: ClassVar[list[str]] = ["*.s", "*.sohu"]
    mimetypes: ClassVar[list[str]] = ["text/x-sohu-asm"]

    def get_tokens_unprocessed(self, text: str) -> Iterator[tuple[int, Any, str]]:
        """(place, token type, text) of every token; together they are the text."""
        start = 0
        for line in re.findall(r"[^\n]*\n|[^\n]+", text):
            at = 0
            declares = False
            for t in scan(line.rstrip("\n").removesuffix("\r")):
                if t.start > at:
                    yield start + at, Whitespace, line[at : t.start]
                declares = declares or t.kind is Kind.DIRECTIVE
                yield start + t.start, _type(t, declares), t.text
                at = t.end
            if at < len(line):
                yield start + at, Whitespace, line[at:]
            start += len(line)


def _type(t: Token, declares: bool) -> Any:
    """Pygments' type of a token; `declares`: on the line of a directive, where words name dtypes and memories."""
    if t.kind is Kind.MNEMONIC:
        return Name.Function if t.text in ROWS else Name.Function.Magic
    if t.kind is Kind.NUMBER:
        return _number(t.text.lower())
    if t.kind is Kind.NAME:
        if t.text in REGISTERS:
            return Name.Variable
        return Keyword.Type if declares and t.text in DECLARATION_WORDS else Name
    return _TYPES[t.kind]


def _number(text: str) -> Any:
    if text.startswith("0x"):
        return Number.Float if "p" in text else Number.Hex
    if text.startswith("0b"):
        return Number.Bin
    return Number.Float if "." in text or "e" in text else Number.Integer
