"""What a checker is, and which there are."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sohu.emulator.blocks import Blocks
from sohu.emulator.errors import Place
from sohu.emulator.parts import Hit
from sohu.isa import INSTRUCTION_BYTES, Fault, Note, SohuError, Tile

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Code, Issued, Op


class Check:
    """A checker of one machine: the hooks it overrides are called, the others cost nothing.

    A hook raises Fault for what it finds. `bound` holds the resolved tiles; the same instruction with the same tiles
    has the same Bound, so what depends on no more than that is found once and kept by it. Hooks change nothing.

    stops: its hooks may ask the run to come back (`stop_for`); blocks are then left after any instruction.
    """

    stops = False

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def stop_for(self, what: Any, op: Op) -> None:
        """For hooks: let the run come back when the current instruction has ended. `op` did what it is for."""
        self.machine.hit(Hit(op.pc, what))

    def found(self, fault: Fault) -> None:
        """For hooks: raise what they have found, unless it is let pass (Timeline.revive). They then go on as if it
        were nothing.
        """
        if not self.machine.pardoned:
            raise fault

    def moved(self) -> None:
        """For hooks of one run: the machine has been put to another place of its launch."""

    def launch(self) -> None:
        """A kernel starts: everything on the chip is forgotten."""

    def parked(self, issued: Issued) -> None:
        """An engine's instruction has issued and waits in its queue; `before` follows when it gets its turn."""

    def before(self, op: Op, bound: Bound, value: int) -> None:
        """An engine's instruction, or one with tiles that the sequencer executes, is about to execute.

        `value` is what its wait asks for, which has been reached.
        """

    def after(self, op: Op, bound: Bound, value: int) -> None:
        """It has executed; its signal has not been sent yet."""

    def signalled(self, op: Op, sem: int, value: int) -> None:
        """An instruction of any kind has signalled; the semaphore is `value` now."""

    def waited(self, op: Op, value: int) -> None:
        """A wait of the sequencer itself has been met."""

    def touched(self, op: Op, low: int, high: int, write: bool) -> None:
        """The sequencer is about to load or store the bytes [low, high) of HBM, which are allocated."""

    def drained(self) -> None:
        """Every queue is empty, and the sequencer has waited for that."""

    def cleared(self, sem: int) -> None:
        """A semaphore has been set back to zero."""

    def host_wrote(self, tile: Tile) -> None:
        """Somebody outside, a debugger, has written the elements of a resolved tile, between two instructions."""

    def halted(self) -> None:
        """The kernel has ended: the sequencer has halted, and every queue is empty."""

    def save(self) -> Any:
        """All that it knows of the launch, for `load`, which may be called any number of times; None: it cannot.

        Nothing of it may change any more; what is large is shared with earlier ones.
        """
        return None

    def load(self, state: Any) -> None:
        """Know again what it knew; never called where `save` gives None."""

    def large(self, state: Any) -> Iterable[bytes]:
        """The large parts of something saved, which it may share with others."""
        return ()


@dataclass(frozen=True)
class Declaration:
    """A checker: its name, the category of its errors, what it finds in one line, and its class.

    parameter: the number it wants, written `name>NUMBER`; such a checker is no part of "all".
    in_all: "all" asks for it too.
    """

    name: str
    category: str
    doc: str
    make: Callable[..., Check]
    parameter: str = ""
    in_all: bool = True


CHECKS: dict[str, Declaration] = {}
_C = TypeVar("_C", bound=type[Check])


def check(name: str, category: str, doc: str, parameter: str = "", *, in_all: bool = True) -> Callable[[_C], _C]:
    """Register a checker. parameter: what the number means that its class takes after the machine. in_all: "all"
    asks for it too, unless it takes a number.
    """

    def register(cls: _C) -> _C:
        assert name not in CHECKS, name
        CHECKS[name] = Declaration(name, category, doc, cls, parameter, in_all and not parameter)
        return cls

    return register


def chosen(spec: str | Collection[str] | None) -> tuple[str, ...]:
    """The names of checkers that `spec` asks for: "all", "none", or names, apart or as one text with commas.

    `-name` takes one away: "all,-race" is all but that. A checker with a parameter is asked for with it, "error>1e-3",
    and is so given back; "all" leaves it out. Raises SohuError for a name that no checker has, and for no number.
    """
    words = [] if spec is None else spec.split(",") if isinstance(spec, str) else list(spec)
    out: set[str] = set()
    numbers: dict[str, str] = {}
    every = {name for name, declared in CHECKS.items() if declared.in_all}
    for word in (w.strip() for w in words):
        name, more, number = (w.strip() for w in word.removeprefix("-").partition(">"))
        if name in CHECKS and not word.startswith("-") and bool(more) != bool(CHECKS[name].parameter):
            wants = f"{name}>{CHECKS[name].parameter}" if CHECKS[name].parameter else name
            raise SohuError(f"{word!r} is no checker", help=f"it is written {wants}")
        if more and name in CHECKS:
            numbers[name] = f"{name}>{_number(number, word)!r}"
        if word in ("all", "none", ""):
            out = set(every) if word == "all" else out if word == "" else set()
        elif name not in CHECKS:
            near = difflib.get_close_matches(name, CHECKS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(CHECKS)}; all, none"
            raise SohuError(f"there is no checker {name!r}", help=hint)
        elif word.startswith("-"):
            out = out or (set(every) if word == words[0].strip() else out)
            out.discard(name)
        else:
            out.add(name)
    return tuple(numbers.get(name, name) for name in CHECKS if name in out)


def category_of(name: str) -> str:
    """The category of a checker's errors, by its name as `chosen` gives it."""
    return CHECKS[name.partition(">")[0]].category


def make(machine: Machine, name: str) -> Check:
    """A fresh checker by its name, as `chosen` gives it."""
    name, _, number = name.partition(">")
    return CHECKS[name].make(machine, *([float(number)] if number else []))


def _number(text: str, word: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise SohuError(f"{word!r}: {text!r} is no limit", help="a number such as 1e-3")
    return value


class Hooks:
    """The hooks of the checkers that are on, each kind as a list of bound methods; empty lists when none are."""

    __slots__ = (
        "_watched", "after", "before", "checks", "cleared", "drained", "halted", "launch", "met", "op", "parked",
        "signalled", "stops", "touched", "waited", "whole",
    )  # fmt: skip

    def __init__(self, checks: Collection[Check] = (), whole: Hooks | None = None) -> None:
        self.checks = tuple(checks)
        self.stops = any(c.stops for c in self.checks)
        self.whole = self if whole is None else whole  # from the next launch on
        self.op: Op | None = None  # what the sequencer is at, for hooks that come from within it
        self._watched: tuple[Code, Blocks] | None = None
        self.launch = list(self._of("launch"))
        self.parked = list(self._of("parked"))
        self.before = list(self._of("before"))
        self.after = list(self._of("after"))
        # of those that stop: called of a collective when it executes, whichever chip is last to come
        self.met = [c.after for c in self.checks if c.stops]
        self.signalled = list(self._of("signalled"))
        self.waited = list(self._of("waited"))
        self.touched = list(self._of("touched"))
        self.drained = list(self._of("drained"))
        self.cleared = list(self._of("cleared"))
        self.halted = list(self._of("halted"))

    def resting(self) -> Hooks:
        """None, until the next launch: the machine goes on from where these checkers have not been."""
        return Hooks((), self.whole)

    def touch(self, address: int, size: int, write: bool) -> None:
        """The sequencer is about to access HBM."""
        assert self.op is not None
        for touched in self.touched:
            touched(self.op, address, address + size, write)

    def blocks(self, code: Code) -> Blocks:
        """The blocks of a program with these hooks in them; its own where there are none."""
        if not self.checks:
            return code.blocks
        if self._watched is None or self._watched[0] is not code:
            self._watched = code, Blocks(code, self)
        return self._watched[1]

    def forget(self) -> None:
        """Bind and compile everything anew."""
        self._watched = None

    def __bool__(self) -> bool:
        return bool(self.checks)

    def _of(self, hook: str) -> Iterator[Callable[..., None]]:
        for c in self.checks:
            if getattr(type(c), hook) is not getattr(Check, hook):
                yield getattr(c, hook)


def sides(machine: Machine, notes: Collection[Note]) -> list[Place]:
    """The notes of a fault with the instructions they name, and where those come from."""
    out = []
    for n in notes:
        if n.pc is None:
            out.append(Place(n.text))
        else:
            op = machine.op_at(n.pc // INSTRUCTION_BYTES)
            out.append(Place(n.text, n.pc, machine.text(op), machine.program.line_at(n.pc)))
    return out
