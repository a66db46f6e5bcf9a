"""Where lines come from. The assembler knows a line by a number; here is its file, its text, and what brought it in.

The lines of the first file are 1, 2, 3, ...; those of included files and of expansions follow, a block each.
Nothing is kept per line that the text itself does not need.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Ints: TypeAlias = "np.ndarray[Any, np.dtype[np.integer[Any]]]"
Mask: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"


@dataclass(frozen=True, slots=True)
class Origin:
    """What brought a line in, `included` or `in expansion of macro 'm'`, and the line that asked for it."""

    what: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Where:
    """A line of a file (from 1), its text as it was assembled, and what brought it in, innermost first."""

    file: str
    line: int
    text: str = ""
    stack: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Lines `first`, `first + 1`, ...: `lines`, repeated, which stand in `file` from `line` on."""

    first: int
    count: int
    lines: Sequence[str]
    file: str
    line: int
    what: str = ""
    origin: int = 0  # the line that brought them in; 0: they are the first file
    height: int = 1  # after so many lines, `line` comes again
    follows_call: bool = False  # code of these lines belongs to the line that brought them in


def split_lines(text: str) -> list[str]:
    """The lines of a text, without their ends: line feed, or carriage return and line feed."""
    return [line.removesuffix("\r") for line in text.split("\n")] if "\r" in text else text.split("\n")


class Sources:
    """All lines that an assembly reads."""

    def __init__(self, filename: str, lines: Sequence[str]) -> None:
        self.filename = filename
        self._blocks = [Block(1, len(lines), lines, filename, 1, height=len(lines))]
        self._firsts = [1]
        self.next = len(lines) + 1  # number of the next line to be added

    def add(
        self,
        lines: Sequence[str],
        file: str,
        line: int,
        what: str,
        origin: int,
        *,
        repeat: int = 1,
        height: int = 0,
        follows_call: bool = False,
    ) -> int:
        """Add lines that line `origin` brought in, the whole of them `repeat` times; the number of the first.

        They stand in `file` from `line` on; after `height` lines (0: all of them) they stand there again.
        """
        first = self.next
        count = len(lines) * repeat
        if count:
            self._blocks.append(
                Block(first, count, lines, file, line, what, origin, height or len(lines), follows_call)
            )
            self._firsts.append(first)
            self.next += count
        return first

    def place(self, number: int) -> tuple[str, int]:
        """File and line (from 1) where a line stands."""
        block = self._block(number)
        return block.file, block.line + (number - block.first) % block.height

    def code_places(self, numbers: Ints) -> tuple[tuple[str, ...], Ints, Ints, Mask]:
        """Where debuggers look for the code of lines: that of a macro is at the line that called it.

        `numbers` [n] -> files, and three columns [n]: index of the file, line in it, and whether that is a call's.
        """
        if len(self._blocks) == 1:
            return (self.filename,), np.zeros_like(numbers), numbers, np.zeros(len(numbers), bool)
        blocks = self._blocks
        files = dict.fromkeys(b.file for b in blocks)
        index = {name: i for i, name in enumerate(files)}
        columns = ("first", "line", "origin", "height", "follows_call")
        first, line, origin, height, follows = (np.array([getattr(b, c) for b in blocks]) for c in columns)
        file = np.array([index[b.file] for b in blocks])
        at = np.searchsorted(first, numbers, "right") - 1
        moved = follows[at]
        while (calls := follows[at]).any():
            numbers = np.where(calls, origin[at], numbers)
            at = np.searchsorted(first, numbers, "right") - 1
        return tuple(files), file[at], line[at] + (numbers - first[at]) % height[at], moved

    def text(self, number: int) -> str:
        """A line as it was assembled: with a macro's arguments in it."""
        block = self._block(number)
        return block.lines[(number - block.first) % len(block.lines)] if block.lines else ""

    def where(self, number: int) -> Where:
        """All about a line."""
        stack = []
        block = self._block(number)
        while block.origin:
            stack.append(Origin(block.what, *self.place(block.origin)))
            block = self._block(block.origin)
        return Where(*self.place(number), self.text(number), tuple(stack))

    def order(self, number: int) -> tuple[int, ...]:
        """A key that sorts lines as they are read: the numbers of the lines that brought it in, then its own."""
        key = [number]
        while origin := self._block(key[-1]).origin:
            key.append(origin)
        return tuple(reversed(key))

    def in_order(self) -> Iterator[tuple[int, int]]:
        """The numbers of all lines as they are read, and how deep each is: what a line brought in follows it."""
        brought: dict[int, list[Block]] = {}
        for block in self._blocks[1:]:
            brought.setdefault(block.origin, []).append(block)
        stack = [iter(self._numbers(self._blocks[0]))]
        while stack:
            number = next(stack[-1], None)
            if number is None:
                stack.pop()
                continue
            yield number, len(stack) - 1
            stack += [iter(self._numbers(block)) for block in reversed(brought.get(number, ()))]

    def _numbers(self, block: Block) -> range:
        """The lines of a block, without the empty one that follows the last line feed of a file."""
        ended = bool(block.lines) and not block.lines[-1]
        return range(block.first, block.first + block.count - ended)

    def lines(self) -> Iterator[str]:
        """The lines of all files, and those that expansions made, once each."""
        for block in self._blocks:
            yield from block.lines

    def is_plain(self) -> bool:
        """True while all lines are the first file's, and a line's number is that in the file."""
        return len(self._blocks) == 1

    def _block(self, number: int) -> Block:
        return self._blocks[max(bisect_right(self._firsts, number) - 1, 0)]
