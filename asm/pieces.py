"""Texts that macros and their like read for themselves, in pieces."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a directive's text: columns [start, end) of its line."""

    text: str
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """Columns [start, end) from 0; never empty."""
        return self.start, max(self.end, self.start + 1)

    def value(self) -> str:
        """The text; of a quoted one what is between the quotes."""
        quoted = len(self.text) > 1 and _STRING.fullmatch(self.text)
        return self.text[1:-1] if quoted else self.text


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[^"]')


def split(text: str, start: int) -> list[Piece]:
    """A text, which begins at column `start`, in its pieces: between commas, but not those in quotes or brackets."""
    pieces = []
    begin = depth = 0
    if not text.strip():
        return []
    for m in _PIECE.finditer(text + ","):
        if m[0] == "," and (depth == 0 or m.start() == len(text)):
            pieces.append(_piece(text, begin, m.start(), start))
            begin = m.end()
        elif m[0] in ("(", "["):
            depth += 1
        elif m[0] in (")", "]"):
            depth = max(depth - 1, 0)
    return pieces


def _piece(text: str, begin: int, end: int, start: int) -> Piece:
    inner = text[begin:end]
    begin += len(inner) - len(inner.lstrip())
    inner = inner.strip()
    return Piece(inner, start + begin, start + begin + len(inner))
