"""Extensions of the instruction set: packages that define instructions and dtypes when they are imported.

A package names such a module in its metadata, and it is imported with sohu.isa:

    [project.entry-points."sohu.isa"]
    gated_norm = "gated_norm.rows"

SOHU_NO_EXTENSIONS holds names of entry points to leave out, separated by commas, or 1 for all of them.
An extension that cannot be loaded leaves nothing behind; whoever then uses the instruction set is told so (`check`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sohu.isa import dtypes
from sohu.isa.errors import DefinitionError, SohuError
from sohu.isa.instruction import ROWS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "sohu.isa"
DISABLE = "SOHU_NO_EXTENSIONS"

# What importing a foreign module may raise; anything else (KeyboardInterrupt, MemoryError) is no fault of its own.
_BROKEN = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError,
)  # fmt: skip

_problems: list[SohuError] = []


def load() -> None:
    """Import every installed extension, in the order of their names."""
    for point in _points():
        tables = (ROWS.by_mnemonic, ROWS.by_opcode, dtypes.DTYPES, dtypes.BY_CODE, dtypes.BY_NUMPY)
        before = [dict(t) for t in tables]
        try:
            if point.attr:
                raise TypeError(f"its entry point is {point.value}, which is no module")
            import_module(point.module)
            continue
        except DefinitionError as e:
            why = str(e)
        except _BROKEN as e:
            why = f"{type(e).__name__}: {e}"
        for table, kept in zip(tables, before, strict=True):
            table.clear()  # type: ignore[attr-defined]
            table.update(kept)  # type: ignore[attr-defined]
        package = point.dist.name if point.dist is not None else point.module
        mend = f"mend or uninstall {package}, or leave it out: {DISABLE}={point.name}"
        _problems.append(SohuError(f"extension {point.name!r} cannot be loaded: {why}", help=mend))


def check() -> None:
    """Raise the SohuError of an installed extension that could not be loaded, if there is one."""
    if _problems:
        raise _problems[0]


def _points() -> list[EntryPoint]:
    disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",")}
    if disabled & {"1", "all"} or not any(_mentions(folder) for folder in sys.path):
        return []
    # imported here, since it takes longer than all else that nobody needs without extensions
    from importlib.metadata import entry_points

    points = {p.name: p for p in entry_points(group=GROUP) if p.name not in disabled}
    return [points[name] for name in sorted(points)]


def _mentions(folder: str) -> bool:
    """Whether any package installed in this folder of sys.path has an extension, told by one look at its files."""
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return False
    return any(f"[{GROUP}]".encode() in text for text in _entry_points(Path(folder), names))


def _entry_points(folder: Path, names: list[str]) -> Iterator[bytes]:
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            try:
                yield (folder / name / "entry_points.txt").read_bytes()
            except OSError:
                continue
