"""How text reaches the terminal: colours where they are wanted, and nothing that could steer the terminal."""

from __future__ import annotations

import functools
import os
import re
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_CODES = {
    "error": "1;31",
    "stop": "1;33",
    "place": "36",
    "arrow": "1;32",
    "name": "1",
    "dim": "2",
    "caret": "32",
    "changed": "33",
    "ir": "35",
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def wants_colour(stream: TextIO) -> bool:
    """True for a terminal that shows colours, unless NO_COLOR (no-color.org) or TERM say otherwise."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def clean(text: str) -> str:
    """`text` without what a terminal would obey: control characters become a visible sign.

    Everything printed goes through here, since names, strings and sources come from files that nobody checked.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text.expandtabs())


class Style:
    """Paints, or leaves plain."""

    def __init__(self, colour: bool = False) -> None:
        self.colour = colour

    @staticmethod
    def of(stream: TextIO) -> Style:
        """The style that fits a stream."""
        return Style(wants_colour(stream))

    def paint(self, kind: str, text: str) -> str:
        """`text` in the colour of a kind of thing."""
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if self.colour and text else text

    def code(self, text: str, python: bool = False) -> str:
        """A line of source or assembly, highlighted."""
        text = clean(text)
        return _highlighted(text, python) if self.colour else text

    def safe(self, text: str) -> str:
        """`text` cleaned, its colours kept when there are any to be seen."""
        if not self.colour:
            return clean(text)
        out, at = [], 0
        for m in _COLOUR.finditer(text):
            out += [clean(text[at : m.start()]), m[0]]
            at = m.end()
        return "".join(out) + clean(text[at:])


@functools.lru_cache(1 << 12)
def _highlighted(text: str, python: bool) -> str:
    """The same lines are shown at every stop."""
    from pygments import highlight
    from pygments.formatters import TerminalFormatter

    return str(highlight(text, _lexer(python), TerminalFormatter())).rstrip("\n")


@functools.cache
def _lexer(python: bool) -> Lexer:
    from pygments.lexers.python import PythonLexer
    from sohu.asm.lexer import SohuLexer

    kind = PythonLexer if python else SohuLexer
    return kind(stripnl=False, ensurenl=False)


def visible(text: str) -> int:
    """Columns that a painted text takes."""
    return len(_COLOUR.sub("", text))


def clip(text: str, width: int) -> str:
    """A painted text cut to so many columns."""
    if len(text) <= width or visible(text) <= width:
        return text
    out, left, at = [], width, 0
    for m in _COLOUR.finditer(text):
        part = text[at : m.start()]
        out += [part[:left], m[0]]  # colours that end behind the cut must end
        left, at = max(0, left - len(part)), m.end()
    return "".join([*out, text[at:][:left]])


def columns(stream: TextIO | None = None) -> int:
    """Width of the terminal; 100 where there is none, so that scripts print the same everywhere."""
    out = stream or sys.stdout
    if (known := getattr(out, "columns", 0)) > 0:  # a pane of the full screen
        return int(known)
    try:
        return max(40, os.get_terminal_size(out.fileno()).columns)
    except (OSError, ValueError, AttributeError):
        return 100
