"""The checkers and compiled kernels: a wait taken away from one is a race, or was not needed."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.dsl import Kernel
from sohu.dsl.kernels import attention, lookup, matmul, mlp, norm, softmax
from sohu.dsl.language import TensorSpec
from sohu.emulator import Device, MachineError

from tests.dsl.support import rand

WAIT = re.compile(r"\bwait \S+?>=\S+")
ORDERS = range(8)
IDS = np.array([1, 5, 2, 7, 0, 3], np.int32)
CASES: dict[str, tuple[Kernel, list[Any], dict[str, Any]]] = {  # arguments; blocks and scalars
    "softmax": (softmax.softmax, [rand(40, 24)], {"rows": 8}),
    "matmul": (matmul.matmul, [rand(20, 40), rand(40, 24)], {"bm": 8, "bn": 16, "bk": 16}),
    "linear": (matmul.linear, [rand(20, 16), rand(24, 16)], {"bm": 8, "bn": 8}),
    "mlp": (mlp.gated_mlp, [rand(12, 16), rand(24, 16), rand(24, 16), rand(24, 16)], {"bm": 8, "bn": 8}),
    "rmsnorm": (norm.rmsnorm, [rand(20, 16), rand(16)], {"rows": 8}),
    "argmax": (lookup.argmax, [rand(10, 40)], {"rows": 4, "bv": 16}),
    "embedding": (lookup.embedding, [IDS, rand(8, 16)], {"rows": 2}),
    "attention": (
        attention.attention,
        [rand(9, 2, 2, 8), rand(2, 24, 8), rand(2, 24, 8)],
        {"bq": 4, "bk": 8, "pos": 6, "scale": 0.3},
    ),
}


def _without_one(text: str) -> list[str]:
    """The program once for each of its waits, without it."""
    return [text[: m.start()] + text[m.end() :] for m in WAIT.finditer(text)]


@pytest.mark.parametrize("name", CASES)
def test_a_wait_taken_from_a_kernel_is_a_race(name: str) -> None:
    kernel, arrays, more = CASES[name]
    compiled = kernel.compile(*arrays, chip="small", **more)
    inputs = [n for n, s in kernel.specs.items() if isinstance(s, TensorSpec) and s.direction != "out"]
    args = dict(zip(inputs, arrays, strict=True)) | {n: v for n, v in more.items() if n in kernel.specs}

    def outputs(text: str, **options: Any) -> list[bytes]:
        program = assemble(text, f"{name}.s")
        result = Device("small", max_instructions=100_000, **options).launch(program, kernel.name, dict(args))
        return [t.numpy().tobytes() for t in result.outputs.values()]

    right = outputs(compiled.asm, checks="all")
    kept = 0
    mutants = _without_one(compiled.asm)
    assert mutants
    for text in mutants:
        try:
            outputs(text, checks="race")
        except MachineError as e:
            assert e.category == "race", str(e)
        else:
            kept += 1
            for seed in ORDERS:
                assert outputs(text, schedule=seed) == right, "a race that was not found"
    assert kept <= 1 and kept < len(mutants)
