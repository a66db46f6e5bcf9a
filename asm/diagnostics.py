"""Mistakes in a source file: each with a code, its place, and what to do; all of a file in one AsmError."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from sohu.isa import SohuError

CODES = {
    "A001": "the file is no text",
    "A002": "syntax",
    "A003": "a malformed number or string",
    "A010": "an unknown instruction",
    "A011": "an unknown directive",
    "A012": "missing or surplus operands",
    "A013": "an operand of the wrong kind",
    "A014": "a value that does not fit",
    "A015": "an unknown or repeated keyword operand",
    "A016": "a wait or signal where none can be",
    "A020": "an undefined name",
    "A021": "a name defined twice",
    "A022": "a reserved name",
    "A023": "a numeric label that is not there",
    "A024": "an expression that has no value here",
    "A025": "arithmetic that fails",
    "A030": "a directive outside a kernel",
    "A031": "a declaration after the kernel's first instruction",
    "A032": "an unknown dtype, memory or direction",
    "A033": "bad dimensions or strides",
    "A034": "a register that is taken, or none left",
    "A035": "a tile that has no place",
    "A040": "code or data in the wrong section",
    "A041": "a directive's arguments",
    "A042": "a section grown too large",
}

MAX_ERRORS = 200  # of one file; further ones are counted
_WINDOW = 100  # columns of a long source line that are shown
_LONGEST = 200  # characters of a message
_SUGGEST_AMONG = 2000  # names compared for a suggestion
_SUGGESTIONS = 50  # misspellings of one file that get one: comparing is slow

_BOLD, _RED, _CYAN, _OFF = "\033[1m", "\033[1;31m", "\033[36m", "\033[0m"


@dataclass(frozen=True)
class Diagnostic:
    """One mistake. Line and column count from 1; `length` columns are marked."""

    code: str
    message: str
    file: str
    line: int
    column: int
    length: int = 1
    source: str = ""
    help: str = ""
    notes: tuple[str, ...] = ()

    def render(self, colour: bool = False) -> str:
        """The lines to print, as GNU tools do: file:line:column, the source line, a caret, help.

        Nothing in them steers a terminal but our own colours.
        """
        bold, red, cyan, off = (_BOLD, _RED, _CYAN, _OFF) if colour else ("", "", "", "")
        place = f"{bold}{printable(self.file)}:{self.line}:{self.column}:{off}"
        out = [f"{place} {red}error[{self.code}]:{off} {bold}{printable(self.message)}{off}"]
        if self.source.strip():
            shown, at = _window(self.source, self.column - 1)
            marks = "^" + "~" * (max(1, min(self.length, len(shown) - at)) - 1)
            out.append(f"{self.line:5} | {printable(shown)}")
            out.append(f"      | {' ' * at}{red}{marks}{off}")
        out += [f"   note: {printable(note)}" for note in self.notes]
        if self.help:
            out.append(f"   {cyan}help:{off} {printable(self.help)}")
        return "\n".join(out)


def _window(source: str, at: int) -> tuple[str, int]:
    """The part of a source line around column `at` that is shown, tabs as one space, and the new column."""
    shown = source.replace("\t", " ")
    if len(shown) <= _WINDOW:
        return shown, at
    low = max(0, min(at - _WINDOW // 2, len(shown) - _WINDOW))
    return shown[low : low + _WINDOW], at - low


def printable(text: str) -> str:
    """`text` with control characters and lone surrogates replaced, one for one."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


class AsmError(SohuError):
    """A source file that cannot be assembled. `diagnostics` are in the order of the file."""

    def __init__(self, diagnostics: list[Diagnostic], more: int = 0) -> None:
        count = len(diagnostics) + more
        super().__init__(f"{count} error{'s' if count > 1 else ''} in {diagnostics[0].file}")
        self.diagnostics = diagnostics
        self.more = more

    def __str__(self) -> str:
        return self.render()

    def render(self, colour: bool = False) -> str:
        """All diagnostics, as text."""
        out = [d.render(colour) for d in self.diagnostics]
        if self.more:
            out.append(f"{printable(self.diagnostics[0].file)}: and {self.more} more errors")
        return "\n".join(out)


class Mistake(Exception):
    """What is wrong with one statement; the assembler adds the file and, unless given, the line."""

    def __init__(
        self,
        code: str,
        message: str,
        span: tuple[int, int],
        *,
        help: str = "",
        notes: tuple[str, ...] = (),
        line: int = 0,
    ) -> None:
        assert code in CODES, code
        if len(message) > _LONGEST:  # it quotes something very long
            message = f"{message[: _LONGEST // 2]}...{message[-_LONGEST // 4 :]}"
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span  # columns [start, end) from 0
        self.help = help
        self.notes = notes
        self.line = line


class Diagnostics:
    """Collects the mistakes of one source file."""

    def __init__(self, file: str, source: list[str]) -> None:
        self.file = file
        self.source = source
        self.found: list[Diagnostic] = []
        self.more = 0
        self._suggestions = 0

    def add(self, mistake: Mistake, line: int) -> None:
        """Record a mistake made on `line` (from 1)."""
        if len(self.found) >= MAX_ERRORS:
            self.more += 1
            return
        line = mistake.line or line
        start, end = mistake.span
        text = self.source[line - 1] if 0 < line <= len(self.source) else ""
        self.found.append(
            Diagnostic(
                mistake.code, mistake.message, self.file, line, start + 1, max(end - start, 1), text,
                mistake.help, mistake.notes,
            )
        )  # fmt: skip

    def nearest(self, name: str, among: Iterable[str]) -> str:
        """A help text that suggests the nearest name, or ""."""
        self._suggestions += 1
        return nearest(name, among) if self._suggestions <= _SUGGESTIONS else ""

    def check(self) -> None:
        """Raises AsmError if anything was found."""
        if self.found:
            raise AsmError(sorted(self.found, key=lambda d: (d.line, d.column)), self.more)


def nearest(name: str, among: Iterable[str]) -> str:
    """`did you mean 'x'?` for the name most like `name`, or "" where none is."""
    folded = {n.lower(): n for n, _ in zip(among, range(_SUGGEST_AMONG), strict=False)}
    found = difflib.get_close_matches(name.lower(), folded, 1, 0.6)
    return f"did you mean {folded[found[0]]!r}?" if found else ""
