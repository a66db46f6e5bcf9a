"""Schedules: queues, waits and signals in program order; random legal orders; deadlocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device, Listener, MachineError
from sohu.emulator.parts import Queue

from tests.emulator.support import Array, kernel, named, random_floats, run, stopped

SEEDS = range(100)

# A pipeline over three engines with two buffers; `{wait}` is where synchronization can be left out.
PIPELINE = """
    li   x20, 0
    loop 6, 9f
      add  x21, x20, -1
      and  x22, x20, 1
      mul  x23, x22, 256
      tbase t30, a, x23
      tslice t31, h, 0, x24, 8
      tslice t32, o, 0, x24, 8
      dma.load t30, t31      {free}                  signal loaded
      vexp  t30, t30         {loaded}                signal ready
      mm    c, t30, w        {ready}                 signal multiplied
      vadds t30, c, 1.0      {multiplied}            signal done
      dma.store t32, t30, q=1  {done}                signal stored
      add  x20, x20, 1
      add  x24, x24, 8
    9:
"""
WAITS = {
    "free": "wait stored>=x21",
    "loaded": "wait loaded>=x20+1",
    "ready": "wait ready>=x20+1",
    "multiplied": "wait multiplied>=x20+1",
    "done": "wait done>=x20+1",
}
DECLARATIONS = """
    .param h, in, f32, [R, 8]
    .param o, out, f32, [R, 8]
    .sem loaded
    .sem ready
    .sem multiplied
    .sem done
    .sem stored
    .tile a, sram, f32, [8, 8], at=0
    .tile a1, sram, f32, [8, 8], at=256
    .tile w, sram, f32, [8, 8]
    .tile c, acc, f32, [8, 8]
"""


def _pipeline(device: Device, without: str = "") -> Array:
    waits = {name: "" if name == without else text for name, text in WAITS.items()}
    # the accumulator is single: a product also waits until its predecessor has been read
    body = " vfill w, 0.125 signal ready\n drain\n semreset ready\n" + PIPELINE.format(**waits)
    body = body.replace("mm    c, t30, w", "mxu.sync wait done>=x20\n      mm    c, t30, w")
    return device.launch(kernel(body, DECLARATIONS), "k", [random_floats((48, 8))]).outputs["o"].numpy()


def test_a_synchronized_program_gives_the_same_under_100_random_orders() -> None:
    expected = _pipeline(Device("small"))
    x = random_floats((48, 8))
    assert np.allclose(expected, np.exp(x).sum(1, keepdims=True) * 0.125 + 1, rtol=1e-5)
    for seed in SEEDS:
        assert np.array_equal(_pipeline(Device("small", schedule=seed)), expected), seed


@pytest.mark.parametrize("missing", WAITS)
def test_a_missing_wait_shows_under_some_random_order(missing: str) -> None:
    expected = _pipeline(Device("small"))
    assert np.array_equal(_pipeline(Device("small"), missing), expected)  # program order hides it
    different = [s for s in SEEDS if not np.array_equal(_pipeline(Device("small", schedule=s), missing), expected)]
    assert len(different) >= 5


def test_a_seed_repeats_itself_whatever_ran_before() -> None:
    a = Device("small", schedule=11)
    first = _pipeline(a, "loaded")
    run("nop\n dma.sync\n vpu.sync", device=a)
    assert np.array_equal(_pipeline(a, "loaded"), first)
    assert np.array_equal(_pipeline(Device("small", schedule=11), "loaded"), first)


def test_what_waits_parks_its_queue_and_not_the_sequencer() -> None:
    body = """
        vfill a, 1.0   wait s1>=1
        vadds a, a, 1.0
        dma.fill b, 5.0
        li x5, 1
        dma.sync q=2   signal s1
    """
    decl = ".tile a, sram, f32, [2]\n.tile b, sram, f32, [2]"
    device = Device("small")
    device.start(kernel(body, decl), "k")
    m = device.machine
    m.run({6 * 16})  # before the signal
    vpu = m.queue(m.queues[5].engine)
    assert [e.op.index for e in vpu.entries] == [2, 3] and m.x[5] == 1
    assert named(m, "b").tolist() == [5, 5] and named(m, "a").tolist() == [0, 0]
    m.run()
    assert named(m, "a").tolist() == [2, 2] and not vpu.entries


def test_operands_are_those_of_the_moment_of_issue() -> None:
    body = """
        li x20, 2
        li x21, 0x40000000
        vfill a, x21   wait s1>=x20
        li x20, 1
        li x21, 0
        vpu.sync       signal s2
        sync           signal s1
        sync           signal s1
    """
    device, _ = run(body, ".tile a, sram, f32, [x20<=4]")
    memory = device.machine.memories.sram[:16].view(np.float32)
    assert memory.tolist() == [2, 2, 0, 0]


def test_a_wait_can_ask_for_less_than_nothing() -> None:
    device, _ = run("li x5, -7\n vfill a, 1.0 wait s1>=x5+3", ".tile a, sram, f32, [1]")
    assert named(device.machine, "a").tolist() == [1]


def test_signals_count_and_increment() -> None:
    device, _ = run("vpu.sync signal s1+=200\n sync wait s1>=200 signal s1+=3\n dma.sync wait s1>=203 signal s2")
    assert device.machine.sems[1:3] == [203, 1]


def test_a_signal_sets_off_what_is_parked() -> None:
    device, _ = run(
        "vpu.sync wait s1>=1 signal s2\n mxu.sync wait s2>=1 signal s3\n dma.sync signal s1\n sync wait s3>=1"
    )
    assert device.machine.sems[1:4] == [1, 1, 1]


def test_semaphores_are_reset_after_a_drain() -> None:
    body = "vpu.sync signal s1\n drain\n semreset s1\n vpu.sync wait s1>=0 signal s1"
    device, _ = run(body)
    assert device.machine.sems[1] == 1


@pytest.mark.parametrize("seed", [None, *range(10)])
def test_a_reset_without_a_drain_fails_under_every_schedule(seed: int | None) -> None:
    e = stopped("vpu.sync signal s1\n nop\n semreset s1", device=Device("small", schedule=seed))
    assert (e.category, e.pc) == ("semaphore", 2 * 16)
    run("semreset s1\n vpu.sync\n drain\n nop\n semreset s1\n semreset s2", device=Device("small", schedule=seed))


def test_queues_belong_to_their_engines() -> None:
    names = [q.name for q in Device("small").machine.queues]
    assert names == ["DMA0", "DMA1", "DMA2", "DMA3", "MXU", "VPU", "CCE"]


class Depth(Listener):
    """The deepest that any queue ever was."""

    def __init__(self) -> None:
        self.most: dict[str, int] = {}

    def did_issue(self, machine: Any, op: Any) -> None:
        for q in machine.queues:
            assert isinstance(q, Queue)
            self.most[q.name] = max(self.most.get(q.name, 0), len(q.entries))


def test_a_full_queue_stops_the_sequencer() -> None:
    body = "vpu.sync wait s1>=1\n" + "vpu.sync\n" * 7 + "dma.sync signal s1"
    device, _ = run(body)
    assert device.machine.sems[1] == 1
    too_many = "vpu.sync wait s1>=1\n" + "vpu.sync\n" * 8 + "dma.sync signal s1"
    e = stopped(too_many)
    assert e.category == "deadlock" and e.pc == 8 * 16
    assert "sequencer at pc 0x0080 (k.s:11) `vpu.sync`: for room in the queue of VPU" in e.message
    assert "VPU at pc 0x0000 (k.s:3) `vpu.sync  wait s1>=1`: for s1 >= 1, which is 0 (7 more behind it)" in e.message
    with pytest.raises(MachineError, match="for room in the queue of VPU"):
        run(too_many, device=Device("small", schedule=1))


def test_random_orders_fill_queues_and_keep_their_depth() -> None:
    deepest = 0
    for seed in range(20):
        device = Device("small", schedule=seed)
        depth = Depth()
        device.machine.listeners.append(depth)
        run("loop 40, 9f\n vpu.sync\n dma.sync\n mxu.sync\n9:", device=device)
        assert max(depth.most.values()) <= 8
        deepest = max(deepest, *depth.most.values())
    assert deepest == 8


@pytest.mark.parametrize("seed", [None, *range(10)])
def test_a_deadlock_names_all_that_wait(seed: int | None) -> None:
    body = """
        dma.sync  wait up>=1   signal down
        vpu.sync  wait down>=1 signal up
        mxu.sync  wait up>=2
    """
    e = stopped(body, ".sem up\n.sem down", device=Device("small", schedule=seed))
    assert e.category == "deadlock" and e.pc == 3 * 16 and e.line is not None
    assert e.message.splitlines() == [
        "nothing can run, and these wait:",
        f"    sequencer at pc 0x0030 (k.s:{e.line.line}) `halt`: for all queues to empty",
        "    DMA0 at pc 0x0000 (k.s:5) `dma.sync  wait up>=1  signal down`: for up >= 1, which is 0",
        "    MXU at pc 0x0020 (k.s:7) `mxu.sync  wait up>=2`: for up >= 2, which is 0",
        "    VPU at pc 0x0010 (k.s:6) `vpu.sync  wait down>=1  signal up`: for down >= 1, which is 0",
        "  up >= 1 needs a signal of `vpu.sync  wait down>=1  signal up` at pc 0x0010, which waits in the queue of VPU",
        "  up >= 2 needs a signal of `vpu.sync  wait down>=1  signal up` at pc 0x0010, which waits in the queue of VPU",
        "  up >= 2 is never reached: what is left signals it up to 1 only",
        "  down >= 1 needs a signal of `dma.sync  wait up>=1  signal down` at pc 0x0000, "
        "which waits in the queue of DMA0",
        "  a circle: DMA0 waits for VPU waits for DMA0",
    ]
    assert e.help.startswith("an instruction must signal up")
