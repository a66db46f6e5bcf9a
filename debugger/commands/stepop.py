"""The command `stepop`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import read_count
from sohu.debugger.command import command
from sohu.debugger.forward import Level

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("stepop", "so", group="running")
def stepop(shell: Shell, text: str) -> None:
    """Go on to another operation of the compiler's IR: stepop [COUNT].

    For kernels whose debug information has the IR.
    """
    count = read_count(shell.session, text)
    shell.move(lambda: shell.session.step(count, level=Level.OP))
