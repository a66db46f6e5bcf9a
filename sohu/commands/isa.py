"""List the instruction set, or explain one instruction.

`sohu isa` lists all instructions by engine; `sohu isa vexp` shows how one is written, what it does, what
its operands accept, and its bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sohu.arguments import Parser, suggestion
from sohu.isa import ROWS, Data, Engine, Row, SohuError, extensions
from sohu.isa.instruction import OPCODE_BITS, OPERANDS_AFTER_SYNC, SYNC_START, WORD_BITS, Operand


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
    print("\n".join(explain(ROWS[args.mnemonic])))
    return 0


def overview() -> Iterator[str]:
    """All instructions, one a line, under their engines."""
    width = max(len(row.mnemonic) for row in ROWS)
    for engine in Engine:
        rows = [row for row in ROWS if row.engine is engine]
        yield f"{engine.value} ({len(rows)} instructions)"
        yield from (f"  {row.mnemonic:{width}}  {row.summary}" for row in rows)
        yield ""
    yield f"{len(ROWS)} instructions; `sohu isa MNEMONIC` explains one."


def explain(row: Row) -> Iterator[str]:
    """How one instruction is written, what it does, its operands and its bits."""
    written = [o.name for o in row.operands if not o.keyword]
    written += [f"{o.name}={o.kind.format(o.default)}" for o in row.operands if o.keyword]
    sync = "   [wait SEM>=VALUE] [signal SEM+=N]" if row.sync else ""
    yield f"{row.mnemonic:12}{', '.join(written)}".rstrip() + sync
    yield ""
    yield from (f"  {line}".rstrip() for line in row.doc.splitlines())
    yield ""
    yield f"  executed by   {row.engine.value}"
    yield f"  opcode        {row.opcode:#05x}"
    if row.operands:
        yield ""
        yield "operands"
        width = max(len(o.name) for o in row.operands)
        for operand in row.operands:
            yield f"  {operand.name:{width}}  {_accepts(row, operand)}"
    yield ""
    yield f"bits ({row.used_bits} of {WORD_BITS} used, the others are zero)"
    for low, high, what in _fields(row):
        yield f"  {f'{low}..{high}':>9}  {what}"


def _accepts(row: Row, operand: Operand) -> str:
    kind = operand.kind
    if isinstance(kind, Data):
        shape = ", ".join(kind.pattern.text.split())
        dtypes = "/".join(sorted(d.name for d in kind.dtypes))
        spaces = "/".join(str(s) for s in sorted(row.spaces(kind)))
        return f"{kind.role:5} tile {dtypes}[{shape}] in {spaces}"
    default = f", {kind.format(operand.default)} when left out" if operand.keyword else ""
    return f"{'out' if kind.writes else 'in':5} {kind.syntax}{default}"


def _fields(row: Row) -> Iterator[tuple[int, int, str]]:
    yield 0, OPCODE_BITS - 1, "opcode"
    if row.sync:
        yield SYNC_START, OPERANDS_AFTER_SYNC - 1, "wait and signal"
    for o in row.operands:
        yield o.low, o.low + o.kind.bits - 1, o.name
