"""Time travel on one chip: checkpoints of a launch, and the deterministic re-execution that leads from them anywhere.

The coordinate is `machine.instructions`. A tick of the host's clock asks the running machine for a checkpoint, between
two instructions and without leaving its loop; what runs is the same compiled code as ever. Checkpoints share the pages
that have not changed (mirror.py), cost at most a fixed share of the time, and are thinned: around the place where one
stands they are dense, and ever further apart with the distance, so that their number grows with the logarithm of the
time that has been recorded.

To go to a place is to put the nearest checkpoint before it back and to run on from there. What runs again comes out
the same; where it passes a checkpoint that is looked at, and ReplayDiverged says where it does not.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

from sohu.emulator import checks as checkers
from sohu.emulator import running
from sohu.emulator.errors import MachineError
from sohu.emulator.limits import CtrlC, Tick
from sohu.emulator.memory import PAGE, Allocation
from sohu.emulator.mirror import Mirror
from sohu.emulator.parts import Hit, Stop
from sohu.emulator.snapshot import Snapshot
from sohu.emulator.state import State, capture
from sohu.isa import SohuError, Tile

if TYPE_CHECKING:
    from sohu.emulator.checks import Check
    from sohu.emulator.device import Device
    from sohu.emulator.listener import Listener
    from sohu.emulator.machine import Machine

__all__ = ["Checkpoint", "Hit", "ReplayDiverged", "Timeline"]

SHARE = 0.06  # of the time may be spent on checkpoints
GAP = 1 / 8  # between two checkpoints, of their distance from where the machine stands
NEAR = 1024  # instructions; a replay that is longer leaves a checkpoint close to its end
_ENTRY = 100  # bytes of a dictionary, for each page


class ReplayDiverged(SohuError):
    """What ran again did not come out the same: at `instruction`, in `where` ("x", "sram 0x1f000")."""

    def __init__(self, instruction: int, where: str) -> None:
        super().__init__(
            f"the replay differs from what was recorded: {where}, after {instruction:,} instructions",
            help="was the machine changed from outside? What was recorded from there on has been dropped",
        )
        self.instruction = instruction
        self.where = where


@dataclass(eq=False)
class Checkpoint:
    """A moment of the launch. `when`: seconds that the host has run to it; `prints`: lines printed before it;
    `edited`: somebody has changed the machine there, and to run to it does not lead to it.
    """

    snapshot: Snapshot
    when: float
    prints: int
    fresh: int  # bytes that it does not share with the one before it
    edited: bool = False
    wrote: tuple[Tile, ...] = ()  # by whom has changed it, for checkers

    def __repr__(self) -> str:
        return f"<checkpoint after {self.instruction:,} instructions, {self.digest}>"

    @property
    def instruction(self) -> int:
        """How many had executed or issued since the launch."""
        return self.snapshot.instructions

    @property
    def pc(self) -> int:
        """Of the instruction that comes next."""
        return self.snapshot.pc

    @property
    def nbytes(self) -> int:
        """Of its pages, those that it shares with others too."""
        return self.snapshot.nbytes

    @cached_property
    def digest(self) -> str:
        """A hash of everything that programs can see: equal moments have equal ones."""
        h = blake2b(digest_size=16)
        h.update(repr(_plain(self.snapshot.state)).encode())
        for space, pages in self.snapshot.pages.items():
            h.update(str(space).encode())
            for page in sorted(pages):
                h.update(page.to_bytes(8, "little"))
                h.update(pages[page])
        return h.hexdigest()


def _plain(state: State) -> list[object]:
    """A state without objects that print their address."""
    return [str(v) if n == "fault" else v for n, v in vars(state).items()]


class Timeline:
    """The recorded launch of a device, and where the machine stands in it.

    memory: bytes that checkpoints may hold; interval: seconds between two of them, or more where they cost much.
    recording: off, only the moment of the launch is kept. Raises SohuError for a chip of a group.
    """

    def __init__(self, device: Device, *, memory: int = 1 << 30, interval: float = 0.05) -> None:
        if device.machine.group is not None:
            raise SohuError("the chips of a group go back together", help="GroupTimeline(group)")
        self.device = device
        self._open(device.machine, Mirror(device), memory, interval)

    def _open(self, machine: Machine, mirror: Mirror, memory: int, interval: float) -> None:
        self.machine = machine
        self._mirror = mirror
        self.memory = memory
        self.interval = interval
        self.recording = True
        self._made: list[Checkpoint] = []  # by instruction; the first is the launch
        self._last = 0
        self._end: State | None = None  # in which the launch has ended
        self._fresh: list[tuple[Allocation, bool]] = []  # at the launch
        self._pardons: dict[int, MachineError] = {}
        self._clock = 0.0  # seconds of running that lead here
        self._since = 0.0  # of them, from the last checkpoint
        self._began = 0.0
        self._cost = 0.0  # seconds of one more checkpoint
        self._gap = GAP
        self._prints = 0  # lines before here
        self._told = 0  # lines that have been let out
        self._between = -1  # position at which engines stand at a cycle, not where the instruction has left them
        self._tick = Tick(self.machine.poke)
        self._held = 0  # bytes of all checkpoints, at most

    # -- what there is -----------------------------------------------------------------------------

    @property
    def position(self) -> int:
        """Where the machine stands: how many instructions have executed or issued since the launch."""
        return self.machine.instructions

    @property
    def last(self) -> int:
        """The furthest position that is known."""
        return self._last

    @property
    def checkpoints(self) -> Sequence[Checkpoint]:
        """Those that are kept, by position."""
        self._mirror.complete()
        return tuple(self._made)

    @property
    def start(self) -> Checkpoint:
        """The launch. Raises SohuError before one."""
        if not self._made:
            raise SohuError("nothing has been recorded", help="launch a kernel first")
        self._mirror.complete()
        return self._made[0]

    @property
    def pardons(self) -> Mapping[int, MachineError]:
        """Complaints of checkers that `revive` has let pass, by the position before the instruction to blame."""
        return self._pardons

    @property
    def hits(self) -> tuple[Hit, ...]:
        """All that hooks have stopped the last run for."""
        return tuple(self.machine.hits)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that all checkpoints hold; pages that several share count once."""
        self._mirror.complete()
        seen: set[int] = set()
        tables: set[int] = set()
        entries = 0
        for c in self._made:
            for pages in c.snapshot.pages.values():
                if id(pages) not in tables:
                    tables.add(id(pages))
                    entries += len(pages)
                    seen.update(map(id, pages.values()))
        shadows = sum({id(part): len(part) for c in self._made for part in _large(c.snapshot)}.values())
        return len(seen) * PAGE + entries * _ENTRY + self._mirror.nbytes + shadows

    # -- recording ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """A launch has just been started, or is to be recorded from here on: forget the one before."""
        self._made.clear()
        self._pardons.clear()
        self._last = self.position
        self._prints = self._told = 0
        self._end = None
        self._clock = self._since = 0.0
        self._gap = GAP
        self._between = -1
        self._held = 0
        self._mirror.let_go()
        self._fresh = [(b, b.fresh) for b in self._blocks()]
        self._checkpoint(first=True)

    def checkpoint(self) -> Checkpoint:
        """Make one here; thinned like all others."""
        self.start  # noqa: B018 (raises)
        self._checkpoint()
        self._mirror.complete()
        return self._made[bisect_left(self._made, self.position, key=_at)]

    def edited(self, wrote: Sequence[Tile] | None = None) -> None:
        """Somebody has changed the machine where it stands: what was recorded after that is forgotten. wrote: the
        elements that were given values; None when the whole machine is another one.

        Raises SohuError for a machine that was stopped by an error: bring it back to life first.
        """
        if self.machine.fault is not None:
            raise SohuError("the program was stopped by an error, and cannot be changed")
        at = self.position
        here = [c for c in self._made if c.instruction == at and c.edited and wrote is not None]
        self._cut(at)
        self._checkpoint(edited=True)
        made = next(c for c in self._made if c.instruction == at)
        made.wrote = (*(tile for c in here for tile in c.wrote), *(wrote or ()))

    def _cut(self, at: int) -> None:
        """Forget what was recorded at a position and after it."""
        del self._made[bisect_left(self._made, at, key=_at) :]
        self._last = at
        self._end = None
        self._told = self._prints
        self._pardons = {k: v for k, v in self._pardons.items() if k < at}

    def _checkpoint(self, *, edited: bool = False, first: bool = False) -> None:
        """Make one here."""
        began = time.perf_counter()
        base = self._mirror.base
        snapshot = self._mirror.take(last=first)
        known = set() if base is None else {id(part) for part in _large(base)}
        fresh = self._mirror.fresh + sum(len(part) for part in _large(snapshot) if id(part) not in known)
        made = Checkpoint(snapshot, self._clock, self._prints, fresh, edited)
        i = bisect_left(self._made, made.instruction, key=_at)
        if i < len(self._made) and self._made[i].instruction == made.instruction:
            self._made[i] = made
        else:
            self._made.insert(i, made)
        self._held += fresh
        self._since = 0.0
        if len(self._made) > 2:
            self._thin()
        cost = time.perf_counter() - began
        if base is not None and self._cost:
            self._cost = (self._cost + cost) / 2
        else:
            self._cost = cost  # of everything

    def _thin(self) -> None:
        """Drop what is too dense for its distance from here, and what is too much."""
        self._drop(self._gap)
        room = self.memory - self._mirror.nbytes
        while self._held > room and len(self._made) > 2:
            self._held = self.nbytes - self._mirror.nbytes
            if self._held <= room:
                return
            self._gap *= 1.5
            if not self._drop(self._gap) and self._gap > 1e3:
                del self._made[0]  # nothing but edits is left: what is known begins later

    def _drop(self, gap: float) -> bool:
        kept = [self._made[0]]
        here = self._clock
        for c, following in zip(self._made[1:], self._made[2:], strict=False):
            low, high = kept[-1].when, following.when
            away = max(low - here, here - high, 0.0)
            if c.edited or c is self._made[-1] or high - low > away * gap:
                kept.append(c)
        if len(self._made) > 1:
            kept.append(self._made[-1])
        less = len(kept) < len(self._made)
        self._made = kept
        return less

    # -- running on --------------------------------------------------------------------------------

    def run(
        self,
        until: running.Until = None,
        *,
        until_instruction: int | None = None,
        until_cycle: int | None = None,
        checks: Sequence[Check] = (),
        when: running.When = None,
        pardon: bool = False,
        replay: bool = False,
    ) -> tuple[Stop, Hit | None]:
        """Run on as Machine.run does, and record it. checks: more hooks for this run, which may stop it (Check.stops).
        pardon: a complaint about the first instruction that `revive` has let pass is let pass now; replay: so are all.

        With a Hit the machine stands after the instruction within which that happened; when the kernel has ended
        in the same instruction, the Stop says so. Raises what Machine.run raises, and ReplayDiverged.
        """
        last = running.FOREVER if until_instruction is None else until_instruction
        with self._moving(), self.machine.watching(checks):
            at = self.position
            if pardon and at in self._pardons and at < last and not self.machine.halted:
                self._pardoned()
                if self._stands(until, when) or self.position >= last:
                    return Stop.BREAKPOINT, self._hit()
            why = self._forward(until, last, until_cycle, when, replay=replay)
            return why, self._hit()

    def _hit(self) -> Hit | None:
        return self.machine.hits[0] if self.machine.hits else None

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """What the program prints is let out once; Ctrl-C takes effect between two instructions."""
        if not self._made:
            raise SohuError("nothing has been recorded", help="launch a kernel first")
        m = self.machine
        output = m.output

        def once(text: str) -> None:
            self._prints += 1
            if self._prints > self._told:
                self._told = self._prints
                output(text)

        m._interrupted = False
        m.output = once
        m.poked = self._poked
        try:
            with CtrlC(m.interrupt):
                yield
        finally:
            m.output = output
            m.poked = None

    def _forward(
        self, until: running.Until, last: int, cycle: int | None, when: running.When, *, replay: bool
    ) -> Stop:  # fmt: skip
        """Run on, by way of what is known of the future. replay: complaints that have been let pass are again."""
        m = self.machine
        while True:
            at = self.position
            i = bisect_right(self._made, at, key=_at)
            ahead = self._made[i] if i < len(self._made) else None
            mark = running.FOREVER if ahead is None else ahead.instruction
            pardon = min((p for p in self._pardons if p >= at), default=mark) if replay else mark
            if replay and pardon == at < last and not m.halted:
                self._pardoned()
            else:
                why = self._advance(until, min(last, mark, pardon), cycle, when)
                known = ahead is not None and self.position == mark
                if known and ahead is not None and why in (Stop.BREAKPOINT, Stop.INTERRUPTED):
                    self._meet(ahead)
                if why is not Stop.BREAKPOINT or m.hits:
                    return why
            if self.position >= last or m.halted:
                return Stop.HALTED if m.halted else Stop.BREAKPOINT
            if self.position < min(mark, pardon) or self._stands(until, when):
                return Stop.BREAKPOINT

    def _stands(self, until: running.Until, when: running.When) -> bool:
        """Whether the machine is to stop where it stands, by what Machine.run would ask after an instruction."""
        if self.machine.hits:
            return True
        if callable(until):
            return until(self.machine)
        return until is not None and self.machine.pc in until and (when is None or when())

    def _advance(self, until: running.Until, last: int, cycle: int | None, when: running.When) -> Stop:
        """Run on with checkpoints on the way."""
        m = self.machine
        self._began = time.perf_counter()
        if self.recording:
            self._tick.start(self._wait())
        try:
            why = self._drive(until, cycle, last, when)
            if why is Stop.CYCLE:
                self._between = self.position
        except MachineError:
            self._ended()
            raise
        finally:
            self._tick.stop()
            m._poked = False
            self._account()
        if m.halted:
            self._ended()
        return why

    def _drive(self, until: running.Until, cycle: int | None, last: int, when: running.When) -> Stop:
        return running.run(self.machine, until, cycle, last, when)

    def _state(self) -> State:
        return capture(self.machine)

    def _blocks(self) -> Sequence[Allocation]:
        return self.device.hbm.allocations

    def _wait(self) -> float:
        """Seconds until the next checkpoint."""
        return max(self.interval, self._cost / SHARE) - self._since

    def _account(self) -> None:
        now = time.perf_counter()
        self._clock += now - self._began
        self._since += now - self._began
        self._began = now
        self._last = max(self._last, self.position)

    def _poked(self) -> None:
        """The tick: the machine stands between two instructions."""
        self._account()
        at = self.position
        if at not in (self._between, self._made[bisect_right(self._made, at, key=_at) - 1].instruction):
            try:
                self._checkpoint()
            except MemoryError:
                self._mirror.forget()
                self._gap *= 4
                self._drop(self._gap)
            self._began = time.perf_counter()
        self._tick.start(max(self._wait(), self.interval / 4))

    def _ended(self) -> None:
        """The launch has come to its end; if it has before, then in the same way."""
        self._last = max(self._last, self.position)
        state = self._state()
        if self._end is None or not self._end.halted:
            self._end = state
        elif state.halted:
            self._same(self._end.differs(state))

    def _meet(self, ahead: Checkpoint) -> None:
        """A replay has come to a checkpoint."""
        if ahead.edited:
            self._mirror.put_back(ahead.snapshot, shadows=False)
            self._prints = ahead.prints
            if checks := self.machine.hooks.whole.checks:
                for tile in ahead.wrote:
                    for check in checks:
                        check.host_wrote(tile)
                self._checkpoint(edited=True)
                self._made[bisect_left(self._made, ahead.instruction, key=_at)].wrote = ahead.wrote
            return
        base = self._mirror.base
        now = self._mirror.take(shadows=False)
        self._mirror.complete()
        self._same(now.differs(ahead.snapshot))
        if base is not None:  # the same as `ahead`, and shares what that shares
            self._mirror.base = ahead.snapshot
        self._since = 0.0

    def _same(self, differs: str) -> None:
        if differs:
            at = self.position
            self._cut(at)
            raise ReplayDiverged(at, differs)

    # -- going anywhere ----------------------------------------------------------------------------

    def goto(self, instruction: int) -> Stop:
        """Stand after so many instructions of the launch: BREAKPOINT; HALTED at its end, or when it ends before.

        Raises ReplayDiverged, and MachineError when what was not recorded yet is stopped by the machine. After
        Ctrl-C it raises KeyboardInterrupt, after Machine.interrupt it gives INTERRUPTED, and stands on the way.
        """
        if instruction < 0:
            raise SohuError(f"there is no instruction {instruction:,}", help="the launch is at 0")
        if instruction < (first := self.start.instruction):
            raise SohuError(f"what is known begins at instruction {first:,}", help="go to one from there on")
        with self._moving(), self._unheard(instruction <= self._last):
            return self._goto(instruction)

    def replay(self, instruction: int, checks: Sequence[Check] = ()) -> tuple[Stop, Hit | None]:
        """Run on to a position that is known, through all that lies between, with more hooks, which may stop it.

        Raises what `goto` raises.
        """
        with self._moving(), self._unheard(True), self.machine.watching(checks):
            why = self._forward(None, instruction, None, None, replay=True)
            return why, self._hit()

    def goto_cycle(self, cycle: int) -> Stop:
        """Stand at a cycle: in timed order as Machine.run does, in others after the first instruction with which so
        many have passed. Raises SohuError where cycles are not counted, and what `goto` raises.
        """
        m = self.machine
        if m.timer is None:
            raise SohuError("cycles are not counted in this launch", help="run it with timing")
        with self._moving(), self._unheard(False):
            before = [c for c in self._made if (clock := c.snapshot.state.clock) and clock.cycles < cycle]
            self._restore(before[-1] if before else self._made[0])
            if not before and (m.cycles or 0) >= cycle:
                return Stop.BREAKPOINT
            if m.order.timed:
                return self._forward(None, running.FOREVER, cycle, None, replay=True)
            return self._forward(lambda m: (m.cycles or 0) >= cycle, running.FOREVER, None, None, replay=True)

    @contextmanager
    def _unheard(self, known: bool) -> Iterator[None]:
        """Limits of time and memory rest, and, where all has been heard before, listeners."""
        m = self.machine
        kept = m.listeners, m.max_seconds, m.max_memory
        quiet: list[Listener] = []
        m.max_seconds = m.max_memory = None
        if known:
            m.listeners = quiet
        try:
            yield
        finally:
            m.listeners, m.max_seconds, m.max_memory = kept

    def _goto(self, instruction: int) -> Stop:
        m = self.machine
        nearest = self._made[bisect_right(self._made, instruction, key=_at) - 1]
        here = self.position
        if m.fault is not None or here > instruction or here < nearest.instruction:
            self._restore(nearest)
            here = self.position
        if here >= instruction or m.halted:
            return Stop.HALTED if m.halted else Stop.BREAKPOINT
        if instruction - here > 2 * NEAR and self.recording:
            why = self._forward(
                None, instruction - max(NEAR, (instruction - here) // 16), None, None, replay=True
            )  # fmt: skip
            if why is not Stop.BREAKPOINT:
                return why
            if self._since > 4 * self._cost:
                self._checkpoint()
        return self._forward(None, instruction, None, None, replay=True)

    def _restore(self, c: Checkpoint) -> None:
        """Put a checkpoint back; where a checker cannot say what it knew there, the launch."""
        m = self.machine
        whole = m.hooks.whole.checks
        launch = self._made[0]
        lost = [check for check in whole if c.snapshot.shadows.get(check) is None]
        if lost:
            c = launch
        self._mirror.put_back(c.snapshot, shadows=False)
        for check in whole:
            if check not in lost:
                check.load(c.snapshot.shadows[check])
            elif launch.instruction == 0:
                check.launch()
            else:  # it has not been at work from the beginning
                m.hooks = m.hooks.resting()
        self._clock = c.when
        self._since = 0.0
        self._prints = c.prints
        self._between = -1
        m.hits.clear()
        for check in m.hooks.checks:
            if check not in whole:
                check.moved()

    # -- going back to what happened ---------------------------------------------------------------

    def last_hit(
        self,
        before: int,
        pcs: frozenset[int] = frozenset(),
        *,
        checks: Sequence[Check] = (),
        keep: Callable[[Hit | None], bool] | None = None,
    ) -> tuple[int, Hit | None] | None:
        """The latest position before another one at which a run would have stopped, and the Hit if it was one.

        Of pcs it is the position before the instruction there; of a Hit the one before its instruction. keep is asked
        whether a stop counts, the machine standing there, or after what hit. The machine is left anywhere. Raises
        what `goto` raises.
        """
        with self._moving(), self._unheard(True):
            goal = before
            while goal > self._made[0].instruction:
                start = self._made[bisect_left(self._made, goal, key=_at) - 1]
                found = self._last_within(start, goal, before, pcs, checks, keep)
                if found is not None:
                    return found
                goal = start.instruction
        return None

    def _last_within(
        self,
        start: Checkpoint,
        goal: int,
        before: int,
        pcs: frozenset[int],
        checks: Sequence[Check],
        keep: Callable[[Hit | None], bool] | None,
    ) -> tuple[int, Hit | None] | None:
        m = self.machine
        found: tuple[int, Hit | None] | None = None

        def note() -> bool:
            nonlocal found
            if keep is not None:
                m.memories.settle()
            if self.position < before and (keep is None or keep(None)):
                found = self.position, None
            return False

        with m.watching(checks):
            self._restore(start)
            if start is self._made[0] and m.pc in pcs:
                note()
            while self.position < goal and not m.halted:
                why = self._forward(pcs or None, goal, None, note, replay=True)
                if why is Stop.INTERRUPTED:
                    raise KeyboardInterrupt
                at = self.position - 1
                for hit in m.hits:
                    if (keep is None or keep(hit)) and (found is None or found[0] < at):
                        found = at, hit  # a pc after the instruction is later than what it hit
            if m.pc in pcs and not m.halted:
                note()
        return found

    # -- checkers ----------------------------------------------------------------------------------

    def check(self, spec: str | Sequence[str] | None) -> Stop:
        """Switch checkers within the launch: it runs again from its beginning with them, to where it stands.

        Raises SohuError for an unknown name, and MachineError for what they find on the way.
        """
        m = self.machine
        hooks = checkers.hooks(m, spec)
        at = self.position
        with self._moving(), self._unheard(True):
            self._restore(self.start)
            for block, fresh in self._fresh:
                block.fresh = fresh
            m.hooks = hooks
            for launch in hooks.launch:
                launch()
            self._made = [c for c in self._made if c.edited and c.instruction]
            self._pardons.clear()
            self._end = None
            self._checkpoint()
            return self._goto(at)

    def revive(self, after: bool) -> None:
        """A machine that a checker has stopped lives again: before the instruction to blame, or after it.

        The complaint is let pass then, this time and whenever that part of the launch is run again to go somewhere.
        Raises SohuError when nothing has stopped it, and MachineError when the instruction cannot be executed.
        """
        error = self.machine.fault
        if error is None:
            raise SohuError("no error has stopped the program")
        at = self.position
        with self._moving(), self._unheard(True):
            if self._goto(at) is Stop.INTERRUPTED:
                raise KeyboardInterrupt
            self._pardons[at] = error
            if after:
                self._pardoned()

    def _pardoned(self) -> None:
        """One instruction, about which checkers may say what they like."""
        m = self.machine
        m.hits.clear()
        m.pardoned = True
        try:
            m.step()
        except MachineError:
            self._pardons.pop(self.position, None)
            raise
        finally:
            m.pardoned = False
        self._last = max(self._last, self.position)
        if m.halted:
            self._ended()


def _at(c: Checkpoint) -> int:
    return c.instruction


def _large(snapshot: Snapshot) -> Iterator[bytes]:
    for check, state in snapshot.shadows.items():
        if state is not None:
            yield from check.large(state)
