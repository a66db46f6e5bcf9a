"""Tensors that stay on the chip between kernels, and a launch by hand."""

import numpy as np
from sohu.dsl.kernels.matmul import matmul
from sohu.dsl.kernels.softmax import softmax

import sohu


def main() -> None:
    """Two kernels, one after the other: what lies between them never comes back to the host."""
    random = np.random.default_rng(0)
    chip = sohu.Device("sohu")
    a = chip.tensor(random.normal(size=(200, 64)).astype(np.float32))
    b = chip.tensor(random.normal(size=(64, 90)).astype(np.float32))

    scores = matmul(a, b, device=chip)  # device tensors in, a device tensor out
    weights = softmax(scores, device=chip)
    print(weights, "rows sum to", weights.numpy().sum(axis=1).mean())

    # What a call does: compile for arguments like these, then launch the program.
    program = softmax.compile(scores).program
    result = chip.launch(program, "softmax", {"x": scores, "y": weights})
    print(result.instructions, "instructions")


if __name__ == "__main__":
    main()
