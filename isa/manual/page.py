"""One instruction as a page of the manual: fixed headings, everything from its row."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Sequence

from sohu.isa.chip import Chip, load_chip
from sohu.isa.errors import CATEGORIES
from sohu.isa.instruction import ROWS, WORD_BITS, CostArgs, Operand, Row, Table
from sohu.isa.machine import Flow, Space
from sohu.isa.manual import diagram, semantics
from sohu.isa.manual.examples import assembly, parse
from sohu.isa.operands import Data, T, TOut
from sohu.isa.packages import OWN

HEADINGS = (
    "Syntax", "Encoding", "Operands", "Semantics", "Description", "Cost", "Exceptions", "Example", "See also",
)  # fmt: skip

_SIZES = (128, 2048)  # of every named dimension, in the two examples of a cost
_NEIGHBOURS = 12  # in See also


def page(row: Row, table: Table = ROWS, *, links: bool = True) -> str:
    """The page of a row as Markdown; without `links`, for a terminal, it names no other page and no picture.

    Raises DefinitionError for an example that cannot be read.
    """
    sections = {
        "Syntax": _syntax(row),
        "Encoding": _encoding(row, links),
        "Operands": _operands(row, links),
        "Semantics": _semantics(row, links),
        "Description": [row.description or row.summary],
        "Cost": _cost(row),
        "Exceptions": _exceptions(row),
        "Example": _example(row),
        "See also": _see_also(row, table, links),
    }
    assert tuple(sections) == HEADINGS
    version = ".".join(map(str, row.since))
    of = "" if row.package == OWN else f" · extension `{row.package}`"
    engine = f"[{row.engine.value}](machine.md#engines)" if links else row.engine.value
    parts = [f"# {row.mnemonic}", row.summary, f"{engine} · opcode `{row.opcode:#05x}` · ISA {version}{of}"]
    for heading, lines in sections.items():
        parts += [f"## {heading}", *lines]
    return "\n\n".join(parts) + "\n"


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    cells = [head, ["---"] * len(head), *([c.replace("|", "\\|") for c in r] for r in rows)]
    return "\n".join(f"| {' | '.join(r)} |" for r in cells)


def fenced(text: str, language: str = "") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def syntax(row: Row) -> str:
    """How it is written; what may be left out is in brackets."""
    positional = ", ".join(o.name for o in row.operands if not o.keyword)
    keywords = [f"{o.name}={o.kind.format(o.default)}" for o in row.operands if o.keyword]
    # without operands before it, the first keyword follows no comma
    optional = "".join(f" [{'' if not i and not positional else ', '}{k}]" for i, k in enumerate(keywords))
    sync = " [wait sem>=value] [signal sem[+=n]]" if row.sync else ""
    return f"{row.mnemonic} {positional}{optional}{sync}".replace("  ", " ").strip()


def _syntax(row: Row) -> Iterator[str]:
    yield fenced(syntax(row), "asm")


def _encoding(row: Row, links: bool) -> Iterator[str]:
    of = diagram.fields(row)
    if links:
        yield f"![the fields of its word](encoding/{diagram.format_name(row)}.svg)"
    kinds = {o.name: diagram.kind_word(o.kind) for o in row.operands}
    fixed = {
        "opcode": f"`{row.opcode:#05x}`",
        "wait": "[wait](encoding.md#wait-and-signal)" if links else "valid, semaphore, register, immediate",
        "signal": "[signal](encoding.md#wait-and-signal)" if links else "valid, semaphore, increment",
    }
    lines = []
    for place, name in diagram.table(of):
        reserved = name.startswith("reserved")
        holds = kinds.get(name, fixed.get(name, "")) if not reserved else "zero; a word with one of them set is refused"
        lines.append([place, "*reserved*" if reserved else f"`{name}`", holds])
    yield grid(("bits", "field", "holds"), lines)
    yield f"{row.used_bits} of {WORD_BITS} bits are used."


def _operands(row: Row, links: bool) -> Iterator[str]:
    if not row.operands:
        yield "None."
        return
    yield grid(("operand", "role", "takes", "shape", "memory"), [list(_operand(row, o)) for o in row.operands])
    if row.data and links:
        yield "Shapes are matched [from the right](encoding.md#shapes-of-tiles)."


def _operand(row: Row, o: Operand) -> Iterator[str]:
    later = f" (since {'.'.join(map(str, o.since))})" if o.since > row.since else ""
    yield f"`{o.name}`{later}"
    if isinstance(o.kind, Data):
        yield o.kind.role
        # dtypes of extensions are no part of the manual, but of a page that an extension brings
        known = [d for d in o.kind.dtypes if d.package == OWN or row.package != OWN]
        yield " ".join(d.name for d in sorted(known, key=lambda d: d.code))
        yield f"`[{o.kind.pattern.text}]`"
        yield " ".join(str(s).upper() for s in sorted(row.spaces(o.kind)))
        return
    yield "out" if o.kind.writes else "in"
    what = "tile register (its descriptor)" if isinstance(o.kind, T) else o.kind.syntax
    yield what + (f", {o.kind.format(o.default)} when left out" if o.keyword else "")
    yield ""
    yield ""


def _semantics(row: Row, links: bool) -> Iterator[str]:
    yield fenced(semantics.code(row), "python")
    seen: dict[str, list[str]] = {}
    for _, o, k in row.data:
        seen.setdefault(k.view, []).append(f"`{o.name}`")
    rounded = "[rounded once](numerics.md)" if links else "rounded once"
    views = {
        "f32": f"float32, {rounded} when stored in another dtype",
        "num": f"float32, {rounded} when stored in another dtype, or as int32, which wraps",
        "raw": "the elements as stored",
    }
    said = [
        f"{', '.join(names)} arrive{'s' if len(names) == 1 else ''} as {views[view]}" for view, names in seen.items()
    ]
    if any(isinstance(o.kind, T) and not isinstance(o.kind, Data) for o in row.operands):
        said.append("tile operands are descriptors, not elements")
    if row.collective:
        said.append("each tile operand is a list with one view per chip of the group")
    if row.takes_machine:
        what = "[the machine](machine.md#what-semantics-ask-of-the-machine)" if links else "the machine"
        said.append(f"`m` is {what}")
    if borrowed := semantics.borrowed(row):
        said.append("it calls " + ", ".join(f"`{b}`" for b in borrowed))
    if numbers := semantics.constants(row):
        said.append(", ".join(f"`{name}` is {value}" for name, value in numbers.items()))
    if (flow := _FLOWS.get(row.flow)) is not None:
        said.append(flow)
    if said:
        text = "; ".join(said)
        yield text[:1].upper() + text[1:] + "."


_FLOWS = {
    Flow.BRANCH: "the pc goes to the label when the result is true",
    Flow.JUMP: "the pc goes to the label",
    Flow.CALL: "`ra` (x1) becomes the pc of the next instruction, and the pc goes to the label",
    Flow.RET: "the pc becomes `ra` (x1)",
    Flow.LOOP: "the result is how often the body runs",
    Flow.HALT: "the sequencer stops",
}


def cost_words(row: Row) -> str:
    """How long it takes, in words: the documentation of its cost function, and what that was made with."""
    made = inspect.getclosurevars(row.cost).nonlocals
    owner = row.cost.__qualname__.split(".<locals>")[0]
    factory = getattr(sys.modules[row.cost.__module__], owner, None)
    if row.cost.__name__ == "<lambda>" or factory is None:
        return "Nothing: it only takes its turn in the queue."
    words = inspect.getdoc(factory) or ""
    here = []
    for name, value in made.items():
        if (name.endswith("operand") or name in ("lhs", "rhs")) and row.data:
            here.append(f"`{name}` is `{row.data[value][1].name}`")
        elif isinstance(value, (int, float)):
            here.append(f"`{name}` is {value:g}")
    return words + (f"\n\nHere {', '.join(here)}." if here else "")


def cycles(row: Row, size: int, chip: Chip) -> tuple[str, float]:
    """Shapes of the operands when every named dimension has `size`, as text, and what its row says that costs."""
    shapes, dtypes, spaces, shown = [], [], [], []
    dims: dict[str, int] = {}
    for _, o, k in row.data:
        shape = []
        for d in k.pattern.dims:
            whole = 1 if d.name == "1" else dims.setdefault(d.name, size)
            shape.append(whole // d.divisor)
        if not shape:  # only leading dimensions
            shape = [size, size]
        known = sorted(k.dtypes, key=lambda d: (d.name != "bf16", d.code))
        shapes.append(tuple(shape))
        dtypes.append(known[0])
        spaces.append(next(s for s in (Space.SRAM, Space.ACC, Space.HBM) if s in row.spaces(k)))
        shown.append(f"{o.name} {known[0]}[{', '.join(map(str, shape))}]")
    args = CostArgs(chip, tuple(shapes), tuple(dtypes), tuple(spaces), dims)
    return ", ".join(shown), row.cost(args)


def _cost(row: Row) -> Iterator[str]:
    yield cost_words(row)
    if not row.data or not row.engine.is_async:
        return
    chip = load_chip("sohu")
    lines = []
    for size in _SIZES:
        shown, n = cycles(row, size, chip)
        lines.append([shown, f"{n:,.0f}", f"{n / chip.clock_hz * 1e6:,.2f} µs"])
    if lines[0][1] != "0":
        yield grid(("for example", "cycles", "on `sohu`"), lines)


def _exceptions(row: Row) -> Iterator[str]:
    lines = [["`reserved-bits`", "a reserved bit of the word is set"]]
    held = [o for o in row.operands if isinstance(o.kind, T) and not isinstance(o.kind, TOut)]
    if held:
        lines.append(["`operand`", "a tile register holds no tile, or a size that is none comes from a register"])
    if row.data:
        lines.append(["`operand`", "a tile's dtype, shape or memory is not as under Operands"])
        if len([1 for _, _, k in row.data if k.view == "num"]) > 1:
            lines.append(["`operand`", "the tiles mix integers and floats"])
        written = [o.name for _, o, k in row.data if k.writes_data]
        if written:
            lines.append(["`operand`", "elements of a written tile share bytes"])
        if len(written) > 1:
            lines.append(["`operand`", "two written tiles overlap"])
        lines.append(["`misaligned`", "a tile's base is no multiple of its element's size"])
        lines.append(["`out-of-bounds`", "a tile reaches beyond its memory, or its allocated block of HBM"])
        if any(k.writes_data and Space.HBM in row.spaces(k) for _, _, k in row.data):
            lines.append(["`read-only`", "a written tile lies in the program's image or the parameter block"])
    if row.label_operand is not None or row.flow is Flow.RET:
        lines.append(["`out-of-bounds`", "the pc leaves `.text`"])
    if row.flow is Flow.RET:
        lines.append(["`misaligned`", "`ra` is no multiple of 16"])
    if row.flow is Flow.LOOP:
        lines.append(["`operand`", "loops nest deeper than 8, or the end lies before the body"])
    if row.sync:
        lines.append(["`deadlock`", "its wait can never be met"])
        lines.append(["`semaphore`", "its signal takes a semaphore beyond 32 bits"])
    lines += [[f"`{category}`", when] for category, when in semantics.faults(row)]
    order = [f"`{category}`" for category in CATEGORIES]
    yield grid(("category", "when"), sorted(lines, key=lambda line: order.index(line[0])))


def _example(row: Row) -> Iterator[str]:
    e = parse(row)
    tiles = [str(t) for t in e.tiles]
    if tiles:
        yield "With"
        yield fenced("\n".join(tiles))
        yield "in memory, the kernel"
    yield fenced(assembly(e), "asm")
    results = [*map(str, e.tiles_after), *map(str, e.scalars_after)]
    if e.fault:
        results.append(f"fault: {e.fault}")
    results += [f"prints: {text}" for text in e.prints]
    yield "leaves" if tiles else "This leaves"
    yield fenced("\n".join(results))


def _see_also(row: Row, table: Table, links: bool) -> Iterator[str]:
    family = [r for r in table if r.semantics.__module__ == row.semantics.__module__]
    at = family.index(row)
    low = max(0, min(at - _NEIGHBOURS // 2, len(family) - _NEIGHBOURS - 1))
    near = [r for r in family[low : low + _NEIGHBOURS + 1] if r is not row]
    if links:
        yield ", ".join([*(f"[{r.mnemonic}]({r.mnemonic}.md)" for r in near), "[all instructions](README.md)"])
    else:
        yield ", ".join(r.mnemonic for r in near) or "`sohu isa` lists all instructions"
