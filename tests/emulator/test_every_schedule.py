"""What `pytest --schedules N` does: programs in many orders, and what it says of one that is not synchronized."""

from __future__ import annotations

import numpy as np
import pytest
from sohu.emulator import Device

from tests.emulator.support import kernel, random_floats
from tests.every_schedule import Sweep

LOADED = """
    loop 20, 9f
      add       x20, x20, 1
      dma.load  a, h                             signal loaded
      vadds     a, a, 1.0     {wait}             signal done
      dma.store o, a, q=1     wait done>=x20     signal stored
      sync      wait stored>=x20
    9:
"""
DECLARATIONS = """
    .param h, in, f32, [N]
    .param o, out, f32, [N]
    .sem loaded
    .sem done
    .sem stored
    .tile a, sram, f32, [32]
"""


def test_a_synchronized_program_is_the_same_in_all_orders() -> None:
    sweep, device = Sweep(10), Device("small")
    program = kernel(LOADED.format(wait="wait loaded>=x20"), DECLARATIONS)
    x = random_floats((32,))
    for _ in range(2):  # the second time, the program is known
        result = sweep.launch(device, program, "k", [x])
        assert np.array_equal(result.outputs["o"].numpy(), x + np.float32(1))
        assert sweep.runs == 12
    assert device.machine.schedule is None and device.machine.timer is None
    assert sweep.lines() == ["schedules: 12 runs of 1 programs"]


def test_one_that_lacks_a_wait_is_found() -> None:
    program = kernel(LOADED.format(wait=""), DECLARATIONS)
    with pytest.raises(AssertionError, match=r"k under schedule .* is not as in program order"):
        Sweep(10).launch(Device("small"), program, "k", [random_floats((32,))])
