"""The command `trace`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sohu.debugger.arguments import words, write_text
from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.sql import export
from sohu.debugger.trace import Trace

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.shell import Shell

_WORDS = ("on", "off", "status", "save")
_USAGE = "trace on, trace off, trace status, trace save [-f] FILE.csv or FILE.json"


def _complete(session: Session, text: str) -> Iterable[str]:
    return _WORDS if " " not in text else ()


@command("trace", group="data", complete=_complete, repeat=None)
def trace(shell: Shell, text: str) -> None:
    """Record what executes: trace on|off|status|save [-f] FILE.

    While it is on, each instruction of the run gets a row: its position and pc, the queue it went to, when it
    executed, its cycles when they are counted, the shapes and bytes of its tiles. The newest million rows are kept.
    The program runs more slowly then, instruction by instruction; results and cycles are the same. `sql` asks it.

    `trace save t.csv` writes all of it; t.json in the format of Chrome's trace viewer and Perfetto, a track for each
    queue. -f replaces a file that is there.
    """
    session = shell.session
    word, _, rest = text.partition(" ")
    if word not in _WORDS or (rest and word != "save"):
        raise CommandError("trace what?" if not text else f"{text!r} is not expected here", help=_USAGE)
    if word == "on":
        if session.trace is None:
            session.trace = Trace(session.machine)
        session.trace.switch(True)
    elif word == "off" and session.trace is not None:
        session.trace.switch(False)
    elif word == "save":
        _save(shell, rest)
        return
    shell.write(_status(session.trace))


def _status(trace: Trace | None) -> str:
    if trace is None:
        return "trace is off, and nothing is recorded"
    spans = ", ".join(f"{a:,} to {b - 1:,}" for a, b in trace.spans)
    what = f"{len(trace):,} instructions recorded{f': {spans}' if spans else ''}"
    lost = f"; {trace.lost:,} older ones were dropped" if trace.lost else ""
    return f"trace is {'on' if trace.on else 'off'}; {what}{lost}"


def _save(shell: Shell, text: str) -> None:
    force, (name,), rest = words(text, "-f", 1, _USAGE)
    format = name.rpartition(".")[2]
    if rest or format not in ("csv", "json"):
        raise CommandError(f"{text!r}: a trace is written to FILE.csv or FILE.json", help=_USAGE)
    recorded = shell.session.trace
    if recorded is None or not len(recorded):
        raise CommandError("nothing is recorded", help="trace on, then run")
    path = Path(name).expanduser()
    if path.exists() and not force:
        raise CommandError(f"{path} is there already", help=f"trace save -f {name} replaces it")
    write_text(path, export(recorded, shell.session, format))
    shell.write(f"{path}: {len(recorded):,} instructions")
