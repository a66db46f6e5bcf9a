"""The lines that the assembler reads: of the file, and of whatever it includes or expands.

Directives (macros.py, conditions.py, files.py) work on the LineReader: they push lines to be read next, take the
lines of a body, or skip those of a condition that does not hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from sohu.asm.diagnostics import Diagnostics, Mistake
from sohu.asm.source import Sources

# Assembles lines[at:] as far as they are plain, and returns the index of the first that is not; arguments: lines, at,
# and the number in Sources of lines[0].
Plain: TypeAlias = Callable[[Sequence[str], int, int], int]

MAX_NESTING = 100  # of files and expansions in one another
MAX_CHARACTERS = 1 << 26  # of all expansions together

# The directive or macro of a line, after its labels; names are those of grammar.lark.
_NAME = r"\.?[^\W\d][\w.]*+"
_FIRST = re.compile(rf"\s*+(?:(?>{_NAME}|[0-9]++)\s*+:\s*+)*+({_NAME})")


def first_word(line: str) -> str:
    """The name of what a line does: of its instruction, directive or macro; "" where there is none."""
    found = _FIRST.match(line)
    return found[1] if found else ""


@dataclass(slots=True)
class Condition:
    """An `.if` that is open."""

    line: int
    taken: bool  # one of its branches has been read, or is
    last: bool = False  # `.else` has been seen


@dataclass(slots=True, eq=False)
class Frame:
    """A file or an expansion that is being read."""

    lines: Sequence[str]
    first: int  # number of its first line in Sources
    at: int = 0  # index of the line to be read next
    macro: bool = False  # .exitm ends it
    path: str = ""  # of a file: how cycles are found
    conditions: list[Condition] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Body:
    """Lines that were taken: of a macro, or to be repeated. The first one has the number `first` in Sources."""

    first: int
    lines: list[str]
    height: int  # how many of the source they are: fewer, where they have been repeated


class LineReader:
    """Yields (number in Sources, line) for the lines that are not plain; the innermost frame comes first."""

    def __init__(
        self, sources: Sources, lines: Sequence[str], errors: Diagnostics, max_lines: int, path: str, plain: Plain
    ) -> None:
        self.sources = sources
        self.errors = errors
        self.frames = [Frame(lines, 1, path=path)]
        self.plain = plain
        self.max_lines = max_lines
        self.lines = 0  # that expansions made
        self.characters = 0
        self.calls = 0  # of macros so far: what \@ stands for

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self.frames:
            if self.errors.enough:
                self.errors.incomplete = True
                return
            frame = self.frames[-1]
            at = frame.at = self.plain(frame.lines, frame.at, frame.first)
            if at == len(frame.lines):
                self.frames.pop()
                self._unclosed(frame)
                continue
            frame.at += 1
            yield frame.first + at, frame.lines[at]

    @property
    def conditions(self) -> list[Condition]:
        """The open `.if`s of what is being read."""
        return self.frames[-1].conditions

    def allow(self, lines: int, characters: int, span: tuple[int, int]) -> None:
        """Raises Mistake where so much more would be more than expansions may make."""
        if self.lines + lines > self.max_lines:
            raise self.stop(f"expansions make more than {self.max_lines} lines", span)
        if self.characters + characters > MAX_CHARACTERS:
            raise self.stop(f"expansions make more than {MAX_CHARACTERS} characters", span)

    def substitute(self, body: Body, turns: Sequence[dict[str, str]], span: tuple[int, int]) -> Body:
        r"""The body once for each of `turns`: with `\name` replaced by its value, and `\()` by nothing.

        What else follows a backslash stays, such as the escapes of strings. All turns have the same names. Raises
        Mistake where that is too much.
        """
        marks = sum(line.count("\\") for line in body.lines)
        size = sum(map(len, body.lines))
        longest = sum(size + marks * max(map(len, values.values()), default=0) for values in turns)
        self.allow(0, longest, span)  # before it takes memory
        names = sorted({"()", *turns[0]} if turns else (), key=len, reverse=True)
        pattern = re.compile(rf"\\({'|'.join(map(re.escape, names))})(?!(?<=\w)\w)")
        out: list[str] = []
        for values in turns:
            known = values | {"()": ""}
            replace = partial(pattern.sub, lambda m, known=known: known[m[1]])
            out += [replace(line) if "\\" in line else line for line in body.lines]
        return Body(body.first, out, body.height)

    def push(
        self, body: Body, line: int, what: str, span: tuple[int, int], *, repeat: int = 1, macro: bool = False
    ) -> None:
        """Read these lines next, `repeat` times over. Line `line` asked for it, at `span`; raises Mistake.

        `macro`: they are a macro's. They stand, for messages, where the lines of `body` do.
        """
        if not body.lines or not repeat:
            return
        lines, characters = len(body.lines) * repeat, sum(map(len, body.lines)) * repeat
        self.allow(lines, characters, span)
        self.lines += lines
        self.characters += characters
        self.enter(span)
        file, at = self.sources.place(body.first)
        first = self.sources.add(
            body.lines, file, at, what, line, repeat=repeat, height=body.height, follows_call=macro
        )
        self.frames.append(Frame(body.lines * repeat, first, macro=macro))

    def include(self, lines: Sequence[str], file: str, path: str, line: int, span: tuple[int, int]) -> None:
        """Read a file next, which line `line` includes; raises Mistake."""
        self.enter(span)
        first = self.sources.add(lines, file, 1, "included", line)
        self.frames.append(Frame(lines, first, path=path))

    def enter(self, span: tuple[int, int]) -> None:
        """Raises Mistake where one more would be too deep in one another."""
        if len(self.frames) > MAX_NESTING:
            raise self.stop(f"files and expansions are more than {MAX_NESTING} deep in one another", span)

    def stop(self, why: str, span: tuple[int, int]) -> Mistake:
        """Read nothing more at all. What is missing then is no mistake of its own; the one to raise is."""
        self.errors.incomplete = True
        self.frames.clear()
        return Mistake("A051", why, span)

    def exit_macro(self) -> bool:
        """Leave the macro being read; False outside of one."""
        if not any(f.macro for f in self.frames):
            return False
        while not self.frames.pop().macro:
            pass
        return True

    def take(self, line: int, opening: Sequence[str], closing: str, span: tuple[int, int]) -> Body:
        """The lines up to the one that says `closing`, which line `line` opens; such bodies can be nested.

        Raises Mistake where it is missing.
        """
        frame = self.frames[-1]
        start = frame.at
        depth = 1
        while frame.at < len(frame.lines):
            word = first_word(frame.lines[frame.at])
            depth += (word in opening) - (word == closing)
            frame.at += 1
            if not depth:
                taken = list(frame.lines[start : frame.at - 1])
                return Body(frame.first + start, taken, len(taken))
        raise Mistake("A056", f"{closing} is missing", span, line=line)

    def skip(self) -> tuple[int, str]:
        """Pass over lines until one says `.elseif`, `.else` or `.endif`; that line, or (0, "") at the end."""
        depth = 0
        frame = self.frames[-1]
        while frame.at < len(frame.lines):
            text = frame.lines[frame.at]
            frame.at += 1
            word = first_word(text)
            if word.startswith(".if"):
                depth += 1
            elif word == ".endif" and depth:
                depth -= 1
            elif not depth and word in (".elseif", ".else", ".endif"):
                return frame.first + frame.at - 1, text
        return 0, ""

    def _unclosed(self, frame: Frame) -> None:
        for condition in frame.conditions:
            text = self.sources.text(condition.line)
            at = len(text) - len(text.lstrip())
            self.errors.add(Mistake("A056", ".endif is missing", (at, len(text.rstrip()))), condition.line)
