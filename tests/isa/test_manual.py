"""The manual is made from the rows, has what a reader needs, and the one that is checked in is current."""

import ast
import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sohu.isa import CATEGORIES, DTYPES, EXTENSION_OPCODES, ROWS, Row
from sohu.isa.manual import diagram, semantics
from sohu.isa.manual.__main__ import main, write
from sohu.isa.manual.book import manual, own_rows
from sohu.isa.manual.page import HEADINGS, cost_words, page, syntax

DOCS = Path(__file__).parents[2] / "docs" / "isa"
FILES = manual()


def test_what_is_checked_in_is_current() -> None:
    there = {str(p.relative_to(DOCS)): p.read_text(encoding="utf-8") for p in DOCS.rglob("*") if p.is_file()}
    stale = [name for name in sorted(there.keys() | FILES) if there.get(name) != FILES.get(name)]
    assert not stale, "run `make manual`"


def test_it_is_written_whole_and_what_is_no_part_of_it_goes(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("gone")
    (tmp_path / "encoding").mkdir()
    (tmp_path / "encoding" / "old.svg").write_text("gone")
    assert main([str(tmp_path)]) == 0
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(FILES)
    assert write(tmp_path) == []
    assert main([]) == 2


@pytest.mark.parametrize("row", own_rows(), ids=lambda r: r.mnemonic)
def test_the_page_of_an_instruction(row: Row) -> None:
    text = FILES[f"{row.mnemonic}.md"]
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(HEADINGS)
    assert row.summary in text and f"`{row.opcode:#05x}`" in text and syntax(row) in text
    for o in row.operands:
        assert len(re.findall(rf"^\| .* \| `{re.escape(o.name)}` \| \S", text, re.MULTILINE)) == 1, "its bits"
        assert re.search(rf"^\| `{re.escape(o.name)}`[^|]* \| (in|out|inout) \|", text, re.MULTILINE), "what it takes"
    ast.parse(semantics.code(row))
    for category, _ in semantics.faults(row):
        assert category in CATEGORIES and f"| `{category}` |" in text
    picture = re.search(r"!\[.*\]\((.*)\)", text)
    assert picture and picture[1] in FILES
    assert len(cost_words(row).split()) >= 2, "its cost function is documented"


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.mnemonic)
def test_the_fields_of_a_picture_are_those_of_the_row(row: Row) -> None:
    at = 0
    for f in diagram.fields(row):
        assert f.low == at and (f.high < 64 or f.low >= 64)
        assert bool(f.name) != bool(row.reserved_mask >> f.low & 1)
        at = f.high + 1
    assert at == 128


@pytest.mark.parametrize("name", [n for n in FILES if n.endswith(".svg")])
def test_a_picture(name: str) -> None:
    root = ElementTree.fromstring(FILES[name])
    size = [float(root.attrib[a]) for a in ("width", "height")]
    tag = "{http://www.w3.org/2000/svg}"
    for box in root.iter(f"{tag}rect"):
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert x + float(box.attrib["width"]) <= size[0] and y + float(box.attrib["height"]) <= size[1]
    placed: dict[str, list[tuple[float, float]]] = {}
    for label in root.iter(f"{tag}text"):
        wide = len(label.text or "") * (5.0 if label.get("class") == "bit" else 6.7)
        x = float(label.attrib["x"]) - {"start": 0, "middle": wide / 2, "end": wide}[label.attrib["text-anchor"]]
        assert float(label.attrib["y"]) < size[1]
        placed.setdefault(label.attrib["y"], []).append((x, x + wide))
    for line in placed.values():
        line.sort()
        assert all(a[1] <= b[0] + 1 for a, b in itertools.pairwise(line)), "texts overlap"


def test_formats_are_named_apart() -> None:
    fields: dict[str, list[diagram.Field]] = {}
    for row in ROWS:
        assert fields.setdefault(diagram.format_name(row), diagram.fields(row)) == diagram.fields(row)


def test_the_index_and_the_chapters_say_all() -> None:
    index = FILES["README.md"]
    for row in own_rows():
        assert f"[`{row.mnemonic}`]({row.mnemonic}.md) | {row.summary}" in index.replace("\\|", "|")
    assert all(f"| `{d}` |" in FILES["machine.md"] for d in DTYPES)
    assert all(f"| `{c}` |" in FILES["machine.md"] for c in CATEGORIES)
    assert f"{EXTENSION_OPCODES.start:#x} to" in FILES["encoding.md"]
    assert not [name for name, text in FILES.items() if name.endswith(".md") and re.search(r"<!-- \w+ -->", text)]


def test_a_page_shows_what_the_row_says() -> None:
    text = page(ROWS["dma.gather"])
    assert "dma.gather dst, table, index [, q=0] [wait sem>=value] [signal sem[+=n]]" in text
    assert "def _check(" in text, "helpers of the semantics"
    assert "| `out-of-bounds` | index[…] = … is outside a table of … rows |" in text
    assert "`q` | in | queue number, 0 when left out" in text
    assert '"""' not in text and "@instruction" not in text
    assert "| `misaligned` | an address that is no multiple of its element's size (`load64`) |" in page(ROWS["ld"])
