"""`sohu compile`, and `sohu run` on what it made."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import assemble, read_elf

from sohu.cli import main
from tests.front.conftest import Run


def test_python_to_binary_to_result(run: Run, kernel_file: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(150, 33)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    assert run("sohu", "compile", "double.py:double", "--bind", "x=x.npy").stdout == ""
    done = run("sohu", "run", "double.elf", "--arg", "x=x.npy", "--out", "y.npy")
    assert done.returncode == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), 2 * x)
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"double.elf", "double.py", "x.npy", "y.npy"}


def test_ir_assembly_and_binary_are_of_the_same_kernel(
    kernel_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    what = [f"{kernel_file}:double", "--bind", "x=f32[300,70]", "--bind", "rows=32"]
    assert main(["compile", *what, "--emit", "ir"]) == 0
    assert "step" in capsys.readouterr().out
    assert main(["compile", *what, "-o", str(tmp_path / "k.s")]) == 0
    assert main(["compile", *what, "-o", str(tmp_path / "k.elf")]) == 0
    program = read_elf((tmp_path / "k.elf").read_bytes(), "k.elf")
    assert assemble((tmp_path / "k.s").read_text(), "k.s").text == program.text
    assert program.kernels["double"].tiles[0].tile.dims[0] == 32


def test_dtypes_bounds_and_arrays_say_what_it_is_for(kernel_file: Path, tmp_path: Path) -> None:
    def bound(*words: str) -> int:
        assert main(["compile", str(kernel_file), *words, "-o", str(tmp_path / "k.elf")]) == 0
        return read_elf((tmp_path / "k.elf").read_bytes(), "k").kernels["double"].bounds["C"]

    assert bound("--bind", "x=f32", "--bound", "C=4096") == 4096
    assert bound("--bind", "x=f32[9, 70]") >= 70
    np.save(tmp_path / "x.npy", np.zeros((2, 333), np.float32))
    assert bound("--bind", f"x={tmp_path / 'x.npy'}") >= 333


def test_a_library_kernel_in_a_narrow_dtype(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 5), ml_dtypes.bfloat16))
    where = str(tmp_path / "s.elf")
    assert main(["compile", "sohu.dsl.kernels.softmax", "--bind", f"x={tmp_path / 'x.npy'}", "-o", where]) == 0
    kernel = read_elf(Path(where).read_bytes(), "s").kernels["softmax"]
    assert {str(p.dtype) for p in kernel.params} == {"bf16"}


def test_tensors_of_one_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """NumPy's files do not say which float of one byte they hold."""
    source = tmp_path / "narrow.py"
    source.write_text(
        "import sohu\n\n\n@sohu.kernel\n"
        'def wide(x: sohu.In[sohu.fp8e4m3, "N"], w: sohu.In[sohu.fp4x2, "N"], y: sohu.Out[sohu.f32, "N"]):\n'
        "    y[:] = x[:].to(sohu.f32)\n"
    )
    np.save(tmp_path / "x.npy", np.zeros(70, ml_dtypes.float8_e4m3fn))
    what = ["compile", str(source), "--bind", "w=fp4x2[70]", "-o", str(tmp_path / "k.elf")]
    assert main([*what, "--bind", f"x={tmp_path / 'x.npy'}"]) == 1
    assert "does not say which dtype of one byte it has" in (said := capsys.readouterr().err)
    assert "--bind x=fp8e4m3[70]" in said
    assert main([*what, "--bind", "x=fp8e4m3[70]"]) == 0
    kernel = read_elf((tmp_path / "k.elf").read_bytes(), "k").kernels["wide"]
    assert [str(p.dtype) for p in kernel.params] == ["fp8e4m3", "fp4x2", "f32"]


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["nothing.py"], ["nothing.py: no such file"]),
        (["double.py:dubble"], ["double.py has no kernel 'dubble'; did you mean 'double'?"]),
        (["no.such.module:k"], ["cannot import 'no.such.module'"]),
        (["json:k"], ["json has no kernel", "@sohu.kernel"]),
        (["double.py", "--bind", "x=f23[3,4]"], ["neither a dtype", "did you mean 'f32'?"]),
        (["double.py", "--bind", "x=f32[3,4"], ["'f32[3,4' is no tensor"]),
        (["double.py", "--bind", "x=missing.npy"], ["cannot read missing.npy"]),
        (["double.py", "--bind", "z=f32[3,4]"], ["kernel double", "no parameter 'z'"]),
        (["double.py", "--bound", "C=lots"], ["--bound C: 'lots' is no whole number"]),
        (["double.py"], ["K012", "--bind NAME=f32[300,70] or --bound"]),
        (["double.py", "--bind", "x=f32[3,4]", "-o", "no/folder/k.elf"], ["cannot write no/folder/k.elf"]),
        (["double.py", "--bind", "x=f32[3,4]", "-o", "taken"], ["cannot write taken: Is a directory"]),
        (["syntax.py"], ["syntax.py:2: SyntaxError"]),
        (["raises.py"], ["raises.py:1: ZeroDivisionError: division by zero"]),
        (["two.py"], ["two.py has several kernels", "two.py:double"]),
    ],
)
def test_what_cannot_be_compiled_exits_with_1(
    words: list[str],
    messages: list[str],
    kernel_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = kernel_file.parent
    (folder / "syntax.py").write_text("x = 1\ny = (\n")
    (folder / "raises.py").write_text("1 / 0\n")
    (folder / "taken").mkdir()
    source = kernel_file.read_text()
    (folder / "two.py").write_text(source + source.partition("f32\n")[2].replace("double", "triple"))
    monkeypatch.chdir(folder)
    before = {path.name for path in folder.iterdir()}
    assert main(["compile", *words]) == 1
    said = capsys.readouterr().err
    assert said.startswith("sohu: ")
    for message in messages:
        assert message in said
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == before
