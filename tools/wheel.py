"""Builds the wheel, and unpacks it, away from the repository."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tools.tree import ROOT, files, rooms


def build_wheel(into: Path, root: Path = ROOT) -> Path:
    """Build the wheel of the tree at `root` into the folder `into` and return its path.

    Works on a copy: setuptools would leave `build/` behind, and put files deleted since into the next wheel.
    Uses the setuptools of this environment, so it needs no network. Raises RuntimeError with pip's words.
    """
    copy = into / "source"
    for room in rooms(root):
        for path in files(root / room):
            target = copy / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy2(root / name, copy / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", into, copy],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"building the wheel failed:\n{done.stdout}")
    (wheel,) = into.glob("*.whl")
    return wheel


def unpack(wheel: Path, into: Path) -> None:
    """Unpack a wheel into the folder `into`, as pip would into site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)
