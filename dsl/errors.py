"""What the compiler says to people: a code, the place in the Python source with a caret, what to do."""

from __future__ import annotations

import linecache
from dataclasses import dataclass, field

from sohu.isa import SohuError

SHOWN_CALLS = 4  # innermost, and as many outermost


@dataclass(frozen=True, eq=False)
class Scope:
    """One interpretation of a function: of the kernel, or of a call that is inlined.

    file, line: where the function begins; caller: where it was called (None: the kernel); parent: by whom.
    """

    function: str
    file: str
    line: int
    caller: Loc | None = None
    parent: Scope | None = None


@dataclass(frozen=True)
class Loc:
    """A span of Python source; lines and columns from 1. `caller` is where an inlined function was called."""

    file: str
    line: int
    column: int = 1
    end_line: int = 0
    end_column: int = 0
    caller: Loc | None = None
    scope: Scope | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class CompileError(SohuError):
    """A kernel that cannot be compiled. `code` is stable (K001...), `loc` the guilty expression."""

    def __init__(self, code: str, message: str, loc: Loc | None, *, help: str = "") -> None:
        super().__init__(message, help=help, where=str(loc) if loc else "")
        self.code = code
        self.loc = loc

    def __str__(self) -> str:
        out = [f"error[{self.code}]: {self.message}"]
        places = []
        loc = self.loc
        while loc is not None:
            places.append(loc)
            loc = loc.caller
        for i, place in enumerate(places):
            if i < SHOWN_CALLS or i >= len(places) - SHOWN_CALLS:
                out += _excerpt(place, "inlined at" if i else "-->")
            elif i == SHOWN_CALLS:
                out.append(f"  ... {len(places) - 2 * SHOWN_CALLS} more calls")
        if self.help:
            out.append(f"   = help: {self.help}")
        return "\n".join(out)


def _excerpt(loc: Loc, arrow: str) -> list[str]:
    lines = [f"  {arrow} {loc}"]
    text = linecache.getline(loc.file, loc.line).rstrip("\n")
    if text:
        same_line = loc.end_line in (0, loc.line)
        end = loc.end_column if same_line and loc.end_column > loc.column else len(text) + 1
        width = max(1, min(end, len(text) + 1) - loc.column)
        number = f"{loc.line:>4}"
        indent = "".join(c if c == "\t" else " " for c in text[: loc.column - 1])
        lines += [
            f"{' ' * len(number)} |",
            f"{number} | {text}",
            f"{' ' * len(number)} | {indent}{'^' * width}",
        ]
    return lines
