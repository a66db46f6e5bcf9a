"""The command `explain`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from sohu.debugger.arguments import no_arguments
from sohu.debugger.chips import GroupSession
from sohu.debugger.command import command
from sohu.debugger.explain import Explanation
from sohu.debugger.explain import explain as explained
from sohu.debugger.stops import Caught, Faulted
from sohu.debugger.style import clean

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell

_STUCK = ("deadlock", "collective")


@command("explain", group="looking")
def explain(shell: Shell, text: str) -> None:
    """Say what everybody is doing: explain.

    One paragraph on the sequencer and each engine: what it does or waits for, which instruction would signal that and
    what keeps it, and which signal nobody sends. At any stop, after an error, at a deadlock, and in a core file. With
    several chips a paragraph on each, and which chip waits for which. After `engine` of that engine alone.
    """
    no_arguments(text, "explain")
    session = shell.session
    if not isinstance(session, GroupSession):
        _write(shell, _text(session, explained(session)))
        return
    for chip, made in session.explain():
        _write(shell, f"Chip {chip}: {_text(session, made)}")
    if session.running:
        waits = [(c, session.waits_for(c)) for c in range(len(session.machines))]
        says = [f"chip {c} waits for {_chips(others)}" for c, others in waits if others]
        if says:
            stuck = isinstance(session.stop, (Faulted, Caught)) and session.stop.error.category in _STUCK
            _write(shell, f"{'Nothing can move: ' if stuck else ''}{', '.join(says)}.".capitalize())


def _chips(numbers: list[int]) -> str:
    return f"chip{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _text(session: Session, made: Explanation) -> str:
    if not session.engine:
        return made.text
    names = {q.name for q in session.queues if session.looks_at(q)}
    return " ".join(d.text for d in made.doings if d.who in names)


def _write(shell: Shell, text: str) -> None:
    shell.write(textwrap.fill(clean(text), min(shell.width, 120), break_on_hyphens=False))
