"""Timed order: effects are there when the timer says so, and neither results nor cycles depend on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device, Listener, Machine, MachineError, SnapshotFile, Stop
from sohu.isa import SohuError, load_chip

from tests.emulator.support import after_prologue, kernel, named, random_floats, run, stopped
from tests.emulator.test_schedules import DECLARATIONS, PIPELINE, WAITS, _pipeline
from tests.emulator.test_timing import CHIP, PROLOGUE, TILES, cycles

DEEP = dataclasses.replace(CHIP, queue_depth=16)
ONE = TILES + ".tile e, sram, f32, [1], at=0\n"
IN = ".param h, in, f32, [5]\n" + TILES


def timed(body: str, decl: str = TILES, args: Any = ()) -> Device:
    """A device in timed order, before the first instruction of kernel `k`."""
    device = Device(CHIP, schedule="timed")
    device.start(kernel(body, decl), "k", args)
    return device


def test_a_synchronized_program_gives_the_same_and_takes_as_long() -> None:
    expected, beside = _pipeline(Device("small")), Device("small", timing=True)
    _pipeline(beside)
    device = Device("small", schedule="timed")
    assert np.array_equal(_pipeline(device), expected)
    assert device.machine.cycles == beside.machine.cycles


@pytest.mark.parametrize("missing", ["free", "loaded", "multiplied", "done"])
def test_a_missing_wait_shows_where_time_does_not_hide_it(missing: str) -> None:
    assert missing in WAITS
    assert not np.array_equal(_pipeline(Device("small", schedule="timed"), missing), _pipeline(Device("small")))


BODIES = {
    "loop": ("loop 10, 9f\n nop\n vadds a, a, 1.0\n9:", TILES),
    "wait": ("dma.load a, h signal s1\n vadds a, a, 1.0 wait s1>=1", IN),
    "two signals": (
        "vadds b, b, 1.0 signal s1\n dma.load a, h signal s1\n mxu.sync wait s1>=2 signal s2\n vpu.sync wait s2>=1",
        IN,
    ),
    "sync": ("vadds a, a, 1.0 signal s1\n sync wait s1>=1 signal s2\n vadds b, b, 1.0 wait s2>=1\n nop", TILES),
    "drain": ("vadds a, a, 1.0 signal s1\n drain\n semreset s1\n vadds b, b, 1.0 signal s1\n sync wait s1>=1", TILES),
    "full": ("vadds a, a, 1.0\n" * 20 + "nop", TILES),
    "parked": ("vadds b, b, 1.0 wait s1>=1 signal s2\n dma.load a, h signal s1\n sync wait s2>=1", IN),
    "bandwidth": ("dma.load a, h\n dma.load b, h, q=1\n drain\n dma.load a, h, q=2", IN),
    "scalar": ("vfill a, 3.0 signal s1\n sld x5, e wait s1>=1\n add x6, x5, x5", ONE),
    "debug": ('vfill a, 3.0 signal s1\n dbg.printt "a", a wait s1>=1\n dbg.mark "here"', TILES),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("chip", [CHIP, DEEP], ids=["8", "16"])
def test_cycles_are_those_of_program_order(name: str, chip: Any) -> None:
    body, decl = BODIES[name]
    args = [random_floats((5,))] if ".param" in decl else ()
    results = []
    for options in ({"timing": True}, {"schedule": "timed"}, {"schedule": 3, "timing": True}):
        device = Device(chip, output=lambda _: None, **options)  # type: ignore[arg-type]
        r = device.launch(kernel(body, decl), "k", args)
        stats = {k: v for k, v in r.stats.items() if k != "seconds"}
        results.append((r.cycles, stats, r.instructions, device.machine.sems, device.machine.x))
    assert results[0] == results[1] == results[2]


def test_queues_are_as_deep_as_the_chip_says() -> None:
    class Depth(Listener):
        most = 0

        def did_issue(self, machine: Machine, op: Any) -> None:
            self.most = max(self.most, *(len(q.entries) for q in machine.queues))

    for chip in (CHIP, DEEP):
        device, depth = Device(chip, schedule="timed"), Depth()
        device.machine.listeners.append(depth)
        device.launch(kernel("vadds a, a, 1.0\n" * 40, TILES), "k")
        assert depth.most == chip.queue_depth + 1  # with the one that is executing


def test_an_effect_is_there_when_it_is_complete_and_not_before() -> None:
    m = timed("vfill a, 1.0 signal s1\n nop\n nop").machine  # the fill issues at 2, and takes 15
    assert m.run(until_cycle=PROLOGUE + 14) is Stop.CYCLE
    assert (m.time, named(m, "a").tolist(), m.sems[1]) == (PROLOGUE + 14, [0] * 5, 0)
    assert len(m.queues[5].entries) == 1 and m.timer is not None and m.timer.until_done(5) == PROLOGUE + 15
    assert not m.halted  # though the sequencer has come to its halt
    assert m.run(until_cycle=PROLOGUE + 15) is Stop.HALTED
    assert (m.time, named(m, "a").tolist(), m.sems[1]) == (PROLOGUE + 15, [1] * 5, 1)
    assert m.cycles == PROLOGUE + 15


def test_the_sequencer_has_taken_what_comes_before_the_cycle() -> None:
    m = timed("li x5, 1\n li x5, 2\n li x5, 3", "").machine
    seen = []
    for cycle in range(5):
        m.run(until_cycle=cycle)
        seen.append((m.x[5], m.pc // 16))
    assert seen == [(0, 0), (1, 1), (2, 2), (3, 3), (3, 3)]
    assert m.halted


@pytest.mark.parametrize(
    "body", ["sync wait s1>=1", "drain", "sld x5, e wait s1>=1", "vadds b, b, 1.0\n" * 9 + "li x5, 1"]
)
def test_a_cycle_can_come_while_the_sequencer_waits(body: str) -> None:
    text = f"vfill a, 1.0 signal s1\n {body}\n nop"
    whole = timed(text, ONE)
    whole.machine.run()
    m = timed(text, ONE).machine
    times = []
    for cycle in range(1, (whole.machine.cycles or 0) + 1):
        assert m.run(until_cycle=cycle) is (Stop.CYCLE if cycle < (whole.machine.cycles or 0) else Stop.HALTED)
        times.append(m.time)
    assert times == list(range(1, (whole.machine.cycles or 0) + 1))
    assert (m.cycles, m.x, m.sems) == (whole.machine.cycles, whole.machine.x, whole.machine.sems)


@pytest.mark.parametrize("step", [1, 7, 100])
def test_going_by_cycles_changes_nothing(step: int) -> None:
    class Order(Listener):
        def __init__(self) -> None:
            self.seen: list[tuple[str, int]] = []

        def will_issue(self, machine: Machine, op: Any) -> None:
            self.seen.append(("will", op.index))

        def did_issue(self, machine: Machine, op: Any) -> None:
            self.seen.append(("did", op.index))

        def did_execute(self, machine: Machine, issued: Any) -> None:
            self.seen.append(("executed", issued.op.index))

    outcomes = []
    for by in (None, step):
        device, order = Device("small", schedule="timed"), Order()
        device.machine.listeners.append(order)
        run_whole = device.machine.run

        def in_steps(by: int | None = by, device: Device = device, run_whole: Any = run_whole) -> Any:
            at = 0
            while by is not None and run_whole(until_cycle=at) is not Stop.HALTED:
                at += by
            return run_whole()

        device.machine.run = in_steps  # type: ignore[method-assign]
        outcomes.append((_pipeline(device).tolist(), device.machine.cycles, order.seen))
    assert outcomes[0] == outcomes[1]


def test_only_timed_order_stops_at_a_cycle() -> None:
    for options in ({}, {"timing": True}, {"schedule": 1}):
        device = Device(CHIP, **options)  # type: ignore[arg-type]
        after_prologue(device, kernel("nop", TILES))
        with pytest.raises(SohuError, match="only timed order can stop at a cycle"):
            device.machine.run(until_cycle=3)


def test_breakpoints_and_cycles_go_together() -> None:
    m = timed("li x5, 1\n li x6, 2\n li x7, 3", "").machine
    assert m.run({16}, until_cycle=3) is Stop.BREAKPOINT and m.pc == 16
    assert m.run({48}, until_cycle=2) is Stop.CYCLE and m.pc == 32
    assert m.run(lambda m: m.x[7] == 3, until_cycle=100) is Stop.BREAKPOINT and m.pc == 48


def test_a_deadlock_is_found_and_named() -> None:
    body = "dma.sync wait up>=1 signal down\n vpu.sync wait down>=1 signal up"
    text = ".sem up\n.sem down"
    e = stopped(body, text, device=Device("small", schedule="timed"))
    assert e.category == "deadlock"
    assert e.message == stopped(body, text).message
    e = stopped("vpu.sync signal s1\n sync wait s1>=2", device=Device("small", schedule="timed"))
    assert e.category == "deadlock" and e.pc == 16


def test_a_fault_comes_when_its_instruction_completes() -> None:
    body = "viota i, 3\n vneg i, i signal s1\n dma.gather a, h, i wait s1>=1\n nop\n nop"
    decl = ".param h, in, f32, [5, 4]\n.tile i, sram, i32, [2]\n.tile a, sram, f32, [2, 4]"
    at = {}
    for schedule in (None, "timed"):
        device = Device(CHIP, schedule=schedule, timing=True)  # type: ignore[arg-type]
        with pytest.raises(MachineError) as e:
            device.launch(kernel(body, decl), "k", [random_floats((5, 4))])
        assert (e.value.category, e.value.pc) == ("out-of-bounds", 5 * 16)
        at[schedule] = device.machine.pc // 16
    assert at == {None: 5, "timed": 8}  # all was issued by then


def test_the_cycle_counter_is_the_same() -> None:
    body = "vfill a, 1.0 signal s1\n sync wait s1>=1\n sub sp, sp, 16\n sdcycle sp, 0\n ld x6, sp, 0"
    seen = []
    for schedule in (None, "timed"):
        device = Device(CHIP, schedule=schedule)  # type: ignore[arg-type]
        run(body, TILES, device=device)
        seen.append(device.machine.x[6])
    assert seen == [PROLOGUE + 15 + 2] * 2


def test_a_device_can_be_used_again_after_an_error() -> None:
    device = Device(CHIP, schedule="timed")
    stopped("vpu.sync\n sync wait s1>=2", device=device)
    run("vfill a, 2.0", TILES, device=device)
    assert named(device.machine, "a").tolist() == [2] * 5
    assert device.machine.cycles == cycles("vfill a, 2.0")


def test_unknown_schedules_are_refused() -> None:
    with pytest.raises(SohuError, match="there is no schedule 'fast'"):
        Device("small", schedule="fast")  # type: ignore[arg-type]


def test_the_full_chip_is_deeper_than_what_correctness_is_judged_by() -> None:
    body = "vpu.sync wait s1>=1\n" + "vpu.sync\n" * 8 + "dma.sync signal s1"
    assert load_chip("sohu").queue_depth > 8
    run(body, device=Device("sohu", schedule="timed"))
    for device in (Device("sohu"), Device("sohu", schedule=2), Device("small", schedule="timed")):
        assert stopped(body, device=device).category == "deadlock"


@pytest.mark.parametrize("cycle", [0, 1, 3, 150, 151, 200, 700])
def test_a_snapshot_goes_on_as_if_nothing_had_been(cycle: int, tmp_path: Path) -> None:
    x = random_floats((48, 8))
    body = " vfill w, 0.125 signal ready\n drain\n semreset ready\n" + PIPELINE.format(**WAITS)
    body = body.replace("mm    c, t30, w", "mxu.sync wait done>=x20\n      mm    c, t30, w")
    program = kernel(body, DECLARATIONS)
    whole = Device("small", schedule="timed")
    want = whole.launch(program, "k", [x]).outputs["o"].numpy()
    device = Device("small", schedule="timed")
    device.start(program, "k", [x])
    device.machine.run(until_cycle=cycle)
    kept = device.snapshot()
    device.save(tmp_path / "state")
    ends = []
    for _ in range(2):
        assert device.machine.run() is Stop.HALTED
        ends.append(device.snapshot())
        assert device.machine.cycles == whole.machine.cycles
        device.restore(kept)
        assert device.machine.time == cycle
    assert not ends[0].differs(ends[1])
    opened = SnapshotFile(tmp_path / "state").device()
    assert opened.machine.run(until_cycle=cycle + 5) is Stop.CYCLE
    assert opened.machine.run() is Stop.HALTED
    assert opened.machine.cycles == whole.machine.cycles
    assert np.array_equal(opened.finish().outputs["o"].numpy(), want)


def test_a_snapshot_between_any_two_instructions_keeps_time(tmp_path: Path) -> None:
    # the `sync` signals what the fill is parked for: that signal is on its way when the sync has been taken
    body = "vfill a, 1.0 signal s1\n vadds b, b, 1.0 wait s2>=1 signal s3\n sync wait s1>=1 signal s2\n nop\n drain"
    device = timed(body)
    device.machine.run()
    want = device.machine.cycles, device.machine.sems[:4]
    device = timed(body)
    for number in range(8):
        device.save(tmp_path / str(number))
        opened = SnapshotFile(tmp_path / str(number)).device()
        assert opened.machine.run() is Stop.HALTED
        assert (opened.machine.cycles, opened.machine.sems[:4]) == want, number
        device.machine.step()
    assert device.machine.halted


def test_what_can_go_on_at_that_very_cycle_has_not_been_taken() -> None:
    m = timed("vfill a, 1.0 signal s1\n sync wait s1>=1 signal s2\n nop").machine
    assert m.run(until_cycle=PROLOGUE + 15) is Stop.CYCLE
    assert (m.sems[1:3], m.pc // 16) == ([1, 0], PROLOGUE + 1)
    assert m.run(until_cycle=PROLOGUE + 16) is Stop.CYCLE
    assert (m.sems[1:3], m.pc // 16) == ([1, 1], PROLOGUE + 2)
