"""`sohu run`: files in, files out, and one message for each mistake."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from sohu.asm import assemble, write_elf
from sohu.emulator.run_cli import read_array, run, write_arrays
from sohu.isa import SohuError

from tests.emulator.support import random_floats

SOURCE = """
 .kernel add
 .param x, in, bf16, [N]
 .param y, out, bf16, [N]
 .param z, inout, f32, [N]
 .param n, i64, reg=x11
 .param s, f32, reg=x12
 .tile a, sram, bf16, [x13<=64]
 .tile b, sram, f32, [x13<=64]
 tget x13, x, 0
 dma.load a, x
 dma.load b, z
 vadds a, a, x12
 vadds b, b, 1.0
 dma.store y, a
 dma.store z, b
 dbg.print "n = ", x11
 halt
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "k.elf").write_bytes(write_elf(assemble(SOURCE, "k.s")))
    np.save("x.npy", np.arange(5).astype(ml_dtypes.bfloat16))
    np.save("z.npy", np.zeros(5, np.float32))
    return tmp_path


GOOD = ["k.elf", "--arg", "x=x.npy", "--arg", "z=z.npy", "--arg", "n=0x11", "--arg", "s=0.5", "--chip", "small"]


def test_arrays_go_in_and_come_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*GOOD, "--out", "y.npy", "--out", "z=z.npy"]) == 0
    assert np.load("y.npy").view(ml_dtypes.bfloat16).tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert np.load("z.npy").tolist() == [1] * 5
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "n = 17" and "add: 16 instructions, " in out and "y [5] -> y.npy" in out
    assert err == "" and sorted(p.name for p in folder.iterdir()) == ["k.elf", "x.npy", "y.npy", "z.npy"]


def test_without_files_outputs_are_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*GOOD, "--timing"]) == 0
    out = capsys.readouterr().out
    assert "cycles" in out and "[0.5 1.5 2.5 3.5 4.5]" in out and "[1. 1. 1. 1. 1.]" in out
    assert np.load("z.npy").tolist() == [0] * 5


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*GOOD, "--timing", "--schedule", "3", "--json", "--out", "y=y.npy"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert err == "n = 17\n"
    assert result["kernel"] == "add" and result["instructions"] == 16 and result["cycles"] > 0
    assert result["outputs"]["y"] == {"dtype": "bf16", "shape": [5], "file": "y.npy"}
    assert result["outputs"]["z"] == {"dtype": "f32", "shape": [5], "file": None}


def test_timed_order_takes_the_cycles_of_program_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cycles = []
    for options in (["--timing"], ["--schedule", "timed"]):
        assert run([*GOOD, *options, "--json"]) == 0
        cycles.append(json.loads(capsys.readouterr().out)["cycles"])
    assert cycles[0] == cycles[1] > 0
    with pytest.raises(SystemExit):
        run([*GOOD, "--schedule", "fast"])
    assert "argument --schedule: wants a seed or `timed`, not 'fast'" in capsys.readouterr().err


def changed(*replace: str, add: tuple[str, ...] = ()) -> list[str]:
    pairs = dict(zip(replace[::2], replace[1::2], strict=True))
    return [pairs.get(a, a) for a in GOOD] + list(add)


WRONG: list[tuple[str, list[str], str]] = [
    ("no file", changed("k.elf", "none.elf"), "error: cannot read none.elf: No such file"),
    ("no elf", changed("k.elf", "x.npy"), "x.npy"),
    ("kernel", changed(add=("--kernel", "sub")), "has no kernel 'sub'\n  help: --kernel one of: add"),
    ("parameter", changed(add=("--arg", "q=1")), "kernel add has no parameter 'q'\n  help: add(x: in bf16[N], y: out"),
    ("twice", changed(add=("--arg", "n=1")), "--arg n is given twice"),
    ("no value", changed("n=0x11", "n"), "--arg n: wants NAME=VALUE"),
    ("no integer", changed("n=0x11", "n=1.5"), "--arg n=1.5: wants an integer"),
    ("no number", changed("s=0.5", "s=half"), "--arg s=half: wants a number"),
    ("no array", changed("x=x.npy", "x=none.npy"), "cannot read none.npy: No such file"),
    ("no npy", changed("x=x.npy", "x=k.elf"), "k.elf is no .npy file"),
    ("dtype", changed("x=x.npy", "x=z.npy"), "argument x of kernel add: dtype float32, wants dtype bf16\n"
     "  help: x.astype(ml_dtypes.bfloat16)"),
    ("shape", changed("z=z.npy", "z=z4.npy"), "shape [4]: N = 4, wants [N]: N = 5 as in x"),
    ("order", changed("x=x.npy", "x=fortran.npy"), "shape [2, 3] of rank 2"),
    ("missing", ["k.elf", "--arg", "n=1"], "argument x is missing"),
    ("out", changed(add=("--out", "q=q.npy")), "kernel add writes no 'q'\n  help: it writes: y, z"),
    ("out twice", changed(add=("--out", "q.npy", "--out", "y=r.npy")), "--out y is given twice"),
    ("same file", changed(add=("--out", "y=q.npy", "--out", "z=./q.npy")), "two --out write the same file"),
    ("no folder", changed(add=("--out", "y.npy", "--out", "z=none/z.npy")), "cannot write none/z.npy: No such file"),
    ("chip", changed("small", "smal"), "unknown chip 'smal'\n  help: did you mean 'small'?"),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_mistakes(folder: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    np.save("z4.npy", np.zeros(4, np.float32))
    np.save("fortran.npy", np.asfortranarray(np.zeros((2, 3))).astype(ml_dtypes.bfloat16))
    before = sorted(folder.iterdir())
    assert run(argv) == 1
    err = capsys.readouterr().err
    assert message in err and err.startswith("error: ") and "Traceback" not in err
    assert sorted(folder.iterdir()) == before


def test_a_program_that_is_stopped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.elf").write_bytes(write_elf(assemble(" .kernel k\n.param y, out, f32, [2]\n trap 3", "bad.s")))
    assert run(["bad.elf", "--chip", "small", "--out", "y.npy"]) == 3
    assert capsys.readouterr().err.startswith("bad.s:3: error[trap]: the program trapped with code 3\n")
    assert not Path("y.npy").exists()
    Path("endless.elf").write_bytes(write_elf(assemble(" .kernel k\nagain: j again", "endless.s")))
    assert run(["endless.elf", "--max-instructions", "1000"]) == 3
    assert "error[limit]: 1,000 instructions have run" in capsys.readouterr().err


def test_usage_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["k.elf", "--nothing"], ["k.elf", "--schedule", "x"]):
        with pytest.raises(SystemExit) as e:
            run(argv)
        assert e.value.code == 2
    with pytest.raises(SystemExit) as e:
        run(["--help"])
    assert e.value.code == 0 and "exit codes" in capsys.readouterr().out


def test_one_of_several_kernels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = ' .kernel a\n dbg.print "a", x0\n halt\n .endkernel\n .kernel b\n dbg.print "b", x0\n halt'
    Path("two.elf").write_bytes(write_elf(assemble(text, "two.s")))
    assert run(["two.elf"]) == 1 and "2 kernels\n  help: --kernel one of: a, b" in capsys.readouterr().err
    assert run(["two.elf", "--kernel", "b"]) == 0 and capsys.readouterr().out.startswith("b0\n")


def test_python_objects_are_not_unpickled(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, ("exploded",)

    np.save("bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    assert run(changed("x=x.npy", "x=bomb.npy")) == 1
    assert "it holds Python objects" in capsys.readouterr().err and not Path("exploded").exists()


def test_a_size_that_the_file_does_not_have_allocates_nothing(folder: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    Path("huge.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + header + bytes(16))
    with pytest.raises(SohuError, match="wants 4000000000000 bytes, it has 16"):
        read_array(Path("huge.npy"))


def test_arrays_of_any_order_and_size_are_read(folder: Path) -> None:
    for array in (np.zeros((0, 3), np.int32), np.array(5.0), np.asfortranarray(random_floats((3, 4)))):
        np.save("a.npy", array)
        got = read_array(Path("a.npy"))
        assert np.array_equal(got, array) and got.shape == array.shape
        assert got.flags.c_contiguous == array.flags.c_contiguous


@settings(max_examples=1000)
@given(st.data())
def test_damaged_arrays_are_one_error_or_an_array(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"damaged-{os.getpid()}.npy"
    np.save(path, random_floats((3, 4)))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, 130))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    try:
        read_array(path)
    except SohuError as e:
        assert str(path) in e.message and "\n" not in e.message


def test_a_folder_in_the_way_leaves_the_other_files(folder: Path) -> None:
    Path("b.npy").mkdir()
    before = Path("x.npy").read_bytes()
    with pytest.raises(SohuError, match=r"^cannot write b\.npy: it is a folder$"):
        write_arrays({Path("x.npy"): np.zeros(3), Path("b.npy"): np.zeros(3)})
    assert Path("x.npy").read_bytes() == before and not list(folder.glob(".*.tmp"))


def test_a_binary_steers_no_terminal(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    source = '.file 1 "\\x1b[2Jk.py"\n.kernel k\n.loc 1 5\n dbg.print "\\x1b]0;evil\\x07", x0\n trap 7\n'
    (folder / "evil.elf").write_bytes(write_elf(assemble(source, "k.s")))
    assert run(["evil.elf", "--chip", "small"]) == 3
    out, err = capsys.readouterr()
    assert out == "\x1b]0;evil\x070\n"  # no terminal: the program's own bytes
    assert "[2Jk.py:5: error[trap]" in err and "\x1b" not in err
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["evil.elf", "--chip", "small"]) == 3
    assert capsys.readouterr().out == "\N{REPLACEMENT CHARACTER}]0;evil\N{REPLACEMENT CHARACTER}0\n"
