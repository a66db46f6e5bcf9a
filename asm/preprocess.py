"""The lines that the assembler reads: of the file, and of whatever it includes or expands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sohu.asm.source import Sources


@dataclass(slots=True, eq=False)
class Frame:
    """A file or an expansion that is being read."""

    lines: Iterator[tuple[int, str]]


class LineReader:
    """Yields (number in Sources, line); the innermost frame comes first."""

    def __init__(self, sources: Sources, lines: Sequence[str]) -> None:
        self.sources = sources
        self.frames = [Frame(iter(enumerate(lines, 1)))]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        frames = self.frames
        while frames:
            frame = frames[-1]
            for entry in frame.lines:
                yield entry
                if frames[-1] is not frame:
                    break  # the line brought others in
            else:
                frames.pop()
