"""docs/assembly.md says what is so: its example runs, and no directive or error is missing."""

import re
from pathlib import Path

import ml_dtypes
import numpy as np
from sohu.asm import assemble
from sohu.asm.codes import CODES
from sohu.asm.directives import DIRECTIVES
from sohu.asm.elf_file import EM_SOHU
from sohu.emulator import Device
from sohu.isa import DTYPES
from sohu.isa.machine import SCALAR_ALIASES

TEXT = (Path(__file__).parents[2] / "docs" / "assembly.md").read_text(encoding="utf-8")


def test_every_diagnostic_is_listed() -> None:
    rows = re.findall(r"^\| ([AWL]\d+) \| (.*) \|$", TEXT, re.MULTILINE)
    assert dict(rows) == {
        number: code.title + (f" (`-W{code.name}`)" if code.name else "") for number, code in CODES.items()
    }


def test_every_directive_is_listed() -> None:
    named = set(re.findall(r"\.[a-z]\w+", TEXT))
    assert {d for d in DIRECTIVES if d[1:] not in DTYPES} <= named


def test_names_and_numbers() -> None:
    assert f"machine {EM_SOHU:#x}" in TEXT
    for alias, index in SCALAR_ALIASES.items():
        assert f"`{alias}` (x{index})" in TEXT


def test_the_example_runs() -> None:
    (source,) = re.findall(r"^```asm\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    program = assemble(source, "double.s")
    x = np.arange(300 * 70).reshape(300, 70).astype(ml_dtypes.bfloat16)
    for seed in (None, 1, 2, 3):  # in program order, and in other legal ones
        result = Device("small", schedule=seed).launch(program, "double", {"x": x})
        assert np.array_equal(result.outputs["y"].numpy(), x + x)
