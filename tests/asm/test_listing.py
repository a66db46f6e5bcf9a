"""sohu-asm -l: every instruction and byte of a program beside the line that it comes from."""

import re
from pathlib import Path

import pytest
from sohu.asm import read_elf
from sohu.asm.cli import main

SOURCE = """# a listing
        .kernel k
        .param  x, in, f32, [N]
        .tile   b, sram, f32, [8]
again:  vexp    b, b
        dbg.print "a", x5
        j       again
        halt
        .endkernel
        .rodata
t:      .quad   t, 1, 2
        .ascii  "0123456789"
        .align  64
        .zero   100
        .byte   1, 2
"""
OTHER = "other: ret\n.rodata\n.f32 1.5\n"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.s").write_text(SOURCE)
    Path("b.s").write_text(OTHER)


def test_all_of_a_program_is_in_it() -> None:
    assert main(["a.s", "b.s", "-o", "p.elf", "-l", "list"]) == 0
    program = read_elf(Path("p.elf").read_bytes())
    text, data = bytearray(len(program.text)), bytearray(program.rodata)
    covered = 0
    for address, encoding in re.findall(
        r"^.{6,8} +([0-9a-f]+)  ([0-9a-f]{2,32})(?:  |$| *$)", Path("list").read_text(), re.M
    ):
        at = int(address, 16)
        if at < len(text):
            text[at : at + 16] = int(encoding, 16).to_bytes(16, "little")
        else:
            raw = bytes.fromhex(encoding)
            start = at - program.rodata_address
            assert data[start : start + len(raw)] == raw
            covered += len(raw)
    assert text == program.text
    own = 24 + 10 + 30 + 64 + 2 + 4  # of 100 zeros, 64 are shown
    assert covered == own and "... 36 bytes more" in Path("list").read_text()


def test_it_reads_like_this(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["a.s", "-o", "p.elf", "-l", "-"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[:6] == [
        "a.s:",
        "  line   address  encoding                          source",
        "     1                                              # a listing",
        "     2         0  00000000000000000000000000280040          .kernel k",
        "              10  000000000000000000000008000c1040",
        "     3                                                      .param  x, in, f32, [N]",
    ]
    assert lines[-1] == "    15      10e4  0102                                      .byte   1, 2"
    assert "    11      1040  40100000000000000100000000000000  t:      .quad   t, 1, 2" in lines


def test_what_lines_bring_in_stands_under_them(capfd: pytest.CaptureFixture[str]) -> None:
    Path("more.s").write_text(".macro twice d\n add \\d, \\d, STEP\n .rept 2\n nop\n .endr\n.endm\n")
    Path("a.s").write_text('.include "more.s"\ntwice x5\nhalt\n')
    assert main(["-D", "STEP=7", "a.s", "-o", "p.elf", "-l", "-"]) == 0
    rows = [line.split() for line in capfd.readouterr().out.splitlines()[2:]]
    assert [row[0] for row in rows if len(row[0]) < 8] == [
        *("1", "1>", "2>", "3>", "4>", "5>", "6>", "2", "2>", "3>", "4>>", "4>>"),
        *("4>", "5>", "3"),
    ]
    assert ["2>", "0", "00000000000000000000000001ca5004", "add", "x5,", "x5,", "STEP"] in rows


def test_it_is_of_programs_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["-c", "a.s", "-l", "-"])
    assert "-c makes object files" in capsys.readouterr().err
