"""The command `reverse-continue`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("reverse-continue", "rc", group="time")
def reverse_continue(shell: Shell, text: str) -> None:
    """Go back to what stopped the program last, or to the beginning: reverse-continue.

    A watchpoint stops before the instruction that made the change, a catch where it did going forward.
    """
    no_arguments(text, "reverse-continue")
    shell.move(lambda: shell.session.cont(reverse=True))
