"""The lines that the assembler reads: of the file, and of whatever it includes or expands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sohu.asm.source import Sources

# Assembles lines[at:] as far as they are plain, and returns the index of the first that is not; arguments: lines, at,
# and the number in Sources of lines[0].
Plain: TypeAlias = Callable[[Sequence[str], int, int], int]


@dataclass(slots=True, eq=False)
class Frame:
    """A file or an expansion that is being read."""

    lines: Sequence[str]
    first: int  # number of its first line in Sources
    at: int = 0  # index of the line to be read next


class LineReader:
    """Yields (number in Sources, line) for the lines that are not plain; the innermost frame comes first."""

    def __init__(self, sources: Sources, lines: Sequence[str], plain: Plain) -> None:
        self.sources = sources
        self.plain = plain
        self.frames = [Frame(lines, 1)]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self.frames:
            frame = self.frames[-1]
            at = frame.at = self.plain(frame.lines, frame.at, frame.first)
            if at == len(frame.lines):
                self.frames.pop()
                continue
            frame.at += 1
            yield frame.first + at, frame.lines[at]
