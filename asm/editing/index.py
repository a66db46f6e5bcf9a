"""The names of a source: which there are, where each is defined, and where it is used."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

from sohu.asm.directives import DIRECTIVES
from sohu.asm.lexer import DECLARATION_WORDS
from sohu.asm.names import REGISTERS, is_name
from sohu.asm.syntax import MAX_LINE
from sohu.asm.tokens import Kind, Parts, Token, parts, scan
from sohu.isa import ROWS, SohuError

EntityKind = Literal[
    "label", "kernel", "param", "tile", "semaphore", "constant", "dimension", "register", "macro", "external"
]

_DECLARES: dict[str, EntityKind] = {
    ".kernel": "kernel", ".param": "param", ".tile": "tile", ".sem": "semaphore", ".equ": "constant",
    ".set": "constant", ".equiv": "constant", ".reg": "register", ".dim": "dimension",
    ".macro": "macro", ".extern": "external",
}  # fmt: skip
_OF_KERNELS = {"param", "tile", "semaphore", "dimension", "register"}
assert set(_DECLARES) <= set(DIRECTIVES)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Columns [start, end) of a line."""

    line: int
    start: int
    end: int


@dataclass(slots=True)
class Entity:
    """What a name stands for. `kernel` is the kernel that declares it, "" for names of the whole file."""

    kind: EntityKind
    name: str
    kernel: str
    definitions: list[Span]
    uses: list[Span]
    last_line: int = 0  # of a kernel


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A token of the source, and what it stands for, if that is known."""

    token: Token
    span: Span
    entity: Entity | None


class Index:
    """A source, read for an editor."""

    def __init__(self, text: str) -> None:
        self.lines = [line.removesuffix("\r") for line in text.split("\n")]
        self.tokens = [scan(line) if len(line) <= MAX_LINE else [] for line in self.lines]
        self.parts: list[Parts] = [parts(tokens) for tokens in self.tokens]
        self.entities: dict[tuple[str, str], Entity] = {}  # by kernel (or "") and name
        self.kernels: list[Entity] = []
        self.defining: set[Span] = set()  # all places where something is defined
        self._numeric: dict[str, list[Span]] = {}
        self._define()
        self._kernel_lines = [k.definitions[0].line for k in self.kernels]
        self._use()

    # -- reading ---------------------------------------------------------------------------------

    def _define(self) -> None:
        kernel: Entity | None = None
        for line, p in enumerate(self.parts):
            plain = not any(t.kind is Kind.SUBSTITUTION for t in p.labels)
            for t in p.labels:
                span = Span(line, t.start, t.end)
                if t.kind is Kind.LABEL and t.text[0].isdigit():
                    self._numeric.setdefault(t.text, []).append(span)
                elif t.kind is Kind.LABEL and plain:
                    self._add("label", t.text, "", span)
            op = p.op.text if p.op is not None else ""
            if op in (".kernel", ".endkernel") and kernel is not None:
                kernel.last_line = max(kernel.definitions[0].line, line - (op == ".kernel"))
                kernel = None
            kind = _DECLARES.get(op)
            names = [t for t in p.operands if t.kind is Kind.NAME]
            if kind is None or not names or names[0] is not p.operands[0]:
                continue
            inside = kernel.name if kernel is not None and kind in _OF_KERNELS else ""
            span = Span(line, names[0].start, names[0].end)
            entity = self._add(kind, names[0].text, inside, span)
            if kind == "kernel":
                kernel = entity
                entity.last_line = len(self.lines) - 1
                self.kernels.append(entity)
            if kind == "param":
                for t in _in_brackets(p.operands):
                    known = {("", t.text), (inside, t.text)} & self.entities.keys()
                    if not known and is_name(t.text):
                        self._add("dimension", t.text, inside, Span(line, t.start, t.end))

    def _add(self, kind: EntityKind, name: str, kernel: str, span: Span) -> Entity:
        entity = self.entities.setdefault((kernel, name), Entity(kind, name, kernel, [], []))
        if entity.kind == "external":
            entity.kind = kind
        entity.definitions.append(span)
        self.defining.add(span)
        return entity

    def _use(self) -> None:
        for line, tokens in enumerate(self.tokens):
            for t in tokens:
                entity = self.meant(line, t)
                span = Span(line, t.start, t.end)
                if entity is not None and span not in self.defining:
                    entity.uses.append(span)

    def meant(self, line: int, t: Token) -> Entity | None:
        """What a token of a line stands for."""
        if t.kind is Kind.MNEMONIC:
            found = self.entities.get(("", t.text))
            return found if found is not None and found.kind == "macro" and t.text not in ROWS else None
        if t.kind is Kind.LABEL:
            return self.entities.get(("", t.text))
        if t.kind is not Kind.NAME or t.text in REGISTERS:
            return None
        op = self.parts[line].op
        if (
            op is not None
            and op.kind is Kind.DIRECTIVE
            and t.text in DECLARATION_WORDS
            and t is not _first(self.parts[line])
        ):
            return None
        return self.entities.get((self.kernel_at(line), t.text)) or self.entities.get(("", t.text))

    # -- asking ----------------------------------------------------------------------------------

    def kernel_at(self, line: int) -> str:
        """Name of the kernel that a line belongs to, or ""."""
        i = bisect_right(self._kernel_lines, line) - 1
        return self.kernels[i].name if i >= 0 and line <= self.kernels[i].last_line else ""

    def at(self, line: int, column: int) -> Occurrence | None:
        """The token at a place, or that ends there."""
        if not 0 <= line < len(self.tokens):
            return None
        touching = [t for t in self.tokens[line] if t.start <= column <= t.end]
        # of two that meet there, the one that is a word
        touching.sort(key=lambda t: (t.kind in (Kind.PUNCTUATION, Kind.OPERATOR), -t.start))
        if not touching:
            return None
        t = touching[0]
        return Occurrence(t, Span(line, t.start, t.end), self.meant(line, t))

    def visible(self, line: int) -> list[Entity]:
        """What can be named on a line: what the file defines, and the kernel around it."""
        kernel = self.kernel_at(line)
        return [e for e in self.entities.values() if e.kernel in ("", kernel)]

    def definition(self, line: int, column: int) -> list[Span]:
        """Where what stands at a place is defined."""
        found = self.at(line, column)
        if found is None:
            return []
        if found.token.kind is Kind.LOCAL:
            span = self._local(found)
            return [span] if span else []
        return found.entity.definitions if found.entity is not None else []

    def references(self, line: int, column: int, *, definitions: bool = True) -> list[Span]:
        """Where what stands at a place is named, in order."""
        found = self.at(line, column)
        if found is None or found.entity is None:
            return []
        return sorted(found.entity.uses + (found.entity.definitions if definitions else []))

    def renamed(self, line: int, column: int, name: str) -> list[Span]:
        """What to replace so that what stands at a place is called `name`; raises SohuError where that can't be."""
        found = self.at(line, column)
        if found is None or found.entity is None:
            raise SohuError("there is no name of this file here")
        entity = found.entity
        if not is_name(name) or name in ROWS or name in DIRECTIVES:
            raise SohuError(f"{name!r} is a word of the language, or no name")
        kernels = {entity.kernel} if entity.kernel else {k.name for k in self.kernels}
        if any((kernel, name) in self.entities for kernel in {"", *kernels}):
            raise SohuError(f"{name!r} stands for something else already")
        return sorted(entity.uses + entity.definitions)

    def _local(self, found: Occurrence) -> Span | None:
        number, forward = found.token.text[:-1], found.token.text[-1] == "f"
        places = self._numeric.get(number, [])
        if forward:
            return next((s for s in places if s.line > found.span.line), None)
        return next((s for s in reversed(places) if s.line <= found.span.line), None)


def _first(p: Parts) -> Token | None:
    return p.operands[0] if p.operands else None


def _in_brackets(operands: list[Token]) -> list[Token]:
    depth = 0
    out = []
    for t in operands:
        depth += (t.text == "[") - (t.text == "]")
        if depth and t.kind is Kind.NAME:
            out.append(t)
    return out
