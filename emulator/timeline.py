"""The time of a launch: going to any instruction of it, by a checkpoint and deterministic re-execution."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from sohu.emulator.checks.registry import Check, Hooks
from sohu.emulator.errors import MachineError
from sohu.emulator.parts import Stop
from sohu.emulator.snapshot import Snapshot
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.emulator.device import Device
    from sohu.emulator.machine import Machine

Until = Collection[int] | Callable[["Machine"], bool] | None


class Hit(Exception):
    """A watch hook saw an access by the instruction at `pc`; `what` is the hook's own."""

    def __init__(self, pc: int, what: object = None, *, after: bool = True) -> None:
        super().__init__(pc)
        self.pc = pc
        self.what = what
        self.after = after


class ReplayDiverged(SohuError):
    """Re-execution came to another state than the first time."""


class Timeline:
    """The launch of a device, from `start` on: run it, and go to any instruction of it again."""

    def __init__(self, device: Device, *, memory: int = 1 << 30, interval: float = 0.05) -> None:
        self.device = device
        self.recording = True
        self.start = 0
        self.last = 0
        self.checkpoints: list[Snapshot] = []

    @property
    def position(self) -> int:
        """Where it stands."""
        return self.device.machine.instructions

    @property
    def nbytes(self) -> int:
        """Bytes of host memory that the checkpoints hold."""
        return sum(c.nbytes for c in self.checkpoints)

    def begin(self) -> None:
        """A launch has just started."""
        self.start = self.last = self.position
        self.checkpoints = [self.device.snapshot()]

    def edited(self) -> None:
        """The host has changed the machine here: what follows is another future."""
        self.last = self.position
        self.checkpoints = [c for c in self.checkpoints if c.instructions < self.position]
        self.checkpoints.append(self.device.snapshot())

    def run(
        self,
        until: Until = None,
        *,
        until_instruction: int | None = None,
        until_cycle: int | None = None,
        checks: Sequence[Check] = (),
    ) -> tuple[Stop, Hit | None]:
        """As Machine.run; also stops at a count of instructions, and after an instruction at which a check hit."""
        machine = self.device.machine
        if until_instruction is not None:
            pcs = frozenset() if until is None or callable(until) else frozenset(until)
            asked = until if callable(until) else None
            until = lambda m: m.instructions >= until_instruction or m.pc in pcs or (asked is not None and asked(m))  # noqa: E731
        before, at = machine.hooks, self.position
        if checks:
            machine.hooks = Hooks([*before.checks, *checks], before.whole)
        try:
            return machine.run(until, until_cycle=until_cycle), None
        except Hit as hit:
            machine.hooks = before
            at = machine.instructions
            self.goto(at + 1)
            return Stop.BREAKPOINT, hit
        finally:
            machine.hooks = before
            self.last = max(self.last, self.position)

    def goto(self, instruction: int) -> None:
        """Stand before an instruction of the launch."""
        machine, output = self.device.machine, self.device.machine.output
        near = max((c for c in self.checkpoints if c.instructions <= instruction), key=lambda c: c.instructions)
        self.device.restore(near)
        machine.output = lambda _: None
        try:
            if machine.instructions < instruction:
                machine.run(lambda m: m.instructions >= instruction)
        finally:
            machine.output = output

    def goto_cycle(self, cycle: int) -> None:
        """Stand where so many cycles have passed."""
        self.device.restore(self.checkpoints[0])
        machine = self.device.machine
        if machine.order.timed:
            machine.run(until_cycle=cycle)
        elif (machine.cycles or 0) < cycle:
            machine.run(lambda m: (m.cycles or 0) >= cycle)

    def last_hit(
        self,
        before: int,
        pcs: frozenset[int],
        *,
        checks: Sequence[Check] = (),
        keep: Callable[[Hit | None], bool] | None = None,
    ) -> tuple[int, Hit | None] | None:
        """The last position before `before` at one of `pcs`, or where a check hit; None without."""
        machine = self.device.machine
        self.goto(self.start)
        found: tuple[int, Hit | None] | None = None
        if machine.pc in pcs and self.position < before and (keep is None or keep(None)):
            found = self.position, None
        while self.position < before:
            _, hit = self.run(pcs, until_instruction=before, checks=checks)
            if hit is not None and (keep is None or keep(hit)):
                found = self.position - 1, hit
            if machine.pc in pcs and self.position < before and (keep is None or keep(None)):
                found = self.position, None
            if machine.halted:
                break
        return found

    def check(self, spec: str | Collection[str] | None) -> None:
        """Have these checkers on, as if they had been since the launch."""
        machine, at = self.device.machine, self.position
        under_way = not machine.halted and machine.fault is None and self.checkpoints
        if under_way:
            machine.halted = True
        machine.check(spec)
        if under_way:
            self.device.restore(self.checkpoints[0])
            self.device.machine.hooks = self.device.machine.hooks.whole
            for launch in machine.hooks.launch:
                launch()
            if at > self.position:
                machine.run(lambda m: m.instructions >= at)

    def revive(self, after: bool) -> None:
        """From a machine that a checker stopped, one that goes on at or after the instruction at fault."""
        machine = self.device.machine
        assert isinstance(machine.fault, MachineError)
        self.goto(machine.instructions + after)
