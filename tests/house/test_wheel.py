"""The wheel holds every file of every room, under the one name `sohu`."""

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tools.tree import ROOT, files, installed_name, modules, room_files, rooms


def test_it_installs_only_sohu(site: Path) -> None:
    tops = sorted(path.name for path in site.iterdir())
    (info,) = [top for top in tops if top.endswith(".dist-info")]
    assert info.startswith("sohu-")
    assert tops == sorted(["sohu", info])


def test_it_holds_every_file_of_every_room(site: Path) -> None:
    """Also a room new to setup.py, a folder without `__init__.py`, data of a kind new to pyproject.toml."""
    wanted = {str(installed_name(path)) for _, path in room_files()}
    held = {str(path.relative_to(site)) for path in files(site / "sohu")}
    assert held == wanted


def test_its_type_information_is_announced(site: Path) -> None:
    assert (site / "sohu" / "py.typed").exists()


def test_every_module_imports_from_the_wheel_alone(site: Path) -> None:
    """Run where neither the repository nor an editable install can lend a module."""
    program = f"""
import importlib, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
sys.path.insert(0, {str(site)!r})
for name in {modules()!r}:
    module = importlib.import_module(name)
    assert module.__file__.startswith({str(site)!r}), (name, module.__file__)
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=site, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_this_environment_knows_every_room() -> None:
    """An editable install made before a room existed does not; `make venv` mends that."""
    names = [f"sohu.{room}" if room != "sohu" else room for room in rooms()]
    program = "import importlib.util as u, sys; print([n for n in sys.argv[1:] if u.find_spec(n) is None])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, *names],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command",
    ["sohu", "sohu-asm", "sohu-nm", "sohu-size", "sohu-objdump", "sohu-ar", "sohu-dbg", "sohu-dap"],
)
def test_every_command_has_its_function(command: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert callable(EntryPoint(command, project["scripts"][command], "console_scripts").load())


def test_test_folders_are_not_packages() -> None:
    """An `__init__.py` there would make it a room, or its tests modules of one name."""
    assert not list((ROOT / "tests").rglob("__init__.py"))
