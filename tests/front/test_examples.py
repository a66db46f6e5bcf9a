"""The kernel of the examples that is written by hand computes what it says, whatever order engines work in."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import Diagnostic, Program, assemble
from sohu.emulator import Device
from sohu.emulator.schedules import Spec

from tools.tree import ROOT


@pytest.mark.parametrize("schedule", [None, "timed", *range(20)])
def test_the_kernel_written_by_hand(schedule: Spec) -> None:
    source = ROOT / "examples" / "by_hand.s"
    program = assemble(source.read_text(encoding="utf-8"), source.name)
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(331, 33)).astype(np.float32) for _ in range(2))
    want = 2 * x + y
    Device("small", schedule=schedule).launch(program, "axpy", {"x": x, "y": y})
    np.testing.assert_array_equal(y, want)


def assembled(name: str) -> Program:
    """A program of examples/assembly, of which nothing is said."""
    path = ROOT / "examples" / "assembly" / name
    said: list[Diagnostic] = []
    program = assemble(path.read_text(encoding="utf-8"), str(path), warnings=said)
    assert not said
    return program


def launch(program: Program, kernel: str, schedule: Spec, **args: Any) -> np.ndarray[Any, Any]:
    (out,) = Device("small", schedule=schedule).launch(program, kernel, args).outputs.values()
    return out.numpy()


SCHEDULES = pytest.mark.parametrize("schedule", [None, "timed", *range(4)])


@SCHEDULES
def test_softmax(schedule: Spec) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(331, 77)).astype(ml_dtypes.bfloat16)
    e = np.exp(x.astype(np.float32) - x.astype(np.float32).max(1, keepdims=True))
    y = launch(assembled("softmax.s"), "softmax", schedule, x=x)
    np.testing.assert_allclose(y.astype(np.float32), e / e.sum(1, keepdims=True), rtol=2**-8)


@SCHEDULES
@pytest.mark.parametrize("shape", [(150, 300, 260), (128, 128, 128), (1, 1, 1), (257, 129, 385)])
def test_matmul(schedule: Spec, shape: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    m, k, n = shape
    a, b = (random.integers(-2, 3, size).astype(ml_dtypes.bfloat16) for size in ((m, k), (k, n)))
    c = launch(assembled("matmul.s"), "matmul", schedule, a=a, b=b)
    np.testing.assert_array_equal(c, (a.astype(np.float32) @ b.astype(np.float32)).astype(ml_dtypes.bfloat16))


@SCHEDULES
def test_dct(schedule: Spec) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(700, 8)).astype(np.float32)
    n = np.arange(8)
    matrix = np.cos((2 * n[:, None] + 1) * n * np.pi / 16) * np.where(n == 0, np.sqrt(1 / 8), 1 / 2)
    y = launch(assembled("dct.s"), "dct", schedule, x=x)
    np.testing.assert_allclose(y, x @ matrix, atol=1e-6)
