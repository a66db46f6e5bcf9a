"""What a compiler tells a debugger about its code, beside source lines: inlined calls, IR operations, variables.

Each kernel has one description. In it instructions are numbered from the kernel's first (which the prologue holds),
so that it means the same wherever the linker puts the kernel. `Program.debug` answers by pc.
"""

from __future__ import annotations

import functools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias

from sohu.asm.lines import Line, Lines
from sohu.isa import INSTRUCTION_BYTES

Kind = Literal["tile", "register", "memory", "constant"]
ScalarType = Literal["i64", "f32"]


@dataclass(frozen=True, slots=True)
class Location:
    """Where the value of a variable is.

    kind: "tile": the elements that the descriptor in tile register `reg` names; "register": scalar register `reg`;
    "memory": 8 bytes in HBM, `value` bytes after the address in scalar register `reg`; "constant": it is `value`.
    type: of a scalar; an f32 is in the low 32 bits of its register.
    """

    kind: Kind
    reg: int = 0
    type: ScalarType = "i64"
    value: int | float = 0

    def __str__(self) -> str:
        match self.kind:
            case "tile":
                return f"t{self.reg}"
            case "register":
                return f"x{self.reg}"
            case "memory":
                return f"[x{self.reg}{self.value:+}]"
        return str(self.value)


def constant(value: int | float) -> Location:
    """The place of a variable that always has this value. One NaN is as good as another, so there is but one."""
    if isinstance(value, float):
        return Location("constant", 0, "f32", math.nan if math.isnan(value) else value)
    return Location("constant", 0, "i64", value)


class Run(NamedTuple):
    """Instructions [start, end) of a kernel, which belong to entry `of` of a table."""

    start: int
    end: int
    of: int


class Place(NamedTuple):
    """Instructions [start, end) of a kernel before which a variable is there."""

    start: int
    end: int
    location: Location


@dataclass(frozen=True, slots=True)
class Scope:
    """A function whose code was put in place of a call; the first of a kernel is the kernel's own function.

    file, line: where it is defined. parent: index of the scope that calls it (-1: nobody). call: file, line and
    column of the call.
    """

    function: str
    file: str
    line: int
    parent: int = -1
    call: tuple[str, int, int] = ("", 0, 0)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a scope, and where it is when: `places` are in order and do not overlap."""

    name: str
    scope: int
    places: tuple[Place, ...]


class IrOp(NamedTuple):
    """An operation of the compiler's IR: its line in the text of the IR, and that line."""

    number: int
    text: str


@dataclass(frozen=True)
class KernelDebug:
    """What is known of one kernel.

    entry: its pc; size: its instructions. scope_runs: what code lies in which scope other than the first. op_runs:
    what code comes from which operation. Runs are in order and do not overlap.
    """

    entry: int
    size: int
    scopes: tuple[Scope, ...]
    scope_runs: tuple[Run, ...] = ()
    ops: tuple[IrOp, ...] = ()
    op_runs: tuple[Run, ...] = ()
    variables: tuple[Variable, ...] = ()

    @functools.cached_property
    def by_scope(self) -> dict[int, list[Variable]]:
        """The variables of each scope that has some."""
        out: dict[int, list[Variable]] = {}
        for v in self.variables:
            out.setdefault(v.scope, []).append(v)
        return out

    def chain(self, at: int) -> list[int]:
        """The scopes that instruction `at` lies in, innermost first."""
        found = covering(self.scope_runs, at)
        scope = found.of if found is not None else 0
        out = []
        while scope >= 0:
            out.append(scope)
            scope = self.scopes[scope].parent
        return out


def covering(runs: Sequence[Run], at: int) -> Run | None:
    """The run that holds instruction `at`."""
    i = bisect_right(runs, at, key=lambda r: r.start) - 1
    return runs[i] if i >= 0 and at < runs[i].end else None


@dataclass(frozen=True, slots=True)
class Inlined:
    """One level of the stack of inlined calls at a pc: a source place, as in Line, and the function it is in.

    scope: which of the calls that were inlined in the kernel; 0 for the kernel's own function.
    """

    pc: int
    file: str
    line: int
    column: int
    function: str
    scope: int

    @property
    def source(self) -> Line:
        """The place as an entry of a line table."""
        return Line(self.pc, self.file, self.line, self.column)


class LiveRange(NamedTuple):
    """From pc `start` up to, not including, `end`, a variable is at `location`."""

    start: int
    end: int
    location: Location


Made: TypeAlias = "Iterable[KernelDebug] | Callable[[], Iterable[KernelDebug]]"


@dataclass(eq=False)
class DebugInfo:
    """What is known of the kernels of a program; empty for assembly by hand. Pcs count from the start of .text.

    made: the descriptions, or what gives them when they are first wanted. lines: the program's source places.
    """

    made: Made = ()
    lines: Lines = field(default_factory=Lines)

    @functools.cached_property
    def kernels(self) -> tuple[KernelDebug, ...]:
        """The descriptions, in the order of their code."""
        found = self.made() if callable(self.made) else self.made
        return tuple(sorted(found, key=lambda k: k.entry))

    def __bool__(self) -> bool:
        return bool(self.kernels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DebugInfo) and self.kernels == other.kernels

    __hash__ = None  # type: ignore[assignment]  # compared by what it holds

    def __repr__(self) -> str:
        return f"DebugInfo({self.kernels!r})"

    def moved(self, distance: int) -> Iterator[KernelDebug]:
        """The descriptions with all code that many bytes further on."""
        return (replace(k, entry=k.entry + distance) for k in self.kernels)

    # -- by pc -----------------------------------------------------------------------------------

    def at(self, pc: int) -> tuple[KernelDebug, int] | None:
        """The description of the code at `pc`, and which of its instructions that is."""
        kernels = self.kernels
        i = bisect_right(kernels, pc, key=lambda k: k.entry) - 1
        if i < 0:
            return None
        number = (pc - kernels[i].entry) // INSTRUCTION_BYTES
        return (kernels[i], number) if number < kernels[i].size else None

    def stack(self, pc: int) -> tuple[Inlined, ...]:
        """The source place of an instruction, then those of the calls that it is inlined at, innermost first.

        Empty where there is no description, or no source place.
        """
        found, line = self.at(pc), self.lines.at(pc)
        if found is None or line is None or line.pc < found[0].entry:
            return ()
        kernel, number = found
        out = []
        place = (line.file, line.line, line.column)
        for index in kernel.chain(number):
            scope = kernel.scopes[index]
            out.append(Inlined(pc, *place, scope.function, index))
            place = scope.call
        return tuple(out)

    def op(self, pc: int) -> IrOp | None:
        """The IR operation that an instruction comes from. A prologue and a kernel's end come from none."""
        found = self.at(pc)
        run = None if found is None else covering(found[0].op_runs, found[1])
        return None if found is None or run is None else found[0].ops[run.of]

    def variables(self, pc: int, level: int | None = None) -> dict[str, Location]:
        """Where the variables are that hold a value before the instruction at `pc`.

        level: of that level of the stack only. By default of all, where inner functions hide names of outer ones.
        """
        found = self.at(pc)
        if found is None:
            return {}
        kernel, number = found
        out: dict[str, Location] = {}
        for scope in _levels(kernel, number, level):
            own: dict[str, Location] = {}
            for v in kernel.by_scope.get(scope, ()):
                if v.name not in out and (place := _place_at(v, number)) is not None:
                    own[v.name] = place.location
            out |= own
        return out

    def known(self, pc: int, level: int | None = None) -> list[str]:
        """The names of all variables in scope at `pc`, those too that hold no value there."""
        found = self.at(pc)
        if found is None:
            return []
        scopes = _levels(*found, level)
        return list(dict.fromkeys(v.name for s in scopes for v in found[0].by_scope.get(s, ())))

    def ranges(self, name: str, pc: int | None = None, level: int | None = None) -> list[LiveRange]:
        """When a variable holds a value, and where, in order.

        pc: the variable that the name means there (at that level of the stack); without one, all of that name.
        """
        if pc is None:
            picked = [(k, v) for k in self.kernels for v in k.variables if v.name == name]
        elif (found := self.at(pc)) is None:
            return []
        else:
            kernel, number = found
            own = (kernel.by_scope.get(s, ()) for s in _levels(kernel, number, level))
            first = next((vs for s in own if (vs := [v for v in s if v.name == name])), [])
            picked = [(kernel, v) for v in first]
        step = INSTRUCTION_BYTES
        return sorted(
            (
                LiveRange(k.entry + p.start * step, k.entry + p.end * step, p.location)
                for k, v in picked
                for p in v.places
            ),
            key=lambda r: (r.start, r.end),
        )


def _levels(kernel: KernelDebug, number: int, level: int | None) -> list[int]:
    chain = kernel.chain(number)
    return chain if level is None else chain[level : level + 1]


def _place_at(v: Variable, number: int) -> Place | None:
    i = bisect_right(v.places, number, key=lambda p: p.start) - 1
    return v.places[i] if i >= 0 and number < v.places[i].end else None


# -- what must hold ------------------------------------------------------------------------------

MAX_SIZE = (1 << 31) // INSTRUCTION_BYTES  # instructions of a kernel: an image is smaller than 2^31 bytes
MAX_LINE = (1 << 31) - 1
MAX_NAME = 1000  # characters


def is_variable(name: str) -> bool:
    """Whether a variable can be called so: as in Python."""
    return name.isidentifier() and len(name) <= MAX_NAME


def is_function(name: str) -> bool:
    """Whether a function can be called so: as in Python, or as Python calls one without a name."""
    return is_variable(name.strip("<>"))


def wrong(k: KernelDebug) -> str:
    """Why a description contradicts itself, or ""."""
    if not 0 < k.size <= MAX_SIZE:
        return f"a kernel of {k.size} instructions"
    if not k.scopes or k.scopes[0].parent != -1:
        return "it does not begin with the kernel's own function"
    for i, s in enumerate(k.scopes):
        if not is_function(s.function) or not s.file or not 1 <= s.line <= MAX_LINE:
            return f"function {i}, {s.function!r} of {s.file!r}, line {s.line}, is none"
        if i and (not 0 <= s.parent < i):
            return f"function {i} is called by function {s.parent}, which does not come before it"
        if i and (not s.call[0] or not 1 <= s.call[1] <= MAX_LINE or not 0 <= s.call[2] <= MAX_LINE):
            return f"function {i} is called at no place"
    numbers = [0, *(op.number for op in k.ops), MAX_LINE + 1]
    if any(a >= b for a, b in pairwise(numbers)):
        return "its operations are out of order"
    for what, runs, count in (("functions", k.scope_runs, len(k.scopes)), ("operations", k.op_runs, len(k.ops))):
        if not _in_order(runs, k.size):
            return f"the code of its {what} overlaps, is empty or is not the kernel's"
        if any(not 0 <= r.of < count or (runs is k.scope_runs and not r.of) for r in runs):
            return f"code of one of its {what} that is not there"
    if len({(v.name, v.scope) for v in k.variables}) < len(k.variables):
        return "a variable is described twice"
    for v in k.variables:
        if not is_variable(v.name) or not 0 <= v.scope < len(k.scopes):
            return f"variable {v.name!r} of function {v.scope} is none"
        if not _in_order(v.places, k.size):
            return f"the places of variable {v.name!r} overlap, are empty or are not in the kernel"
    return ""


def _in_order(runs: Sequence[Run] | Sequence[Place], size: int) -> bool:
    at = 0
    for r in runs:
        if not at <= r[0] < r[1] <= size:
            return False
        at = r[1]
    return True
