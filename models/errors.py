"""The one exception this room raises for a mistake in a model file, a name, or a call."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

from sohu.isa.errors import SohuError

PathLike = str | os.PathLike[str]


class ModelError(SohuError):
    """A model that cannot be had or used: missing, damaged, of another architecture, or misused.

    `where` names the file; the message says what is wrong with it in one line.
    """


def optional(package: str) -> ModuleType:
    """Import `package`, one of the `models` extra, or raise ModelError saying how to install it.

    These packages are wanted only once a model file is opened: the room imports without them.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ModelError(
            f"reading models needs the package '{package.partition('.')[0]}' ({error})",
            help="pip install 'sohu[models]'",
        ) from error


def file_size(path: Path) -> int:
    """Size of the regular file `path` in bytes; ModelError when there is none that can be read."""
    try:
        if not path.is_file():
            raise ModelError("no such file" if not path.exists() else "not a regular file", where=str(path))
        return path.stat().st_size
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error


def read_bytes(path: Path, *, limit: int) -> bytes:
    """The content of `path`, whose size is checked against `limit` bytes before it is read."""
    size = file_size(path)
    if size > limit:
        raise ModelError(f"{size:,} bytes; at most {limit:,} are read", where=str(path))
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error


def read_text(path: Path, *, limit: int) -> str:
    """The UTF-8 text of `path`, as `read_bytes`."""
    try:
        return read_bytes(path, limit=limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"not UTF-8 text (byte {error.start})", where=str(path)) from error
