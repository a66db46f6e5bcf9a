"""docs/objects.md says what is so: its commands print what it shows, its program runs, no relocation is missing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sohu.asm import read_elf
from sohu.asm.elf_file import EM_SOHU
from sohu.asm.elf_object import NAMES
from sohu.asm.objects import R_OPERAND, RELOCATIONS
from sohu.emulator import Device

TEXT = (Path(__file__).parents[2] / "docs" / "objects.md").read_text(encoding="utf-8")
MODULES = {"asm": "cli"} | {tool: f"tools.{tool}" for tool in ("nm", "size", "objdump", "ar")}


def test_every_relocation_is_listed() -> None:
    rows = re.findall(r"^\| (\d+|16 \+ i) \| (\w+) \| (.*) \|$", TEXT, re.MULTILINE)
    listed = {(number, name, what) for number, name, what in rows}
    assert listed == {(str(n), *entry) for n, entry in RELOCATIONS.items() if n < R_OPERAND} | {
        ("16 + i", "R_SOHU_OPERANDi", RELOCATIONS[R_OPERAND][1].replace("operand 0", "operand i"))
    }
    assert R_OPERAND == 16


def test_every_section_is_listed() -> None:
    assert f"machine {EM_SOHU:#x}" in TEXT
    for name in NAMES.values():
        assert f"\n| `{name}` |" in TEXT


def test_the_commands_print_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, source in re.findall(r"^`(\w+\.s)`[^`]*```asm\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        Path(name).write_text(source)
    (transcript,) = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    for step in transcript.removeprefix("$ ").split("\n$ "):
        command, _, shown = step.partition("\n")
        tool, *arguments = command.split()
        module = MODULES[tool.removeprefix("sohu-")]
        done = subprocess.run(
            [sys.executable, "-m", f"sohu.asm.{module}", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "NO_COLOR": "1"},
        )
        assert done.stderr == ""
        assert done.stdout.rstrip("\n") == shown.rstrip("\n"), command
    program = read_elf(Path("scale.elf").read_bytes())
    x = np.arange(256, dtype=np.float32)
    Device("small").launch(program, "scale", {"x": x})
    assert np.array_equal(x, 2 * np.arange(256))
