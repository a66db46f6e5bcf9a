"""Source files between the program, which names them as the compiler saw them, and the client, which opens them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from sohu.asm import Line
from sohu.debugger.dap.messages import Initialize, Source
from sohu.debugger.dap.typed import BadRequest
from sohu.debugger.display import short
from sohu.debugger.session import Session
from sohu.debugger.source import Sources
from sohu.debugger.style import clean


class Places:
    """The files of a session's program."""

    def __init__(self, session: Session, client: Initialize) -> None:
        self.session = session
        self.client = client
        self.texts = Sources(session.program.name)

    # -- to the client -----------------------------------------------------------------------------

    def source(self, file: str) -> dict[str, Any]:
        """A protocol Source: by path where there is such a file, else by a number under which `source` has its text."""
        found = self._path(file)
        if found is not None:
            return {"name": clean(short(file)), "path": self._to_client(found)}
        out = {"name": clean(short(file)), "sourceReference": self._number(file)}
        if not self.texts.lines(file):
            out |= {"presentationHint": "deemphasize", "origin": f"not found: {clean(file)}"}
        return out

    def place(self, line: Line | None) -> dict[str, Any]:
        """source, line, column and, where the expression is known, its end; for a frame or an instruction."""
        if line is None:
            return {"line": 0, "column": 0}
        text = self.texts.line(line.file, line.line)
        out = {"source": self.source(line.file), "line": self.line_to_client(line.line)}
        span = self.texts.span(line.file, line.line, line.column)
        first = 0 if self.client.columnsStartAt1 is False else 1
        if span is None:
            return out | {"column": first}
        out["column"] = first + utf16(text[: span[0]])
        return out | {"endLine": out["line"], "endColumn": first + utf16(text[: span[1]])}

    def line_to_client(self, number: int) -> int:
        """A line as the client counts."""
        return number if self.client.linesStartAt1 else number - 1

    # -- from the client ---------------------------------------------------------------------------

    def line_from_client(self, number: int) -> int:
        """A line as we count, from 1."""
        return number if self.client.linesStartAt1 else number + 1

    def file(self, source: Source) -> str | None:
        """The program's name of a client's source; None when no code comes from it."""
        files = self.session.symbols.files()
        if source.sourceReference:
            return self.by_number(source.sourceReference)
        if source.path is None:
            return None
        path = self._from_client(source.path)
        real = os.path.realpath(path)
        for file in files:
            found = self._path(file)
            if found is not None and os.path.realpath(found) == real:
                return file
        # sources that were compiled elsewhere: the name that agrees with most of the path's last parts
        parts = Path(path).parts
        best = max(files, key=lambda f: _common(Path(f).parts, parts), default=None)
        return best if best is not None and _common(Path(best).parts, parts) else None

    def by_number(self, number: int) -> str:
        """The file of a sourceReference; raises BadRequest when there is none."""
        files = self.session.symbols.files()
        if not 1 <= number <= len(files):
            raise BadRequest(f"no source has the number {number}")
        return files[number - 1]

    # ----------------------------------------------------------------------------------------------

    def _number(self, file: str) -> int:
        files = self.session.symbols.files()
        return files.index(file) + 1 if file in files else 0

    def _path(self, file: str) -> str | None:
        for folder in self.texts.folders:
            path = os.path.join(folder, file)
            try:
                if os.path.isfile(path):
                    return os.path.abspath(path)
            except ValueError:  # a zero byte in the name
                return None
        return None

    def _to_client(self, path: str) -> str:
        return "file://" + quote(path) if self.client.pathFormat == "uri" else path

    def _from_client(self, path: str) -> str:
        if self.client.pathFormat == "uri" or path.startswith("file://"):
            try:
                path = unquote(urlsplit(path).path)
            except ValueError:
                raise BadRequest(f"{path[:80]!r} is no URI") from None
        if "\0" in path:
            raise BadRequest("a path has a zero byte in it")
        return path


def utf16(text: str) -> int:
    """How many UTF-16 code units a text has: the protocol counts columns in these."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def from_utf16(text: str, units: int) -> int:
    """The index in `text` at which so many UTF-16 code units have passed."""
    at = 0
    for index, c in enumerate(text):
        if at >= units:
            return index
        at += 2 if ord(c) > 0xFFFF else 1
    return len(text)


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many last parts two paths share."""
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return count
