"""Time travel of several chips that run together: one launch, one order, one place in it.

Chips of a group move one at a time, in an order that does not depend on who watches. The coordinate is how many
instructions all of them together have executed or issued: after each, the whole group is in one state, whichever way
leads there. A checkpoint holds all chips, and where the group is in its order; one is made only where an instruction
has just ended, for what engines do on their own between two instructions has no place of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sohu.emulator import checks as checkers
from sohu.emulator import running
from sohu.emulator.group import Course, Group, Order
from sohu.emulator.mirror import Mirror
from sohu.emulator.parts import Hit, Stop
from sohu.emulator.snapshot import Snapshot
from sohu.emulator.state import State, capture
from sohu.emulator.timeline import NEAR, Checkpoint, Timeline
from sohu.isa import SohuError, Space

if TYPE_CHECKING:
    from sohu.emulator.checks import Check
    from sohu.emulator.errors import MachineError
    from sohu.emulator.memory import Allocation
    from sohu.emulator.timing import Timer


@dataclass(frozen=True)
class GroupState:
    """All chips, memories apart, and what they share."""

    chips: tuple[State, ...]
    order: Order

    @property
    def halted(self) -> bool:
        """All have."""
        return all(s.halted for s in self.chips)

    @property
    def cycles(self) -> int:
        """Of the chip that has come furthest; 0 without timing."""
        return max([0 if s.clock is None else s.clock.cycles for s in self.chips])

    def differs(self, other: GroupState) -> str:
        """What is not the same; "" when nothing is."""
        for chip, (mine, theirs) in enumerate(zip(self.chips, other.chips, strict=True)):
            if what := mine.differs(theirs):
                return f"{what} of chip {chip}"
        return "" if self.order == other.order else "the order of the chips"


@dataclass(frozen=True)
class GroupSnapshot:
    """A group between two instructions: a snapshot of each chip, and what they share."""

    parts: tuple[Snapshot, ...]
    state: GroupState

    @property
    def instructions(self) -> int:
        """How many all chips had executed or issued."""
        return sum([s.instructions for s in self.parts])

    @property
    def pc(self) -> int:
        """Of the chip that had moved last."""
        return self.parts[self.state.order.mover].pc

    @property
    def nbytes(self) -> int:
        """Bytes of its pages, those that it shares with other snapshots too."""
        return sum([s.nbytes for s in self.parts])

    @property
    def pages(self) -> dict[tuple[int, Space], Any]:
        """Contents by chip and memory."""
        return {(chip, space): pages for chip, s in enumerate(self.parts) for space, pages in s.pages.items()}

    @property
    def shadows(self) -> dict[Check, Any]:
        """What the checkers of all chips knew."""
        return {c: known for s in self.parts for c, known in s.shadows.items()}

    def differs(self, other: GroupSnapshot) -> str:
        """Where two are not the same; "" when nowhere."""
        for chip, (mine, theirs) in enumerate(zip(self.parts, other.parts, strict=True)):
            if what := mine.differs(theirs):
                return f"{what} of chip {chip}"
        return self.state.differs(other.state)


class GroupMirror:
    """Takes snapshots of a group and puts them back, quickly (Mirror)."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.mirrors = [Mirror(d) for d in group.devices]
        self._base: GroupSnapshot | None = None

    @property
    def base(self) -> GroupSnapshot | None:
        """The last one."""
        return self._base

    @base.setter
    def base(self, snapshot: GroupSnapshot) -> None:
        self._base = snapshot
        for mirror, part in zip(self.mirrors, snapshot.parts, strict=True):
            mirror.base = part

    def let_go(self) -> None:
        """Keep no tensor of an earlier launch alive."""
        for mirror in self.mirrors:
            mirror.let_go()
        parts = [m.base for m in self.mirrors]
        if self._base is not None:
            self._base = replace(self._base, parts=tuple([p for p in parts if p is not None]))

    def forget(self) -> None:
        """Start anew."""
        self._base = None
        for mirror in self.mirrors:
            mirror.forget()

    @property
    def fresh(self) -> int:
        """Bytes that the last one does not share with the one before it."""
        return sum([m.fresh for m in self.mirrors])

    @property
    def nbytes(self) -> int:
        """Of the copies, as far as they are in use."""
        return sum([m.nbytes for m in self.mirrors])

    def complete(self) -> None:
        """Have all pages of `base`."""
        for mirror in self.mirrors:
            mirror.complete()

    def take(self, *, shadows: bool = True, last: bool = False) -> GroupSnapshot:
        """A snapshot of now, with what checkers know or without; its pages are all there after `complete`. last: as for
        Mirror.
        """
        self._base = None
        parts = tuple([m.take(shadows=shadows, last=last) for m in self.mirrors])
        self._base = GroupSnapshot(parts, GroupState(tuple([p.state for p in parts]), self.group.order()))
        return self._base

    def put_back(self, snapshot: GroupSnapshot, *, shadows: bool = True) -> None:
        """Make the group what it was."""
        self._base = None
        for mirror, part in zip(self.mirrors, snapshot.parts, strict=True):
            mirror.put_back(part, shadows=shadows)
        self.group.put_back(snapshot.state.order)
        self._base = snapshot


class _Hooks:
    """The hooks of all chips, as far as a timeline asks for them."""

    def __init__(self, checks: Sequence[Check], whole: _Hooks | None = None) -> None:
        self.checks = tuple(checks)
        self.whole = whole or self


class Whole:
    """A group, looked at as if it were one machine, by a timeline."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.machines = group.machines
        self.hits: list[Hit] = []  # one list for all: whoever moves has hit
        for m in self.machines:
            m.hits = self.hits
        self.memories = self  # of which a timeline wants nothing but `settle`
        self.order = self.machines[0].order

    def settle(self) -> None:
        """Make what has been put off."""
        for m in self.machines:
            m.memories.settle()

    @property
    def instructions(self) -> int:
        """Of all chips."""
        return self.group.instructions

    @property
    def halted(self) -> bool:
        """All have."""
        return all(m.halted for m in self.machines)

    @property
    def fault(self) -> MachineError | None:
        """That stopped one of them, and with it all."""
        return next((m.fault for m in self.machines if m.fault is not None), None)

    @property
    def pc(self) -> int:
        """Of the chip that has moved last."""
        return self.group.mover.pc

    @property
    def timer(self) -> Timer | None:
        """Of chip 0: whether there are some."""
        return self.machines[0].timer

    @property
    def cycles(self) -> int | None:
        """Of the chip that has come furthest."""
        return None if self.timer is None else max([m.cycles or 0 for m in self.machines])

    @property
    def hooks(self) -> _Hooks:
        """Of all chips."""
        whole = _Hooks([c for m in self.machines for c in m.hooks.whole.checks])
        return _Hooks([c for m in self.machines for c in m.hooks.checks], whole)

    @contextmanager
    def watching(self, extra: Sequence[Check]) -> Iterator[None]:
        """Machine.watching, each hook on the chip that it is of."""
        with ExitStack() as stack:
            for m in self.machines:
                stack.enter_context(m.watching([c for c in extra if c.machine is m]))
            yield

    @property
    def output(self) -> Callable[[str], None]:
        """Where the programs' prints go."""
        return self.group.output

    @output.setter
    def output(self, output: Callable[[str], None]) -> None:
        self.group.output = output

    @property
    def poked(self) -> Callable[[], None] | None:
        """What a run calls after `poke`."""
        return self.machines[0].poked

    @poked.setter
    def poked(self, call: Callable[[], None] | None) -> None:
        for m in self.machines:
            m.poked = None if call is None else partial(self._answer, call)

    def _answer(self, call: Callable[[], None]) -> None:
        self._poked = False
        call()

    def poke(self) -> None:
        """Ask whichever chip moves next, or moves."""
        for m in self.machines:
            m.poke()

    def interrupt(self) -> None:
        """Ask the group to stop."""
        self.group.interrupt()

    @property
    def _poked(self) -> bool:
        return any(m._poked for m in self.machines)

    @_poked.setter
    def _poked(self, on: bool) -> None:
        for m in self.machines:
            m._poked = on

    @property
    def _interrupted(self) -> bool:
        return self.group._interrupted

    @_interrupted.setter
    def _interrupted(self, on: bool) -> None:
        self.group._interrupted = on
        for m in self.machines:
            m._interrupted = on

    @property
    def pardoned(self) -> bool:
        """Checkers let the current instruction pass."""
        return self.machines[0].pardoned

    @pardoned.setter
    def pardoned(self, on: bool) -> None:
        for m in self.machines:
            m.pardoned = on

    def step(self) -> None:
        """The next instruction, whoever's it is."""
        self.group.go(last=self.instructions + 1)


class GroupTimeline(Timeline):
    """The recorded launch of a group, and where it stands in it. `position` and all that Timeline calls an instruction
    count those of all chips.

    found: the chip of the last `last_hit`.
    """

    def __init__(self, group: Group, *, memory: int = 1 << 30, interval: float = 0.05) -> None:
        self.group = group
        self.found = 0
        self._course: Course | None = None
        self._open(Whole(group), GroupMirror(group), memory, interval)  # type: ignore[arg-type]  # they do for a timeline

    # -- running on --------------------------------------------------------------------------------

    def move(
        self,
        course: Course,
        *,
        cycle: int | None = None,
        checks: Sequence[Check] = (),
        when: running.When = None,
        pardon: bool = False,
        replay: bool = False,
    ) -> tuple[Stop, Hit | None]:
        """Run on as Group.go does, and record it; hooks and what it gives and raises as for `run`."""
        self._course = course
        try:
            return self.run(until_cycle=cycle, checks=checks, when=when, pardon=pardon, replay=replay)
        finally:
            self._course = None

    def _plan(self, until: running.Until) -> Course | None:
        """Where all chips stop, if nothing else is said."""
        if until is None:
            return self._course
        n = len(self.group.machines)
        return Course((until,) * n, (running.FOREVER,) * n)

    def _drive(self, until: running.Until, cycle: int | None, last: int, when: running.When) -> Stop:
        try:
            return self.group.go(self._plan(until), cycle=cycle, last=last, when=when)
        finally:
            self.group.due = None

    def _stands(self, until: running.Until, when: running.When) -> bool:
        return bool(self.machine.hits) or self.group.stands(self._plan(until), when)

    def _state(self) -> State:
        made = GroupState(tuple([capture(m) for m in self.group.machines]), self.group.order())
        return made  # type: ignore[return-value]  # does for a timeline

    def _blocks(self) -> Sequence[Allocation]:
        return [b for d in self.group.devices for b in d.hbm.allocations]

    def _poked(self) -> None:
        if self.group.settled:
            super()._poked()
        else:
            self.group.due = super()._poked
            self.group.mover.interrupt()

    # -- going anywhere ----------------------------------------------------------------------------

    def goto_count(self, chip: int, count: int) -> Stop:
        """Stand where a chip has just executed or issued so many instructions; at the launch for none."""
        with self._moving(), self._unheard(False):
            machine = self.group.machines[chip]
            before = [c for c in self._made if _count(c, chip) < count]
            nearest = before[-1] if before else self._made[0]
            here = machine.instructions
            if self.machine.fault is not None or here >= count or self.position < nearest.instruction:
                self._restore(nearest)
                here = machine.instructions
            if here >= count:
                return Stop.BREAKPOINT
            if count - here > 2 * NEAR and self.recording:
                why = self._to_count(chip, count - max(NEAR, (count - here) // 16))
                if why is not Stop.BREAKPOINT:
                    return why
                if self._since > 4 * self._cost:
                    self._checkpoint()
            return self._to_count(chip, count)

    def _to_count(self, chip: int, count: int) -> Stop:
        n = len(self.group.machines)
        limits = [running.FOREVER] * n
        limits[chip] = count
        self._course = Course((None,) * n, tuple(limits))
        try:
            return self._forward(None, running.FOREVER, None, None, replay=True)
        finally:
            self._course = None

    def goto_cycle(self, cycle: int) -> Stop:
        """Stand where all that happens before a cycle has happened on all chips; in timed order. Raises SohuError in
        others, and what `goto` raises.
        """
        if not self.group.machines[0].order.timed:
            raise SohuError("chips of a group come to a cycle in timed order only", help="schedule='timed'")
        with self._moving(), self._unheard(False):
            before = [c for c in self._made if _state(c).cycles < cycle]
            self._restore(before[-1] if before else self._made[0])
            return self._forward(None, running.FOREVER, cycle, None, replay=True) if cycle > 0 else Stop.BREAKPOINT

    @contextmanager
    def _unheard(self, known: bool) -> Iterator[None]:
        """Listeners and limits of time are for machines by themselves."""
        yield

    def _last_within(
        self,
        start: Checkpoint,
        goal: int,
        before: int,
        pcs: frozenset[int],
        checks: Sequence[Check],
        keep: Callable[[Hit | None], bool] | None,
    ) -> tuple[int, Hit | None] | None:
        found: tuple[int, Hit | None] | None = None
        group, whole = self.group, self.machine

        def note() -> bool:
            nonlocal found
            if keep is not None:
                whole.memories.settle()
            if self.position < before and (keep is None or keep(None)):
                found = self.position, None
                self.found = group.mover.chip
            return False

        with whole.watching(checks):
            self._restore(start)
            if start is self._made[0] and whole.pc in pcs:
                note()
            while self.position < goal and not whole.halted:
                if self._forward(pcs or None, goal, None, note, replay=True) is Stop.INTERRUPTED:
                    raise KeyboardInterrupt
                for hit in whole.hits:
                    if keep is None or keep(hit):
                        found = self.position - group.settled, hit
                        self.found = group.mover.chip
            if whole.pc in pcs and not group.mover.halted:
                note()
        return found

    # -- checkers ----------------------------------------------------------------------------------

    def check(self, spec: str | Sequence[str] | None) -> Stop:
        """Timeline.check, on all chips."""
        hooks = [checkers.hooks(m, spec) for m in self.group.machines]
        at = self.position
        with self._moving(), self._unheard(True):
            self._restore(self.start)
            for block, fresh in self._fresh:
                block.fresh = fresh
            for m, mine in zip(self.group.machines, hooks, strict=True):
                m.hooks = mine
                for launch in mine.launch:
                    launch()
            self._made = [c for c in self._made if c.edited and c.instruction]
            self._pardons.clear()
            self._end = None
            self._checkpoint()
            return self._goto(at)


def _state(c: Checkpoint) -> GroupState:
    made: Any = c.snapshot
    assert isinstance(made, GroupSnapshot)
    return made.state


def _count(c: Checkpoint, chip: int) -> int:
    return _state(c).chips[chip].instructions
