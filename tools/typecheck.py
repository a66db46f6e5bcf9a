"""mypy --strict over the wheel, from outside the repository; fails unless mypy read every file.

At the root of the repository `mypy -p sohu` finds one file and reports success, because the rooms are only
`sohu.isa`, `sohu.asm`, ... once installed. So the wheel is built and unpacked elsewhere, mypy runs there, and
its count of files must be the tree's.

    python -m tools.typecheck
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.tree import ROOT, files, installed_name, room_files
from tools.wheel import build_wheel, unpack

# Checked with the rooms: code that people read and copy from, and what the tools take from the tests, which are run
# instead.
BESIDE = ("tools", "examples", "benchmarks", "tests/emulator/reference")


def check(root: Path = ROOT) -> tuple[int, list[str]]:
    """Check the types of the tree at `root`: how many files mypy read, and what is wrong.

    Paths in the findings are the tree's. Raises RuntimeError where the wheel cannot be built.
    """
    homes = {installed_name(path, root): path for _, path in room_files(root)}
    for folder in BESIDE:
        if (root / folder).is_dir():
            homes |= {path.relative_to(root): path for path in files(root / folder)}
    homes = {place: path for place, path in homes.items() if path.suffix == ".py"}

    with tempfile.TemporaryDirectory(prefix="sohu-types-") as scratch:
        site = Path(scratch) / "site"
        unpack(build_wheel(Path(scratch), root), site)
        for place, path in homes.items():
            if place.parts[0] != "sohu":
                (site / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, site / place)
        mypy = subprocess.run(
            [
                *(sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "."),
                *(f"--config-file={root / 'pyproject.toml'}", f"--cache-dir={root / '.mypy_cache'}"),
            ],
            cwd=site,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    counted = re.search(r"(?:checked|no issues found in) (\d+) source file", mypy.stdout)
    count = int(counted[1]) if counted else 0
    wrong = []
    if mypy.returncode:
        for line in mypy.stdout.splitlines():
            named, colon, rest = line.partition(":")
            home = homes.get(Path(named))
            wrong.append(f"{home.relative_to(root)}{colon}{rest}" if home else line)
    if count != len(homes):
        wrong.append(
            f"mypy read {count} files where the tree holds {len(homes)}: "
            "is there a folder without an __init__.py, or a room that setup.py does not name?"
        )
    return count, wrong


def main() -> int:
    """Print the findings; 1 if there are any, else 0."""
    try:
        count, wrong = check()
    except RuntimeError as failure:
        print(failure)
        return 1
    print("\n".join(wrong) or f"types: strict and clean, {count} files read of {count}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
