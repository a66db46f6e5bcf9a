"""The `sohu-size` command: how large programs, objects and libraries are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from sohu.asm.console import run
from sohu.asm.diagnostics import printable
from sohu.asm.program import Program
from sohu.asm.tools.files import Binary, binaries, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (sys.argv's by default); returns the exit code."""
    p = parser("sohu-size", "Print the bytes of code and constant data of programs, objects and libraries.")
    p.add_argument("files", metavar="FILE", nargs="+", help="program, object or library; - for standard input")
    p.add_argument("-t", "--totals", action="store_true", help="the sum of all files, too")
    p.add_argument("--json", action="store_true", help="one JSON object: the sizes of each file")
    options = p.parse_args(argv)

    def body() -> int:
        sizes = [(b.name, *_sizes(b)) for b in binaries(options.files)]
        if options.json:
            files = {name: {"text": text, "rodata": rodata} for name, text, rodata in sizes}
            print(json.dumps({"format": 1, "files": files}, indent=2))
            return 0
        if options.totals:
            sizes.append(("(TOTALS)", sum(s[1] for s in sizes), sum(s[2] for s in sizes)))
        print(f"{'text':>10} {'rodata':>10} {'total':>10} {'hex':>8}  filename")
        for name, text, rodata in sizes:
            print(f"{text:10} {rodata:10} {text + rodata:10} {text + rodata:8x}  {printable(name)}")
        return 0

    return run("sohu-size", body)


def _sizes(b: Binary) -> tuple[int, int]:
    """Bytes of code, and of all that becomes .rodata."""
    c = b.contents
    if isinstance(c, Program):
        return len(c.text), len(c.rodata)
    return len(c.text), len(c.tiles) + len(c.rodata) + len(c.strings)


if __name__ == "__main__":
    sys.exit(main())
