"""What is recorded of a run, and the questions that can be asked of it."""

import csv
import json
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import CommandError, Session
from sohu.debugger.sql import aligned
from sohu.debugger.trace import Row, Trace
from sohu.emulator import Device, Listener, Machine
from sohu.emulator.translate import Op

from tests.debugger.support import ARGS, SCALE, SPIN, X, make_session, talk

PARKED = """
        .kernel k
        .param  x, in, f32, [4, 8]
        .param  y, out, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .sem    go
        .sem    done
        dma.load   a, x                signal done
        sync       wait done>=1
        vadds      a, a, 1.0   wait go>=1  signal done
        vadds      a, a, 2.0   signal done
        nop
        sync       signal go
        nop
        dma.store  y, a        wait done>=3
        halt
        .endkernel
"""


def recorded(session: Session, limit: int = 1 << 20) -> Trace:
    """Its trace, which is on from now on."""
    session.trace = Trace(session.machine, limit)
    session.trace.switch(True)
    return session.trace


def whole(schedule: object = None, timing: bool = False) -> list[Row]:
    """The trace of a run of PARKED from end to end."""
    s = parked(schedule, timing)
    trace = recorded(s)
    s.run()
    return list(trace.rows())


def parked(schedule: object = None, timing: bool = False) -> Session:
    device = Device("small", schedule=schedule, timing=timing)  # type: ignore[arg-type]
    return Session(assemble(PARKED, "p.s"), args={"x": X}, device=device)


class Counter(Listener):
    """How many instructions were announced, by pc."""

    def __init__(self) -> None:
        self.pcs: list[int] = []

    def will_issue(self, machine: Machine, op: Op) -> None:
        self.pcs.append(op.pc)


def test_each_instruction_has_a_row_in_order() -> None:
    s = make_session(SCALE, ARGS)
    trace, counter = recorded(s), Counter()
    s.machine.listeners.append(counter)
    stop = s.run()
    rows = list(trace.rows())
    assert [r.pc for r in rows] == counter.pcs and [r.n for r in rows] == list(range(stop.instructions))
    assert trace.spans == [(0, stop.instructions)]
    load = next(r for r in rows if r.queue.startswith("DMA"))
    assert load.shapes == "f32[4,8] f32[4,8]" and load.bytes == 256 and load.executed == load.n
    assert load.start is None and load.issued is None


def test_what_waits_in_its_queue_has_executed_later() -> None:
    rows = whole()
    first, second = (r for r in rows if r.queue == "VPU")
    (signal_row,) = (r for r in rows if r.n == second.n + 2)
    assert first.executed == second.executed == signal_row.n > second.n
    s = parked()
    trace = recorded(s)
    s.begin()
    s.stepi(4)
    assert [r.executed for r in trace.rows() if r.queue == "VPU"] == [None, None]
    assert "2" in talk(s, "sql SELECT count(*) FROM trace WHERE executed IS NULL").split()
    s.cont()
    assert "0" in talk(s, "sql SELECT count(*) FROM trace WHERE executed IS NULL").split()
    assert list(trace.rows()) == rows


@pytest.mark.parametrize(("schedule", "timing"), [(None, False), (None, True), (5, True), ("timed", True)])
def test_going_back_and_forth_records_nothing_twice(schedule: object, timing: bool) -> None:
    want = sorted(whole(schedule, timing))
    assert all(r.executed is not None for r in want)
    if timing:
        assert all(r.start is not None and r.end is not None and r.issued <= r.start <= r.end for r in want)  # type: ignore[operator]
    for back in range(len(want)):
        s = parked(schedule, timing)
        trace = recorded(s)
        s.begin()
        s.stepi(back % 5 + 2)
        s.goto(min(back, s.position))
        s.stepi(2)
        s.goto(1)
        s.cont()
        assert sorted(trace.rows()) == want, back


def test_a_trace_switched_on_later_covers_what_ran_then() -> None:
    want = whole()
    s = parked()
    s.begin()
    s.stepi(4)  # two wait in a queue
    at = s.position
    trace = recorded(s)
    s.stepi(2)
    s.goto(at - 3)
    s.stepi()
    s.goto(at)
    s.cont()
    rows = sorted(trace.rows())
    assert trace.spans == [(at - 3, at - 2), (at, len(want))]
    assert rows == [r for r in want if r.n == at - 3 or r.n >= at]
    s.goto(0)
    s.cont()
    assert [r[:3] for r in sorted(trace.rows())] == [r[:3] for r in want] and trace.spans == [(0, len(want))]


def test_what_is_changed_begins_another_future() -> None:
    s = parked()
    trace = recorded(s)
    s.begin()
    s.stepi(5)
    at = s.position
    s.stepi(3)
    s.goto(at)
    s.assign("x20", "7")
    assert trace.spans == [(0, at)]
    s.cont()
    assert [r.n for r in trace.rows()] == list(range(s.position))
    s.run()
    assert [r.n for r in trace.rows()] == list(range(s.position))


def test_the_newest_rows_are_kept_within_the_limit() -> None:
    s = make_session(SPIN)
    trace = recorded(s, limit=100)
    s.start()
    s.stepi(1000)
    rows = list(trace.rows())
    assert 50 <= len(rows) <= 100 and rows[-1].n == 999 and trace.lost == 1000 - len(rows)
    assert [r.n for r in rows] == list(range(rows[0].n, 1000)) and trace.spans == [(rows[0].n, 1000)]


def test_times_find_their_rows_when_older_ones_are_dropped() -> None:
    want = whole(timing=True)
    for limit in range(6, len(want)):
        s = parked(timing=True)
        trace = recorded(s, limit)
        s.run()
        rows = list(trace.rows())
        assert rows == want[-len(rows) :] and len(rows) >= limit // 2


def test_results_and_cycles_are_the_same_with_it() -> None:
    def run(on: bool) -> tuple[object, ...]:
        s = parked(timing=True)
        if on:
            recorded(s)
        stop = s.run()
        return stop.cycles, stop.instructions, stop.outputs["y"].tobytes()  # type: ignore[attr-defined]

    assert run(True) == run(False)


# -- the command ---------------------------------------------------------------------------------------


def test_trace_at_the_prompt(tmp_path: Path) -> None:
    s = parked(timing=True)
    text = talk(
        s,
        "trace status",
        "trace on",
        "run",
        "trace off",
        "run",
        "trace",
        "trace maybe",
        "trace on now",
        "trace save t.txt",
    )
    assert text.startswith("trace is off, and nothing is recorded\ntrace is on; 0 instructions recorded\n")
    assert re.search(r"^trace is off; (\d+) instructions recorded: 0 to \d+$", text, re.MULTILINE)
    assert text.count("is not expected here") == 2 and "trace what?" in text and "FILE.csv or FILE.json" in text
    assert "nothing is recorded" in talk(s, f"trace save {tmp_path}/t.csv")  # the last run was not
    text = talk(
        s,
        "trace on",
        "run",
        f"trace save {tmp_path}/t.csv",
        f"trace save {tmp_path}/t.csv",
        f"trace save {tmp_path}/t.json",
    )
    assert "is there already" in text
    assert s.trace is not None
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (
        len(rows) == len(s.trace)
        and rows[0]["n"] == "0"
        and "issue_cycle" in rows[0]
        and "vadds a, a, 1.0" in {r["instruction"][:15] for r in rows}
    )
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert len(events) == len(s.trace)
    vpu = [e for e in events if e["tid"] == "VPU"]
    assert [e["name"] for e in vpu] == ["vadds", "vadds"] and vpu[1]["ts"] >= vpu[0]["ts"] + vpu[0]["dur"]
    assert vpu[0]["args"]["line"] == "p.s:10"
    assert len(list(tmp_path.iterdir())) == 2


# -- SQL -----------------------------------------------------------------------------------------------


@pytest.fixture
def traced() -> Session:
    """A session of SCALE with the trace of a whole run."""
    s = make_session(SCALE, ARGS)
    recorded(s)
    s.run()
    return s


def test_answers_come_as_a_table(traced: Session) -> None:
    text = talk(
        traced,
        "sql SELECT mnemonic, count(*) AS times, sum(bytes) FROM executed WHERE queue <> '' GROUP BY 1 ORDER BY 1",
    )
    lines = text.splitlines()
    assert lines[0].split() == ["mnemonic", "times", "sum(bytes)"] and set(lines[1]) == {"-", " "}
    assert [line.split() for line in lines[2:]] == [
        ["dma.load", "1", "256"],
        ["dma.store", "1", "256"],
        ["vadds", "1", "256"],
    ]
    loops = traced.database.ask("SELECT line, count(*) FROM executed WHERE mnemonic = 'call' GROUP BY line").rows
    assert loops == [(14, 3)]
    (never,) = traced.database.ask(
        "SELECT count(*) FROM lines WHERE line NOT IN (SELECT line FROM executed WHERE line)"
    ).rows
    assert never == (0,)
    assert "CREATE TABLE trace" in talk(traced, "sql") and "sql SELECT" in talk(traced, "sql")


def test_a_trace_that_grows_is_asked_as_it_is() -> None:
    s = make_session(SPIN)
    recorded(s)
    s.start()
    for n in (10, 20, 30):
        s.stepi(10)
        assert s.database.ask("SELECT count(*), max(n) FROM trace").rows == [(n, n - 1)]
    s.start()
    s.stepi(5)
    assert s.database.ask("SELECT count(*) FROM trace").rows == [(5,)]


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE trace",
        "DELETE FROM trace",
        "INSERT INTO trace(n) VALUES (1)",
        "UPDATE trace SET n = 0",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "ATTACH 'x.db' AS x",
        "DETACH main",
        "PRAGMA table_info(trace)",
        "SELECT * FROM pragma_table_info('trace')",
        "SELECT load_extension('x')",
        "SELECT writefile('x', 'y')",
        "SELECT readfile('/etc/passwd')",
        "VACUUM INTO 'x.db'",
        "BEGIN",
        "ANALYZE",
        "REINDEX",
        "EXPLAIN SELECT 1; DROP TABLE trace",
        "WITH t AS (SELECT 1) DELETE FROM trace",
        "",
        "-- nothing",
        "SELECT 1; SELECT 2",
        "SELECT \0",
        "nonsense",
    ],
)
def test_questions_can_only_read(traced: Session, query: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = traced.database.ask("SELECT count(*) FROM trace").rows
    with pytest.raises(CommandError) as e:
        traced.database.ask(query)
    assert e.value.message == "only SELECT can be asked" or e.value.message.startswith("SQL: ")
    assert traced.database.ask("SELECT count(*) FROM trace").rows == before
    assert not list(tmp_path.iterdir())


def test_questions_that_would_eat_the_host_end(traced: Session) -> None:
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT {} FROM t"
    with pytest.raises(CommandError, match=r"took longer than 0.2 s"):
        traced.database.ask(endless.format("max(n)"), seconds=0.2)
    table = traced.database.ask(endless.format("n"))
    assert len(table.rows) == 1000 and table.more
    with pytest.raises(CommandError, match="too big"):
        traced.database.ask("SELECT hex(zeroblob(100000000))")


def test_ctrl_c_ends_a_question_and_not_the_debugger(traced: Session) -> None:
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t"
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.monotonic()
    answer = talk(traced, f"sql {endless}")
    timer.join()
    assert "interrupted" in answer and time.monotonic() - began < 10
    assert traced.database.ask("SELECT 1").rows == [(1,)]


def test_tables_are_aligned_and_clean() -> None:
    from sohu.debugger.sql import Table

    lines = aligned(
        Table(("n", "text", "x"), [(1, "a", 0.5), (100, "b" * 200, None), (20, "c\nd", b"\1\2")], False), 40
    )
    assert lines[0] == "  n  text" + " " * 38 + "x"
    assert lines[2].startswith("  1  a ") and lines[2].endswith("0.5")
    assert "..." in lines[3] and len(lines[3]) < 60 and "c d" in lines[4] and "0102" in lines[4]


def test_without_a_trace_the_program_can_be_asked() -> None:
    s = make_session(SCALE, ARGS)
    assert "nothing is recorded" in talk(s, "sql SELECT * FROM trace")
    assert "vadds" in talk(s, "sql SELECT mnemonic, line FROM instructions WHERE engine = 'VPU'")
    np.testing.assert_array_equal(s.database.ask("SELECT min(line) FROM lines").rows, [[1 + 1]])
