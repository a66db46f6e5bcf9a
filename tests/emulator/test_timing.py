"""The timer on small cases, each counted by hand in the comments."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device, Listener
from sohu.isa import load_chip

from tests.emulator.support import kernel, random_floats

# Round figures: an element takes a cycle and 10 more; a transfer one cycle per byte after 100.
CHIP = dataclasses.replace(
    load_chip("small"),
    vpu_lanes=1,
    vpu_latency=10,
    hbm_latency=100,
    hbm_bytes_per_cycle=1.0,
    dma_queue_bytes_per_cycle=1.0,
)
TILES = ".tile a, sram, f32, [5]\n.tile b, sram, f32, [5]\n"
PROLOGUE = 2  # cycles: two tld


def cycles(body: str, decl: str = TILES, args: Any = (), **options: Any) -> int:
    device = Device(CHIP, timing=True, **options)
    result = device.launch(kernel(body, decl), "k", args)
    assert result.cycles is not None
    return result.cycles


def test_without_timing_there_are_no_cycles() -> None:
    assert Device(CHIP).launch(kernel("nop"), "k").cycles is None


def test_the_sequencer_takes_one_cycle_an_instruction() -> None:
    assert cycles("nop\n nop", "") == 3  # and halt


def test_debug_instructions_take_none() -> None:
    assert cycles('nop\n dbg.mark "here"\n nop', "") == 3


def test_a_loop_costs_its_instructions() -> None:
    assert cycles("loop 10, 9f\n nop\n nop\n9:", "") == 1 + 20 + 1


def test_the_end_waits_for_the_engines() -> None:
    assert cycles("vadds a, a, 1.0") == PROLOGUE + 15


def test_a_queue_executes_one_after_the_other() -> None:
    assert cycles("vadds a, a, 1.0\n vadds a, a, 1.0") == PROLOGUE + 15 + 15


def test_engines_run_side_by_side() -> None:
    # the transfer issues at 2 and ends at 2 + 100 + 20; the other at 3 and ends at 3 + 15
    decl = TILES + ".param h, in, f32, [5]"
    decl = ".param h, in, f32, [5]\n" + TILES
    assert cycles("dma.load a, h\n vadds b, b, 1.0", decl, [random_floats((5,))]) == 3 + 120


def test_a_copy_within_sram_pays_nothing_of_hbm() -> None:
    # 20 bytes at a byte a cycle; the fill waits in the same queue, then takes as long
    chip = dataclasses.replace(CHIP, hbm_bytes_per_cycle=0.5)
    device = Device(chip, timing=True)
    assert device.launch(kernel("dma.copy a, b", TILES), "k").cycles == PROLOGUE + 20
    assert device.launch(kernel("dma.copy a, b\n dma.fill a, 1.0", TILES), "k").cycles == PROLOGUE + 20 + 20


@pytest.mark.parametrize(("m", "k", "n"), [(0, 8, 8), (8, 0, 8), (8, 8, 0)])
def test_an_empty_product_costs_its_fixed_part(m: int, k: int, n: int) -> None:
    # sizes come from registers: a declared one cannot be 0
    sizes = {"m": m, "k": k, "n": n}
    regs = "".join(f" li x{20 + i}, {v}\n" for i, v in enumerate(sizes.values()))
    tiles = """
        .tile c, acc, f32, [x20<=8, x22<=8]
        .tile a, sram, f32, [x20<=8, x21<=8]
        .tile b, sram, f32, [x21<=8, x22<=8]
    """
    assert cycles(regs + "mm c, a, b", tiles) == 3 + 3 + 2 * CHIP.mxu_rows + CHIP.mxu_cols - 2


def test_a_wait_starts_when_the_signal_is_sent() -> None:
    decl = ".param h, in, f32, [5]\n" + TILES
    body = "dma.load a, h signal s1\n vadds a, a, 1.0 wait s1>=1"
    assert cycles(body, decl, [random_floats((5,))]) == 3 + 120 + 15


def test_a_wait_for_two_signals_starts_at_the_later() -> None:
    # vadds ends at 3 + 15, the transfer at 4 + 120
    decl = ".param h, in, f32, [5]\n" + TILES
    body = "vadds b, b, 1.0 signal s1\n dma.load a, h signal s1\n mxu.sync wait s1>=2 signal s2\n vpu.sync wait s2>=1"
    assert cycles(body, decl, [random_floats((5,))]) == 4 + 120


def test_sync_holds_the_sequencer() -> None:
    # vadds: 2..17; sync ends a cycle later, nop and halt after it
    assert cycles("vadds a, a, 1.0 signal s1\n sync wait s1>=1\n nop") == PROLOGUE + 15 + 1 + 1 + 1


def test_drain_holds_the_sequencer() -> None:
    assert cycles("vadds a, a, 1.0\n drain\n nop") == PROLOGUE + 15 + 1 + 1 + 1


def test_transfers_share_bandwidth_and_overlap_latency() -> None:
    # on two queues: bytes 3..23 and 23..43, each 100 later
    decl = ".param h, in, f32, [5]\n" + TILES
    body = "dma.load a, h\n dma.load b, h, q=1"
    assert cycles(body, decl, [random_floats((5,))]) == 3 + 20 + 20 + 100
    # on one queue the second starts when the first has ended
    assert cycles("dma.load a, h\n dma.load b, h", decl, [random_floats((5,))]) == 3 + 120 + 120


def test_a_full_queue_holds_the_sequencer() -> None:
    # issues at 2, 3, ... 10: the first runs at once, the next eight fill the queue; the tenth has to wait
    # until the second starts, at 2 + 15, and issues then; nop and halt follow
    body = "vadds a, a, 1.0\n" * 10
    device = Device(CHIP, timing=True)
    device.start(kernel(body + "nop", TILES), "k")
    m = device.machine
    m.run({12 * 16})
    assert m.timer is not None and m.timer.now == PROLOGUE + 15 + 1
    m.run()
    assert m.cycles == PROLOGUE + 150


def test_parked_work_signals_in_time_order() -> None:
    # issued first, executed last: the first vadds waits for the transfer, the sync for the vadds
    decl = ".param h, in, f32, [5]\n" + TILES
    body = "vadds b, b, 1.0 wait s1>=1 signal s2\n dma.load a, h signal s1\n sync wait s2>=1"
    assert cycles(body, decl, [random_floats((5,))]) == 4 + 120 + 15 + 1 + 1


def test_stats_say_who_worked_and_who_waited() -> None:
    decl = ".param h, in, f32, [5]\n" + TILES
    body = "dma.load a, h signal s1\n vadds a, a, 1.0 wait s1>=1"
    stats = Device(CHIP, timing=True).launch(kernel(body, decl), "k", [random_floats((5,))]).stats
    assert (stats["busy.DMA0"], stats["stall.DMA0"]) == (120, 0)
    assert (stats["busy.VPU"], stats["stall.VPU"]) == (15, 119)
    assert "busy.MXU" not in stats


def test_cycles_do_not_depend_on_data_sizes_of_registers_do() -> None:
    decl = ".param n, i64, reg=x20\n.tile a, sram, f32, [x20<=100]"
    assert [cycles("vadds a, a, 1.0", decl, [n]) for n in (1, 10, 100)] == [2 + 11, 2 + 20, 2 + 110]


@pytest.mark.parametrize("seed", [None, *range(10)])
def test_cycles_are_the_same_under_every_schedule_and_observation(seed: int | None) -> None:
    body = """
        loop 5, 9f
          add x20, x20, 1
          dma.load a, h           wait s2>=x20-1   signal s1
          vadds a, a, 1.0         wait s1>=x20     signal s3
          dma.store o, a, q=1     wait s3>=x20     signal s2
        9:
    """
    decl = ".param h, in, f32, [N]\n.param o, out, f32, [N]\n.tile a, sram, f32, [5]"
    x = random_floats((5,))
    expected = cycles(body, decl, [x])
    # a round: a transfer, 15 cycles, a transfer
    assert expected == 5 * (120 + 15 + 120) + 5
    device = Device(CHIP, timing=True, schedule=seed)
    device.machine.listeners.append(Listener())
    result = device.launch(kernel(body, decl), "k", [x])
    assert result.cycles == expected
    assert np.array_equal(result.outputs["o"].numpy(), x + np.float32(1))


def test_stepping_shows_time_passing() -> None:
    device = Device(CHIP, timing=True)
    device.start(kernel("vadds a, a, 1.0\n nop\n drain", TILES), "k")
    seen = []
    while not device.machine.halted:
        device.machine.step()
        seen.append(device.machine.cycles)
    assert seen == [1, 2, 17, 17, 18, 19]
