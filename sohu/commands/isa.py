"""List the instruction set, or explain one instruction.

`sohu isa` lists all instructions by engine; `sohu isa vexp` shows the page of the manual about one: how it is
written, its bits and operands, what it does, what it costs, and an example.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from sohu.arguments import Parser, suggestion
from sohu.isa import ROWS, Engine, Row, SohuError, extensions
from sohu.isa.manual.page import page
from sohu.isa.packages import OWN


def main(argv: Sequence[str]) -> int:
    """Run `sohu isa` and give its exit status. Raises SohuError for an unknown instruction."""
    parser = Parser("isa", __doc__)
    parser.add_argument("mnemonic", nargs="?", help="an instruction, such as vexp or dma.load")
    args = parser.parse(argv)
    extensions.check()
    if args.mnemonic is None:
        print("\n".join(overview()))
        return 0
    if args.mnemonic not in ROWS:
        near = suggestion(args.mnemonic, ROWS.by_mnemonic) or "; `sohu isa` lists them all"
        raise SohuError(f"no instruction is called {args.mnemonic!r}{near}")
    show(page(ROWS[args.mnemonic], links=False))
    return 0


def overview() -> Iterator[str]:
    """All instructions, one a line, under their engines."""
    width = max(len(row.mnemonic) for row in ROWS)
    for engine in Engine:
        rows = [row for row in ROWS if row.engine is engine]
        yield f"{engine.value} ({len(rows)} instructions)"
        yield from (f"  {row.mnemonic:{width}}  {row.summary}{_extension(row)}" for row in rows)
        yield ""
    yield f"{len(ROWS)} instructions; `sohu isa MNEMONIC` explains one."


def _extension(row: Row) -> str:
    return "" if row.package == OWN else f" [extension {row.package}]"


def show(markdown: str) -> None:
    """Print Markdown: rendered on a terminal, as it is elsewhere."""
    if not sys.stdout.isatty():
        print(markdown, end="")
        return
    # imported here: they take longer than all else that this command does
    from rich.console import Console
    from rich.markdown import Markdown

    # "asm" is what other readers of Markdown know; here is a lexer for the very language
    Console().print(Markdown(markdown.replace("```asm\n", "```sohu\n"), code_theme="ansi_dark"))
