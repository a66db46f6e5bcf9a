"""Says which folder is which package: the room `isa/` is `sohu.isa`. All else is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

# A room is listed here before its folder exists; tests/house says when one is missing.
ROOMS = ("isa", "asm", "emulator", "dsl", "profiler", "debugger", "runtime", "models")

folders = {"sohu": "sohu"} | {f"sohu.{room}": room for room in ROOMS if Path(room).is_dir()}
packages = [
    f"{package}{inner}"
    for package, folder in folders.items()
    for inner in ("", *(f".{name}" for name in find_packages(folder)))
]

setup(packages=packages, package_dir=folders)
