"""Write the manual: `python -m sohu.isa.manual docs/isa`."""

from __future__ import annotations

import sys
from pathlib import Path

from sohu.isa.manual.book import manual


def write(folder: Path) -> list[Path]:
    """Write the manual's files that differ, remove those that are none of it any more; returns both."""
    files = {folder / name: text for name, text in manual().items()}
    changed = []
    for path, text in files.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
        changed.append(path)
    for path in [*folder.glob("*.md"), *folder.glob("encoding/*.svg")]:
        if path not in files:
            path.unlink()
            changed.append(path)
    return changed


def main(argv: list[str]) -> int:
    """Write the manual into the folder that is named; 2 when none is."""
    if len(argv) != 1:
        print("usage: python -m sohu.isa.manual FOLDER", file=sys.stderr)
        return 2
    changed = write(Path(argv[0]))
    print(f"{argv[0]}: {len(changed)} files changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
