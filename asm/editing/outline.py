"""The shape of a source: its symbols, what can be folded, and what each token is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sohu.asm.editing.index import Entity, EntityKind, Index, Span
from sohu.asm.lexer import DECLARATION_WORDS
from sohu.asm.names import REGISTERS
from sohu.asm.tokens import Kind, Token
from sohu.isa import ROWS


@dataclass(slots=True)
class Symbol:
    """A name in the outline, with what belongs to it. `lines` are the first and the last one of all of it."""

    name: str
    kind: EntityKind
    detail: str
    span: Span
    lines: tuple[int, int]
    children: list[Symbol] = field(default_factory=list)


def symbols(index: Index) -> list[Symbol]:
    """Kernels with what they declare and their labels; then all else that the file defines, in order."""
    top: list[Symbol] = []
    inside: dict[str, Symbol] = {}
    ordered = sorted(index.entities.values(), key=lambda e: e.definitions[0])
    for e in ordered:
        span = e.definitions[0]
        symbol = Symbol(e.name, e.kind, _detail(index, e), span, (span.line, span.line))
        if e.kind == "kernel":
            symbol.lines = (span.line, e.last_line)
            inside[e.name] = symbol
        if e.kind == "dimension":
            continue
        around = inside.get(e.kernel or index.kernel_at(span.line)) if e.kind != "kernel" else None
        (around.children if around else top).append(symbol)
    return top


def _detail(index: Index, e: Entity) -> str:
    """What a declaration says after the name."""
    span = e.definitions[0]
    p = index.parts[span.line]
    if e.kind in ("label", "kernel") or not p.operands:
        return ""
    return index.lines[span.line][span.end : p.operands[-1].end].lstrip(" ,")


@dataclass(frozen=True, slots=True)
class Fold:
    """Lines that can be shown as their first."""

    first: int
    last: int
    is_comment: bool = False


_ENDS = {".endm": ".macro", ".endr": ".rept", ".endif": ".if", ".endkernel": ".kernel"}
_BEGINS = {".macro": ".macro", ".rept": ".rept", ".irp": ".rept", ".irpc": ".rept", ".kernel": ".kernel"}


def folds(index: Index) -> Iterator[Fold]:
    """Kernels, macros, repetitions, conditions, and comments of several lines."""
    open_: list[tuple[str, int]] = []
    comment = -1
    for line, p in enumerate(index.parts):
        if p.comment is not None and p.op is None and not p.labels:
            comment = line if comment < 0 else comment
        else:
            if 0 <= comment < line - 1:
                yield Fold(comment, line - 1, is_comment=True)
            comment = -1
        op = p.op.text if p.op is not None else ""
        begins = ".if" if op.startswith(".if") else _BEGINS.get(op)
        if op == ".kernel" and open_ and open_[-1][0] == ".kernel":
            _, first = open_.pop()
            yield Fold(first, line - 1)
        if begins:
            open_.append((begins, line))
        elif (wanted := _ENDS.get(op)) and any(what == wanted for what, _ in open_):
            while open_:
                what, first = open_.pop()
                if what == wanted:
                    yield Fold(first, line)
                    break
    for what, first in open_:
        if what == ".kernel" and first < len(index.lines) - 1:
            yield Fold(first, len(index.lines) - 1)


@dataclass(frozen=True, slots=True)
class SemanticToken:
    """What a token is, in the words of the Language Server Protocol."""

    span: Span
    type: str
    modifiers: tuple[str, ...] = ()


TYPES = (
    "keyword", "function", "macro", "label", "variable", "parameter", "event", "enumMember", "typeParameter", "type",
    "property", "number", "string", "operator", "comment",
)  # fmt: skip
MODIFIERS = ("definition", "readonly", "defaultLibrary")

_OF_ENTITIES: dict[EntityKind, str] = {
    "label": "label", "kernel": "function", "param": "parameter", "tile": "variable", "semaphore": "event",
    "constant": "enumMember", "dimension": "typeParameter", "register": "variable",
    "macro": "macro", "external": "function",
}  # fmt: skip
_OF_TOKENS = {
    Kind.DIRECTIVE: "keyword", Kind.WORD: "keyword", Kind.KEY: "property", Kind.LOCAL: "label", Kind.NUMBER: "number",
    Kind.LABEL: "label", Kind.STRING: "string", Kind.SUBSTITUTION: "parameter", Kind.OPERATOR: "operator",
    Kind.COMMENT: "comment",
}  # fmt: skip


def semantic_tokens(index: Index) -> Iterator[SemanticToken]:
    """Every token that has a meaning of its own, in order."""
    for line, tokens in enumerate(index.tokens):
        for t in tokens:
            found = _semantic(index, line, t)
            if found is not None:
                yield found


def _semantic(index: Index, line: int, t: Token) -> SemanticToken | None:
    span = Span(line, t.start, t.end)
    if t.kind is Kind.MNEMONIC and t.text in ROWS:
        return SemanticToken(span, "function", ("defaultLibrary",))
    if t.kind is Kind.NAME and t.text in REGISTERS:
        return SemanticToken(span, "variable", ("defaultLibrary",))
    entity = index.meant(line, t)
    if entity is not None:
        modifiers = ["definition"] * (span in index.defining) + ["readonly"] * (entity.kind == "constant")
        return SemanticToken(span, _OF_ENTITIES[entity.kind], tuple(modifiers))
    if t.kind is Kind.MNEMONIC:
        return SemanticToken(span, "macro")
    if t.kind is Kind.NAME:
        return SemanticToken(span, "type") if t.text in DECLARATION_WORDS else None
    kind = _OF_TOKENS.get(t.kind)
    return SemanticToken(span, kind) if kind is not None else None
