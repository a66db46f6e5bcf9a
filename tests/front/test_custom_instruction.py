"""The example of an extension: a package, really installed, whose instruction every tool then knows."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.front.conftest import BIN, environment
from tools.tree import ROOT

SOURCE = ROOT / "examples" / "custom_instruction"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages into which pip has installed the example."""
    folder = tmp_path_factory.mktemp("extension")
    shutil.copytree(SOURCE, folder / "package")  # pip builds in the folder
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-index", "--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([*command, str(folder / "package")], check=True, timeout=120)
    return folder / "site"


def run(site: Path | None, folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command, with the package installed or not."""
    env = environment(PYTHONPATH="" if site is None else str(site))
    command = [str(BIN / words[0]) if words[0] != "python" else sys.executable, *map(str, words[1:])]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=300)


def test_assembled_run_and_debugged(site: Path, tmp_path: Path) -> None:
    for name in ("by_hand.s", "session.txt"):
        shutil.copy(SOURCE / name, tmp_path)
    assert run(site, tmp_path, "python", SOURCE / "inputs.py").returncode == 0
    x, z, w = (np.load(tmp_path / f"{name}.npy") for name in "xzw")
    arguments = ["--arg", "x=x.npy", "--arg", "z=z.npy", "--arg", "w=w.npy"]

    done = run(site, tmp_path, "sohu-asm", "by_hand.s", "-o", "gnorm.elf")
    assert done.returncode == 0, done.stderr
    assert re.search(r"vgnorm +a, a, b, weight, 1e-06 ", run(site, tmp_path, "sohu-asm", "-d", "gnorm.elf").stdout)
    for schedule in ([], *(["--schedule", str(seed)] for seed in range(3))):
        done = run(site, tmp_path, "sohu", "run", "gnorm.elf", *arguments, "--out", "y.npy", "--timing", *schedule)
        assert done.returncode == 0 and " cycles" in done.stdout, done.stderr
        want = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * w * z / (1 + np.exp(-z))
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), want, rtol=1e-5, atol=1e-6)
    done = run(site, tmp_path, "sohu-dbg", "gnorm.elf", *arguments, "-batch", "-x", "session.txt")
    assert done.returncode == 0, done.stderr
    assert "=> 0x0140  vgnorm      a, a, b, weight, 1e-06" in done.stdout
    first = np.array2string(want[0, :4], formatter={"float": lambda v: f"{v:.5f}"[:-1]})
    assert f"{want[0, 0]:.5f}"[:-1] in done.stdout, first


def test_in_a_kernel_and_counted(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path, "python", SOURCE / "kernel.py")
    assert done.returncode == 0, done.stderr
    found = re.findall(r"(\w+) +([\d,]+) cycles, the VPU busy for ([\d,]+) of them; (\S+) off", done.stdout)
    assert [name for name, *_ in found] == ["fused", "plain"]
    cycles, busy, error = ([float(f[i].replace(",", "")) for f in found] for i in (1, 2, 3))
    assert cycles[0] < cycles[1] and busy[0] < busy[1] and max(error) < 1e-4
    assert busy[0] == 64 * (24 + 64 * 2048 * 8 / 16384), "64 blocks: latency, and 8 cycles per element and lane"


def test_its_page_and_its_checks(site: Path, tmp_path: Path) -> None:
    page = run(site, tmp_path, "sohu", "isa", "vgnorm").stdout
    assert page.startswith("# vgnorm") and "VPU · opcode `0xc01` · ISA 1.0 · extension `gated_norm`" in page
    done = run(site, tmp_path, "python", SOURCE / "check.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("vgnorm: 500 words round trip, the example runs; ")


def test_where_it_is_not_installed(site: Path, tmp_path: Path) -> None:
    shutil.copy(SOURCE / "by_hand.s", tmp_path)
    assert run(site, tmp_path, "sohu-asm", "by_hand.s", "-o", "gnorm.elf").returncode == 0
    done = run(None, tmp_path, "sohu-asm", "by_hand.s", "-o", "other.elf")
    assert done.returncode == 1 and "by_hand.s:32:9: error[A010]: unknown instruction 'vgnorm'" in done.stderr
    for command in (("sohu-asm", "-d", "gnorm.elf"), ("sohu", "run", "gnorm.elf"), ("sohu-dbg", "-batch", "gnorm.elf")):
        done = run(None, tmp_path, *command)
        assert done.returncode != 0 and "Traceback" not in done.stderr
        needs = "it uses instruction 'vgnorm' (opcode 0xc01) of the extension 'gated_norm', which is not installed"
        assert needs in done.stderr and "install the package that has gated_norm" in done.stderr
    other = (SOURCE / "gated_norm.py").read_text(encoding="utf-8").replace("vgnorm", "vother")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "elsewhere.py").write_text(other, encoding="utf-8")
    info = tmp_path / "site" / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[sohu.isa]\nelsewhere = elsewhere\n", encoding="utf-8")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n", encoding="utf-8")
    done = run(tmp_path / "site", tmp_path, "sohu", "run", "gnorm.elf")
    assert "extension 'gated_norm'; here that opcode is 'vother' of 'elsewhere'" in done.stderr
