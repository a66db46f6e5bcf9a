"""What is in the repository: its rooms, and the files that people wrote."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Made by tools, not by people; .gitignore names the same.
_MADE = re.compile(r"build|demo-out|dist|__pycache__|.*\.egg-info|\.git|\.venv|\.hypothesis|\..*_cache")


def rooms(root: Path = ROOT) -> list[str]:
    """Names of the folders that become packages: those at the top with an `__init__.py`."""
    return sorted(init.parent.name for init in root.glob("*/__init__.py"))


def files(top: Path = ROOT) -> Iterator[Path]:
    """Every hand-written file under `top`, in order."""
    for path in sorted(top.iterdir()):
        if _MADE.fullmatch(path.name):
            continue
        if path.is_dir():
            yield from files(path)
        elif path.suffix != ".pyc":
            yield path


def room_files(root: Path = ROOT) -> Iterator[tuple[str, Path]]:
    """(room, path) of every hand-written file of every room."""
    for room in rooms(root):
        for path in files(root / room):
            yield room, path


def installed_name(path: Path, root: Path = ROOT) -> Path:
    """Where a room's file lies once installed: `isa/chip.py` is `sohu/isa/chip.py`."""
    inner = path.relative_to(root)
    return inner if inner.parts[0] == "sohu" else Path("sohu") / inner


def modules(root: Path = ROOT) -> list[str]:
    """Dotted names of the rooms' modules, packages included, without any `__main__`."""
    names = []
    for _, path in room_files(root):
        if path.suffix == ".py" and path.name != "__main__.py":
            inner = installed_name(path, root)
            names.append(".".join((inner.parent if path.name == "__init__.py" else inner.with_suffix("")).parts))
    return names
