"""The fuzzer itself: it finds a planted mistake, makes it small, goes on where it stopped, and keeps its limits."""

import contextlib
import dataclasses
import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sohu.isa import ROWS, Inst, SohuError, encode
from sohu.isa.operands import X

from tools.fuzz import run
from tools.fuzz.coverage import table
from tools.fuzz.run import TARGETS, Counts, State, load_state, problem, run_batch, shrink
from tools.fuzz.target import Target, expect
from tools.tree import ROOT


def fuzz(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.fuzz", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


def test_a_planted_mistake_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A printer that calls one register by another's name; the case is one instruction in the end."""
    right = X.format_column

    def wrong(self, column):  # type: ignore[no-untyped-def]
        return ["x9" if text == "x7" else text for text in right(self, column)]

    monkeypatch.setattr(X, "format_column", wrong)
    code = b"".join(encode(Inst(ROWS["add"], (1, n % 30, 3))).to_bytes(16, "little") for n in range(20))
    failure = shrink(TARGETS["rows"], code)
    assert failure.data == code[7 * 16 :][:16]
    assert "'add        x1, x9, 3' is printed for" in failure.why
    assert problem(TARGETS["words"], code)
    monkeypatch.undo()
    assert not problem(TARGETS["rows"], code) and not problem(TARGETS["words"], code)


def test_a_traceback_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def assemble(text: str, name: str, options: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr("tools.fuzz.sources.assemble", assemble)
    why = problem(TARGETS["sources"], b"nop")
    assert why.startswith("Traceback") and "KeyError: 'a bug'" in why


def target(check: object) -> Target:
    return Target("numbers", "", "numbers", 10, 5, ".txt", lambda rng: rng.randbytes(2), check)  # type: ignore[arg-type]


def test_batches_are_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    monkeypatch.setitem(TARGETS, "numbers", target(seen.append))
    assert run_batch("numbers", 1, 0).units == 5
    run_batch("numbers", 1, 1)
    run_batch("numbers", 1, 0)
    run_batch("numbers", 2, 0)
    assert seen[:5] == seen[10:15] and len(set(seen)) > 12


def test_time_and_memory_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever(data: bytes) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001  # what hangs may also swallow errors
                continue

    monkeypatch.setattr(run, "SECONDS", 0.2)
    assert problem(target(forever), b"") == "it takes more than 0.2 seconds of processor time"
    with run._pool(1) as pool, pytest.raises(MemoryError):
        pool.submit(bytearray, 2 * run.MEMORY).result()


def test_the_smallest_case() -> None:
    def check(data: bytes) -> None:
        expect(not {b"a"[0], b"z"[0]} <= set(data), "both")

    letters = dataclasses.replace(target(check), parts=lambda data: [data[i : i + 1] for i in range(len(data))])
    assert shrink(letters, b"abcdefghijklmnopqrstuvwxyz").data == b"az"


def test_states_are_written_and_read(tmp_path: Path) -> None:
    state = State(5)
    state.counts["rows"] = Counts(3, 30_000, 1, 2.5)
    state.save(tmp_path / "new" / "state.json")
    assert load_state(tmp_path / "new" / "state.json") == state
    for text in ("", "[]", "{}", '{"format": 2, "seed": 1, "counts": {}}', '{"format": 1, "seed": 1, "counts": 4}'):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(SohuError, match="is no state of a fuzz run"):
            load_state(tmp_path / "bad")


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    words = ["elfs", "--seed", "7", "--resume", str(state), "--failures", str(tmp_path)]
    first = fuzz(*words, "--count", "500")
    assert first.returncode == 0, first.stderr
    assert "seed 7" in first.stdout and "500 of 500 files, 0 failed" in first.stdout
    second = fuzz(*words, "--count", "1000", "--jobs", "2")
    assert "1,000 of 1,000 files, 0 failed" in second.stdout
    assert json.loads(state.read_text())["counts"]["elfs"]["batches"] == 2


def covering(rng: random.Random) -> Target:
    """Each case hits one of ten cells."""
    return dataclasses.replace(
        target(lambda data: {f"row {data[0] % 10}": 1}), goal=20, cells=lambda: [f"row {i}" for i in range(10)]
    )


def test_a_full_run_goes_on_until_all_is_covered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    numbers = covering(random.Random(0))
    monkeypatch.setitem(TARGETS, "numbers", numbers)
    monkeypatch.setattr(run, "_pool", lambda jobs: ThreadPoolExecutor(1))
    monkeypatch.setattr(run, "_time_limit", contextlib.nullcontext)
    reports: list[int] = []
    for cover in (False, True):
        state = State(1)
        state.counts["numbers"] = Counts()
        run.run(
            numbers, state, goal=20, cover=cover, seconds=None, jobs=1, failures=tmp_path,
            report=lambda target, counts: reports.append(counts.units),
        )  # fmt: skip
        assert bool(state.counts["numbers"].missing(numbers)) is not cover
        assert (state.counts["numbers"].units > 200) is cover
    assert sum(state.counts["numbers"].cells.values()) == state.counts["numbers"].units == reports[-1]
    state.save(tmp_path / "state.json")
    assert load_state(tmp_path / "state.json") == state


def test_the_table_of_what_is_covered() -> None:
    numbers = covering(random.Random(0))
    counts = Counts(cells={f"row {i}": 20 + i for i in range(9)})
    head, row, total, missing = table(numbers, counts)
    assert head.split() == ["row", "cells", "fewest", "hits", "hits"]
    assert row.split() == ["row", "10", "0", "216"]
    assert "10 cells, 1 of them hit less than 20 times" in total and missing.split() == ["row", "9:", "0"]
    assert table(target(lambda data: None), Counts()) == []


def test_failures_are_saved_with_what_shows_them_again(tmp_path: Path) -> None:
    path = run.save_failure(tmp_path, TARGETS["sources"], 3, Counts(4, 200, 1), run.Failure("it is wrong", b"nop\n"))
    assert path.read_bytes() == b"nop\n"
    again, batch, *why = path.with_suffix(".txt").read_text().splitlines()
    assert batch == "python -m tools.fuzz sources --seed 3 --batch 4" and why == ["", "it is wrong"]
    done = fuzz(*again.split()[3:])
    assert (done.returncode, done.stdout) == (0, "nothing is wrong\n")


def test_mistakes_of_the_command_line() -> None:
    for words in (("nothing",), ("--jobs", "0"), ("--batch", "1")):
        done = fuzz(*words)
        assert done.returncode == 2 and "Traceback" not in done.stderr
    done = fuzz("rows", "--resume", str(ROOT / "README.md"))
    assert done.returncode == 1 and "is no state of a fuzz run" in done.stderr
