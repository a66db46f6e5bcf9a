"""Columns in characters (here) and in the units of the protocol (UTF-16, unless client and server agree otherwise)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsprotocol import types
from sohu.asm.editing import Span

_UNITS: dict[types.PositionEncodingKind, Callable[[str], int]] = {
    types.PositionEncodingKind.Utf8: lambda c: len(c.encode("utf-8", "surrogatepass")),
    types.PositionEncodingKind.Utf16: lambda c: 1 + (ord(c) > 0xFFFF),
    types.PositionEncodingKind.Utf32: lambda c: 1,
}


class Columns:
    """Conversion for the lines of one document."""

    def __init__(self, lines: Sequence[str], encoding: str | None) -> None:
        self.lines = lines
        self.unit = _UNITS[types.PositionEncodingKind(encoding or types.PositionEncodingKind.Utf16)]

    def units(self, line: int, start: int, end: int) -> int:
        """Length of columns [start, end) of a line."""
        text = self.lines[line][start:end] if line < len(self.lines) else ""
        return len(text) if text.isascii() else sum(map(self.unit, text))

    def column(self, position: types.Position) -> int:
        """The column of a position; the end of the line for one beyond it."""
        text = self.lines[position.line] if position.line < len(self.lines) else ""
        if text.isascii():
            return min(position.character, len(text))
        units = 0
        for column, char in enumerate(text):
            if units >= position.character:
                return column
            units += self.unit(char)
        return len(text)

    def position(self, line: int, column: int) -> types.Position:
        """The position of a column."""
        return types.Position(line, self.units(line, 0, column))

    def range(self, span: Span) -> types.Range:
        """The range of a span; an end of -1 is that of the line."""
        end = len(self.lines[span.line]) if span.end < 0 and span.line < len(self.lines) else span.end
        return types.Range(self.position(span.line, span.start), self.position(span.line, end))
