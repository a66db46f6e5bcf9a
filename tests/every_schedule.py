"""`pytest --schedules N`: every program that a test launches is launched again in N random orders and in timed order.

What it leaves must be the same to the bit, in all of HBM that it may write, in SRAM, ACC and semaphores; timed order
must take as many cycles as the timer counts beside program order. A program is swept at its first launch only, and
not where one run of it takes longer than SLOW seconds in program order (these are listed at the end).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from sohu.emulator import Device, Loaded, Result, Snapshot
from sohu.emulator.arguments import Arguments
from sohu.emulator.schedules import Spec, schedule_of
from sohu.emulator.timing import Timer

SLOW = 0.25

_launch = Device.launch


class Sweep:
    """What has been swept by this process."""

    def __init__(self, seeds: int) -> None:
        self.seeds = seeds
        self.seen: set[tuple[bytes, str, str]] = set()
        self.runs = 0
        self.slow: list[str] = []

    def launch(self, device: Device, program: Loaded | object, kernel: str, args: Arguments = ()) -> Result:
        """Device.launch, and the sweep where the program is a new one."""
        loaded = program if isinstance(program, Loaded) else device.load(program)  # type: ignore[arg-type]
        key = loaded.text, kernel, device.chip.name
        m = device.machine
        if m.schedule is not None or m.timing or m.listeners or device.core is not None or key in self.seen:
            return _launch(device, loaded, kernel, args)
        self.seen.add(key)
        device.start(loaded, kernel, args)
        before = device.snapshot()
        began = time.perf_counter()
        m.run()
        took = time.perf_counter() - began
        expected = device.snapshot(before)
        if took > SLOW:
            self.slow.append(f"{loaded.program.name} {kernel} ({took:.2f} s)")
        else:
            said, m.output = m.output, lambda _: None
            self._sweep(device, before, expected, kernel)
            m.output = said
        device.restore(expected)
        return device.finish()

    def lines(self) -> list[str]:
        """What has been done."""
        if not self.seen:
            return []
        swept = len(self.seen) - len(self.slow)
        return [f"schedules: {self.runs} runs of {swept} programs", *(f"left out: {s}" for s in self.slow)]

    def _sweep(self, device: Device, before: Snapshot, expected: Snapshot, kernel: str) -> None:
        m = device.machine
        cycles = {}
        for schedule, timing in ((None, True), ("timed", True), *((seed, False) for seed in range(self.seeds))):
            device.restore(before)
            _order(device, schedule, timing or before.code.clock)  # type: ignore[arg-type]
            m.run()
            cycles[schedule] = m.cycles
            got = device.snapshot(expected)
            found = replace(got, state=_what_counts(got)).differs(replace(expected, state=_what_counts(expected)))
            assert not found, f"{kernel} under schedule {schedule}: {found} is not as in program order"
            self.runs += 1
        assert cycles[None] == cycles["timed"], kernel
        _order(device, None, before.code.clock)


def _what_counts(snapshot: Snapshot) -> object:
    """A state without what schedules have of their own, and `drained`, which the fast path keeps where it is asked."""
    return replace(snapshot.state, schedule=None, random=None, weights=(), clock=None, drained=True)


def _order(device: Device, schedule: Spec, timing: bool) -> None:
    """Let a machine that stands at its launch go on in another order."""
    m = device.machine
    m.schedule = schedule
    m.order = schedule_of(schedule, m)
    m.timer = Timer(m.config, [(q.engine, q.name) for q in m.queues]) if timing or m.order.timed else None
    m.order.reset()


class Plugin:
    """Pytest's hooks: the sweep for this process, and what it and those of other processes have done at the end."""

    def __init__(self, config: pytest.Config) -> None:
        self.sweep = sweep = Sweep(config.getoption("--schedules"))
        self.lines: list[str] = []

        def launch(device: Device, program: Loaded | object, kernel: str, args: Arguments = ()) -> Result:
            return sweep.launch(device, program, kernel, args)

        Device.launch = launch  # type: ignore[method-assign,assignment]

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Say what this process has done: to its controller, if it has one."""
        Device.launch = _launch  # type: ignore[method-assign]
        out = getattr(session.config, "workeroutput", None)
        if out is not None:
            out["schedules"] = self.sweep.lines()
        self.lines += self.sweep.lines()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A process has ended."""
        self.lines += getattr(node, "workeroutput", {}).get("schedules", [])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """All of it."""
        for line in self.lines:
            terminalreporter.write_line(line)
