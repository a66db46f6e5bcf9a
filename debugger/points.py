"""What stops a program: breakpoints at places, watchpoints on data, catches of what checkers find.

All have a number, can be switched off, asked a condition, told to let some hits pass, and given commands. Breakpoints
are pcs at which the machine stops. Watched memory is a hook in the machine (WatchHook); a watched register stops the
machine at each instruction that can write it, found in the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sohu.debugger.stops import Change
from sohu.debugger.values import Value
from sohu.emulator import MachineError
from sohu.emulator.checks.registry import Check
from sohu.isa import INSTRUCTION_BYTES, Data, Flow, Inst, Reg, Space
from sohu.isa.machine import RA
from sohu.isa.operands import XF, T, X

if TYPE_CHECKING:
    from sohu.debugger.symbols import Symbols
    from sohu.emulator import Machine
    from sohu.emulator.bind import Bound
    from sohu.emulator.translate import Op

LARGEST_WATCH = 64 << 20  # bytes that are compared at each write


@dataclass
class Point:
    """Something to stop for. `where`: what the user wrote."""

    number: int
    where: str
    temporary: bool = False
    condition: str = ""
    enabled: bool = True
    ignore: int = 0  # hits still to be let pass
    hits: int = 0
    commands: list[str] = field(default_factory=list)
    pending: str = ""  # why it has no place yet
    kind: ClassVar[str] = "point"
    pcs: tuple[int, ...] = ()  # before which it stops
    chip: int | None = None  # the only one that it stops, of several
    stays: Callable[[], bool] | None = field(default=None, repr=False)  # asked last at a hit that counts; False: go on

    @property
    def active(self) -> bool:
        """True when it can stop the program."""
        return self.enabled and not self.pending


@dataclass
class Breakpoint(Point):
    """Stop before the instructions at `pcs`, or when so many instructions or cycles have passed."""

    instruction: int | None = None
    cycle: int | None = None
    kind: ClassVar[str] = "breakpoint"


@dataclass
class Catch(Point):
    """Stop where a checker finds something. what: a name of CATCHES."""

    what: str = ""
    limit: float | None = None  # of `error`
    kind: ClassVar[str] = "catch"


@dataclass
class Target:
    """A watched place: elements in memory, or a register.

    array: the elements in place (memory). file and reg: "x", "t" or "s" and a number (registers).
    """

    text: str
    space: Space | None = None
    low: int = 0
    high: int = 0
    array: NDArray[Any] | None = field(default=None, repr=False)
    file: str = ""
    reg: int = 0

    moves: bool = False  # a tensor in HBM, which the next launch may have elsewhere

    @property
    def hooked(self) -> bool:
        """True for memory and semaphores, whose changes a hook sees: those come when an engine has its turn."""
        return self.array is not None or self.file == "s"


_ACCESS = {"write": "watch", "read": "rwatch", "any": "awatch"}


@dataclass
class Watch(Point):
    """Stop after an access to `target`: access is write (when it changes), read, or any."""

    access: str = "write"
    target: Target | None = None
    before: Any = field(default=None, repr=False)  # the contents it had
    births: frozenset[int] = frozenset()  # pcs from which the variable it names has a value, in one place or another
    born: set[int] = field(default_factory=set, repr=False)  # of them, those that it has been placed at in this launch

    @property
    def word(self) -> str:
        """The command that makes one: watch, rwatch, awatch."""
        return _ACCESS[self.access]

    kind: ClassVar[str] = "watch"

    def remember(self, machine: Machine) -> None:
        """Keep the contents, to tell a change later."""
        self.before = None if self.target is None else contents(self.target, machine)

    def change(self, pc: int, machine: Machine, *, going_back: bool = False) -> Change | None:
        """What has changed since `remember`; None when nothing has."""
        assert self.target is not None
        now = contents(self.target, machine)
        pair: tuple[Any, Any] = (now, self.before) if going_back else (self.before, now)
        old, new = pair
        if not isinstance(now, np.ndarray):
            return None if old == new else Change(self, pc, 1, (), old, new)
        a, b = (np.ascontiguousarray(v).view(np.uint8).reshape(*v.shape, -1) for v in (old, new))
        differ = (a != b).any(axis=-1)
        count = int(np.count_nonzero(differ))
        if not count:
            return None
        index = tuple(int(i) for i in np.argwhere(differ)[0])
        return Change(self, pc, count, index, old[index], new[index])


def contents(target: Target, machine: Machine) -> Any:
    """A copy of what a watched place holds now."""
    if target.array is not None:
        machine.memories.settle()
        return target.array.copy()
    files: dict[str, Sequence[Any]] = {"x": machine.x, "t": machine.t, "s": machine.sems}
    return files[target.file][target.reg]


def memory_target(text: str, value: Value, machine: Machine) -> Target:
    """The place of elements that an expression gives in place; raises ValueError for computed ones."""
    array = value.data
    if not isinstance(array, np.ndarray) or not array.size:
        raise ValueError("it has no elements")
    low, high = np.lib.array_utils.byte_bounds(array)
    machine.memories.settle()
    for space in Space:
        memory = np.frombuffer(machine.memories.map(space), np.uint8)
        base = int(memory.__array_interface__["data"][0])
        if base <= low and high <= base + memory.nbytes:
            return Target(text, space, low - base, high - base, array, moves=space is Space.HBM)
    raise ValueError("it is computed, and lies nowhere")


class WatchHook(Check):
    """The hook of watched memory: stops the run after an instruction that accesses some of it, or changes it.

    Stores of the sequencer are told of before they happen: who is told compares.
    """

    stops = True

    def __init__(self, machine: Machine, watches: Sequence[Watch]) -> None:
        super().__init__(machine)
        self.watches = [w for w in watches if w.target is not None and w.target.hooked]
        self._targets = [w.target for w in self.watches]
        self._plans: dict[Bound, tuple[Watch, ...]] = {}

    def knows(self, watches: Sequence[Watch]) -> bool:
        """Whether it is the hook of these, and of where they are watched now."""
        same = len(watches) == len(self.watches) and all(a is b for a, b in zip(watches, self.watches, strict=True))
        return same and all(w.target is t for w, t in zip(self.watches, self._targets, strict=True))

    def _plan(self, bound: Bound) -> tuple[Watch, ...]:
        found = []
        for w in self.watches:
            t = w.target
            if t is None or t.array is None:
                continue
            for view, spec in zip(bound.views, bound.recipe.specs, strict=True):
                wanted = (spec.writes and w.access != "read") or (spec.reads and w.access != "write")
                if (
                    wanted
                    and view.tile.space is t.space
                    and view.low < t.high
                    and t.low < view.high
                    and _shares(view.array, t.array)
                ):
                    found.append(w)
                    break
        return tuple(found)

    def moved(self) -> None:
        for w in self.watches:
            w.remember(self.machine)

    def after(self, op: Op, bound: Bound, value: int) -> None:
        plan = self._plans.get(bound)
        if plan is None:
            plan = self._plans[bound] = self._plan(bound)
        if plan:
            hit = [w for w in plan if w.access != "write" or w.change(op.pc, self.machine) is not None]
            if hit:
                self.stop_for(tuple(hit), op)

    def signalled(self, op: Op, sem: int, value: int) -> None:
        self._semaphore(op, sem)

    def cleared(self, sem: int) -> None:
        op = self.machine.hooks.op
        if op is not None:
            self._semaphore(op, sem)

    def _semaphore(self, op: Op, sem: int) -> None:
        hit = [w for w in self.watches if w.target is not None and (w.target.file, w.target.reg) == ("s", sem)]
        if hit:
            self.stop_for(tuple(hit), op)

    def touched(self, op: Op, low: int, high: int, write: bool) -> None:
        hit = [
            w
            for w in self.watches
            if w.target is not None
            and w.target.space is Space.HBM
            and w.target.low < high
            and low < w.target.high
            and (w.access != "read" if write else w.access != "write")
        ]
        if hit:
            self.stop_for(tuple(hit), op)


def _shares(a: NDArray[Any], b: NDArray[Any]) -> bool:
    try:
        return bool(np.shares_memory(a, b, max_work=1 << 16))  # type: ignore[arg-type]  # stubs: only -1, 0
    except np.exceptions.TooHardError:
        return True


def accesses(symbols: Symbols, file: str, reg: int, access: str) -> frozenset[int]:
    """The pcs of all instructions that can access a register (file x or t): write it, read it, or any."""
    out = set()
    for pc in range(0, len(symbols.program.text), INSTRUCTION_BYTES):
        inst = symbols.inst(pc)
        if inst is None:
            continue
        if (access != "read" and _writes(inst, file, reg)) or (access != "write" and reads(inst, file, reg)):
            out.add(pc)
    return frozenset(out)


def successors(symbols: Symbols, pcs: frozenset[int]) -> frozenset[int]:
    """Where instructions that do not branch can lead to: on, into a function, back to the start of a loop."""
    out = {pc + INSTRUCTION_BYTES for pc in pcs}
    for pc in range(0, len(symbols.program.text) if pcs else 0, INSTRUCTION_BYTES):
        inst = symbols.inst(pc)
        if inst is None or (at := inst.row.label_operand) is None:
            continue
        if inst.row.flow is Flow.LOOP and pc + inst.values[at] in out:
            out.add(pc + INSTRUCTION_BYTES)
        elif inst.row.flow is not Flow.LOOP and pc in pcs:
            out.add(pc + inst.values[at])
    return frozenset(out)


def _writes(inst: Inst, file: str, reg: int) -> bool:
    if file == "x" and reg == RA and inst.row.flow is Flow.CALL:
        return True
    return any(o.kind.writes and number == reg for o, number in _registers(inst, file))


def reads(inst: Inst, file: str, reg: int) -> bool:
    """Whether an instruction reads a register (that a descriptor takes a size from is not seen)."""
    if file == "x" and ((inst.wait is not None and inst.wait.reg == reg) or (reg == RA and inst.row.flow is Flow.RET)):
        return True
    return any(
        number == reg and (not o.kind.writes or isinstance(o.kind, Data)) for o, number in _registers(inst, file)
    )


def _registers(inst: Inst, file: str) -> Iterator[tuple[Any, int]]:
    """The operands of an instruction that are registers of a file, and their numbers."""
    for o, v in zip(inst.row.operands, inst.values, strict=True):
        if file == "t":
            if isinstance(o.kind, (T, Data)):
                yield o, v
        elif isinstance(v, Reg):
            yield o, v.index
        elif isinstance(o.kind, (X, XF)) and isinstance(v, int):
            yield o, v


# What `catch` knows: the checker that finds it ("" when the machine always does), and the categories of its errors.
CATCHES: dict[str, tuple[str, tuple[str, ...]]] = {
    "nan": ("only-nan", ("nan",)),
    "inf": ("only-inf", ("nan",)),
    "overflow": ("overflow", ("overflow",)),
    "uninit": ("uninitialized", ("uninitialized",)),
    "oob": ("bounds", ("out-of-bounds",)),
    "race": ("race", ("race",)),
    "deadlock": ("", ("deadlock",)),
    "error": ("error", ("tolerance",)),
}
BEFORE = {"uninitialized", "out-of-bounds", "race", "deadlock"}  # caught before the instruction executes


def catches(point: Point, error: MachineError) -> bool:
    """Whether a point asks for an error."""
    if not isinstance(point, Catch) or not point.active or error.category not in CATCHES[point.what][1]:
        return False
    if point.chip is not None and point.chip != error.chip:
        return False
    if error.category == "nan":
        return (" NaN," in error.message) is (point.what == "nan")
    return True
