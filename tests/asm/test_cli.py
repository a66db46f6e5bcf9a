"""The sohu-asm command."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sohu.asm import assemble, read_elf
from sohu.asm.cli import main
from sohu.asm.console import working

GOOD = ".kernel k\nhalt\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)


class Stream(io.TextIOWrapper):
    """Standard input or output, over bytes that a test can give and see."""

    def __init__(self, data: bytes = b"", tty: bool = False) -> None:
        self.raw_bytes = io.BytesIO(data)
        self.tty = tty
        super().__init__(self.raw_bytes, encoding="utf-8")

    def isatty(self) -> bool:
        return self.tty


def test_assemble_and_disassemble(capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.s").write_text(GOOD)
    assert main(["a.s"]) == 0
    assert read_elf(Path("a.elf").read_bytes(), "a.s") == assemble(GOOD, "a.s")
    assert main(["-d", "a.elf"]) == 0
    out, err = capfd.readouterr()
    assert ".kernel k" in out and err == ""
    assert main(["-d", "a.elf", "-o", "b.s"]) == 0
    assert Path("b.s").read_text() == out
    assert main(["b.s", "-o", "b.elf"]) == 0
    again, program = read_elf(Path("b.elf").read_bytes()), read_elf(Path("a.elf").read_bytes())
    assert (again.text, again.symbols, again.kernels, again.lines) == (
        program.text, program.symbols, program.kernels, program.lines
    )  # fmt: skip


def test_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Stream()
    monkeypatch.setattr(sys, "stdin", Stream(GOOD.encode()))
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["-"]) == 0
    elf = out.raw_bytes.getvalue()
    assert read_elf(elf).text == assemble(GOOD).text
    out = Stream()
    monkeypatch.setattr(sys, "stdin", Stream(elf))
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["-d", "-"]) == 0
    assert b".kernel k" in out.raw_bytes.getvalue()


def test_no_program_for_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    out = Stream(tty=True)
    monkeypatch.setattr(sys, "stdin", Stream(GOOD.encode()))
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["-"]) == 1
    assert out.raw_bytes.getvalue() == b""
    assert "not for terminals" in capsys.readouterr().err


def test_mistakes_leave_what_was_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.s").write_text("vad t0\nnop\nj x\n")
    Path("a.elf").write_bytes(b"old")
    assert main(["a.s"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("a.s:1:1: error[A010]") and "a.s:3:3: error[A020]" in err and "\033" not in err
    assert Path("a.elf").read_bytes() == b"old"
    assert sorted(p.name for p in Path().iterdir()) == ["a.elf", "a.s"]


@pytest.mark.parametrize(("no_color", "coloured"), [(None, True), ("1", False)])
def test_colour_on_a_terminal(no_color: str | None, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream(tty=True)
    monkeypatch.setattr(sys, "stderr", err)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    Path("a.s").write_text("vad")
    assert main(["a.s"]) == 1
    err.flush()
    assert (b"\033[" in err.raw_bytes.getvalue()) == coloured


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no.s"], "cannot read no.s: No such file"),
        (["."], "cannot read .: Is a directory"),
        (["a.s", "-o", "no/a.elf"], "cannot write no/a.elf: No such file"),
        (["a.s", "-o", "a.s"], "a.s is the source itself"),
        (["-d", "a.s"], "a.s: not an ELF file"),
        (["latin.s"], "latin.s:2:3: error[A001]: byte 0xe9 is no UTF-8"),
        (["binary.s"], "binary.s:2:118: error[A001]"),
    ],
)
def test_what_goes_wrong_takes_a_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.s").write_text(GOOD)
    Path("latin.s").write_bytes(b"nop\n# \xe9\xe9")
    Path("binary.s").write_bytes(bytes(range(256)) * 4)
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == "" and says in err and "Traceback" not in err
    assert Path("a.s").read_text() == GOOD


@pytest.mark.parametrize(
    "arguments", [[], ["--wrong"], ["-d", "a.elf", "b.elf"], ["a.s", "-O", "srec"], ["-c", "a.s", "b.s", "-o", "c.o"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: sohu-asm" in capsys.readouterr().err


def test_a_name_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["\033[2Jgone\u202e.s"]) == 1
    assert capsys.readouterr().err.startswith("sohu-asm: cannot read \ufffd[2Jgone\ufffd.s: ")


def test_a_file_name_in_a_diagnostic_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream(tty=True)
    monkeypatch.setattr(sys, "stderr", err)
    Path("\033[2Ja.s").write_text("bad \033[2J\n" * 201)
    assert main(["\033[2Ja.s"]) == 1
    err.flush()
    text = err.raw_bytes.getvalue()
    assert b"\033[1m" in text and b"\033[2J" not in text and b"and 1 more errors" in text


def test_an_output_keeps_its_permissions() -> None:
    Path("a.s").write_text(GOOD)
    assert main(["a.s"]) == 0
    umask = os.umask(0)
    os.umask(umask)
    assert Path("a.elf").stat().st_mode & 0o777 == 0o666 & ~umask
    Path("a.elf").chmod(0o600)
    assert main(["a.s"]) == 0
    assert Path("a.elf").stat().st_mode & 0o777 == 0o600


def test_a_reader_who_leaves_is_no_error() -> None:
    Path("a.s").write_text("nop\n" * 20_000)
    assert main(["a.s"]) == 0
    command = f"{sys.executable} -m sohu.asm.cli -d a.elf | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == '        .file 1 "a.s"\n' and done.stderr == ""


def test_format(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    Path("a.s").write_text("nop  # one\n")
    Path("b.s").write_text("        halt\n")
    assert main(["--format", "--check", "a.s", "b.s"]) == 1
    assert Path("a.s").read_text() == "nop  # one\n"
    assert capfd.readouterr().err == "sohu-asm: a.s is not in columns: --format changes it\n"
    assert main(["--format", "a.s", "b.s"]) == 0
    assert Path("a.s").read_text() == "        nop" + " " * 29 + "# one\n"
    assert main(["--format", "--check", "a.s", "b.s"]) == 0
    out = Stream()
    monkeypatch.setattr(sys, "stdin", Stream("nop # é\n".encode()))
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["--format", "-"]) == 0
    assert out.raw_bytes.getvalue().decode() == "        nop" + " " * 29 + "# é\n"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("wrong", [["--check", "a.s"], ["--format", "-d", "a.s"], ["--format", "-c", "a.s"]])
def test_wrong_usage_of_several_files(wrong: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(wrong)
    assert stopped.value.code == 2
    assert "usage:" in capfd.readouterr().err


def test_what_takes_long_is_said_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Stream(tty=True)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr("sohu.asm.console._PATIENCE", 0.01)
    monkeypatch.setattr("sohu.asm.console._TICK", 0.01)
    with working("assembling \033[2J"):
        time.sleep(0.2)
    err.flush()
    text = err.raw_bytes.getvalue().decode()
    assert "assembling \N{REPLACEMENT CHARACTER}[2J 0 s" in text and text.endswith("\r\033[K")
    for stream, patience in ((Stream(tty=True), 10.0), (Stream(), 0.0)):  # nothing to say, or nobody to say it to
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setattr("sohu.asm.console._PATIENCE", patience)
        with working("assembling"):
            time.sleep(0.05)
        stream.flush()
        assert stream.raw_bytes.getvalue() == b""
