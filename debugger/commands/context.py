"""The command `context`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.context import context as render
from sohu.debugger.display import MAX_WIDTH
from sohu.debugger.settings import SECTIONS

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("context", "ctx", group="looking")
def context(shell: Shell, text: str) -> None:
    """Show source, code, what has changed and queues: context.

    What has changed is what differs from the stop before. At a terminal this is shown at every stop;
    `set context off` shows the source line and the instruction only, `set context on` is for scripts.
    `set context-panels code changed` shows only these, in that order.
    """
    no_arguments(text, "context")
    shell.session.need_run()
    shell.write("\n".join(render(shell, shell.changes, shell.settings[SECTIONS], min(shell.width, MAX_WIDTH))))
