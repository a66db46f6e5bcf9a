"""The type check cannot pass without having read every file."""

import shutil
from pathlib import Path

import pytest

from tools.tree import ROOT
from tools.typecheck import check

GOOD = '"""A module."""\n\n\ndef double(x: int) -> int:\n    """Twice x."""\n    return x * 2\n'
UNTYPED = GOOD.replace("x: int", "x")


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A small house of the same plan, with two rooms and a tool; 4 files in all."""
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy2(ROOT / name, tmp_path / name)
    for name in ("sohu/__init__.py", "isa/__init__.py", "isa/chip.py", "tools/make.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
    with (tmp_path / "sohu" / "__init__.py").open("a", encoding="utf-8") as front_door:
        front_door.write('\n__version__ = "1.0"\n')
    return tmp_path


def test_it_reads_everything_and_names_what_is_wrong(house: Path) -> None:
    assert check(house) == (4, [])

    (house / "isa" / "chip.py").write_text(UNTYPED, encoding="utf-8")
    (house / "tools" / "make.py").write_text(UNTYPED, encoding="utf-8")
    wrong = check(house)[1]
    assert [line for line in wrong if line.startswith("isa/chip.py:4: error:") and "[no-untyped-def]" in line]
    assert [line for line in wrong if line.startswith("tools/make.py:4: error:")]

    (house / "isa" / "chip.py").write_text(GOOD, encoding="utf-8")
    (house / "tools" / "make.py").write_text(GOOD, encoding="utf-8")
    (house / "isa" / "rows").mkdir()
    (house / "isa" / "rows" / "vector.py").write_text(UNTYPED, encoding="utf-8")  # no __init__.py: not installed
    assert check(house) == (4, [wrong_count(4, 5)])

    (house / "kitchen").mkdir()
    (house / "kitchen" / "__init__.py").write_text(UNTYPED, encoding="utf-8")  # a room setup.py does not name
    assert check(house) == (4, [wrong_count(4, 6)])


def wrong_count(read: int, held: int) -> str:
    return (
        f"mypy read {read} files where the tree holds {held}: "
        "is there a folder without an __init__.py, or a room that setup.py does not name?"
    )
