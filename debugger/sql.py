"""Questions to the trace, in SQL: an SQLite database in memory, which the questions can only read.

The database is filled by us; what asks it may select and call functions, and nothing else: an authorizer refuses the
rest (https://www.sqlite.org/c3ref/set_authorizer.html), a time limit ends what takes too long, and sizes are limited.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sohu.debugger.errors import CommandError
from sohu.isa import INSTRUCTION_BYTES

if TYPE_CHECKING:
    from sohu.debugger.session import Session
    from sohu.debugger.trace import Trace

SECONDS = 30.0
MAX_ROWS = 1000
MAX_INSTRUCTIONS = 200_000  # of the program that get a row
_MEMORY = 1 << 30  # bytes that SQLite may use
_LONGEST = 1 << 20  # bytes of one value
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_REFUSED = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})

SCHEMA = """\
CREATE TABLE trace (
  n INTEGER,            -- position: how many instructions had executed or issued before it
  pc INTEGER,
  queue TEXT,           -- DMA0, MXU, ...; '' for the sequencer
  executed INTEGER,     -- position at which it executed; NULL while it waits in its queue, or when nobody recorded it
  issue_cycle REAL, start_cycle REAL, end_cycle REAL,  -- NULL unless cycles are counted
  shapes TEXT,          -- of its tiles: f32[4,8] f32[4,8]
  bytes INTEGER         -- of these tiles
);
CREATE TABLE instructions (
  pc INTEGER PRIMARY KEY, mnemonic TEXT, operands TEXT, sync TEXT, engine TEXT,
  kernel TEXT, symbol TEXT, file TEXT, line INTEGER
);
CREATE TABLE lines (file TEXT, line INTEGER, first_pc INTEGER, instructions INTEGER);
CREATE VIEW executed AS SELECT * FROM trace JOIN instructions USING (pc);
"""
EXAMPLES = """\
SELECT line, count(*) AS times, sum(end_cycle - start_cycle) AS cycles FROM executed GROUP BY line ORDER BY 3 DESC
SELECT queue, count(*) AS instructions, sum(bytes) AS bytes FROM trace GROUP BY queue
SELECT n, mnemonic, operands, start_cycle - issue_cycle AS waited FROM executed ORDER BY waited DESC LIMIT 10
SELECT line FROM lines WHERE line NOT IN (SELECT line FROM executed WHERE line NOT NULL)
"""


@dataclass(frozen=True)
class Table:
    """An answer: the names of its columns, its rows, and whether there were more of them."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool


class Database:
    """The trace of a session as tables. Filled as far as the trace has grown, at each question."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        c = self._connection
        c.executescript(SCHEMA)
        c.execute("PRAGMA temp_store = MEMORY")
        c.execute(f"PRAGMA hard_heap_limit = {_MEMORY}")
        c.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        c.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        self._rows = 0
        self._state: tuple[int, int] = (-1, -1)
        self._described = False

    def close(self) -> None:
        """Give its memory back."""
        self._connection.close()

    def ask(self, query: str, *, seconds: float = SECONDS, limit: int = MAX_ROWS) -> Table:
        """The answer to a SELECT, its first `limit` rows.

        Raises CommandError for anything but one SELECT, for mistakes in it, and when it takes too long.
        """
        self._fill()
        c = self._connection
        deadline = time.monotonic() + seconds
        c.set_authorizer(_authorize)
        c.set_progress_handler(lambda: time.monotonic() > deadline, 20_000)
        try:
            cursor = c.execute(query)
            found = cursor.fetchmany(limit + 1)
            if cursor.description is None:
                raise CommandError("only SELECT can be asked", help="sql without arguments shows the tables")
            return Table(tuple(d[0] for d in cursor.description), found[:limit], len(found) > limit)
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as e:
            raise self._refusal(e, time.monotonic() > deadline, seconds) from None
        except MemoryError:
            raise CommandError("the question needs too much memory", help="LIMIT it, or select less") from None
        finally:
            c.set_progress_handler(None, 0)
            c.set_authorizer(None)

    def _refusal(self, e: Exception, late: bool, seconds: float) -> CommandError:
        text = str(e)
        if "interrupted" in text:
            if late:
                return CommandError(f"the question took longer than {seconds:g} s", help="LIMIT it, or join less")
            return CommandError("interrupted")
        if "not authorized" in text or "prohibited" in text:
            return CommandError("only SELECT can be asked", help="sql without arguments shows the tables")
        return CommandError(f"SQL: {text}", help="sql without arguments shows the tables")

    # -- filling -----------------------------------------------------------------------------------

    def _fill(self) -> None:
        c, trace = self._connection, self.session.trace
        if not self._described:
            c.executemany(f"INSERT INTO instructions VALUES ({_marks(9)})", _instructions(self.session))
            c.execute(
                "INSERT INTO lines SELECT file, line, min(pc), count(*) FROM instructions"
                " WHERE line NOT NULL GROUP BY file, line"
            )
            self._described = True
        if trace is None:
            return
        state = (trace.version, trace.filled)
        if state != self._state:  # rows that were there have changed
            c.execute("DELETE FROM trace")
            self._rows = 0
        c.execute("BEGIN")
        c.executemany(f"INSERT INTO trace VALUES ({_marks(9)})", trace.rows(self._rows))
        c.execute("COMMIT")
        self._rows, self._state = len(trace), state


def _marks(count: int) -> str:
    return ", ".join("?" * count)


def _authorize(action: int, a: str | None, b: str | None, database: str | None, source: str | None) -> int:
    """What a question may do: read, and call functions that compute."""
    if action in _ALLOWED or (action == sqlite3.SQLITE_FUNCTION and (b or "").lower() not in _REFUSED):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _instructions(session: Session) -> Iterator[tuple[Any, ...]]:
    symbols = session.symbols
    end = min(len(session.program.text), MAX_INSTRUCTIONS * INSTRUCTION_BYTES)
    for pc in range(0, end, INSTRUCTION_BYTES):
        inst = symbols.inst(pc)
        mnemonic, operands, sync = session.assembly(pc)
        kernel, place, line = session.program.kernel_at(pc), symbols.place(pc), symbols.line_at(pc)
        yield (
            pc,
            mnemonic,
            operands,
            sync,
            "" if inst is None else inst.row.engine.value,
            None if kernel is None else kernel.name,
            None if place is None else place[0],
            None if line is None else line.file,
            None if line is None else line.line,
        )


def aligned(table: Table, width: int) -> list[str]:
    """An answer as lines of columns: numbers to the right, what is too long cut."""
    most = max(8, width)
    cells = [[_cell(v) for v in row] for row in table.rows]
    sizes = [min(most, max([len(name), *(len(r[i]) for r in cells)])) for i, name in enumerate(table.columns)]
    right = [all(isinstance(r[i], (int, float)) or r[i] is None for r in table.rows) for i in range(len(sizes))]

    def line(values: Iterable[str]) -> str:
        parts = [
            _cut(v, n).rjust(n) if r else _cut(v, n).ljust(n) for v, n, r in zip(values, sizes, right, strict=True)
        ]
        return "  ".join(parts).rstrip()

    return [line(table.columns), "  ".join("-" * n for n in sizes), *map(line, cells)]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, bytes):
        return value[:32].hex()
    return str(value).replace("\n", " ")


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 3] + "..."


_CYCLES = {"issued": "issue_cycle", "start": "start_cycle", "end": "end_cycle"}  # as the tables call them


def export(trace: Trace, session: Session, format: str) -> Iterator[str]:
    """The trace as lines of a file: "csv", or "json" as Chrome's trace viewer and Perfetto read it.

    Format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (complete events). Without
    cycles, positions stand for them.
    """
    import csv
    import io
    import json

    words = {pc: session.assembly(pc) for pc in {r.pc for r in trace.rows()}}
    if format == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        fields = [_CYCLES.get(f, f) for f in next(trace.rows())._fields] if len(trace) else ["n"]
        writer.writerow([*fields, "instruction"])
        for r in trace.rows():
            writer.writerow(["" if v is None else v for v in r] + [" ".join(words[r.pc]).strip()])
            yield out.getvalue()
            out.seek(0)
            out.truncate()
        yield out.getvalue()
        return
    yield '{"displayTimeUnit": "ns", "traceEvents": [\n'
    first = True
    for r in trace.rows():
        line = session.symbols.line_at(r.pc)
        start = r.start if r.start is not None else float(r.executed if r.executed is not None else r.n)
        event = {
            "name": words[r.pc][0],
            "ph": "X",
            "ts": start,
            "dur": 1.0 if r.end is None or r.start is None else r.end - r.start,
            "pid": 0,
            "tid": r.queue or "sequencer",
            "args": {
                "n": r.n,
                "pc": f"{r.pc:#06x}",
                "operands": words[r.pc][1],
                "shapes": r.shapes,
                "line": "" if line is None else f"{line.file}:{line.line}",
            },
        }
        yield ("" if first else ",\n") + json.dumps(event)
        first = False
    yield "\n]}\n"
