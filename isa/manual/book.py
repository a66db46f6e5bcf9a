"""The manual as files: chapters (Markdown beside this module) with generated tables, a page per row, pictures.

`python -m sohu.isa.manual docs/isa` writes it; what is checked in must be what this makes.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from importlib import resources

from sohu.isa import tile
from sohu.isa.dtypes import DTYPES, EXTENSION_DTYPES, DType
from sohu.isa.errors import CATEGORIES
from sohu.isa.instruction import EXTENSION_OPCODES, MIN_RESERVED, ROWS, Machine, Row
from sohu.isa.machine import ISA_VERSION, MIN_QUEUE_DEPTH, REACHES, Engine
from sohu.isa.manual import diagram, formats
from sohu.isa.manual.page import grid, page
from sohu.isa.operands import T
from sohu.isa.packages import OWN

_MARK = re.compile(r"<!-- ([\w ]+) -->")
_NOTE = "<!-- Generated: `make manual`. Chapters are in isa/manual/, instructions in isa/rows/. -->\n\n"


def manual() -> dict[str, str]:
    """Every file of the manual: its name, with folder, and its text. Extensions that are installed are not in it."""
    files = {name: _NOTE + _filled(text) for name, text in _chapters().items()}
    files |= {f"{row.mnemonic}.md": _NOTE + page(row) for row in own_rows()}
    files |= {f"encoding/{name}.svg": diagram.svg(diagram.fields(of[0]), _title(of)) for name, of in _formats().items()}
    files["encoding/wait-and-signal.svg"] = diagram.svg(diagram.sync_fields(), "the fields of wait and signal")
    return files


def own_rows() -> list[Row]:
    """The rows of this package, by opcode."""
    return [r for r in ROWS if r.package == OWN]


def _chapters() -> dict[str, str]:
    folder = resources.files("sohu.isa.manual")
    files = [f for f in folder.iterdir() if f.name.endswith(".md")]
    return {f.name: f.read_text(encoding="utf-8") for f in sorted(files, key=lambda f: f.name)}


def _filled(text: str) -> str:
    """A chapter with its marks replaced. Raises KeyError for a mark that nothing is generated for."""
    return _MARK.sub(lambda mark: _GENERATED[mark[1]](), text)


def _instructions() -> str:
    parts = []
    for engine in Engine:
        rows = [r for r in own_rows() if r.engine is engine]
        parts.append(f"## {engine.value[0].upper()}{engine.value[1:]}")
        for module in dict.fromkeys(r.semantics.__module__ for r in rows):
            doc = inspect.getdoc(sys.modules[module]) or ""
            first, _, rest = doc.partition("\n\n")
            parts.append(f"**{_heading(first)}**" + (f"\n\n{rest}" if rest else ""))
            mine = [r for r in rows if r.semantics.__module__ == module]
            parts.append(
                grid(("instruction", "does"), [[f"[`{r.mnemonic}`]({r.mnemonic}.md)", r.summary] for r in mine])
            )
    return "\n\n".join(parts)


def _heading(first: str) -> str:
    """The first line of a module of rows, without the range of opcodes that it may name."""
    return re.sub(r"\s*Opcodes? 0x.*$", "", first.replace("\n", " "))


def _engines() -> str:
    lines = []
    for e in Engine:
        if e.is_async:
            lines.append([e.value, str(e.queues), _DOES[e], ", ".join(str(s).upper() for s in sorted(REACHES[e]))])
    return grid(("engine", "queues", "does", "reaches"), lines)


_DOES = {
    Engine.DMA: "moves tiles between HBM and SRAM: strided, transposed, converting, gathering, scattering",
    Engine.MXU: "matrix products into the accumulators",
    Engine.VPU: "elementwise operations, reductions, the transformer's own operations",
    Engine.CCE: "collectives between chips",
}


def _dtypes() -> str:
    own = [d for d in DTYPES.values() if d.package == OWN]
    lines = [[f"`{d.name}`", str(d.code), str(d.itemsize), d.doc, _version(d)] for d in own]
    return grid(("dtype", "code", "bytes", "is", "since"), lines)


def _version(of: Row | DType) -> str:
    return ".".join(map(str, of.since))


def _faults() -> str:
    return grid(("category", "when"), [[f"`{name}`", text] for name, text in CATEGORIES.items()])


def _machine() -> str:
    lines = [
        [f"`m.{name}`", said]
        for name, said in re.findall(r"^    (\w+): \w+  # (.*)$", inspect.getsource(Machine), re.M)
    ]
    for name, f in vars(Machine).items():
        if inspect.isfunction(f) and not name.startswith("_"):
            parameters = ", ".join(p for p in inspect.signature(f).parameters if p != "self")
            lines.append([f"`m.{name}({parameters})`", " ".join((inspect.getdoc(f) or "").split())])
    return grid(("of the machine", "is"), lines)


def _opcodes() -> str:
    lines = []
    for engine in Engine:
        codes = [r.opcode for r in own_rows() if r.engine is engine]
        lines.append([f"{min(codes):#05x} … {max(codes):#05x}", engine.value, str(len(codes))])
    lines.append([_range(EXTENSION_OPCODES), "extensions", ""])
    return grid(("from … to", "engine", "instructions"), lines)


def _range(r: range) -> str:
    return f"{r.start:#x} to {r.stop - 1:#x}"


def _kinds() -> str:
    """The operand fields that rows have: how wide, and what is in them."""
    lines: dict[tuple[str, str, str], None] = {}
    for row in own_rows():
        for o in row.operands:
            name = "tile" if isinstance(o.kind, T) else o.kind.syntax
            lines[name, str(o.kind.bits), diagram.kind_word(o.kind)] = None
    return grid(("operand", "bits", "holds"), [list(line) for line in sorted(lines)])


def _descriptor() -> str:
    doc = inspect.getdoc(tile) or ""
    return doc.partition("\n\n")[2].partition("\n\n")[2]


def _formats() -> dict[str, list[Row]]:
    formats: dict[str, list[Row]] = {}
    for row in own_rows():
        formats.setdefault(diagram.format_name(row), []).append(row)
    return formats


def _format_list() -> str:
    parts = []
    for name, rows in _formats().items():
        links = ", ".join(f"[{r.mnemonic}]({r.mnemonic}.md)" for r in rows)
        parts.append(f"{links}\n\n![the fields of their words](encoding/{name}.svg)")
    return "\n\n".join(parts)


def _title(rows: list[Row]) -> str:
    names = ", ".join(r.mnemonic for r in rows[:8]) + (", …" if len(rows) > 8 else "")
    of = (f.name or "reserved" for f in reversed(diagram.fields(rows[0])))
    return f"{names}: {', '.join(of)}, from the high bit down"


def _history() -> str:
    lines = []
    for version in sorted({r.since for r in own_rows()}):
        rows = [r for r in own_rows() if r.since == version]
        dtypes = [d for d in DTYPES.values() if d.package == OWN and d.since == version]
        listed = ", ".join(f"[{r.mnemonic}]({r.mnemonic}.md)" for r in rows)
        added = f"; dtypes {', '.join(d.name for d in dtypes)}" if dtypes else ""
        lines.append([".".join(map(str, version)), f"{len(rows)} instructions: {listed}{added}"])
    return grid(("version", "instructions and dtypes"), lines)


_GENERATED: dict[str, Callable[[], str]] = {
    "instructions": _instructions,
    "engines": _engines,
    "dtypes": _dtypes,
    "float formats": formats.floats,
    "integer formats": formats.integers,
    "e2m1 codes": formats.e2m1,
    "faults": _faults,
    "machine": _machine,
    "opcodes": _opcodes,
    "kinds": _kinds,
    "descriptor": _descriptor,
    "formats": _format_list,
    "history": _history,
    "depth": lambda: str(MIN_QUEUE_DEPTH),
    "reserved": lambda: str(MIN_RESERVED),
    "version": lambda: ".".join(map(str, ISA_VERSION)),
    "extension opcodes": lambda: _range(EXTENSION_OPCODES),
    "extension dtypes": lambda: _range(EXTENSION_DTYPES),
}
