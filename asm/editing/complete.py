"""What could stand at a place, and how the instruction around it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from sohu.asm.directives import DIRECTIVES
from sohu.asm.directives import usage as directive_usage
from sohu.asm.editing.describe import directive
from sohu.asm.editing.index import EntityKind, Index
from sohu.asm.names import REGISTERS
from sohu.asm.tokens import Kind, Token, operands, parts, scan
from sohu.isa import DTYPES, ROWS, Label, Operand, Row, Space
from sohu.isa.manual.page import page, syntax
from sohu.isa.operands import XFI, XI, Data, FImm, Imm, Sem, T, X
from sohu.isa.operands import Kind as OperandKind

ItemKind = Literal["instruction", "directive", "word", "register", "dtype", "keyword"] | EntityKind

_WORDS_OF: dict[str, dict[int, tuple[str, ...]]] = {
    ".param": {1: ("in", "out", "inout", "i64", "f32"), 2: tuple(DTYPES)},
    ".tile": {1: tuple(map(str, Space)), 2: tuple(DTYPES)},
    ".section": {0: (".text", ".rodata")},
    ".kernel": {1: ("noprologue",)},
}
_KEYS_OF = {".param": ("reg",), ".tile": ("at", "over", "buffers", "reg", "strides"), ".sem": ("reg",)}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that can stand here. `start`: column from which on it replaces what is there."""

    text: str
    kind: ItemKind
    detail: str = ""
    start: int = 0


def documentation(item_kind: str, text: str) -> str:
    """Markdown for an instruction or directive that completion offers."""
    if item_kind == "instruction" and text in ROWS:
        return page(ROWS[text], links=False)
    return directive(text) if item_kind == "directive" and text in DIRECTIVES else ""


def complete(index: Index, line: int, column: int) -> list[Item]:
    """What could stand at a place: of the right kind, whatever letters are there already."""
    text = index.lines[line][:column] if line < len(index.lines) else ""
    tokens = scan(text)
    if tokens and tokens[-1].kind in (Kind.COMMENT, Kind.STRING, Kind.NUMBER) and tokens[-1].end == column:
        return []
    if text.count('"') % 2:
        return []
    word = tokens[-1] if tokens and tokens[-1].end == column and _is_word(tokens[-1]) else None
    start = word.start if word is not None else column
    before = tokens[:-1] if word is not None else tokens
    return [Item(i.text, i.kind, i.detail, start) for i in _items(index, line, before)]


def _is_word(t: Token) -> bool:
    return t.kind in (Kind.NAME, Kind.MNEMONIC, Kind.DIRECTIVE, Kind.WORD, Kind.LABEL, Kind.KEY) or t.text == "."


def _items(index: Index, line: int, before: list[Token]) -> Iterator[Item]:
    p = parts(before)
    if p.op is None:
        yield from (Item(row.mnemonic, "instruction", row.summary) for row in ROWS)
        yield from (Item(name, "directive", directive_usage(name)) for name in DIRECTIVES)
        yield from _entities(index, line, "macro")
        return
    if p.sync:
        yield from _synced(index, line, p.sync[-1])
        return
    given = list(operands(p.operands))
    at = max(len(given) - 1, 0) + (bool(p.operands) and p.operands[-1].text == ",")
    row = ROWS.by_mnemonic.get(p.op.text)
    if row is not None:
        yield from _operands(index, line, row, at, p.operands)
    elif p.op.kind is Kind.DIRECTIVE:
        words = _WORDS_OF.get(p.op.text, {}).get(at, ())
        yield from (Item(w, "dtype" if w in DTYPES else "word") for w in words)
        if at > 1:
            yield from (Item(f"{key}=", "keyword") for key in _KEYS_OF.get(p.op.text, ()))
        if p.op.text in (".globl", ".global", ".weak"):
            yield from _entities(index, line, "label")
        elif not words:
            yield from _entities(index, line, "constant", "label")
    else:
        yield from _entities(index, line, "tile", "param", "semaphore", "constant", "label")


def _operands(index: Index, line: int, row: Row, at: int, given: list[Token]) -> Iterator[Item]:
    positional = [o for o in row.operands if not o.keyword]
    complete = bool(given) and given[-1].text != ","
    if (complete and at + 1 >= len(positional)) or not positional:
        yield from (Item(w, "word", "start only when a semaphore has reached a value" if w == "wait" else
                         "add to a semaphore on completion") for w in ("wait", "signal") if row.sync)  # fmt: skip
        if positional:
            return
    if at < len(positional) and not (complete and given[-1].kind is Kind.NAME):
        yield from _fitting(index, line, positional[at].kind)
    elif at >= len(positional):
        yield from (Item(f"{o.name}=", "keyword", o.kind.syntax) for o in row.operands if o.keyword)


def _fitting(index: Index, line: int, kind: OperandKind) -> Iterator[Item]:
    if isinstance(kind, T):
        yield from _entities(index, line, "tile")
        yield from _params(index, line, tensors=True)
        yield from _registers(index, line, "t")
    elif isinstance(kind, Sem):
        yield from _semaphores(index, line)
    elif isinstance(kind, Label):
        yield from _entities(index, line, "label", "kernel", "external")
    else:
        if isinstance(kind, (X, XI)):
            yield from _scalars(index, line)
        if isinstance(kind, (XI, XFI, Imm, FImm)):
            yield from _entities(index, line, "constant", "label")


def _synced(index: Index, line: int, clause: list[Token]) -> Iterator[Item]:
    if len(clause) == 1:
        yield from _semaphores(index, line)
    elif clause[-1].text in (">=", "+="):
        if clause[0].text == "wait":
            yield from _scalars(index, line)
        yield from _entities(index, line, "constant")
    elif clause[0].text == "wait" and len(clause) > 3:
        yield Item("signal", "word", "add to a semaphore on completion")


def _semaphores(index: Index, line: int) -> Iterator[Item]:
    yield from _entities(index, line, "semaphore")
    yield from _registers(index, line, "s")


def _scalars(index: Index, line: int) -> Iterator[Item]:
    yield from _params(index, line, tensors=False)
    yield from _registers(index, line, "x")


def _params(index: Index, line: int, *, tensors: bool) -> Iterator[Item]:
    for e in index.visible(line):
        if e.kind == "param":
            at = e.definitions[0].line
            if tensors == any(t.text == "[" for t in index.parts[at].operands):
                yield Item(e.name, "param", index.lines[at].strip())


def _registers(index: Index, line: int, file: str) -> Iterable[Item]:
    for item in _entities(index, line, "register"):
        given = item.detail.partition(",")[2].strip()  # .reg NAME, t5: a scalar register unless it says so
        if (given[:1] or "x") == file or (REGISTERS.get(given, ("",))[0] == file):
            yield item
    yield from (Item(name, "register") for name, (own, _) in REGISTERS.items() if own == file)


def _entities(index: Index, line: int, *kinds: EntityKind) -> Iterator[Item]:
    for e in index.visible(line):
        if e.kind in kinds:
            yield Item(e.name, e.kind, index.lines[e.definitions[0].line].strip())


@dataclass(frozen=True, slots=True)
class Signature:
    """How the instruction or directive of a line is written; `active` is the operand at hand."""

    label: str
    documentation: str
    parameters: tuple[tuple[str, str], ...]  # (as it stands in the label, what it takes)
    active: int


def signature(index: Index, line: int, column: int) -> Signature | None:
    """The signature of what the line before a place calls."""
    p = parts(scan(index.lines[line][:column])) if line < len(index.lines) else None
    if p is None or p.op is None or p.comment is not None or p.op.end >= column:
        return None
    at = sum(1 for t in p.operands if t.text == "," and not _nested(p.operands, t))
    row = ROWS.by_mnemonic.get(p.op.text)
    if row is not None:
        if p.sync:
            return None
        parameters = tuple((o.name, _takes(row, o)) for o in row.operands)
        keys = [t.text for t in p.operands if t.kind is Kind.KEY]
        names = [o.name for o in row.operands]
        active = names.index(keys[-1]) if keys and keys[-1] in names else at
        return Signature(syntax(row), row.summary, parameters, min(active, max(len(parameters) - 1, 0)))
    if p.op.text in DIRECTIVES:
        return Signature(directive_usage(p.op.text), directive(p.op.text).partition("\n\n")[2], (), 0)
    return None


def _nested(tokens: list[Token], at: Token) -> bool:
    depth = 0
    for t in tokens:
        if t is at:
            return depth > 0
        depth += (t.text in "[(") - (t.text in "])") if t.kind is Kind.PUNCTUATION else 0
    return False


def _takes(row: Row, o: Operand) -> str:
    if isinstance(o.kind, Data):
        dtypes = " ".join(d.name for d in sorted(o.kind.dtypes, key=lambda d: d.code))
        spaces = " ".join(str(s) for s in sorted(row.spaces(o.kind)))
        return f"tile, {o.kind.role}: `[{o.kind.pattern.text}]` of {dtypes} in {spaces}"
    return o.kind.syntax + (", written" if o.kind.writes else "")
