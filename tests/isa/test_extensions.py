"""Installed extensions are found, kept apart by name, and a bad one is one clear message."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.front.conftest import environment

DOCS = Path(__file__).parents[2] / "docs" / "isa"
ROW = '''
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.instruction import instruction


@instruction("{mnemonic}", {opcode:#x}, Engine.VPU, cost=per_element(1))
def {mnemonic}(dst: Out[Float, "..."], src: In[Float, "..."]) -> None:
    """One more than each element."""
    dst[...] = src + 1
'''
DTYPE = """
import ml_dtypes
from sohu.isa.dtypes import dtype
{name} = dtype("{name}", {code:#x}, ml_dtypes.float8_e4m3b11fnuz, True, "a float of eight bits, bias 11")
"""


def install(folder: Path, name: str, source: str, value: str = "") -> None:
    """What an installer leaves of a package `name` with one module and an entry point."""
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[sohu.isa]\n{name} = {value or name}\n", encoding="utf-8")


def python(folder: Path, program: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python to which the packages of a folder are installed."""
    command = [sys.executable, "-c", program]
    more = environment(PYTHONPATH=str(folder), **env)
    return subprocess.run(command, env=more, capture_output=True, text=True, check=False, timeout=60)


SHOW = "from sohu.isa import ROWS, DTYPES; print([r.mnemonic for r in ROWS if r.package != 'sohu'], 'e4' in DTYPES)"
CHECK = "from sohu.isa import ROWS, SohuError, extensions\ntry: extensions.check()\nexcept SohuError as e: print(e)"


def test_an_installed_extension_is_there(tmp_path: Path) -> None:
    install(tmp_path, "plus", ROW.format(mnemonic="vplus", opcode=0xC01) + DTYPE.format(name="e4", code=0xC0))
    assert python(tmp_path, SHOW).stdout == "['vplus'] True\n"
    assert python(tmp_path, CHECK).stdout == ""
    assert python(tmp_path, f"import plus\n{SHOW}").stdout == "['vplus'] True\n", "imported before sohu.isa"
    for disabled in ("1", "all", "other,plus"):
        assert python(tmp_path, SHOW, SOHU_NO_EXTENSIONS=disabled).stdout == "[] False\n"
    assert python(tmp_path, SHOW, SOHU_NO_EXTENSIONS="other").stdout == "['vplus'] True\n"


def test_the_manual_is_the_same_with_it(tmp_path: Path) -> None:
    install(tmp_path, "plus", ROW.format(mnemonic="vplus", opcode=0xC01) + DTYPE.format(name="e4", code=0xC0))
    program = f"""
from pathlib import Path
from sohu.isa.manual.book import manual
print([name for name, text in manual().items() if Path({str(DOCS)!r}, name).read_text(encoding="utf-8") != text])
"""
    done = python(tmp_path, program)
    assert done.stdout == "[]\n", done.stderr
    listed = python(tmp_path, "from sohu.cli import main; main(['isa'])").stdout
    assert "  One more than each element. [extension plus]\n" in listed
    page = python(
        tmp_path, "from sohu.isa import ROWS; from sohu.isa.manual.page import page; print(page(ROWS['vexp']))"
    )
    assert "e4" not in page.stdout.split()


def test_its_dtype_is_one_of_all(tmp_path: Path) -> None:
    install(tmp_path, "plus", DTYPE.format(name="e4", code=0xC0))
    program = """
from sohu.asm import assemble
from sohu.emulator import Device
source = '''
    .kernel k
    .param x, in, e4, [2]
    .param y, out, f32, [2]
    .tile a, sram, e4, [2]
    .tile b, sram, f32, [2]
    dma.load a, x   signal s0
    vadds b, a, 1.0 wait s0>=1 signal s1
    dma.store y, b  wait s1>=1
    halt
'''
import numpy as np
from sohu.isa import DTYPES
x = np.array([2.0, -0.5]).astype(DTYPES["e4"].np)
print(Device("small").launch(assemble(source), "k", [x]).outputs["y"].numpy())
"""
    done = python(tmp_path, program)
    assert done.stdout == "[3.  0.5]\n", done.stderr


def test_definitions_in_a_script_count_from_there_on(tmp_path: Path) -> None:
    """Also after the same instructions and operands have been used."""
    run = """
from sohu.asm import assemble
from sohu.emulator import Device
import numpy as np
def run(dtype, instruction):
    text = f".kernel k\\n.param x, in, {dtype}, [2]\\n.param y, out, f32, [2]\\n.tile a, sram, {dtype}, [2]\\n"
    text += f".tile b, sram, f32, [2]\\ndma.load a, x signal s0\\n{instruction} b, a wait s0>=1 signal s1\\n"
    x = np.array([2, -0.5]).astype(DTYPES[dtype].np)
    program = assemble(text + "dma.store y, b wait s1>=1\\nhalt")
    print(Device("small").launch(program, "k", [x]).outputs["y"].numpy())
from sohu.isa import DTYPES
run("f32", "vneg")
"""
    definitions = ROW.format(mnemonic="vplus", opcode=0xC01) + DTYPE.format(name="e4", code=0xC0)
    path = tmp_path / "script.py"
    path.write_text(f"{run}{definitions}run('e4', 'vplus')\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(path)], env=environment(), capture_output=True, text=True, check=False)
    assert done.stdout == "[-2.   0.5]\n[3.  0.5]\n", done.stderr


def test_two_extensions_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    install(tmp_path, "alpha", ROW.format(mnemonic="valpha", opcode=0xC01))
    install(tmp_path, "beta", ROW.format(mnemonic="vbeta", opcode=0xC01))
    assert python(tmp_path, SHOW).stdout == "['valpha'] False\n"
    said = python(tmp_path, CHECK).stdout
    assert said.splitlines()[0].endswith("opcode 0xc01 of vbeta of beta is taken by valpha of alpha (alpha.py:7)")
    assert said.startswith("extension 'beta' cannot be loaded: beta.py:7: ")
    assert "mend or uninstall beta, or leave it out: SOHU_NO_EXTENSIONS=beta" in said
    assert python(tmp_path, CHECK, SOHU_NO_EXTENSIONS="beta").stdout == ""
    assert python(tmp_path, SHOW, SOHU_NO_EXTENSIONS="alpha").stdout == "['vbeta'] False\n"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (ROW.format(mnemonic="vplus", opcode=0x301), "opcode 0x301 of package bad; extensions have 0xc00 to 0xfff"),
        (ROW.format(mnemonic="vexp", opcode=0xC01), "mnemonic of vexp of bad is taken by vexp of sohu (vpu.py:"),
        (DTYPE.format(name="e4", code=0x20), "dtype e4 of bad: code 0x20; extensions have 0xc0 to 0xff"),
        (DTYPE.format(name="f32", code=0xC0), "dtype f32 of bad: name or code 0xc0 is taken by f32 of sohu"),
        ("import missing_module", "ModuleNotFoundError: No module named 'missing_module'"),
        ("1 +", "SyntaxError: invalid syntax"),
        ("x = y", "NameError: name 'y' is not defined"),
    ],
)
def test_a_bad_extension_is_one_message_and_leaves_nothing(tmp_path: Path, source: str, says: str) -> None:
    install(tmp_path, "bad", ROW.format(mnemonic="vbad", opcode=0xC10) + source)
    done = python(tmp_path, f"{CHECK}\n{SHOW}")
    assert done.returncode == 0 and done.stderr == ""
    first, _, rest = done.stdout.partition("\n")
    assert first.startswith("extension 'bad' cannot be loaded: ") and says in first
    assert rest.endswith("[] False\n")


def test_an_entry_point_names_a_module(tmp_path: Path) -> None:
    install(tmp_path, "bad", ROW.format(mnemonic="vbad", opcode=0xC10), value="bad:vbad")
    assert "its entry point is bad:vbad, which is no module" in python(tmp_path, CHECK).stdout


@pytest.mark.parametrize("arguments", ["-m sohu isa", "-m sohu.asm.cli k.s", "-m sohu run k.elf"])
def test_a_command_says_it_without_a_traceback(tmp_path: Path, arguments: str) -> None:
    source = tmp_path / "k.s"
    source.write_text(" .kernel k\n halt\n", encoding="utf-8")
    assemble = "from sohu.asm.cli import main; raise SystemExit(main(['k.s', '-o', 'k.elf']))"
    run = {"env": environment(PYTHONPATH=str(tmp_path)), "cwd": tmp_path, "capture_output": True, "text": True}
    assert subprocess.run([sys.executable, "-c", assemble], check=True, timeout=60, **run)  # type: ignore[call-overload]
    install(tmp_path, "bad", "import missing_module")
    command = [sys.executable, *arguments.split()]
    if "asm" in arguments:
        command = [sys.executable, "-c", assemble]
    done = subprocess.run(command, check=False, timeout=60, **run)  # type: ignore[call-overload]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "extension 'bad' cannot be loaded: ModuleNotFoundError" in done.stderr
