"""The command `explain`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.command import command
from sohu.debugger.explain import explain as explained
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("explain", group="looking")
def explain(shell: Shell, text: str) -> None:
    """Say what everybody is doing: explain.

    One paragraph on the sequencer and each engine: what it does or waits for, which instruction would signal that and
    what keeps it, and which signal nobody sends. At any stop, after an error, at a deadlock, and in a core file.
    """
    no_arguments(text, "explain")
    found = explained(shell.session)
    paragraph = textwrap.fill(clean(found.text), min(shell.width, 120), break_on_hyphens=False)
    shell.answer("explain", paragraph, **found.record())
