"""What is wrong with a source, line by line of the file that is edited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sohu.asm.assembler import assemble_object
from sohu.asm.diagnostics import AsmError, Diagnostic
from sohu.asm.editing.index import Span
from sohu.asm.options import Options

MAX_EXPANSION = 100_000  # lines that macros may make while somebody types


@dataclass(frozen=True, slots=True)
class Problem:
    """An error or a warning. `related`: what else to know, each with a file and a line (from 0; -1: no place)."""

    severity: Literal["error", "warning", "note"]
    code: str
    name: str  # of a warning, as -W takes it
    message: str
    span: Span
    related: tuple[tuple[str, str, int], ...] = ()
    is_unused: bool = False  # shown as something that is not needed


def diagnose(text: str, file: str) -> list[Problem]:
    """The problems of a source whose path is `file`: included files are looked for beside it."""
    found: list[Diagnostic] = []
    try:
        assemble_object(text, file, Options(max_expansion=MAX_EXPANSION, externals=True), found)
    except AsmError as e:
        found = e.diagnostics
    return [_problem(d, file) for d in found]


def _problem(d: Diagnostic, file: str) -> Problem:
    message = d.message + (f"\nhelp: {d.help}" if d.help else "")
    related = [(note.message, note.file, note.line - 1) for note in d.notes]
    if d.stack:
        # shown at the line of this file that brought it in
        outermost = d.stack[-1]
        related.insert(0, (d.message, d.file, d.line - 1))
        related += [(origin.what, origin.file, origin.line - 1) for origin in d.stack[:-1]]
        span = Span(max(outermost.line - 1, 0), 0, -1)
    else:
        span = Span(max(d.line - 1, 0), d.column - 1, d.column - 1 + d.length)
    unused = d.name.startswith("unused-") or d.name == "unreachable"
    return Problem(d.severity, d.code, d.name, message, span, tuple(related), unused)
