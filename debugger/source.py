"""Source files that a program names: read as text, never run."""

from __future__ import annotations

import ast
import functools
import linecache
import os
import stat
import warnings
from pathlib import Path

MAX_BYTES = 16 << 20  # of a source file; a program can name any file


class Sources:
    """Source lines by file name. A relative name is looked for here and beside the program."""

    def __init__(self, program: str) -> None:
        self.folders = ["", os.path.dirname(program)]
        self._lines: dict[str, list[str]] = {}

    def lines(self, file: str) -> list[str]:
        """All lines without their ends; [] when the file cannot be read."""
        if file not in self._lines:
            self._lines[file] = _in_memory(file) or self._read(file)
        return self._lines[file]

    def line(self, file: str, number: int) -> str:
        """One line, from 1; "" when there is none."""
        lines = self.lines(file)
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def span(self, file: str, number: int, column: int) -> tuple[int, int] | None:
        """Columns [start, end), from 0, of the Python expression that begins at a place; None if not known."""
        line = self.line(file, number)
        if not line or column < 1 or not is_python(file):
            return None
        ends = _expressions("\n".join(self.lines(file)))
        end = ends.get((number, column - 1))
        if end is None:
            return None
        raw = line.encode()  # Python counts columns in bytes
        return len(raw[: column - 1].decode(errors="replace")), len(raw[:end].decode(errors="replace"))

    def _read(self, file: str) -> list[str]:
        for folder in self.folders:
            path = Path(folder, file)
            try:
                info = path.stat()
                if stat.S_ISREG(info.st_mode) and info.st_size <= MAX_BYTES:
                    return path.read_text(encoding="utf-8", errors="replace").splitlines()
            except (OSError, ValueError):
                continue
        return []


def is_python(file: str) -> bool:
    """True for Python sources, also those that were typed at a prompt."""
    return file.endswith(".py") or file.startswith("<")


def _in_memory(file: str) -> list[str]:
    """Lines of what was typed at a prompt (IPython and doctest keep them there)."""
    entry = linecache.cache.get(file)
    return [line.rstrip("\n") for line in entry[2]] if entry and len(entry) == 4 and entry[1] is None else []


@functools.lru_cache(maxsize=16)
def _expressions(text: str) -> dict[tuple[int, int], int]:
    """(line, first column) -> end column of the longest expression that begins there, on that line; in bytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    ends: dict[tuple[int, int], int] = {}
    lines = text.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and node.end_lineno is not None and node.end_col_offset is not None:
            at = (node.lineno, node.col_offset)
            last = node.end_col_offset
            if node.end_lineno != node.lineno:
                last = len(lines[node.lineno - 1].encode())
            ends[at] = max(ends.get(at, 0), last)
    return ends
