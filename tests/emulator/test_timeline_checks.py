"""Time travel with checkers on: they know what they knew at each place, and what they find can be let pass."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from sohu.asm import Program, assemble
from sohu.emulator import Device, MachineError
from sohu.emulator.checks import CHECKS, Check, Hooks, race
from sohu.emulator.timeline import Timeline

from tests.emulator.support import kernel, random_floats
from tests.emulator.test_bugs import FILES, Bug, _read
from tests.emulator.test_snapshots import PARKED, PARKED_BODY
from tests.emulator.test_timeline import CLEAN, ORDERS, Writes, launched

STILL_WRONG = "stack_tile"  # let pass by the checker, it is stopped by the machine
CHECKED = {d.category for d in CHECKS.values()} - {"out-of-bounds"} | {"bounds"}  # folders
FOUND = [p for p in FILES if p.parent.name in CHECKED and p.stem != STILL_WRONG]


def stopped(timeline: Timeline) -> MachineError | None:
    try:
        timeline.run()
    except MachineError as e:
        return e
    return None


def of_bug(bug: Bug, text: str, checks: Any, schedule: Any = None) -> tuple[Device, Timeline]:
    program = assemble(text, bug.path.name)
    device = Device("small", checks=checks, schedule=schedule, max_instructions=20_000, output=lambda _: None)
    device.start(program, next(iter(program.kernels)), bug.args())
    timeline = Timeline(device)
    timeline.begin()
    return device, timeline


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_checkers_know_what_they_knew(path: Path) -> None:
    """Each planted bug is found again in the same words, from wherever one runs on; its twin stays without one."""
    bug = _read(path)
    device, timeline = of_bug(bug, bug.text, "all")
    error = stopped(timeline)
    assert error is not None
    at, rng = timeline.position, random.Random(0)
    for k in [at, *(rng.randrange(at + 1) for _ in range(6))]:
        timeline.goto(k)
        assert device.machine.fault is None and timeline.position == k
        timeline.checkpoint()
        assert str(stopped(timeline)) == str(error) and timeline.position == at
        timeline.goto(k)  # what the checkers have saved there
        assert str(stopped(timeline)) == str(error) and timeline.position == at
    device, timeline = of_bug(bug, bug.twin(), "all")
    assert stopped(timeline) is None
    for k in [rng.randrange(timeline.last + 1) for _ in range(4)]:
        timeline.goto(k)
        timeline.checkpoint()
        assert stopped(timeline) is None
        timeline.goto(k)
        assert stopped(timeline) is None


def back_in_the_middle(program: Program, args: Any, checks: str) -> None:
    """Whatever is restored, and where: no checker knows of what is still to come, or has forgotten."""
    device, timeline = launched(None, program, args, checks)
    timeline.run()
    for k in range(timeline.last):
        timeline.goto(k)
        timeline.checkpoint()
        timeline.run()
        timeline.goto(k)
        assert stopped(timeline) is None and device.machine.halted


def test_overlaps_still_to_come_are_none() -> None:
    declarations = """
    .param x, in, f32, [8, 8]
    .tile r, sram, f32, [8, 8]
    .tile c, sram, f32, [8, 8], at=4096
    .tile d, sram, f32, [8, 8], at=4288
    """
    of_d, of_c = (f"dma.load {t}, x\n drain\n vadds r, {t}, 1.0\n vadds r, {t}, 2.0\n drain\n" for t in "dc")
    body = of_d + of_c + of_d
    back_in_the_middle(kernel(body, declarations), [random_floats((8, 8))], "overlap")


def test_scalars_of_parked_instructions_are_kept() -> None:
    body = PARKED_BODY.replace("lf x21, 0.5", "lf x21, inf")
    assert body != PARKED_BODY
    back_in_the_middle(kernel(body, PARKED), [random_floats((8, 8))], "nan,overflow")


class Counting(Check):
    """Cannot say what it knew."""

    count = 0

    def launch(self) -> None:
        self.count = 0

    def before(self, op: Any, bound: Any, value: int) -> None:
        self.count += 1


@pytest.mark.parametrize("schedule", ORDERS)
def test_a_checker_that_saves_nothing_sees_all_again(schedule: Any) -> None:
    def counted(position: int | None) -> int:
        device, _ = launched(schedule, CLEAN, [random_floats((16, 16))])
        device.machine.hooks = Hooks([check := Counting(device.machine)])
        device.machine.run(until_instruction=position)
        return check.count

    device, timeline = launched(schedule, CLEAN, [random_floats((16, 16))])
    check = Counting(device.machine)
    device.machine.hooks = Hooks([check])
    timeline.begin()
    timeline.run(until_instruction=30)
    timeline.checkpoint()
    timeline.run()
    assert check.count == counted(None) == 16
    for k in (timeline.last - 1, 30, 31, 12, 0):
        timeline.goto(k)
        assert check.count == counted(k) and timeline.position == k
    watch = Writes(device.machine, 0, 64)
    assert timeline.last_hit(timeline.last, checks=[watch]) is not None


@pytest.mark.parametrize("path", FOUND, ids=lambda p: p.stem)
def test_checkers_are_switched_on_within_a_launch(path: Path) -> None:
    bug = _read(path)
    error = stopped(of_bug(bug, bug.text, "all")[1])
    device, timeline = of_bug(bug, bug.text, None)
    unchecked = stopped(timeline)
    if unchecked is not None:
        assert str(unchecked) == str(error)
        return
    with pytest.raises(MachineError) as e:
        timeline.check("all")
    assert str(e.value) == str(error)
    timeline.check("none")
    assert not device.machine.hooks and device.machine.fault is None
    assert stopped(timeline) is None


@pytest.mark.parametrize("schedule", ORDERS)
@pytest.mark.parametrize("path", FOUND, ids=lambda p: p.stem)
def test_the_dead_live_again(path: Path, schedule: Any) -> None:
    bug = _read(path)
    device, timeline = of_bug(bug, bug.text, "all", schedule)
    error = stopped(timeline)
    if error is None or error.category not in {d.category for d in CHECKS.values()}:
        return  # under this schedule something else happens
    if str(stopped(of_bug(bug, bug.text, None, schedule)[1])) == str(error):
        return  # it is the machine that finds it
    at = timeline.position
    timeline.revive(after=False)
    assert device.machine.fault is None and timeline.position == at
    timeline.run(until_instruction=at + 1, pardon=True)
    assert device.machine.fault is None and timeline.position == at + 1
    timeline.goto(0)
    timeline.goto(at + 1)
    assert timeline.position == at + 1
    timeline.goto(at)
    timeline.goto(0)
    assert str(stopped(timeline)) == str(error)
    timeline.revive(after=True)
    assert device.machine.fault is None and timeline.position == at + 1


@pytest.mark.parametrize("kept", [race.KEPT, 0])
@pytest.mark.parametrize("path", [p for p in FILES if p.parent.name == "race"], ids=lambda p: p.stem)
def test_races_across_launches(path: Path, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the checker forgets its places at the next launch, as it does when they are too many, or not."""
    monkeypatch.setattr(race, "KEPT", kept)
    bug = _read(path)
    device, timeline = of_bug(bug, bug.text, "all")
    error = stopped(timeline)
    for k in range(timeline.position, max(0, timeline.position - 8), -1):
        timeline.goto(k)
        there = device.snapshot()
        device.launch(CLEAN, "k", [random_floats((16, 16))])
        device.restore(there)
        with pytest.raises(MachineError) as e:
            device.machine.run()
        assert str(e.value) == str(error)
