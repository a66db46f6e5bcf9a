"""The line table: columns that read as a sequence, and as DWARF there and back."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sohu.asm import Line, Lines, dwarf

FILES = ("a.s", "dir/b.s", "c.s")


def random_lines(rng: random.Random, count: int) -> Lines:
    """Places of all kinds: near and far, with and without changes of file and column."""
    far = rng.choice((1, 3, 300, 1 << 20))
    pc, line, column, file = 0, 1, 0, 0
    found = []
    for _ in range(count):
        found.append(Line(pc, FILES[file], line, column))
        pc += 16 * rng.randint(1, rng.choice((1, 1, far)))
        line = min(max(line + rng.choice((0, 1, 1, 5, -3, -6, rng.randint(-far, far))), 1), (1 << 31) - 1)
        column = rng.choice((column, 5, 9, 13, 127, 128, rng.randrange(1 << 31)))
        file = file if rng.random() < 0.9 else rng.randrange(len(FILES))
    return Lines.of(found)


def test_it_is_a_sequence_of_lines() -> None:
    places = [Line(0, "a.s", 1, 9), Line(16, "b.s", 7), Line(64, "a.s", 2, 3)]
    table = Lines.of(places)
    assert list(table) == places and table == places and table[1] == places[1] and table[1:] == places[1:]
    assert table != places[:2] and table != [*places[:2], Line(64, "a.s", 2, 4)]
    assert not Lines() and Lines() == []
    assert [table.at(pc) for pc in (0, 15, 16, 63, 64, 1 << 40)] == [places[i] for i in (0, 0, 1, 1, 2, 2)]
    assert Lines.of(places[1:]).at(0) is None


@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 200))
@settings(max_examples=60)
def test_dwarf_there_and_back(seed: int, count: int) -> None:
    lines = random_lines(random.Random(seed), count)
    end = lines[-1].pc + 16 * (seed % 5 + 1)
    assert dwarf.read_lines(dwarf.line_section(lines, end), end) == lines


def test_a_long_table_is_written_and_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = random_lines(random.Random(7), 5000)
    end = lines[-1].pc + 16
    whole = dwarf.line_section(lines, end)
    monkeypatch.setattr(dwarf, "_STEPS_AT_ONCE", 37)
    assert dwarf.line_section(lines, end) == whole


@pytest.mark.parametrize("columns", ["5", "5 9", "5 5 5 9 5", "127 13 200 5"])
def test_runs_of_special_opcodes_read_as_one_by_one(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    """A column of 5 looks like the opcode that sets it."""
    n = 5000
    choice = [int(c) for c in columns.split()]
    column = np.array([choice[i * i % 7 % len(choice)] for i in range(n)])
    pc = np.arange(n) * 16
    lines = Lines(("a.s",), pc, np.zeros(n), np.arange(n) + 1, column)
    data = dwarf.line_section(lines, n * 16)
    fast = dwarf.read_lines(data, n * 16)
    with monkeypatch.context() as m:
        m.setattr(dwarf._Table, "run", None)
        m.setattr(dwarf, "_RUN", dwarf.re.compile(rb"(?!)"))
        slow = dwarf.read_lines(data, n * 16)
    assert fast == slow == lines


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=60)
def test_damaged_runs_are_refused_as_one_by_one(seed: int) -> None:
    rng = random.Random(seed)
    n = 300
    lines = Lines(("a.s",), np.arange(n) * 16, np.zeros(n), np.arange(n) // 3 + 1, np.arange(n) % 5 + 3)
    data = bytearray(dwarf.line_section(lines, n * 16))
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data) - 3 * n // 2, len(data))] = rng.choice(
            (0, 1, 2, 3, 4, 5, 5, 13, 33, rng.randrange(256))
        )

    def outcome() -> object:
        try:
            return list(dwarf.read_lines(bytes(data), n * 16))
        except dwarf.BadLineTable as e:
            return str(e)

    fast = outcome()
    with pytest.MonkeyPatch.context() as m:
        m.setattr(dwarf, "_RUN", dwarf.re.compile(rb"(?!)"))
        assert fast == outcome()
