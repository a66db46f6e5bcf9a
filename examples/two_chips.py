"""A product whose inner dimension is split over two chips: each multiplies its half, an all-reduce adds them up."""

import numpy as np
from sohu.asm import assemble
from sohu.emulator import Group, MachineError

SOURCE = """
        .kernel linear
        .param  x, in,  f32, [M, K]             # this chip's columns of x, and its rows of w
        .param  w, in,  f32, [K, N]
        .param  y, out, f32, [M, N]
        .tile   xs,  sram, f32, [64, 96]
        .tile   ws,  sram, f32, [96, 48]
        .tile   acc, acc,  f32, [64, 48]
        .tile   ys,  sram, f32, [64, 48]
        .sem    loaded
        .sem    ready
        .sem    summed

        dma.load xs, x                          signal loaded
        dma.load ws, w, q=1                     signal loaded
        mm      acc, xs, ws     wait loaded>=2
        mout    ys, acc                         signal ready
        cce.allreduce ys, ys    wait ready>=1   signal summed
        dma.store y, ys         wait summed>=1
        halt
"""


def main() -> None:
    """The product in timed order; then what is said when one chip leaves out the all-reduce."""
    random = np.random.default_rng(0)
    x, w = random.normal(size=(64, 192)).astype(np.float32), random.normal(size=(192, 48)).astype(np.float32)
    halves = [
        {"x": np.ascontiguousarray(a), "w": b}
        for a, b in zip(np.split(x, 2, axis=1), np.split(w, 2, axis=0), strict=True)
    ]

    chips = Group(2, "sohu", schedule="timed")
    for chip, result in enumerate(chips.launch(assemble(SOURCE, "linear.s"), "linear", halves)):
        off = np.abs(result.outputs["y"].numpy() - x @ w).max()
        print(f"chip {chip}: {result.cycles:,} cycles, largest difference to NumPy {off:.1e}")

    skips = SOURCE.replace(
        "        cce.allreduce", "        chipid  x5\n        beq     x5, 1, past\n        cce.allreduce"
    )
    skips = skips.replace("        dma.store y", "past:   dma.store y")
    try:
        chips.launch(assemble(skips, "linear.s"), "linear", halves)
    except MachineError as e:
        print(f"\n{e}")


if __name__ == "__main__":
    main()
