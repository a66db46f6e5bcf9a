"""The kernel of the examples that is written by hand computes what it says, whatever order engines work in."""

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.emulator import Device

from tools.tree import ROOT


@pytest.mark.parametrize("schedule", [None, *range(20)])
def test_the_kernel_written_by_hand(schedule: int | None) -> None:
    source = ROOT / "examples" / "by_hand.s"
    program = assemble(source.read_text(encoding="utf-8"), source.name)
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(331, 33)).astype(np.float32) for _ in range(2))
    want = 2 * x + y
    Device("small", schedule=schedule).launch(program, "axpy", {"x": x, "y": y})
    np.testing.assert_array_equal(y, want)
