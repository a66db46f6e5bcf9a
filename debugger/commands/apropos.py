"""The command `apropos`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("apropos", group="other", repeat=None)
def apropos(shell: Shell, text: str) -> None:
    """Find commands whose help speaks of something: apropos WORD...

    Example: apropos semaphore    With several words, commands whose help has all of them.
    """
    words = text.lower().split()
    if not words:
        raise CommandError("of what?", help="apropos WORD")
    found = [c for c in shell.commands if all(w in f"{c.name} {' '.join(c.aliases)} {c.help}".lower() for w in words)]
    if not found:
        raise CommandError(f"no command's help speaks of {text!r}", help="help lists all commands")
    named = [c for c in found if any(w in c.name for w in words)]
    for c in [*named, *(c for c in found if c not in named)]:
        shell.write(f"{c.name:<18}{c.summary}")
