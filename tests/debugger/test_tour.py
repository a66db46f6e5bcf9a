"""The five kernels of examples/debugging: each script finds the planted bug and names the line to blame."""

import functools
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sohu.asm import read_elf
from sohu.debugger.exitcodes import OF_CATEGORY
from sohu.emulator import Device

import sohu
from tests.debugger.support import Folder
from tools.tree import ROOT

PARTICULAR = re.compile(r"(hbm )0x\w+\.\.0x\w+|(?<=: )\d+\.\d{3,}(?= ->)")  # to this emulator, or this BLAS
Said = Callable[[str], tuple[int, str]]
TOUR = ROOT / "examples" / "debugging"
# Arguments; the category of what is caught; the statement to blame, and others that the diagnosis must name.
TOURS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "race": ("x w v", "race", "a = t @ left.T", ("t = x[m : m + rows]",)),
    "uninit": ("x up down", "uninitialized", "for m in sohu.range(0, x.M // rows * rows, rows):", (
        "y[m : m + rows] = h @ second.T", "h = hidden[m : m + rows]",
    )),
    "nan": ("x", "nan", "e[r : r + rows] = sohu.exp(x[r : r + rows])", (
        "y[r : r + rows] = t / t.sum(axis=1, keepdims=True)",
    )),
    "scale": ("x w", "tolerance", "scale = t.max(axis=1, keepdims=True) / 127", (
        "q = sohu.quantize(t, i8, scale=scale)",
    )),
    "deadlock": ("q k", "deadlock", "y[m : m + rows] = e", ("e = sohu.exp(s - s.max(axis=1, keepdims=True))",)),
}  # fmt: skip


def line_of(name: str, statement: str) -> str:
    """`race.py:26`, by the text of the kernel."""
    texts = [text.strip() for text in (TOUR / f"{name}.py").read_text(encoding="utf-8").splitlines()]
    assert texts.count(statement) == 1
    return f"{name}.py:{1 + texts.index(statement)}"


def arguments(name: str) -> list[str]:
    """Of sohu-dbg: the binary, and an array for each name."""
    out = [f"{name}.elf"]
    for array in TOURS[name][0].split():
        out += ["--arg", f"{array}={name}.{array}.npy"]
    return out


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """The exit code and all that a script prints, run once; the kernel is built by its own program."""

    @functools.cache
    def run(name: str) -> tuple[int, str]:
        folder = Folder(tmp_path_factory.mktemp(name))
        subprocess.run([sys.executable, str(TOUR / f"{name}.py"), str(folder.path)], check=True, timeout=120)
        done = folder.debug("-batch", "-x", str(TOUR / f"{name}.dbg"), *arguments(name))
        assert not done.stderr
        return done.returncode, done.stdout

    return run


@pytest.mark.parametrize("name", TOURS)
def test_a_script_finds_the_cause(name: str, said: Said, golden: Callable[[str, str], None]) -> None:
    _, category, guilty, others = TOURS[name]
    code, text = said(name)
    assert code == OF_CATEGORY[category] and code not in (0, 1, 2, 3)
    assert f"Catch 1, {category}: " in text
    for statement in (guilty, *others):
        assert re.search(rf"\b{re.escape(line_of(name, statement))}\b", text), statement
    golden(f"tour/{name}.txt", PARTICULAR.sub(r"\1...", text))


def test_the_nan_comes_long_after_its_cause(said: Said) -> None:
    _, text = said("nan")
    caught, stored = (int(n.replace(",", "")) for n in re.findall(r"  instruction ([\d,]+)$", text, re.MULTILINE))
    assert caught - stored >= 2000
    chain = text.partition("help:")[2].partition("Watchpoint")[0]
    assert chain.index(line_of("nan", TOURS["nan"][3][0])) < chain.index(line_of("nan", TOURS["nan"][2]))
    assert "vexp tmp[1, 11] = 90" in chain and "x[37, 11] = 90      input given by the host" in chain


def test_both_sides_of_the_race_and_the_missing_half(said: Said) -> None:
    _, text = said("race")
    sides = {m[1]: m[2] for m in re.finditer(r"^  (read|write) .*  (race\.py:\d+)  ", text, re.MULTILINE)}
    _, _, read, (write,) = TOURS["race"]
    assert sides == {"read": line_of("race", read), "write": line_of("race", write)}
    assert "signals `s0`, but nothing on the MXU queue waits for it" in text


def test_the_signal_that_nobody_sends(said: Said) -> None:
    _, text = said("deadlock")
    _, _, silent, (waits,) = TOURS["deadlock"]
    explained = " ".join(text.partition("  help:")[2].split())
    assert f"the signal is missing: `dma.store t10, e, q=1` ({line_of('deadlock', silent)})" in explained
    assert f"({line_of('deadlock', waits)}) for s1 >= 1, which is 0: nobody in this program signals `s1`" in explained


def test_the_tail_that_was_never_computed(said: Said) -> None:
    _, text = said("uninit")
    assert "hidden[288, 0] = 0  nothing has written it in this launch" in text
    assert f"1 round left  {line_of('uninit', TOURS['uninit'][2])}" in text
    assert "m + rows = 288 " in text and "x.shape = [300  48]" in text


def load(name: str) -> Any:
    """The program of a kernel, as a module."""
    return SimpleNamespace(**runpy.run_path(str(TOUR / f"{name}.py")))


def arrays(folder: Path, name: str) -> dict[str, np.ndarray[Any, Any]]:
    return {array: np.load(folder / f"{name}.{array}.npy") for array in TOURS[name][0].split()}


def launch(elf: bytes, args: Mapping[str, Any], **device: Any) -> np.ndarray[Any, Any]:
    """The output y."""
    program = read_elf(elf)
    (kernel,) = program.kernels
    return Device(**device).launch(program, kernel, dict(args)).outputs["y"].numpy()


@pytest.mark.parametrize("name", TOURS)
def test_nothing_is_found_where_the_bug_has_no_effect(name: str, tmp_path: Path) -> None:
    """And the kernel computes what its NumPy reference does, as the compiler makes it."""
    example = load(name)
    example.main(tmp_path)
    args = arrays(tmp_path, name)
    if name == "uninit":
        args["x"] = args["x"][:288].copy()  # no tail
    elif name == "nan":
        args["x"][37, 11] = 0
    elif name == "scale":
        args["x"] = np.concatenate([args["x"], 4 + 0 * args["x"][:, :1]], axis=1)  # the largest is positive
        args["w"] = np.concatenate([args["w"], 0 * args["w"][:, :1]], axis=1)
    (kernel,) = [v for v in vars(example).values() if isinstance(v, sohu.Kernel)]
    want = example.reference(*args.values())
    away = np.abs(launch(kernel.compile(*args.values()).elf, args, checks=["all", "error>0.01"]) - want).max()
    assert away < (0.02 if name == "scale" else 1e-5) * np.abs(want).max()


@pytest.mark.parametrize("name", ["race", "uninit", "nan", "scale"])
def test_the_bug_has_consequences(name: str, tmp_path: Path) -> None:
    """Without checkers they run to their end, and their results are wrong: of the race, in timed order only."""
    example = load(name)
    example.main(tmp_path)
    args = arrays(tmp_path, name)
    want = example.reference(*args.values())
    elf = (tmp_path / f"{name}.elf").read_bytes()
    limit = 0.02 * np.abs(want).max()
    if name == "race":
        assert np.abs(launch(elf, args) - want).max() < 1e-3 * limit
    assert not np.abs(launch(elf, args, schedule="timed") - want).max() < limit
