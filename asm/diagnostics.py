"""What is wrong, or looks wrong, in a source: each with a code, its place, and what to do.

Errors end in one AsmError that holds all of them; warnings are kept beside, as -W flags ask (warnings.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sohu.asm.codes import CODES
from sohu.asm.names import nearest
from sohu.asm.source import Origin, Sources, Where
from sohu.asm.warnings import WarningPolicy
from sohu.isa import SohuError

MAX_ERRORS = 200  # of one assembly; further ones are counted. As many warnings again
_ENOUGH = 10_000  # after so many nothing more is read
_WINDOW = 100  # columns of a long source line that are shown
_LONGEST = 200  # characters of a message
_DEEPEST = 6  # lines of an expansion stack that are shown
_SUGGESTIONS = 50  # misspellings of one file that get one: comparing is slow
_OF_MISSING = {"A010", "A020", "A023", "A024", "A052", "A056"}  # follow where part of a source is missing

_BOLD, _RED, _MAGENTA, _CYAN, _OFF = "\033[1m", "\033[1;31m", "\033[1;35m", "\033[36m", "\033[0m"

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Note:
    """What else to know; `line` 0: it has no place of its own."""

    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.message} at {self.file}:{self.line}" if self.line else self.message


@dataclass(frozen=True)
class Diagnostic:
    """One error, warning or note. Line and column count from 1; `length` columns are marked.

    Line 0: of the file as a whole.
    """

    code: str
    message: str
    file: str
    line: int
    column: int
    length: int = 1
    source: str = ""
    help: str = ""
    notes: tuple[Note, ...] = ()
    severity: Severity = "error"
    stack: tuple[Origin, ...] = ()  # what brought the line in, innermost first

    @property
    def name(self) -> str:
        """The name of a warning, as -W takes it; "" for errors."""
        return CODES[self.code].name

    def render(self, colour: bool = False) -> str:
        """The lines to print, as GNU tools do: file:line:column, the source line, a caret, help.

        Nothing in them steers a terminal but our own colours.
        """
        bold, cyan, off = (_BOLD, _CYAN, _OFF) if colour else ("", "", "")
        mark = {"error": _RED, "warning": _MAGENTA, "note": _CYAN}[self.severity] if colour else ""
        where = f":{self.line}:{self.column}" if self.line else ""
        place = f"{bold}{printable(self.file)}{where}:{off}"
        name = f" [-W{self.name}]" if self.name else ""
        text = f"{bold}{printable(self.message)}{off}{name}"
        out = [f"{place} {mark}{self.severity}[{self.code}]:{off} {text}"]
        if self.source.strip():
            shown, at = _window(self.source, self.column - 1)
            marks = "^" + "~" * (max(1, min(self.length, len(shown) - at)) - 1)
            out.append(f"{self.line:5} | {printable(shown)}")
            out.append(f"      | {' ' * at}{mark}{marks}{off}")
        shown_stack = self.stack if len(self.stack) <= _DEEPEST else self.stack[: _DEEPEST - 1]
        out += [printable(f"   {o.what} at {o.file}:{o.line}") for o in shown_stack]
        if len(shown_stack) < len(self.stack):
            out.append(f"   ... {len(self.stack) - len(shown_stack)} more, the outermost at {self._outermost()}")
        out += [f"   note: {printable(str(note))}" for note in self.notes]
        if self.help:
            out.append(f"   {cyan}help:{off} {printable(self.help)}")
        return "\n".join(out)

    def _outermost(self) -> str:
        return printable(f"{self.stack[-1].file}:{self.stack[-1].line}")


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
    """A source that cannot be assembled. `diagnostics`, warnings too, are in the order of the source."""

    def __init__(self, diagnostics: Sequence[Diagnostic], more: int = 0) -> None:
        count = sum(d.severity == "error" for d in diagnostics) + more
        file = diagnostics[0].stack[-1].file if diagnostics[0].stack else diagnostics[0].file
        super().__init__(f"{count} error{'s' if count > 1 else ''} in {file}")
        self.diagnostics = list(diagnostics)
        self.more = more

    def __str__(self) -> str:
        return self.render()

    def render(self, colour: bool = False) -> str:
        """All diagnostics, as text."""
        return render(self.diagnostics, colour, self.more)


def render(diagnostics: Sequence[Diagnostic], colour: bool = False, more: int = 0) -> str:
    """Diagnostics as text, and how many `more` errors there were."""
    out = [d.render(colour) for d in diagnostics]
    if more:
        out.append(f"{printable(diagnostics[0].file)}: and {more} more errors")
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
        notes: tuple[tuple[str, int], ...] = (),
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
        self.notes = notes  # what is said of another line (its number in Sources; 0: of none)
        self.line = line


class Diagnostics:
    """Collects what is said of one assembly. `found` holds errors and warnings, in the order they were met."""

    def __init__(self, sources: Sources, policy: WarningPolicy | None = None) -> None:
        self.sources = sources
        self.policy = policy or WarningPolicy()
        self.found: list[Diagnostic] = []
        self.more = 0
        self.incomplete = False  # part of the source could not be read: what it defines is not missing
        self._order: list[tuple[tuple[int, ...], int]] = []  # of `found`: where it stands in what was read
        self._counts: dict[Severity, int] = {"error": 0, "warning": 0, "note": 0}
        self._suggestions = 0
        self._met = 0
        self._said: set[tuple[str, str, int, Where]] = set()

    def add(self, mistake: Mistake, line: int) -> None:
        """Record a mistake made on a line (its number in Sources). A W code is a warning, or what -W makes of it.

        The same again of the same place, as every turn of a repetition has it, is not said twice.
        """
        severity = self.policy.severity(mistake.code)
        if severity is None or (self.incomplete and mistake.code in _OF_MISSING):
            return
        self._met += 1
        line = mistake.line or line
        start, end = mistake.span
        where = self.sources.where(line)
        key = (mistake.code, mistake.message, start, where)
        if key in self._said:
            return
        if self._counts[severity] >= MAX_ERRORS:
            self.more += severity == "error"
            return
        self._said.add(key)
        self._counts[severity] += 1
        notes = tuple(Note(text, *self.sources.place(at)) if at else Note(text) for text, at in mistake.notes)
        self._order.append((self.sources.order(line), start))
        self.found.append(
            Diagnostic(
                mistake.code, mistake.message, where.file, where.line, start + 1, max(end - start, 1), where.text,
                mistake.help, notes, severity, where.stack,
            )
        )  # fmt: skip

    def nearest(self, name: str, among: Iterable[str]) -> str:
        """A help text that suggests the nearest name, or ""."""
        self._suggestions += 1
        return nearest(name, among) if self._suggestions <= _SUGGESTIONS else ""

    @property
    def enough(self) -> bool:
        """True when there are so many that it is no use to read on."""
        return self._met >= _ENOUGH

    @property
    def failed(self) -> bool:
        """True when there was an error."""
        return self._counts["error"] > 0

    def sorted(self) -> list[Diagnostic]:
        """All that was found, in the order of the source."""
        return [self.found[i] for i in sorted(range(len(self.found)), key=lambda i: self._order[i])]

    def check(self) -> None:
        """Raises AsmError if there was an error."""
        if self.failed:
            raise AsmError(self.sorted(), self.more)
