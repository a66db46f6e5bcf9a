"""The `sohu` command: help, names, exit status; chips and isa."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pexpect
import pytest
from sohu.isa import ISA_VERSION, ROWS, chips
from sohu.isa.manual.page import HEADINGS

from sohu import __version__
from sohu.cli import main, names
from tests.front.conftest import BIN, Run, environment

EXIT_CODES = ("0 ", "1 ", "2 ", "3 ", "130 ")


def test_the_front_page_lists_every_command_and_status(run: Run) -> None:
    shown = run("sohu")
    assert shown.returncode == 0 and shown.stdout == run("sohu", "--help").stdout
    assert {"chat", "run", "compile", "chips", "isa"} <= set(names())
    for name in names():
        assert f"\n  {name} " in shown.stdout
    for status in EXIT_CODES:
        assert f"\n  {status}" in shown.stdout


@pytest.mark.parametrize("name", names())
def test_every_command_has_help_with_its_exit_codes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: sohu {name}" in text
    assert "exit status" in text or "exit codes" in text


def test_the_version(run: Run) -> None:
    assert (
        run("sohu", "--version").stdout == f"sohu {__version__} (instruction set {ISA_VERSION[0]}.{ISA_VERSION[1]})\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["isb"], "unknown command 'isb'; did you mean 'isa'?"),
        (["--versoin"], "unknown argument '--versoin'; did you mean '--version'?"),
        (["chat", "smollm2", "hi", "--jsno"], "unknown argument '--jsno'; did you mean '--json'?"),
        (["chat", "smollm2", "hi", "--max-tokens", "0"], "'0' is no whole number of at least 1"),
        (["chat", "smollm2", "hi", "--chip", "smal"], "unknown chip 'smal'"),
        (["compile"], "the following arguments are required: FILE.py:NAME"),
        (["compile", "k.py", "--bind", "x"], "'x' is not NAME=VALUE"),
        (["chips", "sohn"], "did you mean 'sohu'?"),
    ],
)
def test_a_wrong_command_line_exits_with_2(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unknown_instruction_suggests_a_near_one(run: Run) -> None:
    done = run("sohu", "isa", "vepx")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "sohu: no instruction is called 'vepx'; did you mean 'vexp'?\n"


def test_isa_lists_every_instruction(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["isa"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert sorted(listed) == sorted(row.mnemonic for row in ROWS)


def test_isa_shows_the_page_of_an_instruction(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["isa", "vexp"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("# vexp\n\n" + ROWS["vexp"].summary)
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(HEADINGS)
    assert "](" not in text, "no links in a terminal"


def test_on_a_terminal_the_page_is_rendered() -> None:
    shown = pexpect.run(f"{BIN / 'sohu'} isa vexp", env=dict(environment(), TERM="xterm"), encoding="utf-8", timeout=60)
    assert "\x1b[" in shown and "dst = f32 [[1.0, 2.7182817, 0.0]]" in shown
    assert "## " not in shown and "```" not in shown and "| --- |" not in shown


def test_chips_lists_them_and_shows_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chips"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == chips()
    assert main(["chips", "small"]) == 0
    assert "sram_bytes                 1,048,576 bytes" in capsys.readouterr().out
    assert main(["chips", "--json"]) == 0
    assert [c["name"] for c in json.loads(capsys.readouterr().out)] == chips()


def test_a_reader_that_leaves_early_is_no_error() -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([BIN / "sohu", "isa"], env=environment(), **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()  # before it has printed anything
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_ctrl_c_exits_with_130(tmp_path: Path, run: Run) -> None:
    (tmp_path / "forever.s").write_text("        .kernel forever\n1:      j 1b\n        .endkernel\n")
    assert run("sohu-asm", "forever.s").returncode == 0
    command = [BIN / "sohu", "run", "forever.elf"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, env=environment(), text=True) as process:
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
