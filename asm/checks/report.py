"""From what the checks find to warnings with a line and a caret."""

from __future__ import annotations

import re
from collections import Counter
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from sohu.asm.checks import Code, Declaration, findings
from sohu.asm.diagnostics import MAX_ERRORS, Mistake
from sohu.asm.link import link
from sohu.asm.objects import Object, ObjectSymbol
from sohu.asm.operands import operand_span
from sohu.asm.syntax import parse_line
from sohu.isa import INSTRUCTION_BYTES, ROWS, Flow, Inst, encode

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler

_MOST_LINES = 50_000  # of a source in which uses of labels are looked for
_WORD = re.compile(r"\.?[^\W\d][\w.]*+(?!\s*:)")
_RETURN = encode(Inst(next(row for row in ROWS if row.flow is Flow.RET), ())).to_bytes(INSTRUCTION_BYTES, "little")


def report(asm: Assembler, found: Object) -> None:
    """Run the checks that -W flags want over what was assembled; what they find goes to `asm.errors`."""
    policy = asm.errors.policy
    if not found.text or policy.silent:
        return
    missing = [s.name for s in found.symbols.values() if not s.is_defined]
    program = link([found, *_outside(missing)])
    outside = len(found.text) // INSTRUCTION_BYTES
    labels = _labels(asm) if policy.severity("W050") else {}
    counts: Counter[str] = Counter()
    for finding in findings(
        Code(program, outside, labels, partial(_named, asm)), lambda code: policy.severity(code) is not None
    ):
        counts[finding.code] += 1
        if counts[finding.code] > MAX_ERRORS:
            break
        line, span = _place(asm, finding.at, finding.operand)
        notes = tuple((text, _place(asm, at, "")[0] if at is not None else 0) for text, at in finding.notes)
        asm.errors.add(Mistake(finding.code, finding.message, span, help=finding.help, notes=notes), line)


def _outside(names: list[str]) -> list[Object]:
    """An object that defines these names, each as a function that returns: what another file has may do anything."""
    if not names:
        return []
    symbols = {name: ObjectSymbol(name, "text", i * INSTRUCTION_BYTES, "global") for i, name in enumerate(names)}
    return [Object("<outside>", text=_RETURN * len(names), symbols=symbols)]


def _place(asm: Assembler, at: int | Declaration, operand: str) -> tuple[int, tuple[int, int]]:
    """The line that is meant (its number in Sources), and the columns that are marked."""
    if isinstance(at, Declaration):
        if not at.kernel:
            line = asm.labels[at.name].line
            return line, _found(asm.sources.text(line), at.name)
        scope = next(scope for scope, _ in asm.scopes if scope.name == at.kernel)
        declared = scope.declared[at.name]
        return declared.line, declared.span
    line = asm.word_lines[at]
    column = max(asm.word_columns[at] - 1, 0)
    text = asm.sources.text(line)
    return line, _span(text, column, operand)


def _span(text: str, column: int, operand: str) -> tuple[int, int]:
    """The columns of an instruction's operand, or of its mnemonic."""
    try:
        st = parse_line(text)
    except Mistake:  # the prologue comes from the line of .kernel, with whatever is on it
        return column, column + 1
    if st.op is None:
        return column, column + 1
    clause = next((c.span for c in st.sync if c.kind == operand), None)
    row = ROWS.by_mnemonic.get(st.op.name)
    own = operand_span(row, st.args, operand) if row is not None and operand else None
    return clause or own or st.op.span


def _labels(asm: Assembler) -> dict[str, int | None]:
    """Labels of the source that no other file sees: in .text at which instruction, or None. Of long sources none."""
    if asm.sources.next > _MOST_LINES:
        return {}
    others = {scope.name for scope, _ in asm.scopes}.union(asm.globals, asm.weak)
    return {
        name: place.offset // INSTRUCTION_BYTES if place.section == "text" else None
        for name, place in asm.labels.items()
        if name not in others
    }


def _named(asm: Assembler) -> set[str]:
    """The words of the source that are no labels; those of comments too."""
    lines = asm.sources.lines()
    words: set[str] = set()
    while part := list(islice(lines, 1000)):
        words.update(_WORD.findall("\n".join(part)))
    return words


def _found(text: str, name: str) -> tuple[int, int]:
    at = max(text.find(name), 0)
    return at, at + len(name)
