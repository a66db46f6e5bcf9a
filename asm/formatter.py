"""Source in columns: labels at 0, mnemonics at 8, operands at 19; waits, signals and comments in line.

Only blanks change: the tokens of every line stay, in their order, so a program assembles to the same bytes. (A label
that leaves no room for the instruction behind it gets a line of its own, and so lines count differently afterwards.)
A line that no reader could take apart stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sohu.asm.syntax import MAX_LINE
from sohu.asm.tokens import Kind, Parts, Token, operands, parts, scan

CODE = 8  # column of mnemonics and directives
OPERANDS = 19  # of an instruction's operands
ARGUMENTS = 16  # of a directive's
_WIDEST = 64  # code that is wider does not push the waits and signals of its neighbours aside
_WIDEST_SYNC = 28
_WIDEST_LINE = 88  # the same for comments
_COMMENTS = 40  # comments do not begin before this column
_TAB = 8  # and are put at a multiple of this one
_ALIGNED = {".param": 3, ".tile": 3, ".equ": 1, ".set": 1}  # how many arguments of neighbours are put in columns


@dataclass(slots=True)
class _Line:
    """One line, taken apart. `kept` is the line itself where nothing is to be changed."""

    kept: str | None = None
    labels: str = ""
    op: str = ""
    arguments: list[str] = field(default_factory=list)
    wait: str = ""
    signal: str = ""
    comment: str = ""
    indent: int = 0  # column at which the line began
    code: str = ""  # all up to waits and signals

    @property
    def is_code(self) -> bool:
        """True unless there is nothing but a comment."""
        return self.kept is not None or bool(self.labels or self.op)


def format_source(text: str) -> str:
    """The source in columns. The end of lines is that of the first one; an empty text stays empty."""
    end = "\r\n" if "\r\n" in text.partition("\n")[0] + "\n" else "\n"
    blocks: list[list[_Line]] = [[]]
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if not line.strip(" \t\f\r"):
            if blocks[-1]:
                blocks.append([])
        else:
            blocks[-1] += _read(line)
    shown = ["".join(f"{line}{end}" for line in _block(block)) for block in blocks if block]
    return end.join(shown)


def _read(line: str) -> list[_Line]:
    """A line, or two where its labels get one for themselves."""
    kept = [_Line(kept=line)]
    if len(line) > MAX_LINE:
        return kept
    tokens = scan(line)
    if any(t.kind is Kind.ERROR for t in tokens):
        return kept
    p = parts(tokens)
    if p.op is None and p.operands:
        return kept
    labels = " ".join(_labels(p.labels))
    comment = p.comment.text.rstrip(" \t\f\r") if p.comment else ""
    if p.op is None:
        return [_Line(labels=labels, comment=comment, indent=tokens[0].start)]
    clauses = [(c[0].text, _clause(c)) for c in p.sync]
    if len({word for word, _ in clauses}) < len(clauses):
        return kept
    found = dict(clauses)
    out = _Line("", labels, p.op.text, _arguments(p), found.get("wait", ""), found.get("signal", ""), comment)
    out.kept = None
    whole = " ".join((out.labels, out.op, ", ".join(out.arguments), *(text for _, text in clauses), comment))
    if [t.text for t in scan(whole)] != [t.text for t in tokens if t is not p.comment] + [comment] * bool(comment):
        return kept  # blanks were all that kept two tokens apart
    if not labels or len(labels) < CODE:
        return [out]
    out.labels = ""
    return [_Line(labels=labels), out]


def _labels(tokens: list[Token]) -> Iterator[str]:
    name = ""
    for t in tokens:
        name += t.text
        if t.text == ":":
            yield name
            name = ""


def _arguments(p: Parts) -> list[str]:
    return [_text(run) for run in operands(p.operands)] + [""] * (bool(p.operands) and p.operands[-1].text == ",")


def _clause(tokens: list[Token]) -> str:
    """`wait s0>=x5`: no blanks around the operator that compares or adds."""
    rest = tokens[1:]
    at = next((i for i, t in enumerate(rest) if t.text in (">=", "+=")), None)
    if at is None:
        return f"{tokens[0].text} {_text(rest)}".rstrip()
    return f"{tokens[0].text} {_text(rest[:at])}{rest[at].text}{_text(rest[at + 1 :])}"


def _text(tokens: list[Token]) -> str:
    """Tokens with the blanks between them that the author wrote, one at most, and none inside brackets or at `=`."""
    out: list[str] = []
    before: Token | None = None
    for t in tokens:
        if before is not None:
            bare = before.text in ("[", "(", "=") or t.text in (",", "]", ")", "=")
            if before.text == "," or (not bare and before.end < t.start):
                out.append(" ")
        out.append(t.text)
        before = t
    return "".join(out)


def _block(lines: list[_Line]) -> Iterator[str]:
    """Lines without a blank one between them, in columns."""
    _align_arguments(lines)
    for line in lines:
        line.code = _code(line)
    synced = [line for line in lines if line.wait or line.signal]
    widths = [len(line.code) for line in synced if len(line.code) <= _WIDEST]
    sync = max(widths, default=0) + 2
    waits = [len(line.wait) for line in synced if line.wait and len(line.wait) <= _WIDEST_SYNC]
    signal = sync + max(waits) + 2 if waits else sync
    shown = []
    for line in lines:
        text = line.code
        for column, clause in ((sync, line.wait), (signal, line.signal)):
            if clause:
                text = f"{text:<{max(column, len(text) + 2)}}{clause}"
        shown.append(text)
    commented = [len(t) for t, line in zip(shown, lines, strict=True) if line.comment and line.is_code]
    comments = max([w for w in commented if w <= _WIDEST_LINE], default=0) + 2
    comments = max(_COMMENTS, -(-comments // _TAB) * _TAB)
    trailing = False
    for text, line in zip(shown, lines, strict=True):
        if not line.comment:
            trailing = False
            yield text
        elif line.is_code:
            trailing = True
            yield f"{text:<{max(comments, len(text) + 2)}}{line.comment}"
        elif trailing and line.indent > ARGUMENTS:  # it goes on with what the line above says
            yield " " * comments + line.comment
        else:
            trailing = False
            yield " " * (CODE if line.indent else 0) + line.comment


def _code(line: _Line) -> str:
    if line.kept is not None:
        return line.kept
    text = line.labels
    if line.op:
        text = f"{text:<{CODE}}{line.op}"
    arguments = ", ".join(line.arguments).rstrip()
    if arguments:
        column = ARGUMENTS if line.op.startswith(".") else OPERANDS
        text = f"{text:<{max(column, len(text) + 1)}}{arguments}"
    return text


def _align_arguments(lines: list[_Line]) -> None:
    """Put the first arguments of neighbouring declarations of one kind in columns."""
    start = 0
    while start < len(lines):
        op = lines[start].op
        end = start + 1
        while end < len(lines) and lines[end].op == op and not lines[end].labels:
            end += 1
        rows = [line.arguments for line in lines[start:end]]
        for column in reversed(range(_ALIGNED.get(op, 0))):
            followed = [row for row in rows if len(row) > column + 1]  # the last argument needs no room behind it
            width = max((len(row[column]) for row in followed), default=0)
            for row in followed:
                row[column + 1] = " " * (width - len(row[column])) + row[column + 1]
        start = end
