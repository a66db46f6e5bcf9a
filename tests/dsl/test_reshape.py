"""Tiles in another shape, in place; named dimensions whose sizes are fixed at compile time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sohu.dsl import CompileError, In, Out, bf16, f32, kernel, zeros
from sohu.dsl import range as range_
from sohu.emulator import ArgumentError, Device
from sohu.isa import MIN_QUEUE_DEPTH, DType

from tests.dsl.support import SMALL, ops


def run(k: Any, *args: Any, sizes: dict[str, int], schedules: tuple[int | None, ...] = (None, 0, 1)) -> Any:
    """The outputs under program order and under random legal orders, which must agree."""
    compiled = k.compile(*args, chip=SMALL, sizes=sizes)
    results = []
    for schedule in schedules:
        outputs = Device(SMALL, schedule=schedule).launch(compiled.program, k.name, args).outputs
        results.append({n: t.numpy() for n, t in outputs.items()})
    for other in results[1:]:
        for n, a in results[0].items():
            assert a.tobytes() == other[n].tobytes()
    return compiled, results[0]


def rand(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


@kernel
def heads(x: In[f32, "N C"], w: In[f32, "C Q"], y: Out[f32, "H N D"], z: Out[f32, "N Q"], *, rows: int = 4) -> None:
    for n in range_(0, x.N, rows):
        t = x[n : n + rows] @ w[:]
        split = t.reshape(t.shape[0], y.H, y.D)
        y[:, n : n + rows] = split.transpose(1, 0, 2) * 2.0
        joined = (split * 3.0).reshape(t.shape[0], t.shape[1])
        z[n : n + rows] = joined


@pytest.mark.parametrize("n", [1, 4, 7, 8])
def test_rows_are_split_into_heads_and_joined(n: int) -> None:
    """A run-time number of rows, a short last block, several turns of a loop."""
    x, w = rand(n, 5), rand(5, 6)
    y, z = np.zeros((3, n, 2), np.float32), np.zeros((n, 6), np.float32)
    compiled, out = run(heads, x, w, y, z, sizes={"C": 5, "Q": 6, "H": 3, "D": 2})
    np.testing.assert_allclose(out["y"], 2 * (x @ w).reshape(n, 3, 2).transpose(1, 0, 2), rtol=1e-5)
    np.testing.assert_allclose(out["z"], 3 * (x @ w), rtol=1e-5)
    executed = [op.name for op in ops(compiled.function, "reshape")]
    assert len(executed) == 2 and "over=" in compiled.asm
    assert "vmov" not in compiled.asm  # nothing is copied


@kernel
def of_views(x: In[f32, "4 6"], y: Out[f32, "3 8"], z: Out[f32, "2 2 3"], v: Out[f32, "24"]) -> None:
    t = x[...] + 1.0
    y[...] = t.T.reshape(3, 8)
    z[...] = t[1:3].reshape(2, 2, 3)
    v[...] = t.reshape((24,)).reshape(1, 24)[0]


def test_a_view_is_copied_first_as_in_numpy() -> None:
    x = rand(4, 6)
    shapes = [(3, 8), (2, 2, 3), (24,)]
    _, out = run(of_views, x, *(np.zeros(s, np.float32) for s in shapes), sizes={})
    np.testing.assert_array_equal(out["y"], (x + 1).T.reshape(3, 8))
    np.testing.assert_array_equal(out["z"], (x + 1)[1:3].reshape(2, 2, 3))
    np.testing.assert_array_equal(out["v"], (x + 1).reshape(24))


@kernel
def carried(x: In[f32, "N 6"], y: Out[f32, "2 3"]) -> None:
    total = zeros((1, 6))
    for n in range_(0, x.N):
        again = total.reshape(2, 3) + 0.0  # what the turn before left, in another shape
        total = x[n : n + 1] + again.reshape(1, 6)
    y[...] = total.reshape(2, 3)


def test_what_a_loop_carries_can_be_reshaped() -> None:
    x = rand(5, 6)
    _, out = run(carried, x, np.zeros((2, 3), np.float32), sizes={})
    np.testing.assert_allclose(out["y"], x.sum(axis=0).reshape(2, 3), rtol=1e-5)


@pytest.mark.parametrize("dtype", [f32, bf16], ids=str)
def test_a_tensor_is_loaded_and_then_reshaped(dtype: DType) -> None:
    @kernel
    def loaded(x: In[dtype, "4 6"], y: Out[dtype, "2 12"]) -> None:  # type: ignore[valid-type]
        y[...] = x[...].reshape(2, 12)

    x = rand(4, 6).astype(dtype.np)
    _, out = run(loaded, x, np.zeros((2, 12), dtype.np), sizes={})
    np.testing.assert_array_equal(out["y"], x.reshape(2, 12))


def test_many_shapes_share_registers() -> None:
    """More tiles than registers: tiles of one shape share theirs, and their other shapes go along."""

    @kernel
    def many(x: In[f32, "N 4"], y: Out[f32, "N 4"]) -> None:
        t = x[0:8]
        n = t.shape[0]
        for _ in range(40):
            t = (t.reshape(n, 2, 2) + 1.0).reshape(n, 4) * 1.0
        y[0:8] = t

    x = rand(8, 4)
    _, out = run(many, x, np.zeros_like(x), sizes={}, schedules=(None, MIN_QUEUE_DEPTH))
    np.testing.assert_allclose(out["y"], x + 40, rtol=1e-5)


# -- sizes ----------------------------------------------------------------------------------------


@kernel
def scaled(x: In[f32, "N C"], y: Out[f32, "N C"]) -> None:
    for n in range_(0, x.N, 4):
        y[n : n + 4] = x[n : n + 4] * 2.0


def test_sizes_are_known_at_compile_time() -> None:
    free = scaled.compile(f32, chip=SMALL, bounds={"N": 8, "C": 16})
    fixed = scaled.compile(f32, chip=SMALL, sizes={"N": 8, "C": 16})
    assert "tset" in free.asm and "tget" in free.asm
    assert "tset" not in fixed.asm and "tget" not in fixed.asm and "[8, 16]" in fixed.asm
    assert fixed.bounds == {} and free is not fixed
    assert scaled.compile(f32, chip=SMALL, sizes={"C": 16, "N": 8}) is fixed
    x = rand(8, 16)
    out = Device(SMALL).launch(fixed.program, "scaled", [x, np.zeros_like(x)]).outputs["y"].numpy()
    np.testing.assert_array_equal(out, 2 * x)
    with pytest.raises(ArgumentError):
        Device(SMALL).launch(fixed.program, "scaled", [x[:4], np.zeros_like(x[:4])])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"M": 3}, "has no dimension 'M'"),
        ({"N": -1}, "sizes: N = -1, wants a size"),
        ({"N": 3}, "sizes: N = 3, but it is 8 elsewhere"),
    ],
)
def test_sizes_that_cannot_be(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        scaled.compile(rand(8, 16), chip=SMALL, sizes=sizes)


def test_a_run_time_size_stays_where_it_is() -> None:
    @kernel
    def mixed(x: In[f32, "N C"], y: Out[f32, "N C"]) -> None:
        t = x[0:4]
        y[0:4] = t.reshape(t.shape[1], t.shape[0])

    with pytest.raises(CompileError, match="only leading dimensions that stay") as caught:
        mixed.compile(f32, chip=SMALL, bounds={"C": 8})
    assert caught.value.code == "K014"
