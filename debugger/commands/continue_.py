"""The command `continue`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("continue", "c", "cont", group="running")
def continue_(shell: Shell, text: str) -> None:
    """Go on to the next breakpoint or the end: continue [COUNT].

    With a COUNT, the breakpoint, watchpoint or catch at which the program stands lets COUNT - 1 hits pass.
    """
    if text:
        _let_pass(shell, text)
    shell.move(shell.session.cont)


def _let_pass(shell: Shell, text: str) -> None:
    """Set the ignore count of what the program stands at."""
    if not text.isdecimal() or not int(text):
        raise CommandError(f"{text!r} is no count", help="continue, or continue COUNT")
    stop = shell.session.stop
    points = shell.stopped_by(stop) if stop is not None else ()
    if not points:
        raise CommandError(
            "the program stands at no breakpoint", help="continue, or ignore NUMBER COUNT for a breakpoint elsewhere"
        )
    for point in points:
        point.ignore = int(text) - 1
