"""What several commands read from their arguments, and what can be completed there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.display import short
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.session import Session


def read_count(session: Session, text: str) -> int:
    """How often; once without an argument. Raises CommandError for what is no positive integer."""
    if not text:
        return 1
    value = session.evaluate(text).data
    if not isinstance(value, int) or value < 1:
        raise CommandError(f"{text}: wants how many times, 1 or more")
    return value


def no_arguments(text: str, command: str) -> None:
    """Raises CommandError when something is left on the line."""
    if text:
        raise CommandError(f"{command} takes no arguments, {text!r} given")


def places(session: Session, text: str) -> Iterable[str]:
    """Completes kernels, labels and lines."""
    m = re.fullmatch(r"(.+):\d*", text)
    if m is not None:
        files = session.symbols.matching(m[1])
        return [f"{m[1]}:{n}" for file in files for n in session.symbols.lines_of(file)]
    return [*session.symbols.code_names(), *(f"{short(f)}:" for f in session.symbols.files())]


def files(session: Session, text: str) -> Iterable[str]:
    """Completes names of files and folders, the latter with a slash."""
    head, slash, start = text.rpartition("/")
    folder = Path(head + slash or ".").expanduser()
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    shown = [p for p in found if not p.name.startswith(".") or start.startswith(".")]
    return [f"{head}{slash}{p.name}{'/' if p.is_dir() else ''}" for p in shown]


def kernel_arguments(session: Session, text: str) -> Iterable[str]:
    """Completes NAME=FILE of the kernel's parameters."""
    word = text.split(" ")[-1]
    name, equals, value = word.partition("=")
    if equals:
        return [f"{name}={file}" for file in files(session, value)]
    return [f"{p.name}=" for p in session.kernel.params]


def expressions(session: Session, text: str) -> Iterable[str]:
    """Completes names of registers, tiles and symbols."""
    m = re.search(r"\$?[\w.]*$", text)
    word = m[0] if m is not None else ""
    names = session.names.all()
    return [f"${n}" for n in names] if word.startswith("$") else names


def numbers(session: Session, text: str) -> list[int]:
    """The breakpoints that are meant: those named, or all. Raises CommandError for what is no number."""
    words = text.split()
    if bad := next((w for w in words if not w.isdecimal()), None):
        raise CommandError(f"{bad!r} is no breakpoint number", help="info breakpoints lists them")
    return [int(w) for w in words] or list(session.points)


def breakpoint_numbers(session: Session, text: str) -> Iterable[str]:
    """Completes the numbers of breakpoints."""
    return [str(n) for n in session.breakpoints]
