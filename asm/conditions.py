"""Conditional assembly: `.if` and its kin. What a condition sees are the values so far."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING

from sohu.asm.diagnostics import Mistake
from sohu.asm.directives import Arguments, directive
from sohu.asm.numbers import Number
from sohu.asm.pieces import split
from sohu.asm.preprocess import Condition, first_word
from sohu.asm.syntax import Ref, Statement, parse_line

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler

_COMPARED: dict[str, Callable[[Number, Number], bool]] = {
    ".if": operator.ne,
    ".ifne": operator.ne,
    ".ifeq": operator.eq,
    ".iflt": operator.lt,
    ".ifle": operator.le,
    ".ifgt": operator.gt,
    ".ifge": operator.ge,
}

CONDITIONS = {*_COMPARED, ".ifdef", ".ifndef", ".ifb", ".ifnb", ".ifc", ".ifnc"}


@directive(*_COMPARED)
def if_(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE EXPRESSION

    Read the lines up to .elseif, .else or .endif only if the expression is not 0; .ifeq: if it is 0; .iflt, .ifle,
    .ifgt, .ifge: if it is less than 0, and so on.
    """
    _begin(asm, st, lambda args: _COMPARED[args.op.name](_value(args), 0))


@directive(".ifdef", ".ifndef")
def ifdef(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE NAME

    Read what follows only if the name is defined so far (.ifdef) or not (.ifndef).
    """
    _begin(asm, st, lambda args: _is_defined(asm, args) == (args.op.name == ".ifdef"))


@directive(".ifb", ".ifnb")
def ifb(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE [TEXT]

    Read what follows only if the text, mostly a macro's argument, is blank (.ifb) or not (.ifnb).
    """
    _begin(asm, st, lambda args: (not args.raw().value()) == (args.op.name == ".ifb"))


@directive(".ifc", ".ifnc")
def ifc(asm: Assembler, st: Statement) -> None:
    """DIRECTIVE TEXT, TEXT

    Read what follows only if both texts are the same (.ifc) or not (.ifnc). Either can be in quotes.
    """
    _begin(asm, st, lambda args: _same(args) == (args.op.name == ".ifc"))


@directive(".elseif", ".else")
def else_(asm: Assembler, st: Statement) -> None:
    """.elseif EXPRESSION   or   .else

    What to read if no condition above holds, and that of .elseif does.
    """
    assert st.op is not None
    if not asm.reader.conditions:
        raise Mistake("A052", f"{st.op.name} without .if", st.op.span)
    _else(asm, asm.reader.conditions[-1], st)
    _next_branch(asm)


@directive(".endif")
def endif(asm: Assembler, st: Statement) -> None:
    """.endif

    The end of .if.
    """
    args = Arguments(asm, st)
    args.done()
    if not asm.reader.conditions:
        raise Mistake("A052", ".endif without .if", args.op.span)
    asm.reader.conditions.pop()


def _begin(asm: Assembler, st: Statement, test: Callable[[Arguments], bool]) -> None:
    args = Arguments(asm, st)
    condition = Condition(asm.line, taken=True)
    asm.reader.conditions.append(condition)  # even if it is wrong, so that its .endif is not
    condition.taken = test(args)
    args.done()
    if not condition.taken:
        _next_branch(asm)


def _next_branch(asm: Assembler) -> None:
    """Pass over lines to the next branch that is to be read, or to the end of the condition."""
    condition = asm.reader.conditions[-1]
    while True:
        number, text = asm.reader.skip()
        word = first_word(text)
        if not number:
            return  # the end of the file or macro: whoever reads on says so
        if word == ".endif":
            asm.reader.conditions.pop()
            return
        asm.line = number
        try:
            if _else(asm, condition, parse_line(text)):
                return
        except Mistake as e:
            asm.errors.add(e, number)
            condition.taken = True


def _else(asm: Assembler, condition: Condition, st: Statement) -> bool:
    """True where the branch that begins here is to be read; raises Mistake."""
    args = Arguments(asm, st)
    if condition.last:
        notes = (("the .if is", condition.line),)
        raise Mistake("A052", f"{args.op.name} after .else", args.op.span, notes=notes)
    condition.last = args.op.name == ".else"
    if condition.taken:
        return False
    condition.taken = condition.last or _value(args) != 0
    args.done()
    return condition.taken


def _value(args: Arguments) -> Number:
    return args.asm.constant(args.expression("a condition"))


def _is_defined(asm: Assembler, args: Arguments) -> bool:
    node = args.next("a name")
    if not isinstance(node, Ref):
        raise args.bad("expected a name", node.span)
    return asm.is_defined(node.name) or asm.register(node.name) is not None


def _same(args: Arguments) -> bool:
    raw = args.raw()
    pieces = split(raw.text, raw.start)
    if len(pieces) != 2:
        raise args.bad("expected two texts", raw.span)
    return pieces[0].value() == pieces[1].value()
