"""The `sohu-nm` command: the symbols of programs, objects and libraries."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from sohu.asm.console import run
from sohu.asm.diagnostics import printable
from sohu.asm.tools.files import TableSymbol, binaries, parser, symbols

_DESCRIPTION = """\
List the symbols of programs, objects and libraries: value, kind, name.

kinds: T code, R read-only data, U undefined, W weak (w: and undefined); in lower case those that only their file sees
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    p = parser("sohu-nm", _DESCRIPTION)
    p.add_argument("files", metavar="FILE", nargs="+", help="program, object or library; - for standard input")
    p.add_argument("-g", "--extern-only", action="store_true", help="only what other files see")
    p.add_argument("-u", "--undefined-only", action="store_true", help="only what is not defined")
    p.add_argument("-n", "--numeric-sort", action="store_true", help="by value, not by name")
    p.add_argument("-S", "--print-size", action="store_true", help="sizes, where they are known")
    p.add_argument("--json", action="store_true", help="one JSON object: a list of symbols for each file")
    options = p.parse_args(argv)

    def wanted(s: TableSymbol) -> bool:
        return (s.binding != "local" or not options.extern_only) and (not s.section or not options.undefined_only)

    def body() -> int:
        found = {b.name: [s for s in symbols(b.contents) if wanted(s)] for b in binaries(options.files)}
        if options.numeric_sort:
            for table in found.values():
                table.sort(key=lambda s: (s.section != "", s.value))
        if options.json:
            print(
                json.dumps({"format": 1, "files": {f: [_described(s) for s in t] for f, t in found.items()}}, indent=2)
            )
            return 0
        for name, table in found.items():
            if len(found) > 1:
                print(f"\n{printable(name)}:")
            for s in table:
                value = f"{s.value:016x}" if s.section else " " * 16
                size = f" {s.size:016x}" if options.print_size and s.size else ""
                print(f"{value}{size} {s.letter} {printable(s.name)}")
        return 0

    return run("sohu-nm", body)


def _described(s: TableSymbol) -> dict[str, object]:
    return {
        "name": s.name,
        "kind": s.letter,
        "section": s.section,
        "value": s.value if s.section else None,
        "size": s.size,
        "binding": s.binding,
        "kernel": s.is_kernel,
    }


if __name__ == "__main__":
    sys.exit(main())
