"""Expressions that are shown at each stop: `display`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.debugger.errors import CommandError
from sohu.debugger.stops import Exited
from sohu.debugger.views import render
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@dataclass
class Display:
    """One of them: its number, what is shown, the format after the slash."""

    number: int
    text: str
    format: str = ""


class Displays:
    """Those of a shell, by number."""

    def __init__(self) -> None:
        self.table: dict[int, Display] = {}
        self._numbers = 0

    def add(self, text: str, format: str) -> Display:
        """Another one, with the next number."""
        self._numbers += 1
        made = self.table[self._numbers] = Display(self._numbers, text, format)
        return made

    def remove(self, number: int) -> None:
        """Raises CommandError when there is none with that number."""
        if self.table.pop(number, None) is None:
            have = ", ".join(map(str, self.table))
            raise CommandError(f"no display {number}", help=f"there are: {have}" if have else "")

    def lines(self, shell: Shell) -> Iterator[str]:
        """All of them now; one that has no value here says why, in a line."""
        ended = isinstance(shell.session.stop, Exited)
        for d in self.table.values():
            try:
                yield f"{d.number}: {line(shell, d)}"
            except SohuError as e:
                if not ended:  # after the end hardly anything has a value
                    yield f"{d.number}: {d.text}: {e.message.splitlines()[0]}"


def line(shell: Shell, d: Display) -> str:
    """One of them now; raises CommandError, or Fault, when it has no value."""
    return render(shell.session.evaluate(d.text), d.text, d.format, shell.width, shell.ascii)
