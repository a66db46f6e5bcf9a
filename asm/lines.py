"""Source places of code, by pc. A program has one per instruction, so they are kept as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, overload

import numpy as np

Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.integer[Any]]]"


@dataclass(frozen=True, order=True, slots=True)
class Line:
    """From this pc on, code comes from this place (line and column from 1; column 0: unknown)."""

    pc: int
    file: str
    line: int
    column: int = 0


class Lines(Sequence[Line]):
    """A line table: a sequence of Line, sorted by pc, that takes 20 bytes for each.

    The columns `pc` (int64), `file` (an index of `files`), `line` and `column` (int32) have one element per place.
    """

    def __init__(
        self, files: Sequence[str] = (), pc: Any = (), file: Any = (), line: Any = (), column: Any = ()
    ) -> None:
        self.files = tuple(files)
        self.pc: Ints = np.asarray(pc, np.int64)
        self.file: Ints = np.asarray(file, np.int32)
        self.line: Ints = np.asarray(line, np.int32)
        self.column: Ints = np.asarray(column, np.int32)

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Lines:
        """The table of these places, which are sorted by pc."""
        lines = list(lines)
        index = {name: i for i, name in enumerate(dict.fromkeys(entry.file for entry in lines))}
        return cls(
            tuple(index),
            [entry.pc for entry in lines],
            [index[entry.file] for entry in lines],
            [entry.line for entry in lines],
            [entry.column for entry in lines],
        )

    def at(self, pc: int) -> Line | None:
        """The place of the instruction at `pc`, or None before the first."""
        i = int(np.searchsorted(self.pc, pc, "right")) - 1
        return self[i] if i >= 0 else None

    def __len__(self) -> int:
        return len(self.pc)

    @overload
    def __getitem__(self, i: int) -> Line: ...
    @overload
    def __getitem__(self, i: slice) -> Lines: ...

    def __getitem__(self, i: int | slice) -> Line | Lines:
        if isinstance(i, slice):
            return Lines(self.files, self.pc[i], self.file[i], self.line[i], self.column[i])
        return Line(int(self.pc[i]), self.files[self.file[i]], int(self.line[i]), int(self.column[i]))

    def __iter__(self) -> Iterator[Line]:
        files = map(self.files.__getitem__, self.file.tolist())
        return map(Line, self.pc.tolist(), files, self.line.tolist(), self.column.tolist())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # compared by its elements

    def __repr__(self) -> str:
        return f"Lines.of({list(self)!r})"
