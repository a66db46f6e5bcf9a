"""One file per mistake, with the message it gets beside it.

`diagnostics/CODE_what.s` is assembled, with all warnings on; `CODE_what.txt` is what is said of it, and all of that has
this code. For errors of the linker, `L..._what.s` holds several sources: a line `## NAME` begins each.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sohu.asm import AsmError, Diagnostic, assemble
from sohu.asm.assembler import assemble_object
from sohu.asm.codes import CODES
from sohu.asm.diagnostics import render
from sohu.asm.link import link
from sohu.asm.options import Options
from sohu.asm.warnings import WarningPolicy

FOLDER = Path(__file__).parent / "diagnostics"
SOURCES = sorted(FOLDER.glob("*.s"))
ALL = Options(warnings=WarningPolicy(["all"]), max_expansion=10_000)


def said_of(path: Path) -> list[Diagnostic]:
    """What is said of one of the files."""
    text = path.read_text(encoding="utf-8")
    found: list[Diagnostic] = []
    try:
        if path.name.startswith("L"):
            link([assemble_object(source, name, ALL, found) for name, source in parts(text)])
        else:
            assemble(text, path.name, ALL, found)
    except AsmError as e:
        return e.diagnostics
    return found


def parts(text: str) -> Iterator[tuple[str, str]]:
    """The sources in a file for the linker."""
    _, *rest = re.split(r"^## (\S+)\n", text, flags=re.MULTILINE)
    yield from zip(rest[::2], rest[1::2], strict=True)


@pytest.mark.parametrize("path", SOURCES, ids=[p.stem for p in SOURCES])
def test_what_is_said(path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(FOLDER)
    found = said_of(path)
    assert {d.code for d in found} == {path.stem.partition("_")[0]}, render(found)
    text = render(found) + "\n"
    golden = path.with_suffix(".txt")
    if request.config.getoption("--update-golden"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), "if this is meant, run with --update-golden"


def test_every_code_has_a_file() -> None:
    no_source_does_it = {"L004", "L005"}  # a damaged object, and an image of 2 GiB
    assert {p.stem.partition("_")[0] for p in SOURCES} | no_source_does_it == set(CODES)


def test_every_message_has_its_source() -> None:
    assert {p.stem for p in FOLDER.glob("*.txt")} == {p.stem for p in SOURCES}
