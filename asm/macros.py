"""Macros and repetitions: `.macro`, `.rept`, `.irp`, `.irpc`. All of them put text in place of text, as GNU as does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.asm.diagnostics import Mistake
from sohu.asm.directives import DIRECTIVES, Arguments, directive
from sohu.asm.names import is_name, nearest
from sohu.asm.pieces import Piece, split
from sohu.asm.preprocess import Body
from sohu.asm.syntax import Ref, Statement
from sohu.isa import ROWS

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler

_REPETITIONS = (".rept", ".irp", ".irpc")

# Directives that take the lines up to their end: which of them can stand within one another, and the end.
BODIES: dict[str, tuple[tuple[str, ...], str]] = {".macro": ((".macro",), ".endm")} | dict.fromkeys(
    _REPETITIONS, (_REPETITIONS, ".endr")
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a macro."""

    name: str
    default: str = ""
    required: bool = False
    rest: bool = False  # takes all arguments that are left


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro, and the line that begins its definition. `broken`: the definition is wrong; calls do nothing."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Body
    line: int
    broken: bool = False


# -- macros --------------------------------------------------------------------------------------

_PARAMETER = re.compile(r"([^\W\d]\w*)\s*(?::\s*(req|vararg))?\s*(?:=\s*(.*))?", re.DOTALL)


@directive(".macro")
def macro(asm: Assembler, st: Statement) -> None:
    """.macro NAME [PARAMETER[=DEFAULT | :req | :vararg], ...]

    The lines up to .endm, with a name. Where a line calls it, it reads as those lines, with the arguments in place of
    backslash and parameter; \\@ is the number of the call, \\() stands for nothing.
    """
    args = Arguments(asm, st)
    body = asm.reader.take(asm.line, *BODIES[".macro"], args.op.span)
    raw = args.raw()
    found = re.match(r"(\.?[^\W\d][\w.]*)\s*,?\s*", raw.text)
    if found is None:
        raise args.bad("the macro's name is missing", raw.span)
    name = Ref(found[1], raw.start, raw.start + len(found[1]))
    if (old := asm.macros.get(name.name)) is not None:
        note = ("it was defined", old.line)
        help = ".purgem forgets it"
        raise Mistake("A021", f"macro {name.name!r} is defined twice", name.span, notes=(note,), help=help)
    asm.macros[name.name] = Macro(name.name, (), body, asm.line, broken=True)
    if name.name in ROWS.by_mnemonic or name.name in DIRECTIVES or not is_name(name.name):
        del asm.macros[name.name]
        what = "an instruction" if name.name in ROWS.by_mnemonic else "a word of the language"
        raise Mistake("A022", f"{name.name!r} is {what} and can't be a macro", name.span)
    parameters = tuple(_parameters(args, split(raw.text[found.end() :], raw.start + found.end())))
    asm.macros[name.name] = Macro(name.name, parameters, body, asm.line)


def _parameters(args: Arguments, pieces: list[Piece]) -> Iterator[Parameter]:
    seen: set[str] = set()
    for i, piece in enumerate(pieces):
        found = _PARAMETER.fullmatch(piece.text)
        if found is None:
            raise args.bad("expected a parameter", piece.span, "A053")
        name, how, default = found.groups()
        if name in seen:
            raise args.bad(f"parameter {name!r} is there twice", piece.span, "A053")
        seen.add(name)
        if how == "vararg" and i + 1 < len(pieces):
            raise args.bad("nothing can come after the parameter that takes all the rest", pieces[i + 1].span, "A053")
        if how == "req" and default:
            raise args.bad(f"{name!r} must be given: it has no use for a default", piece.span, "A053")
        yield Parameter(name, default or "", how == "req", how == "vararg")


def call(asm: Assembler, macro: Macro, st: Statement) -> None:
    """A line that calls a macro; raises Mistake."""
    args = Arguments(asm, st)
    if macro.broken:
        return
    raw = args.raw()
    values = _arguments(macro, raw, split(raw.text, raw.start))
    values["@"] = str(asm.reader.calls)
    asm.reader.calls += 1
    body = asm.reader.substitute(macro.body, [values], args.op.span)
    asm.reader.push(body, asm.line, f"in expansion of macro {macro.name!r}", args.op.span, macro=True)


def _arguments(macro: Macro, raw: Piece, pieces: list[Piece]) -> dict[str, str]:
    names = {p.name: p for p in macro.parameters}
    values: dict[str, str] = {}
    positional = list(macro.parameters)
    keyword = False
    for piece in pieces:
        found = re.match(r"([^\W\d]\w*)\s*=(?!=)\s*", piece.text)
        if found is not None and found[1] in names and not names[found[1]].rest:
            name, keyword = found[1], True
            if name in values:
                raise _wrong(macro, f"argument {name!r} is given twice", piece.span)
            values[name] = Piece(piece.text[found.end() :], 0, 0).value()
            continue
        if keyword:
            raise _wrong(macro, "an argument without a name comes after one with a name", piece.span)
        if not positional:
            count = len(macro.parameters)
            takes = f"{count} argument{'s' if count != 1 else ''}" if count else "no arguments"
            raise _wrong(macro, f"macro {macro.name!r} takes {takes}", piece.span)
        parameter = positional.pop(0)
        if parameter.rest:  # as it stands, quotes too
            values[parameter.name] = raw.text[piece.start - raw.start :]
            break
        values[parameter.name] = piece.value()
    for p in macro.parameters:
        if not values.get(p.name):
            if p.required:
                raise _wrong(macro, f"argument {p.name!r} is missing", (raw.end, raw.end + 1))
            values[p.name] = Piece(p.default, 0, 0).value()
    return values


def _wrong(macro: Macro, why: str, span: tuple[int, int]) -> Mistake:
    shown = ", ".join(
        p.name + (":req" if p.required else ":vararg" if p.rest else f"={p.default}" if p.default else "")
        for p in macro.parameters
    )
    notes = (("the macro was defined", macro.line),)
    return Mistake("A054", why, span, help=f"write: {macro.name} {shown}".rstrip(), notes=notes)


@directive(".purgem")
def purgem(asm: Assembler, st: Statement) -> None:
    """.purgem NAME, ...

    Forget macros.
    """
    args = Arguments(asm, st)
    while True:
        name = args.name("a macro")
        if name.name not in asm.macros:
            hint = nearest(name.name, asm.macros)
            raise Mistake("A020", f"no macro is called {name.name!r}", name.span, help=hint)
        del asm.macros[name.name]
        if not args.rest:
            break
    args.done()


@directive(".exitm")
def exitm(asm: Assembler, st: Statement) -> None:
    """.exitm

    Leave the macro that is being expanded.
    """
    args = Arguments(asm, st)
    args.done()
    if not asm.reader.exit_macro():
        raise Mistake("A052", ".exitm outside a macro", args.op.span)


@directive(".endm", ".endr")
def end(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE

    The end of .macro (.endm), or of .rept, .irp and .irpc (.endr).
    """
    args = Arguments(asm, st)
    of = ".macro" if args.op.name == ".endm" else ".rept, .irp or .irpc"
    raise Mistake("A052", f"{args.op.name} without {of}", args.op.span)


# -- repetitions ---------------------------------------------------------------------------------


@directive(".rept")
def rept(asm: Assembler, st: Statement) -> None:
    r""".rept COUNT

    The lines up to .endr, COUNT times over; \+ is the number of the turn, from 0.
    """
    args = Arguments(asm, st)
    body = asm.reader.take(asm.line, *BODIES[".rept"], args.op.span)
    count = args.integer("the count", 0, (1 << 63) - 1)
    args.done()
    if any("\\+" in line for line in body.lines):
        asm.reader.allow(len(body.lines) * count, 0, args.op.span)
        body, count = asm.reader.substitute(body, [{"+": str(i)} for i in range(count)], args.op.span), 1
    asm.reader.push(body, asm.line, "in .rept", args.op.span, repeat=count)


@directive(".irp", ".irpc")
def irp(asm: Assembler, st: Statement) -> None:
    r"""DIRECTIVE NAME, VALUES

    The lines up to .endr for each value of a list (.irp) or each character of a text (.irpc), with it in place of
    backslash and name; \+ is the number of the turn, from 0.
    """
    args = Arguments(asm, st)
    body = asm.reader.take(asm.line, *BODIES[args.op.name], args.op.span)
    raw = args.raw()
    name, *pieces = split(raw.text, raw.start) or [raw]
    if not re.fullmatch(r"[^\W\d]\w*", name.text):
        raise args.bad("expected a name", name.span)
    if args.op.name == ".irpc":
        values = list(pieces[0].value()) if pieces else []
        if len(pieces) > 1:
            raise args.bad("this is too much", pieces[1].span)
    else:
        values = [p.value() for p in pieces] or [""]
    turns = [{name.text: v, "+": str(i)} for i, v in enumerate(values)]
    body = asm.reader.substitute(body, turns, args.op.span)
    asm.reader.push(body, asm.line, f"in {args.op.name}", args.op.span)
