"""`import sohu` is light, and what it names is there."""

import ast
import subprocess
import sys

import pytest

import sohu
from tools.tree import ROOT

HEAVY = ("numpy", "ml_dtypes", "lark", "rich", "prompt_toolkit", "pygments")


def loaded_after(statement: str) -> set[str]:
    """Names of the modules that a fresh Python has loaded after `statement`."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True).split())


def test_import_sohu_loads_no_room_and_nothing_heavy() -> None:
    loaded = loaded_after("import sohu")
    assert not loaded.intersection(HEAVY)
    assert {name for name in loaded if name.startswith("sohu.")} == set()


def test_importing_a_room_does_not_load_those_above_it() -> None:
    loaded = loaded_after("import sohu.isa")
    assert {name.split(".")[1] for name in loaded if name.startswith("sohu.")} == {"isa"}


def test_type_checkers_and_python_see_the_same_names() -> None:
    source = ast.parse((ROOT / "sohu" / "__init__.py").read_text(encoding="utf-8"))
    for_checkers = {
        (alias.asname, node.module, alias.name)
        for block in source.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for_python = {(name, module, name) for name, module in sohu._MODULE_OF.items()}
    assert for_checkers == for_python
    assert for_python


@pytest.mark.parametrize("name", sorted(sohu._MODULE_OF))
def test_a_public_name_is_there(name: str) -> None:
    assert name in dir(sohu)
    assert getattr(sohu, name) is getattr(sys.modules[sohu._MODULE_OF[name]], name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sohu' has no attribute 'kernle'"):
        _ = sohu.kernle
