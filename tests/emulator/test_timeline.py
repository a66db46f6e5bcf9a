"""Time travel: wherever one goes in a launch, the machine is what a run that stops there leaves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sohu.asm import Program, assemble
from sohu.emulator import Device, MachineError, Snapshot
from sohu.emulator.timeline import Timeline

from tests.emulator.support import kernel, random_floats
from tests.emulator.test_mutated_programs import SOURCE
from tests.emulator.test_snapshots import PARKED, PARKED_BODY
from tools.fuzz import programs
from tools.fuzz.run import TARGETS

ORDERS: list[Any] = [None, 3, 17, "timed"]
PROGRAM = assemble(SOURCE, "k.s")
CLEAN = assemble(
    """
 .kernel k
 .param h, in, f32, [16, 16]
 .param o, out, f32, [16, 16]
 .tile a, sram, f32, [4, 16]
 .tile b, sram, f32, [4, 16]
 li x21, 4
 li x20, 4
 loop x20, 9f
   tslice t40, h, 0, x22, x21
   tslice t41, o, 0, x22, x21
   add x23, x23, 1
   dma.load a, t40           wait s4>=x24   signal s1
   vexp b, a                 wait s1>=x23
   vadds b, b, 1.0                          signal s3
   dma.store t41, b, q=1     wait s3>=x23   signal s4
   add x24, x24, 1
   add x22, x22, 4
 9: drain
 halt
""",
    "clean.s",
)
COUNT = """
 .kernel k
 li x5, 0
 li x6, 1000000
1: add x5, x5, 1
 xor x7, x7, x5
 add x8, x8, x7
 blt x5, x6, 1b
 halt
"""


def launched(
    schedule: Any = None, program: Program = PROGRAM, args: Any = None, checks: Any = None, **more: Any
) -> tuple[Device, Timeline]:
    device = Device("small", schedule=schedule, output=lambda _: None, checks=checks, **more)
    device.start(program, "k", [random_floats((16, 16)), 2] if args is None else args)
    timeline = Timeline(device)
    timeline.begin()
    return device, timeline


def every_state(device: Device) -> list[Snapshot]:
    """Fresh runs, each stopped one instruction later than the one before."""
    found = [device.snapshot()]
    while not device.machine.halted:
        device.machine.run(until_instruction=device.machine.instructions + 1)
        found.append(device.snapshot(found[-1]))
    return found


def visits(count: int, seed: int = 0) -> Iterator[int]:
    """All positions, in an order without any."""
    yield from random.Random(seed).sample(range(count), count)


# -- to an instruction -----------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ORDERS)
def test_a_run_stops_at_an_instruction(schedule: Any) -> None:
    device, _ = launched(schedule)
    stepped = every_state(device)
    for wanted in visits(len(stepped)):
        device, _ = launched(schedule)
        device.machine.run(until_instruction=wanted)
        assert device.machine.instructions == wanted
        assert device.snapshot().differs(stepped[wanted]) == ""
        device.machine.run(until_instruction=wanted)
        assert device.machine.instructions == wanted


def test_it_stops_exactly_in_compiled_loops() -> None:
    device, _ = launched(None, assemble(COUNT, "k.s"), ())
    for wanted in (1, 999, 1000, 123_456, 999_999, 3_999_999):
        device.machine.run(until_instruction=wanted)
        assert device.machine.instructions == wanted
        assert device.machine.x[5] == (wanted + 1) // 4


# -- anywhere --------------------------------------------------------------------------------------


@pytest.mark.parametrize("checks", [None, "all"])
@pytest.mark.parametrize("schedule", ORDERS)
def test_every_place_is_what_a_run_leaves_there(schedule: Any, checks: Any) -> None:
    if checks:
        device, timeline = launched(schedule, CLEAN, [random_floats((16, 16))], checks)
    else:
        device, timeline = launched(schedule)
    wanted = every_state(device)
    timeline.goto(len(wanted) - 1)
    for k in visits(len(wanted)):
        timeline.goto(k)
        assert timeline.position == k
        assert device.snapshot().differs(wanted[k]) == ""
    timeline.run()
    assert device.machine.halted and timeline.last == len(wanted) - 1


@pytest.mark.parametrize("schedule", ORDERS)
def test_parked_instructions_come_back(schedule: Any) -> None:
    device, timeline = launched(schedule, kernel(PARKED_BODY, PARKED), [random_floats((8, 8))])
    wanted = every_state(device)
    for k in visits(len(wanted)):
        timeline.goto(k)
        assert device.snapshot().differs(wanted[k]) == ""


def random_program(seed: int) -> tuple[Any, Any]:
    text = TARGETS["programs"].make(random.Random(f"test {seed}")).decode()
    return assemble(text, "a.s"), text


@pytest.mark.parametrize("schedule", [None, 5, "timed"])
def test_random_programs(schedule: Any) -> None:
    visited = 0
    for seed in range(8):
        program, text = random_program(seed)
        host = programs._Host(program, text, schedule)
        host.start()
        wanted = [host.device.snapshot()]
        try:
            while not host.device.machine.halted:
                host.device.machine.run(until_instruction=len(wanted))
                wanted.append(host.device.snapshot(wanted[-1]))
        except MachineError:
            pass
        host.start()
        timeline = Timeline(host.device)
        timeline.begin()
        for k in list(visits(len(wanted), seed))[:60]:
            timeline.goto(k)
            assert host.device.snapshot().differs(wanted[k]) == "", (seed, k)
            visited += 1
    assert visited > 200


def test_the_end_can_be_left_and_reached_again() -> None:
    device, timeline = launched()
    timeline.run()
    result = device.finish()
    last = timeline.last
    timeline.goto(last - 1)
    assert not device.machine.halted
    timeline.goto(0)
    timeline.run()
    again = device.finish()
    assert np.array_equal(again.outputs["o"].numpy(), result.outputs["o"].numpy())
    assert (again.instructions, again.cycles) == (result.instructions, result.cycles)
