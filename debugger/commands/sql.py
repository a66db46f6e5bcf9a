"""The command `sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sohu.debugger.command import command
from sohu.debugger.errors import CommandError
from sohu.debugger.sql import EXAMPLES, MAX_ROWS, SCHEMA, aligned

if TYPE_CHECKING:
    from sohu.debugger.shell import Shell


@command("sql", group="data", repeat=None)
def sql(shell: Shell, text: str) -> None:
    """Ask the trace, in SQL: sql [SELECT ...].

    Example: sql SELECT queue, count(*), sum(bytes) FROM trace GROUP BY queue

    The tables are trace (what executed, while `trace` was on), instructions and lines (of the program), and executed,
    which joins the first two. Without a question, they are described, with more examples. Questions can only read,
    end after 30 s and at Ctrl-C; the first 1000 rows are shown.
    """
    session = shell.session
    if not text:
        shell.write(SCHEMA)
        shell.write("\n".join(f"sql {line}" for line in EXAMPLES.splitlines()))
        return
    if session.trace is None and "trace" in text.lower().replace("executed", "trace"):
        raise CommandError("nothing is recorded", help="trace on, then run; instructions and lines are there always")
    table = session.database.ask(text)
    shell.write("\n".join(aligned(table, shell.width)))
    if table.more:
        shell.write(f"and more: these are the first {MAX_ROWS:,} rows")
