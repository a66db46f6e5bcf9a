"""Time travel: wherever one goes in a launch, the machine is what a run that stops there leaves."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sohu.asm import Program, assemble
from sohu.emulator import Device, Group, Listener, MachineError, Snapshot, Stop
from sohu.emulator.checks import Check
from sohu.emulator.timeline import ReplayDiverged, Timeline
from sohu.isa import SohuError, Space, f32

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


# -- what happened before --------------------------------------------------------------------------


class Writes(Check):
    """Stops for what writes to a range of SRAM."""

    stops = True

    def __init__(self, machine: Any, low: int, high: int) -> None:
        super().__init__(machine)
        self.low, self.high = low, high
        self.seen = 0

    def after(self, op: Any, bound: Any, value: int) -> None:
        for (_, _, kind), tile in zip(op.inst.row.data, bound.tiles, strict=True):
            low, high = tile.extent()
            if kind.writes_data and tile.space is Space.SRAM and low < self.high and self.low < high:
                self.seen += 1
                self.stop_for(self.seen, op)


LONG = assemble(
    """
 .kernel k
 .tile a, sram, f32, [4, 4]
 .tile b, sram, f32, [4, 4]
 li x9, 1000
 vfill a, 0.0
 loop x9, 9f
   add x5, x5, 1
   vadds b, a, 2.0
   and x6, x5, 127
   bne x6, x0, 8f
   vadds a, a, 1.0
8: nop
   nop
9: halt
""",
    "long.s",
)


@pytest.mark.parametrize("schedule", ORDERS)
def test_runs_stop_after_what_hooks_stop_for(schedule: Any) -> None:
    device, timeline = launched(schedule, LONG, ())
    watch = Writes(device.machine, 0, 64)
    stops = []
    while True:
        why, hit = timeline.run(checks=[watch])
        if hit is None:
            break
        stops.append((timeline.position, hit.pc))
        assert device.snapshot().differs(at_position(schedule, timeline.position)) == ""
    assert why is Stop.HALTED and len(stops) == 8
    if schedule is None:
        assert [x for x, _ in stops] == sorted(x for x, _ in stops) and len({pc for _, pc in stops}) == 2
    before = timeline.last
    for position, pc in reversed(stops):
        found = timeline.last_hit(before, checks=[watch])
        assert found is not None and found[1] is not None
        assert (found[0] + 1, found[1].pc) == (position, pc)
        before = found[0]
    assert timeline.last_hit(before, checks=[watch]) is None


@pytest.mark.parametrize("schedule", ORDERS)
def test_what_was_parked_is_seen_when_it_executes(schedule: Any) -> None:
    """In program order, both products of the load execute within the load's own step."""
    device, timeline = launched(schedule, kernel(PARKED_BODY, PARKED), [random_floats((8, 8))])
    watch = Writes(device.machine, 256, 768)  # b and c
    seen = []
    while (stop := timeline.run(checks=[watch]))[1] is not None:
        there = device.snapshot()
        seen += [(timeline.position, hit.pc) for hit in timeline.hits]
        fresh, _ = launched(schedule, kernel(PARKED_BODY, PARKED), [random_floats((8, 8))])
        fresh.machine.run(until_instruction=timeline.position)
        assert fresh.snapshot().state.differs(there.state) in ("", "t")  # tensors have other addresses
        if stop[0] is Stop.HALTED:
            break
    assert [text(device, pc).split()[0] for _, pc in seen] == ["vadds", "vmuls"]
    if schedule is None:
        assert seen[0][0] == seen[1][0]
        timeline.goto(seen[0][0] - 1)
        assert text(device, device.machine.pc).startswith("dma.load")


def text(device: Device, pc: int) -> str:
    return device.machine.text(device.machine.op_at(pc // 16))


def at_position(schedule: Any, position: int) -> Snapshot:
    device, _ = launched(schedule, LONG, ())
    device.machine.run(until_instruction=position)
    return device.snapshot()


@pytest.mark.parametrize("interval", [0.05, 0.0005])
@pytest.mark.parametrize("schedule", ORDERS)
def test_the_last_time_at_a_pc(schedule: Any, interval: float) -> None:
    device, timeline = launched(schedule, LONG, ())
    timeline.interval = interval
    pc = 9 * 16  # vadds a
    there = []
    while timeline.run(until={pc})[0] is Stop.BREAKPOINT:
        there.append(timeline.position)
    assert len(there) == 7
    asked = 0

    def third(hit: Any) -> bool:
        nonlocal asked
        asked += 1
        return device.machine.x[5] == 3 * 128

    for before, wanted in [(timeline.last, there[-1]), (there[-1], there[-2]), (there[2] + 1, there[2]), (5, None)]:
        found = timeline.last_hit(before, frozenset({pc}))
        assert (found and found[0]) == wanted
    found = timeline.last_hit(timeline.last, frozenset({pc}), keep=third)
    assert found == (there[2], None) and asked


# -- recording -------------------------------------------------------------------------------------


def counted(
    times: int = 1_000_000, schedule: Any = None, interval: float = 0.05, **more: Any
) -> tuple[Device, Timeline]:
    device, _ = launched(schedule, assemble(COUNT.replace("1000000", str(times)), "k.s"), (), **more)
    timeline = Timeline(device, interval=interval)
    timeline.begin()
    return device, timeline


def test_what_runs_is_what_runs_alone() -> None:
    device, timeline = counted(interval=0.001)
    blocks = device.machine._code.blocks
    device.machine.run()
    alone = list(blocks.run)
    device.start(device.machine.program, "k")
    timeline.begin()
    timeline.run()
    assert len(timeline.checkpoints) > 3
    assert device.machine._code.blocks is blocks
    assert all(a is b for a, b in zip(alone, blocks.run, strict=True))


def test_checkpoints_are_made_and_thinned() -> None:
    device, timeline = counted(2_000_000, interval=0.001)
    timeline.run()
    many = timeline.checkpoints
    assert 8 < len(many) < 60 and device.machine.halted
    assert [c.instruction for c in many] == sorted({c.instruction for c in many})
    timeline.goto(many[len(many) // 2].instruction + 5)
    assert len({c.digest for c in timeline.checkpoints}) == len(timeline.checkpoints)


def test_around_where_one_stands_they_are_dense() -> None:
    device, timeline = counted(1_500_000)
    timeline.run()
    middle = timeline.last // 2
    timeline.goto(middle)
    before = max(c.instruction for c in timeline.checkpoints if c.instruction <= middle)
    assert middle - before < timeline.last / 40
    for step in range(1, 4):
        timeline.goto(middle - step)
        assert device.machine.x[5] == (middle - step + 1) // 4


def test_memory_is_kept() -> None:
    declarations = ".tile a, sram, f32, [256, 256]"
    body = "viota a, 0\nvcast a, a\n li x5, 0\n1: vadds a, a, 1.0\n add x5, x5, 1\n blt x5, 3000, 1b"
    program = kernel(body.replace("viota a, 0\nvcast a, a", "vfill a, 1.0"), declarations)
    device = Device("small")

    def recorded(memory: int) -> Timeline:
        timeline = Timeline(device, memory=memory)
        device.start(program, "k")
        timeline.begin()
        for at in range(0, 9000, 300):
            timeline.run(until_instruction=at)
            timeline.checkpoint()
            assert timeline.nbytes <= memory
        return timeline

    tight, roomy = recorded(2 << 20), recorded(1 << 30)
    assert 2 <= len(tight.checkpoints) < len(roomy.checkpoints) and roomy.nbytes > 2 << 20
    for k in (3000, 17, 6001, 8999):
        roomy.goto(k)
        there = device.snapshot()
        device.start(program, "k")
        device.machine.run(until_instruction=k)
        assert device.snapshot().differs(there) == ""


def test_many_become_few() -> None:
    _, timeline = counted(200_000)
    for at in range(0, 800_000, 4_000):
        timeline.run(until_instruction=at)
        timeline.checkpoint()
    assert 20 < len(timeline.checkpoints) < 100
    gaps = np.diff([c.instruction for c in timeline.checkpoints])
    assert gaps[0] > 4 * gaps[-1] == 16_000


def test_what_was_zero_is_so_again() -> None:
    body = "nop\n vfill a, 1.0\n nop\n nop"
    device, timeline = launched(None, kernel(body, ".tile a, sram, f32, [64, 64]"), ())
    wanted = device.snapshot()
    timeline.run(until_instruction=4)
    assert timeline.checkpoint().nbytes > wanted.nbytes
    timeline.goto(0)
    assert device.snapshot().differs(wanted) == "" and not device.memories.sram[:16384].any()


def test_one_launch_after_the_other() -> None:
    """Of launches whose beginning nobody has asked for, no page has been read; the next one builds on them."""
    device = Device("small")
    h, o = device.tensor(random_floats((16, 16))), device.zeros((16, 16), f32)
    idle = device.tensor(random_floats((64, 64)))
    timeline = Timeline(device)
    for launch in range(6):
        if launch not in (2, 5):
            h.view()[...] = random_floats((16, 16), launch)
        if launch == 1:
            idle.view()[...] += 1
        device.start(CLEAN, "k", [h, o])
        wanted = device.snapshot()
        timeline.begin()
        timeline.run(until_instruction=30)
        if launch > 3:
            device.machine.poke()  # a tick
        timeline.run()
        if launch > 2:
            end = device.snapshot()
            assert timeline.start.snapshot.differs(wanted) == ""
            timeline.goto(20)
            timeline.goto(0)
            assert device.snapshot().differs(wanted) == ""
            timeline.run()
            assert device.snapshot().differs(end) == ""
        result = device.finish()
        assert np.allclose(o.numpy(), np.exp(h.numpy()) + 1) and result.instructions == timeline.last


def test_no_checkpoint_between_cycles() -> None:
    device, timeline = launched("timed")
    timeline.run(until_cycle=60)
    between = timeline.position
    device.machine.poke()
    timeline.run()
    assert between not in {c.instruction for c in timeline.checkpoints}


PRINTS = """
 .kernel k
 li x9, 300
 loop x9, 9f
   add x5, x5, 1
   dbg.print "n ", x5
   nop
9: halt
"""


@pytest.mark.parametrize("schedule", ORDERS)
def test_what_is_printed_is_printed_once(schedule: Any) -> None:
    printed: list[str] = []
    device = Device("small", schedule=schedule, output=printed.append)
    timeline = Timeline(device, interval=0.0)
    device.start(assemble(PRINTS, "k.s"), "k")
    timeline.begin()
    timeline.run(until_instruction=400)
    for k in (10, 399, 0, 500, 3, 500, 2):
        timeline.goto(k)
    timeline.last_hit(400, frozenset({64}))
    timeline.run(until={48})
    timeline.run()
    assert printed == [f"n {i}" for i in range(1, 301)]


def test_nothing_listens_to_what_has_been_heard() -> None:
    heard: list[int] = []

    class Ear(Listener):
        def will_issue(self, machine: Any, op: Any) -> None:
            heard.append(machine.instructions)

    device, timeline = launched(None, LONG, ())
    device.machine.listeners.append(Ear())
    timeline.run(until_instruction=100)
    timeline.goto(50)
    timeline.goto(99)
    assert heard == list(range(100))
    timeline.run()
    assert device.machine.halted and heard[100] == 99  # who runs on himself hears it again


def test_ctrl_c_is_not_taken_for_a_tick() -> None:
    device, timeline = counted(50_000_000, interval=0.001)
    threading.Timer(0.2, device.machine.interrupt).start()
    assert timeline.run() == (Stop.INTERRUPTED, None)
    assert len(timeline.checkpoints) > 3 and 0 < timeline.position == timeline.last
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        timeline.run()
    here = timeline.position
    timeline.goto(here - 1)
    assert device.machine.x[5] == here // 4
    threading.Timer(0.01, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            timeline.last_hit(here, frozenset({0}))
    timeline.goto(here - 1)
    assert device.machine.x[5] == here // 4


@pytest.mark.parametrize("schedule", ORDERS)
def test_edits_are_history(schedule: Any) -> None:
    device, timeline = counted(1000, schedule)
    timeline.run()
    timeline.goto(2000)
    x = device.machine.x
    assert x[5] == 500 and timeline.last > 2001
    x[8] = 0
    timeline.edited()
    assert timeline.last == 2000
    timeline.run()
    changed, last = x[8], timeline.last
    for k in (1999, 2000, 2001, 0, 3000):
        timeline.goto(k)
        assert (x[8] == 0) is (k in (0, 2000)) and timeline.position == k
    timeline.goto(0)
    timeline.run()
    assert (x[8], timeline.position) == (changed, last)
    fresh, other = counted(1000, schedule)
    other.run()
    assert fresh.machine.x[8] != changed


def test_a_replay_that_differs_is_told() -> None:
    device, timeline = counted(1000)
    timeline.run(until_instruction=2000)
    timeline.checkpoint()
    timeline.run()
    timeline.goto(1)
    device.machine.x[8] ^= 1  # nobody has said so
    with pytest.raises(ReplayDiverged, match="x, after 2,000 instructions") as e:
        timeline.run()
    assert e.value.where == "x" and e.value.instruction == timeline.last
    timeline.goto(0)
    timeline.run()
    assert device.machine.halted


def test_a_result_that_differs_is_told() -> None:
    device, timeline = counted(1000)
    timeline.run()
    timeline.goto(3000)
    device.machine.x[8] ^= 1
    with pytest.raises(ReplayDiverged):
        timeline.run()


def test_without_recording_there_is_the_launch() -> None:
    device, timeline = counted(1_000_000, interval=0.001)
    timeline.recording = False
    timeline.run()
    assert [c.instruction for c in timeline.checkpoints] == [0]
    timeline.goto(1_000_001)
    assert device.machine.x[5] == 250_000 and len(timeline.checkpoints) == 1


def test_cycles_can_be_gone_to() -> None:
    device, timeline = launched("timed")
    timeline.run()
    end = device.machine.cycles
    assert end is not None
    for cycle in (end // 2, 3, end - 1, 40):
        timeline.goto_cycle(cycle)
        there = device.snapshot()
        fresh, _ = launched("timed")
        fresh.machine.run(until_cycle=cycle)
        assert fresh.snapshot().differs(there) == ""
    device, timeline = launched(None)
    with pytest.raises(SohuError, match="cycles are not counted"):
        timeline.goto_cycle(5)
    device = Device("small", timing=True, output=lambda _: None)
    device.start(PROGRAM, "k", [random_floats((16, 16)), 2])
    timeline = Timeline(device, interval=0.0)
    timeline.begin()
    timeline.run()
    for cycle in (100, 30, 200):
        timeline.goto_cycle(cycle)
        assert (device.machine.cycles or 0) >= cycle
        timeline.goto(timeline.position - 1)
        assert (device.machine.cycles or 0) < cycle


def test_cycles_are_the_same_with_checkpoints() -> None:
    seen = []
    for interval in (1000.0, 0.0):
        device = Device("small", schedule="timed", output=lambda _: None)
        device.start(PROGRAM, "k", [random_floats((16, 16)), 2])
        timeline = Timeline(device, interval=interval)
        timeline.begin()
        timeline.run()
        result = device.finish()
        result.stats.pop("seconds")
        seen.append((result.cycles, result.instructions, result.stats, result.outputs["o"].numpy().tobytes()))
    assert seen[0] == seen[1]


def test_limits_of_time_are_for_the_program() -> None:
    device, timeline = counted(400_000, max_seconds=30.0)
    timeline.run()
    used = device.machine._seconds
    for k in (100, 1_599_000):
        timeline.goto(k)
    assert device.machine._seconds == used


def test_recording_may_begin_in_the_middle() -> None:
    device, _ = launched(None, LONG, ())
    device.machine.run(until_instruction=2000)
    timeline = Timeline(device)
    timeline.begin()
    assert timeline.last == timeline.start.instruction == timeline.position == 2000
    timeline.run()
    with pytest.raises(SohuError, match="what is known begins at instruction 2,000"):
        timeline.goto(1999)
    timeline.goto(2000)
    assert device.snapshot().differs(at_position(None, 2000)) == ""
    assert timeline.last_hit(timeline.last, frozenset({48})) is None
    assert timeline.last_hit(2000, frozenset({64})) is None
    found = timeline.last_hit(2100, checks=[Writes(device.machine, 0, 64)])
    assert found is None or found[0] >= 2000


def test_a_chip_of_a_group_has_none_by_itself() -> None:
    group = Group(2, "small")
    with pytest.raises(SohuError, match="go back together"):
        Timeline(group.devices[0])


def test_a_launch_comes_first() -> None:
    timeline = Timeline(Device("small"))
    for action in (timeline.run, lambda: timeline.goto(0), lambda: timeline.start):
        with pytest.raises(SohuError, match="nothing has been recorded"):
            action()
    _, timeline = launched()
    with pytest.raises(SohuError, match="there is no instruction -1"):
        timeline.goto(-1)
    with pytest.raises(SohuError, match="no error has stopped"):
        timeline.revive(True)
