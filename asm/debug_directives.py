"""Directives of what a compiler knows of a kernel (debuginfo.py): the last lines of a kernel, after its code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sohu.asm.debuginfo import (
    MAX_LINE,
    MAX_SIZE,
    IrOp,
    KernelDebug,
    Location,
    Place,
    Run,
    ScalarType,
    Scope,
    Variable,
    constant,
    wrong,
)
from sohu.asm.diagnostics import Mistake
from sohu.asm.directives import EXPRESSION, Arguments, directive
from sohu.asm.syntax import Ref, Statement, Text
from sohu.isa import INSTRUCTION_BYTES

if TYPE_CHECKING:
    from sohu.asm.assembler import Assembler

_MOST = 1 << 20  # functions, operations


@dataclass
class Described:
    """The description of one kernel while it is read."""

    size: int  # instructions, as its author counted them
    line: int
    span: tuple[int, int]
    scopes: dict[int, Scope]
    scope_runs: list[Run] = field(default_factory=list)
    ops: dict[int, str] = field(default_factory=dict)
    op_runs: list[tuple[int, int, int]] = field(default_factory=list)  # by number, not place
    variables: dict[tuple[str, int], list[Place]] = field(default_factory=dict)

    def made(self, entry: int) -> KernelDebug:
        """The description of a kernel that begins at `entry`."""
        ops = {number: at for at, number in enumerate(self.ops)}
        return KernelDebug(
            entry,
            self.size,
            tuple(self.scopes.values()),
            tuple(sorted(self.scope_runs)),
            tuple(IrOp(number, text) for number, text in self.ops.items()),
            tuple(sorted(Run(start, end, ops[number]) for start, end, number in self.op_runs)),
            tuple(Variable(n, s, tuple(sorted(p, key=lambda p: p.start))) for (n, s), p in self.variables.items()),
        )


def describe(asm: Assembler, entry: int, end: int) -> None:
    """Take what was said of the kernel at hand, whose code is [entry, end)."""
    assert asm.scope is not None
    said = asm.scope.described
    if said is None:
        return
    have = (end - entry) // INSTRUCTION_BYTES
    if said.size != have:
        why = f"this speaks of {said.size} instructions, but kernel {asm.scope.name} has {have}: it is left out"
        help = "compile the kernel again, or take these lines away"
        asm.errors.add(Mistake("W002", why, said.span, help=help), said.line)
        return
    made = said.made(entry)
    if why := wrong(made):
        asm.errors.add(Mistake("A044", f".debug: {why}", said.span), said.line)
        return
    asm.described.append(made)


@directive(".debug")
def debug(asm: Assembler, st: Statement) -> None:
    """.debug INSTRUCTIONS, "FUNCTION", FILE, LINE

    After a kernel's code: which function it was compiled from, and where that begins; FILE is the number of a .file.
    Further directives say more. They count the kernel's instructions from its first, 0, with those of the prologue;
    [a, b, c, d] are the instructions from a up to, not including, b, and from c up to d. Where the kernel does not
    have as many instructions as are said here, someone has changed it, and they are left out (W002).
    """
    args = Arguments(asm, st)
    scope = asm.kernel_of(args.op)
    size = args.integer("the number of instructions", 1, MAX_SIZE)
    own = Scope(*_function(asm, args))
    args.done()
    if scope.described is not None:
        note = ("it was described", scope.described.line)
        raise Mistake("A021", f"kernel {scope.name} is described twice", args.op.span, notes=(note,))
    scope.described = Described(size, asm.line, args.op.span, {0: own})


@directive(".inlined")
def inlined(asm: Assembler, st: Statement) -> None:
    """.inlined NUMBER, CALLER, "FUNCTION", FILE, LINE, [FILE, LINE, COLUMN], [START, END, ...]

    A function that was put in place of a call, where the function begins, where the call stands, and what code is its
    own, without that of functions that were put into it. CALLER is the number of the function that calls it, 0 for
    the kernel. Numbers count from 1. The same again adds code to it.
    """
    args = Arguments(asm, st)
    said = _described(asm, args)
    number = args.integer("its number", 1, _MOST)
    parent = args.integer("its caller's number", 0, number - 1)
    function = _function(asm, args)
    place = args.list("file, line and column of the call")
    if len(place.items) != 3:
        raise args.bad("expected file, line and column of the call", place.span)
    file = _file(asm, args, args.whole(place.items[0], "a file's number", 0, MAX_LINE), place.span)
    line = args.whole(place.items[1], "a line", 1, MAX_LINE)
    column = args.whole(place.items[2], "a column", 0, MAX_LINE)
    scope = Scope(*function, parent, (file, line, column))
    if said.scopes.get(number, scope) != scope or number > len(said.scopes):
        raise args.bad(f"{number} is another function already, or does not follow the one before", args.op.span)
    said.scopes[number] = scope
    said.scope_runs += [Run(a, b, number) for a, b in _code(args)]
    args.done()


@directive(".op")
def op(asm: Assembler, st: Statement) -> None:
    """.op NUMBER, "TEXT", [START, END, ...]

    An operation of the compiler's IR, its line there, and its code. The same again adds code to it.
    """
    args = Arguments(asm, st)
    said = _described(asm, args)
    number = args.integer("its number", 1, MAX_LINE)
    node = args.text("its text")
    text = _text(args, node)
    if said.ops.get(number, text) != text or number < next(reversed(said.ops), 0):
        raise args.bad(f"{number} is another operation already, or comes before the last one", args.op.span)
    said.ops[number] = text
    said.op_runs += [(a, b, number) for a, b in _code(args)]
    args.done()


@directive(".var")
def var(asm: Assembler, st: Statement) -> None:
    """.var "NAME", FUNCTION, PLACE, [START, END, ...] [, offset=BYTES] [, type=f32]

    Where a variable of a function (0: the kernel's own) is before these instructions. PLACE is tN for the tile whose
    descriptor is there, xN for a scalar, or a number that it always is; with offset=, the scalar is in HBM, so many
    bytes after the address in xN. Scalars are i64, or f32. The same again says where it is at other times.
    """
    args = Arguments(asm, st)
    said = _described(asm, args)
    node = args.text("the variable's name")
    name = _text(args, node)
    scope = args.integer("its function's number", 0, _MOST)
    place = _place(asm, args)
    said.variables.setdefault((name, scope), []).extend(Place(a, b, place) for a, b in _code(args))
    args.done()


def _described(asm: Assembler, args: Arguments) -> Described:
    scope = asm.kernel_of(args.op)
    if scope.described is None:
        raise Mistake("A030", f"{args.op.name} without a .debug before it", args.op.span, help="say .debug first")
    return scope.described


def _function(asm: Assembler, args: Arguments) -> tuple[str, str, int]:
    name = _text(args, args.text("the function's name"))
    node = args.rest[0] if args.rest else args.op
    file = _file(asm, args, args.integer("a file's number", 0, MAX_LINE), node.span)
    return name, file, args.integer("a line", 1, MAX_LINE)


def _file(asm: Assembler, args: Arguments, number: int, span: tuple[int, int]) -> str:
    found = asm.files.get(number)
    if found is None:
        raise args.bad(f"no .file has the number {number}", span)
    return found


def _text(args: Arguments, node: Text) -> str:
    try:
        text = node.value.decode()
    except UnicodeDecodeError:
        raise args.bad("this is no UTF-8", node.span) from None
    if "\0" in text:
        raise args.bad("a zero in a text", node.span)
    return text


def _code(args: Arguments) -> list[tuple[int, int]]:
    """Pairs of a first instruction and the one after the last."""
    node = args.list("instructions")
    if len(node.items) % 2:
        raise args.bad("expected pairs of a first instruction and the one after the last", node.span)
    numbers = [args.whole(i, "an instruction's number", 0, MAX_SIZE) for i in node.items]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _place(asm: Assembler, args: Arguments) -> Location:
    offset, kind = args.option("offset"), args.option("type")
    number_type: ScalarType = "i64"
    if kind is not None:
        if not isinstance(kind, Ref) or kind.name not in ("i64", "f32"):
            raise args.bad("type= takes i64 or f32", kind.span)
        number_type = "f32" if kind.name == "f32" else "i64"
    node = args.next("its place")
    found = asm.register(node.name) if isinstance(node, Ref) else None
    if found is not None and found[0] == "t" and offset is None and kind is None:
        return Location("tile", found[1])
    if found is not None and found[0] == "x":
        if offset is None:
            return Location("register", found[1], number_type)
        return Location("memory", found[1], number_type, args.whole(offset, "the offset", -(1 << 63), (1 << 63) - 1))
    if found is None and isinstance(node, EXPRESSION) and offset is None and kind is None:
        value = asm.constant(node)
        if isinstance(value, float) or -(1 << 63) <= value < 1 << 63:
            return constant(value)
    raise args.bad("no variable can be there", node.span)
