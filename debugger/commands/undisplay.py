"""The command `undisplay`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("undisplay", group="looking", repeat=None)
def undisplay(shell: Shell, text: str) -> None:
    """Show expressions at stops no more: undisplay [NUMBER]...

    Without a number, all of them.
    """
    numbers: Iterable[str] = text.split() or [str(n) for n in list(shell.displays.table)]
    for word in numbers:
        if not word.isdecimal():
            raise CommandError(f"{word!r} is no number of a display", help="info display lists them")
        shell.displays.remove(int(word))
