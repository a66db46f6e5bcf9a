"""The instruction reference, made from the rows: `python -m sohu.isa.docgen docs/isa.md` writes it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from sohu.isa.instruction import EXTENSION_OPCODES, MIN_RESERVED, OPCODE_BITS, ROWS, WORD_BITS, Operand, Row, Table
from sohu.isa.machine import ISA_VERSION, REACHES, Engine
from sohu.isa.operands import Data

HEAD = """# Instruction reference

Generated from the definitions in `isa/rows/`; do not edit. ISA version {major}.{minor}. This instruction set is an
open one of our own: Etched has published claims about Sohu, not its ISA ([the machine](machine.md) says which figure
is a fact and which an assumption).

Every instruction is one 128-bit word, little-endian, opcode in bits 0 to {last_opcode_bit}. Instructions that can wait
and signal carry `wait` in bits 12 to 39 (valid, semaphore 6, register 5, signed immediate 16: start when it has
reached register + immediate) and `signal` in bits 40 to 54 (valid, semaphore 6, increment 8: on completion). At least
{reserved} bits of every word are reserved; they are zero, and a word with one of them set is refused. Opcodes
{first_extension:#x} to {last_extension:#x} belong to extensions.

Tile operands have a shape pattern, matched from the right: a name is bound to the dimension's size, `1` is the size 1,
`...` any further leading dimensions, and `?` lets a dimension be 1 and be broadcast.
"""


def reference(table: Table = ROWS) -> str:
    """The whole reference as Markdown."""
    head = HEAD.format(
        major=ISA_VERSION[0],
        minor=ISA_VERSION[1],
        last_opcode_bit=OPCODE_BITS - 1,
        reserved=MIN_RESERVED,
        first_extension=EXTENSION_OPCODES.start,
        last_extension=EXTENSION_OPCODES.stop - 1,
    )
    parts = [head]
    for engine in Engine:
        rows = [r for r in table if r.engine is engine]
        parts.append(f"## {engine.value[0].upper()}{engine.value[1:]}\n")
        if engine.is_async:
            reach = ", ".join(str(s).upper() for s in sorted(REACHES[engine]))
            parts.append(f"Queues: {engine.queues}. Reaches {reach}.\n")
        parts += [f"{text}\n" for text in general(rows)]
        parts += ["| instruction | does |", "|---|---|"]
        parts += [f"| [`{r.mnemonic}`](#{anchor(r)}) | {r.summary} |" for r in rows]
        parts.append("")
        parts += ["\n".join(entry(r)) for r in rows]
    return "\n".join(parts).rstrip() + "\n"


def general(rows: list[Row]) -> Iterator[str]:
    """What the modules that define these rows say of all of them: their documentation after its first line."""
    for module in dict.fromkeys(r.semantics.__module__ for r in rows):
        doc = inspect.getdoc(sys.modules[module]) or ""
        if rest := doc.partition("\n\n")[2]:
            yield rest


def anchor(row: Row) -> str:
    """The fragment that a heading of its mnemonic gets."""
    return row.mnemonic.replace(".", "")


def syntax(row: Row) -> str:
    """How it is written, with keyword operands in brackets."""
    positional = ", ".join(o.name for o in row.operands if not o.keyword)
    keywords = "".join(f" [, {o.name}={o.kind.format(o.default)}]" for o in row.operands if o.keyword)
    sync = " [wait ...] [signal ...]" if row.sync else ""
    return f"{row.mnemonic} {positional}{keywords}{sync}".strip()


def entry(row: Row) -> Iterator[str]:
    """One instruction under fixed headings."""
    yield f"### {row.mnemonic}\n"
    yield f"    {syntax(row)}\n"
    yield inspect.cleandoc(row.doc) + "\n"
    if row.operands:
        yield "| operand | is | bits |"
        yield "|---|---|---|"
        for o in row.operands:
            yield f"| `{o.name}` | {describe(row, o)} | {o.low} to {o.low + o.kind.bits - 1} |"
        yield ""
    free = WORD_BITS - row.used_bits
    yield f"Opcode {row.opcode:#05x}; {row.used_bits} bits used, {free} reserved.\n"


def describe(row: Row, o: Operand) -> str:
    """What an operand is: kind, and for tiles direction, dtypes, shape and memories."""
    if not isinstance(o.kind, Data):
        written = ", written" if o.kind.writes else ""
        return f"{o.kind.syntax}{written}"
    dtypes = " ".join(d.name for d in sorted(o.kind.dtypes, key=lambda d: d.code))
    spaces = " ".join(str(s) for s in sorted(row.spaces(o.kind)))
    return f"tile, {o.kind.role}: `[{o.kind.pattern.text}]` of {dtypes} in {spaces}"


def main(argv: list[str]) -> int:
    """Write the reference to a file, or print it."""
    text = reference()
    if not argv:
        sys.stdout.write(text)
        return 0
    path = Path(argv[0])
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
