"""Time travel of several chips: what is put back, run again and run in pieces is what one run at once gives."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.emulator import Group, MachineError, Stop
from sohu.emulator.group import Course
from sohu.emulator.group_timeline import GroupMirror, GroupSnapshot, GroupTimeline
from sohu.emulator.running import FOREVER
from sohu.emulator.timeline import ReplayDiverged
from sohu.isa import SohuError

SCHEDULES: tuple[Any, ...] = (None, "timed", 3, 4)
N = 3

# Rounds of different length on each chip, that meet in an all-reduce and hand a token round the ring; random numbers.
ROUNDS = assemble(
    """
        .kernel k
        .param  x, in,  f32, [16]
        .param  y, out, f32, [16]
        .param  n, i64, reg=x26
        .tile   a, sram, f32, [16]
        .tile   b, sram, f32, [16]
        .sem    loaded
        .sem    made
        .sem    summed
        .sem    stored
        .sem    token
        chipid  x20
        chips   x21
        add     x22, x20, 1
        blt     x22, x21, 1f
        li      x22, 0
1:      li      x23, 0
        dma.load a, x                            signal loaded
        sync    wait loaded>=1
2:      add     x23, x23, 1
        li      x24, 0
        mul     x25, x23, 3
        add     x25, x25, x20
3:      add     x24, x24, 1
        blt     x24, x25, 3b
        add     x27, x23, x23
        vadds   b, a, 1.0                        signal made
        vmuls   b, b, 0.5                        signal made
        cce.allreduce b, b      wait made>=x27   signal summed
        sync    wait summed>=x23
        vadds   a, b, 0.25                       signal stored
        cce.signal x22          wait summed>=x23 signal token
        sync    wait token>=x23
        blt     x23, x26, 2b
        dma.store y, a
        halt
""",
    "rounds.s",
)


def started(schedule: Any, rounds: int = 5, checks: Any = None) -> Group:
    group = Group(N, "small", schedule=schedule, checks=checks)
    group.start(ROUNDS, "k", [{"x": np.full(16, i, np.float32), "n": rounds} for i in range(N)])
    return group


def taken(mirror: GroupMirror) -> GroupSnapshot:
    made = mirror.take()
    mirror.complete()
    return made


def outputs(group: Group) -> tuple[list[bytes], list[int | None], list[int]]:
    results = group.finish()
    return (
        [r.outputs["y"].numpy().tobytes() for r in results],
        [r.cycles for r in results],
        [r.instructions for r in results],
    )


@pytest.fixture(scope="module", params=SCHEDULES, ids=str)
def bare(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A schedule, and what a run in it gives that nobody watches."""
    group = started(request.param)
    assert group.run() is Stop.HALTED
    return request.param, outputs(group)


def test_pieces_are_the_whole(bare: tuple[Any, Any]) -> None:
    """Stopping anywhere changes no byte, no cycle, and not the order in which the chips move."""
    schedule, want = bare
    once = started(schedule)
    order: list[tuple[int, int]] = []
    while once.go(last=once.instructions + 1) is Stop.BREAKPOINT:
        order.append((once.mover.chip, once.mover.pc))
    assert outputs(once) == want
    assert sum(want[2]) - len(order) in (0, 1) and {c for c, _ in order} == {0, 1, 2}

    rng = random.Random(1)
    pieces = started(schedule)
    while True:
        pcs = frozenset(16 * rng.randrange(60) for _ in range(4))
        end = pieces.instructions + rng.choice((1, 3, 50, 1000))
        course = Course((pcs, None, lambda m: m.x[24] == 2), (FOREVER, FOREVER, pieces.machines[2].instructions + 30))
        cycle = (
            rng.choice((None, 1 + max(int(m.cycles or 0) for m in pieces.machines))) if schedule == "timed" else None
        )
        why = pieces.go(course, last=end, cycle=cycle)
        at = pieces.instructions
        if why is Stop.HALTED:
            break
        if why is Stop.BREAKPOINT:
            assert order[at - 1] == (pieces.mover.chip, pieces.mover.pc)
    assert outputs(pieces) == want


def test_a_snapshot_put_back_goes_on_alike(bare: tuple[Any, Any]) -> None:
    schedule, want = bare
    for at in range(1, sum(want[2]), 29):
        group = started(schedule)
        mirror = GroupMirror(group)
        group.go(last=at)
        here = taken(mirror)
        group.go(last=at + 37)
        later = taken(mirror)
        assert here.differs(later)
        mirror.put_back(here)
        assert taken(mirror).differs(here) == ""
        group.go(last=at + 37)
        assert taken(mirror).differs(later) == ""
        group.go()
        assert outputs(group) == want


def test_going_anywhere_is_running_there(bare: tuple[Any, Any]) -> None:
    schedule, want = bare
    group = started(schedule)
    timeline = GroupTimeline(group, interval=1e-4)
    timeline.begin()
    assert timeline.run() == (Stop.HALTED, None)
    last = sum(want[2])
    assert timeline.last == timeline.position == last
    rng = random.Random(0)
    for _ in range(12):
        at = rng.randrange(last)
        timeline.goto(at)
        fresh = started(schedule)
        if at:
            fresh.go(last=at)
        assert taken(GroupMirror(group)).differs(taken(GroupMirror(fresh))) == "", at
    for chip in range(N):
        for count in rng.sample(range(1, want[2][chip]), 4):
            timeline.goto_count(chip, count)
            assert group.machines[chip].instructions == count
            assert group.mover.chip == chip
    timeline.goto(3)
    timeline.run()
    assert outputs(group) == want


def test_checkpoints_are_made_on_the_way_and_met(bare: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Many rounds, a checkpoint wherever the clock ticks: each is one that a run without ticks comes to."""
    monkeypatch.setattr("sohu.emulator.timeline.SHARE", 1e3)  # whatever they cost
    schedule, _ = bare
    rounds = 70 if schedule is None else 15
    group = started(schedule, rounds)
    timeline = GroupTimeline(group, interval=1e-3)
    timeline.begin()
    timeline.run()
    made = timeline.checkpoints
    assert len(made) > 2
    timeline.goto(0)
    timeline.run()  # raises ReplayDiverged where one is not met
    for c in made[1 :: max(1, len(made) // 5)]:
        fresh = started(schedule, rounds)
        fresh.go(last=c.instruction)
        mirror = GroupMirror(fresh)
        assert taken(mirror).differs(c.snapshot) == ""  # type: ignore[arg-type]  # a group's
    timeline.goto(0)
    group.machines[1].sems[60] = 1
    with pytest.raises(ReplayDiverged, match="sems of chip 1"):
        timeline.run()


def test_the_latest_place_before_here(bare: tuple[Any, Any]) -> None:
    schedule, _ = bare
    group = started(schedule)
    pc = 16 * 24
    seen: list[tuple[int, int]] = []
    while group.go(Course((frozenset({pc}),) * N, (FOREVER,) * N)) is Stop.BREAKPOINT:
        seen.append((group.instructions, group.mover.chip))
    assert len(seen) > 8
    group = started(schedule)
    timeline = GroupTimeline(group, interval=1e-4)
    timeline.begin()
    timeline.run()
    back = []
    at = timeline.last
    while (found := timeline.last_hit(at, frozenset({pc}))) is not None:
        at = found[0]
        back.append((at, timeline.found))
    assert back == seen[::-1]


def test_a_cycle_is_gone_to_in_timed_order() -> None:
    group = started("timed")
    timeline = GroupTimeline(group, interval=1e-4)
    timeline.begin()
    timeline.run()
    cycles = max(m.cycles or 0 for m in group.machines)
    for cycle in (cycles // 2, 7, cycles // 3):
        timeline.goto_cycle(cycle)
        assert all(m.halted or m.timer is None or m.timer.next >= cycle for m in group.machines)
        at = [m.instructions for m in group.machines]
        fresh = started("timed")
        assert fresh.go(cycle=cycle) is Stop.CYCLE
        assert at == [m.instructions for m in fresh.machines]
    with pytest.raises(SohuError, match="timed order only"):
        other = GroupTimeline(started(None))
        other.begin()
        other.goto_cycle(3)


def test_an_error_is_gone_back_from(bare: tuple[Any, Any]) -> None:
    schedule, _ = bare
    group = started(schedule)
    timeline = GroupTimeline(group, interval=1e-4)
    timeline.begin()
    timeline.goto(200)
    group.machines[1].max_instructions = 140
    with pytest.raises(MachineError) as e:
        timeline.run()
    assert e.value.chip == 1
    timeline.goto(150)
    assert all(m.fault is None for m in group.machines)
    assert timeline.position == 150
