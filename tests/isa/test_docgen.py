"""The instruction reference is made from the rows, and the one that is checked in is up to date."""

from pathlib import Path

from sohu.isa import ROWS
from sohu.isa.docgen import main, reference

DOC = Path(__file__).parents[2] / "docs" / "isa.md"


def test_checked_in_reference_is_current() -> None:
    assert DOC.read_text(encoding="utf-8") == reference(), "stale: run `python -m sohu.isa.docgen docs/isa.md`"


def test_every_instruction_has_an_entry_with_its_documentation() -> None:
    text = reference()
    for row in ROWS:
        assert f"\n### {row.mnemonic}\n" in text
        assert row.summary in text


def test_writes_a_file_whole(tmp_path: Path) -> None:
    assert main([str(tmp_path / "isa.md")]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["isa.md"]
    assert (tmp_path / "isa.md").read_text(encoding="utf-8") == reference()
