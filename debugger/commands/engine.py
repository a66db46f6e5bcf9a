"""The command `engine`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sohu.asm.names import nearest
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell


def _names(session: Session) -> list[str]:
    return list(dict.fromkeys(name for q in session.queues for name in (q.engine.value, q.name)))


def _complete(session: Session, text: str) -> Iterable[str]:
    return () if " " in text else [*_names(session), "all"]


@command("engine", group="looking", complete=_complete, repeat=None)
def engine(shell: Shell, text: str) -> None:
    """Look at one engine: engine, engine NAME, engine all.

    NAME is an engine (DMA: all its queues) or one queue (DMA0). `info queues` and `explain` tell of it alone then, and
    `steptile` stops at its instructions only. Without a name, says which it is; `engine all` looks at all of them.
    """
    session = shell.session
    if text == "all":
        session.engine = ""
    elif text:
        names = {n.lower(): n for n in _names(session)}
        if text.lower() not in names:
            hint = nearest(text.lower(), names) or f"there are: {', '.join(names.values())}"
            raise CommandError(f"there is no engine {text!r}", help=hint)
        session.engine = names[text.lower()]
    shell.write(f"engine {session.engine} is looked at" if session.engine else "all engines are looked at")
