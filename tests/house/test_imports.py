"""Imports point one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.tree import ROOT, files, rooms

# A room may import itself and these. Anything outside `sohu` is not looked at.
MAY_IMPORT = {
    "isa": [],
    "asm": ["isa"],
    "emulator": ["isa", "asm"],
    "dsl": ["isa", "asm", "emulator"],
    "profiler": ["isa", "asm", "emulator"],
    "debugger": ["isa", "asm", "emulator"],
    "runtime": ["isa", "asm", "emulator", "dsl"],
    "models": ["isa", "asm", "emulator", "dsl", "profiler", "debugger", "runtime"],
    "sohu": ["isa", "asm", "emulator", "dsl", "profiler", "debugger", "runtime", "models"],
}
# Functions that import a module, or the package around a resource, by its name in a string.
IMPORTERS = {"import_module", "__import__", "files", "run_module"}


def imported(source: str) -> Iterator[tuple[int, str]]:
    """(line, module) of every import, wherever it stands: in functions, under TYPE_CHECKING, by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            for argument in node.args[:1] if name in IMPORTERS else ():
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def violations(room: str, source: str) -> list[str]:
    """What a file of `room` imports and must not; `room` is "" for files beside the rooms."""
    wrong = []
    for line, module in imported(source):
        first, _, rest = module.partition(".")
        other = rest.partition(".")[0]
        if module.startswith("."):
            wrong.append(f"{line}: relative import; write the full name, sohu.{room}...")
        elif first in MAY_IMPORT and first != "sohu":
            wrong.append(f"{line}: import {module}; the room is called sohu.{module}")
        elif first != "sohu" or room in ("", "sohu"):
            continue
        elif other not in MAY_IMPORT or other == "sohu":
            wrong.append(f"{line}: import {module}; a room does not know the front door")
        elif other != room and other not in MAY_IMPORT[room]:
            wrong.append(f"{line}: import {module}; {room} may import {MAY_IMPORT[room]}")
    return wrong


def test_every_room_is_in_the_table() -> None:
    assert set(rooms()) <= set(MAY_IMPORT)


def test_the_table_has_an_order() -> None:
    seen: set[str] = set()
    for room, others in MAY_IMPORT.items():
        assert seen.issuperset(others), f"{room} imports a room that comes after it"
        seen.add(room)


def test_imports_point_one_way() -> None:
    found = []
    for path in files():
        if path.suffix == ".py":
            inner = path.relative_to(ROOT)
            room = inner.parts[0] if inner.parts[0] in MAY_IMPORT else ""
            found += [f"{inner}:{wrong}" for wrong in violations(room, path.read_text(encoding="utf-8"))]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("isa", "import sohu.asm"),
        ("isa", "import numpy, sohu.asm.grammar as grammar"),
        ("asm", "from sohu.emulator import run"),
        ("asm", "def f():\n    from sohu.dsl.ir import Op"),
        ("emulator", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sohu.dsl import Kernel"),
        ("debugger", "import importlib\nimportlib.import_module('sohu.dsl')"),
        ("debugger", "from importlib import resources\nresources.files('sohu.models')"),
        ("dsl", "from sohu import kernel"),
        ("dsl", "import sohu"),
        ("dsl", "from sohu.cli import main"),
        ("dsl", "from . import ir"),
        ("dsl", "from ..isa import rows"),
        ("dsl", "from isa import rows"),
        ("", "import dsl.kernels"),
    ],
)
def test_a_wrong_import_is_found(room: str, source: str) -> None:
    assert violations(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("isa", "from sohu.isa.tile import Tile"),
        ("dsl", "from sohu.emulator import run\nimport sohu.isa as isa\nimport numpy.ma"),
        ("sohu", "from sohu.dsl import kernel"),
        ("", "import sohu\nfrom sohu import kernel"),
    ],
)
def test_a_right_import_is_not(room: str, source: str) -> None:
    assert violations(room, source) == []


def test_files_of_the_table_are_read() -> None:
    seen = {path.relative_to(ROOT) for path in files()}
    assert {Path("sohu/__init__.py"), Path("isa/__init__.py"), Path("tests/house/test_imports.py")} <= seen
