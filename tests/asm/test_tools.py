"""sohu-nm, -size, -objdump and -ar: where GNU's tools read our files, ours print the same."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sohu.asm import read_elf
from sohu.asm.cli import main as assemble
from sohu.asm.tools.ar import main as ar
from sohu.asm.tools.nm import main as nm
from sohu.asm.tools.objdump import main as objdump
from sohu.asm.tools.size import main as size

MAIN = """        .kernel main
        .param  x, in, f32, [N, 64]
        .tile   buf, sram, f32, [64, 64]
        .sem    ready
again:  dma.load buf, x  signal ready
        vexp    buf, buf  wait ready>=1
        call    helper + 16
        dbg.print "mö", x5
        li      x6, table
        bne     x6, 0, again
        halt
        .endkernel
        .rodata
        .quad   table, again
"""
HELPER = ".globl helper, table\n.weak opt, own\nhelper: li x5, opt\nown: ret\n.rodata\ntable: .quad 5, 6\nlocal:\n"
FILES = ["main.o", "helper.o", "p.elf"]
gnu = pytest.mark.skipif(any(shutil.which(t) is None for t in ("nm", "size", "objdump", "ar")), reason="needs binutils")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("main.s").write_text(MAIN, encoding="utf-8")
    Path("helper.s").write_text(HELPER)
    assert assemble(["-c", "main.s", "helper.s"]) == 0
    assert assemble(["main.o", "helper.o", "-o", "p.elf"]) == 0


def theirs(*command: str) -> list[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stderr == ""
    return done.stdout.splitlines()


@gnu
@pytest.mark.parametrize("flags", [[], ["-g"], ["-n"], ["-u"], ["-S"]])
def test_nm_prints_what_gnu_nm_prints(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for file in FILES:
        assert nm([*flags, file]) == 0
        assert capsys.readouterr().out.splitlines() == theirs("nm", *flags, file)


@gnu
def test_objdump_prints_what_gnu_objdump_prints(capsys: pytest.CaptureFixture[str]) -> None:
    for file in FILES:
        assert objdump(["-s", file]) == 0
        assert capsys.readouterr().out.splitlines()[2:] == theirs("objdump", "-s", file)[3:]
        assert objdump(["-t", file]) == 0
        ours = [line for line in capsys.readouterr().out.splitlines()[2:] if line]
        # GNU lists sections as symbols too, and keeps the file's order where places are equal
        expected = [line for line in theirs("objdump", "-t", file)[3:] if line and "    d  " not in line]
        assert sorted(ours) == sorted(expected)
        assert objdump(["-h", file]) == 0
        ours = [line.split() for line in capsys.readouterr().out.splitlines()[5:]]
        expected_rows = [line.split() for line in theirs("objdump", "-h", file) if line[:4].strip().isdigit()]
        assert [(r[1], r[2], r[3], r[4], r[5]) for r in ours][: len(expected_rows)] == [
            (r[1], r[2], r[3], r[5], r[6]) for r in expected_rows
        ]


@gnu
def test_sizes_add_up_to_what_gnu_size_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert size(["-t", *FILES]) == 0
    ours = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    expected = [line.split() for line in theirs("size", "-t", *FILES)[1:]]
    assert [(r[2], r[3], r[4]) for r in ours] == [(r[3], r[4], r[5]) for r in expected]


def test_code_with_its_source_and_relocations(capsys: pytest.CaptureFixture[str]) -> None:
    assert objdump(["-dSr", "main.o"]) == 0
    out = capsys.readouterr().out
    for expected in (
        "0000000000000020 <again>:\n; main.s:5: again:  dma.load buf, x  signal ready\n",
        "wait ready>=1\n; main.s:7: call    helper + 16\n",
        "call       .+0\n          40: R_SOHU_BRANCH\thelper+0x10\n",
        "50: R_SOHU_OPERAND0\t.rodata.str\n",
        "bne        x6, 0, again\n",
    ):
        assert expected in out
    assert objdump(["-r", "main.o"]) == 0
    out = capsys.readouterr().out
    assert "RELOCATION RECORDS FOR [.rodata]:" in out
    assert "0000000000000008 R_SOHU_64          .text+0x20\n" in out
    assert objdump(["-d", "p.elf"]) == 0
    out = capsys.readouterr().out
    assert "<helper>:" in out and 'dbg.print  "mö", x5' in out and "; main.s" not in out
    Path("main.s").unlink()  # a source that is gone
    assert objdump(["-S", "p.elf"]) == 0
    assert "; main.s:7\n" in capsys.readouterr().out


def test_words_that_are_no_instruction(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.s").write_text(".inst 0xfff\n")
    assert assemble(["a.s"]) == 0 and objdump(["-d", "a.elf"]) == 0
    assert "00000000000000000000000000000fff  .inst 0x" in capsys.readouterr().out


def test_only_regular_files_are_read_as_source(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    for place in ("pipe", "/dev/zero", "\\x1b[2J"):
        Path("a.s").write_text(f'.file 1 "{place}"\n.loc 1 1\nnop\n')
        assert assemble(["a.s"]) == 0 and objdump(["-S", "a.elf"]) == 0
        out = capsys.readouterr().out
        assert "nop" in out and "\033" not in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert nm(["--json", "helper.o"]) == 0
    (table,) = json.loads(capsys.readouterr().out)["files"].values()
    assert {s["name"]: (s["kind"], s["value"]) for s in table} == {
        "helper": ("T", 0), "table": ("R", 0), "local": ("r", 16), "opt": ("w", None), "own": ("W", 16),
    }  # fmt: skip
    assert size(["--json", "p.elf"]) == 0
    program = read_elf(Path("p.elf").read_bytes())
    sizes = {"text": len(program.text), "rodata": len(program.rodata)}
    assert json.loads(capsys.readouterr().out)["files"] == {"p.elf": sizes}


def test_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    assert ar(["rcs", "lib.a", "main.o"]) == 0
    assert ar(["rv", "lib.a", "helper.o", "main.o"]) == 0
    assert capsys.readouterr().out == "a - helper.o\nr - main.o\n"
    assert ar(["t", "lib.a"]) == 0
    assert capsys.readouterr().out == "main.o\nhelper.o\n"
    whole = Path("lib.a").read_bytes()
    if shutil.which("ar"):
        assert theirs("ar", "t", "lib.a") == ["main.o", "helper.o"]
        subprocess.run(["ar", "rcsD", "theirs.a", "main.o", "helper.o"], check=True)
        assert Path("theirs.a").read_bytes() == whole
    before = Path("main.o").read_bytes()
    Path("main.o").unlink()
    assert ar(["x", "lib.a", "main.o"]) == 0 and Path("main.o").read_bytes() == before
    assert ar(["r", "lib.a", "helper.s"]) == 0 and ar(["p", "lib.a", "helper.s"]) == 0
    assert capsys.readouterr().out == HELPER
    assert ar(["d", "lib.a", "main.o", "helper.s"]) == 0
    assert ar(["t", "lib.a"]) == 0
    assert capsys.readouterr().out == "helper.o\n"
    assert ar(["t", "lib.a", "main.o"]) == 1
    assert "lib.a has no member 'main.o'" in capsys.readouterr().err


@pytest.mark.parametrize("tool", [nm, size, lambda argv: objdump(["-d", *argv])])
def test_what_goes_wrong_takes_a_line(tool, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    Path("noise").write_bytes(bytes(range(256)))
    Path("cut.o").write_bytes(Path("main.o").read_bytes()[:500])
    Path("bad.a").write_bytes(b"!<arch>\nnonsense")
    for file, says in (
        ("noise", "noise: not an ELF file"),
        ("gone", "cannot read gone"),
        ("cut.o", "cut.o: "),
        ("bad.a", "bad.a: "),
    ):
        assert tool([file]) == 1
        err = capsys.readouterr().err
        assert says in err and "Traceback" not in err


@pytest.mark.parametrize("arguments", [["q", "lib.a"], ["rx", "lib.a"], ["", "lib.a"], ["t"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        ar(arguments)
    assert stop.value.code == 2
    with pytest.raises(SystemExit) as stop:
        objdump(["main.o"])
    assert stop.value.code == 2


def test_pipes() -> None:
    python = f"{sys.executable} -m sohu.asm"
    command = f"{python}.cli -w -c - < helper.s | {python}.tools.nm -g - | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "0000000000000000 T helper\n" and done.stderr == ""
