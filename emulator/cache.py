"""Where files are kept that can be made anew: models that were fetched, images of HBM, compiled code."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sohu.isa.errors import SohuError


class NoHomeError(SohuError):
    """There is no folder to keep files in: neither a home folder nor SOHU_CACHE."""


def cache_folder() -> Path:
    """The folder for such files: $SOHU_CACHE, else `sohu` in the platform's per-user cache folder.

    That is $XDG_CACHE_HOME (if absolute, as its specification asks) or ~/.cache on Linux, ~/Library/Caches
    on macOS, %LOCALAPPDATA% on Windows. Nothing is created. Raises NoHomeError.
    """
    try:
        if chosen := os.environ.get("SOHU_CACHE"):
            return Path(chosen).expanduser().absolute()
        home = Path.home()
    except RuntimeError as error:
        raise NoHomeError("no home folder to keep files in", help="set SOHU_CACHE to a folder") from error
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "sohu" / "Cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "sohu"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else home / ".cache") / "sohu"
