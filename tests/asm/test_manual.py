"""docs/assembly.md says what is so: its example runs, and no directive or error is missing."""

import re
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import Diagnostic, assemble
from sohu.asm.directives import DIRECTIVES
from sohu.asm.docgen import PAGES
from sohu.asm.elf_file import EM_SOHU
from sohu.asm.functions import NUMERIC, OF_NAMES
from sohu.asm.options import Options
from sohu.asm.warnings import WarningPolicy
from sohu.emulator import Device
from sohu.isa.machine import SCALAR_ALIASES

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "assembly.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```asm\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("source", EXAMPLES)
def test_nothing_is_wrong_with_the_examples(source: str) -> None:
    said: list[Diagnostic] = []
    assemble(source, "a.s", Options(warnings=WarningPolicy(["all", "no-runs-off-end"])), said)
    assert [d.render() for d in said] == []


def test_all_functions_are_there() -> None:
    for usage in [*(usage for usage, *_ in NUMERIC.values()), *OF_NAMES.values()]:
        assert f"`{usage}`" in TEXT


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_current(name: str) -> None:
    """`make manual` writes them again."""
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name]()


def test_every_directive_is_on_its_page() -> None:
    page = PAGES["directives.md"]()
    assert {d for d in DIRECTIVES if d not in re.findall(r"\.[a-z]\w+", page)} == set()


def test_names_and_numbers() -> None:
    assert f"machine {EM_SOHU:#x}" in TEXT
    for alias, index in SCALAR_ALIASES.items():
        assert f"`{alias}` (x{index})" in TEXT


def test_the_example_runs() -> None:
    source = EXAMPLES[0]
    program = assemble(source, "double.s")
    x = np.arange(300 * 70).reshape(300, 70).astype(ml_dtypes.bfloat16)
    for seed in (None, 1, 2, 3):  # in program order, and in other legal ones
        result = Device("small", schedule=seed).launch(program, "double", {"x": x})
        assert np.array_equal(result.outputs["y"].numpy(), x + x)
