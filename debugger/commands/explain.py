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
        found = explained(session)
        shell.answer("explain", _fill(shell, _text(session, found)), **found.record())
        return
    each = session.explain()
    paragraphs = [f"Chip {chip}: {_text(session, made)}" for chip, made in each]
    waits = {c: session.waits_for(c) if session.running else [] for c in range(len(session.machines))}
    says = [f"chip {c} waits for {_chips(others)}" for c, others in waits.items() if others]
    if says:
        stuck = isinstance(session.stop, (Faulted, Caught)) and session.stop.error.category in _STUCK
        paragraphs.append(f"{'Nothing can move: ' if stuck else ''}{', '.join(says)}.".capitalize())
    records = [{"chip": chip, "waits_for": waits[chip]} | made.record() for chip, made in each]
    text = "\n".join([_fill(shell, p) for p in paragraphs])
    shell.answer("explain", text, text=" ".join(paragraphs), chips=records)


def _chips(numbers: list[int]) -> str:
    return f"chip{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _text(session: Session, made: Explanation) -> str:
    if not session.engine:
        return made.text
    names = {q.name for q in session.queues if session.looks_at(q)}
    return " ".join(d.text for d in made.doings if d.who in names)


def _fill(shell: Shell, text: str) -> str:
    return textwrap.fill(clean(text), min(shell.width, 120), break_on_hyphens=False)
