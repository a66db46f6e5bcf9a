"""Source operands -> the values of instructions. What an operand may be follows from its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from sohu.asm.diagnostics import Mistake
from sohu.asm.names import FILES, REGISTERS, SIZES, RegisterFile, file_of, reserved
from sohu.asm.syntax import Argument, Call, Const, Expression, List, LocalRef, Operation, Pair, Ref, Sync, Text
from sohu.isa import Label, Reg, Row, Signal, Wait
from sohu.isa.operands import XFI, XI, FImm, Imm, Kind, Sem, Str, T, X


class Scope(Protocol):
    """What operands look up: the assembler, at one place of the source."""

    def register(self, name: str) -> tuple[RegisterFile, int] | None:
        """A register by its own name or by one that the kernel gave it."""

    def is_defined(self, name: str) -> bool:
        """True for labels and constants defined so far."""

    def constant(self, node: Expression) -> int | float:
        """The value of an expression without labels; raises Mistake."""

    def string(self, data: bytes) -> int:
        """Keep a string for .rodata; returns its offset in the section of strings."""

    def suggest(self, name: str, file: RegisterFile | None = None) -> str:
        """Help for a name that means nothing: a similar one (of a register file, or a label or constant)."""


@dataclass(slots=True)
class Deferred:
    """An operand whose value is known once all labels have addresses."""

    node: Expression
    meaning: Literal["int", "float", "label"]
    text: str = ""  # the operand's name and kind, for messages


@dataclass(slots=True)
class Pooled:
    """A string operand: offset in the section of strings."""

    offset: int


Reader = Callable[[Scope, Argument, Kind, str], Any]


def reader(kind: Kind) -> Reader:
    """The function that reads operands of this kind: (scope, node, kind, what it is called in messages) -> value."""
    for base, read in _READERS:
        if isinstance(kind, base):
            return read
    raise TypeError(f"no syntax for operand kind {type(kind).__name__}")  # a kind that this file must learn


def usage(row: Row) -> str:
    """How an instruction is written: `vosm p, s, m, l, o, scale, qpos, kpos, causal=0`."""
    operands = [o.name + (f"={o.kind.format(o.default)}" if o.keyword else "") for o in row.operands]
    return " ".join([row.mnemonic, ", ".join(operands)]).rstrip()


def describe(scope: Scope, node: Argument) -> str:
    """What a person would call this operand."""
    if isinstance(node, Const):
        return f"{'number' if isinstance(node.value, float) else 'integer'} {node.value}"
    if isinstance(node, Ref):
        if (found := scope.register(node.name)) is not None:
            file, index = found
            own = f"{file}{index}"
            return f"{FILES[file]} {own}" + (f" ({node.name})" if node.name != own else "")
        return f"name {node.name!r}"
    if isinstance(node, Text):
        return "a string"
    if isinstance(node, List):
        return "a list"
    return "an expression" if isinstance(node, (Operation, Call)) else "a label"


def wrong(scope: Scope, node: Argument, kind: Kind, name: str) -> Mistake:
    """The Mistake for an operand of another kind than wanted, or for a name that means nothing."""
    if isinstance(node, Ref) and scope.register(node.name) is None:
        if (spoken := file_of(node.name)) is not None:
            last = f"{spoken}{SIZES[spoken] - 1}"
            return Mistake("A020", f"there is no {node.name}: {spoken}0..{last}", node.span)
        file = _file(kind)
        if file is not None and not scope.is_defined(node.name):
            hint = scope.suggest(node.name, file)
            return Mistake("A020", f"no {FILES[file]} is called {node.name!r}", node.span, help=hint)
    return Mistake("A013", f"{name}: expected {kind.syntax}, found {describe(scope, node)}", node.span)


def _file(kind: Kind) -> RegisterFile | None:
    if isinstance(kind, X):
        return "x"
    if isinstance(kind, T):
        return "t"
    return "s" if isinstance(kind, Sem) else None


def _of(file: RegisterFile) -> Reader:
    def read(scope: Scope, node: Argument, kind: Kind, name: str) -> int:
        if isinstance(node, Ref):
            found = REGISTERS.get(node.name) or scope.register(node.name)
            if found is not None and found[0] == file:
                return found[1]
        raise wrong(scope, node, kind, name)

    return read


def _number(scope: Scope, node: Argument, kind: Kind, name: str) -> Any:
    whole = not isinstance(kind, (XFI, FImm))
    if isinstance(node, Const):
        if whole and isinstance(node.value, float):
            raise wrong(scope, node, kind, name)
        return node.value
    if isinstance(node, (Ref, LocalRef, Operation, Call)) and _no_register(scope, node):
        return Deferred(node, "int" if whole else "float", name)
    raise wrong(scope, node, kind, name)


def _no_register(scope: Scope, node: Expression) -> bool:
    return not isinstance(node, Ref) or (scope.register(node.name) is None and not reserved(node.name))


def _register_or_number(scope: Scope, node: Argument, kind: Kind, name: str) -> Any:
    if isinstance(node, Ref):
        found = REGISTERS.get(node.name) or scope.register(node.name)
        if found is not None and found[0] == "x":
            return Reg(found[1])
    return _number(scope, node, kind, name)


def _label(scope: Scope, node: Argument, kind: Kind, name: str) -> Deferred:
    if isinstance(node, LocalRef | Operation | Call) or (isinstance(node, Ref) and not reserved(node.name)):
        return Deferred(node, "label", name)
    help = "for a distance, write .+16" if isinstance(node, Const) else ""
    mistake = wrong(scope, node, kind, name)
    mistake.help = mistake.help or help
    raise mistake


def _string(scope: Scope, node: Argument, kind: Kind, name: str) -> Any:
    if isinstance(node, Text):
        try:
            node.value.decode()
        except UnicodeDecodeError:
            raise Mistake("A014", f"{name}: this string is no UTF-8", node.span) from None
        if b"\0" in node.value:
            raise Mistake("A014", f"{name}: a zero ends the string early", node.span)
        return Pooled(scope.string(node.value))
    return _number(scope, node, kind, name)


_READERS: tuple[tuple[type[Kind], Reader], ...] = (
    (Label, _label),
    (Str, _string),
    (Sem, _of("s")),
    (T, _of("t")),
    (XI, _register_or_number),
    (X, _of("x")),
    (FImm, _number),
    (Imm, _number),
)  # XFI is an XI


def read_sync(scope: Scope, clauses: list[Sync]) -> tuple[Wait | None, Signal | None]:
    """`wait` and `signal` of one instruction; raises Mistake."""
    wait: Wait | None = None
    signal: Signal | None = None
    for c in clauses:
        if (wait if c.kind == "wait" else signal) is not None:
            help = "put the second one on an instruction of its own, in the same queue"
            raise Mistake("A016", f"an instruction has at most one {c.kind}", c.span, help=help)
        sem = _SEMAPHORE(scope, c.sem, _SEM, c.kind)
        if c.kind == "wait":
            assert c.value is not None
            wait = Wait(sem, *_threshold(scope, c.value))
        else:
            signal = Signal(sem, 1 if c.value is None else _whole(scope, c.value))
    return wait, signal


_SEM, _X = Sem(), X()
_SEMAPHORE = _of("s")


def _whole(scope: Scope, node: Expression) -> int:
    value = scope.constant(node)
    if isinstance(value, float):
        raise Mistake("A013", f"expected an integer, found {value}", node.span)
    return value


def _threshold(scope: Scope, node: Expression) -> tuple[int, int]:
    """`x20+3-1` -> (20, 2); `5` -> (0, 5)."""
    if isinstance(node, Const):
        return 0, _whole(scope, node)
    if isinstance(node, Ref) and (found := scope.register(node.name)) is not None:
        if found[0] != "x":
            raise wrong(scope, node, _X, "wait")
        return found[1], 0
    if isinstance(node, Operation) and len(node.operands) == 2 and node.op in "+-":
        a, b = node.operands
        reg, imm = _threshold(scope, a)
        if reg:
            more = _whole(scope, b)
            return reg, imm + more if node.op == "+" else imm - more
    return 0, _whole(scope, node)


def operand_span(row: Row, args: list[Argument], name: str) -> tuple[int, int] | None:
    """Where operand `name` stands among the arguments of an instruction."""
    position = 0
    for o in row.operands:
        if o.name == name:
            if o.keyword:
                return next((a.value.span for a in args if isinstance(a, Pair) and a.name.name == name), None)
            return args[position].span
        position += not o.keyword
    return None
