"""The same kernel with several block sizes, and the cycles the chip needs for each."""

import numpy as np
from sohu.dsl.kernels.matmul import matmul

import sohu


def main() -> None:
    """A product of 512 x 512 matrices, in blocks."""
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(512, 512)).astype(np.float32) for _ in range(2))
    chip = sohu.Device("sohu", timing=True)
    print("  bm   bn   bk    cycles       µs")
    for block in (64, 128, 256, 512):
        program = matmul.compile(a, b, bm=block, bn=block, bk=block).program
        cycles = chip.launch(program, "matmul", [a, b]).cycles
        assert cycles is not None  # the device was made with timing
        print(f"{block:4} {block:4} {block:4} {cycles:9,} {cycles / chip.chip.clock_hz * 1e6:8.2f}")


if __name__ == "__main__":
    main()
