"""Collectives over groups of 1, 2, 3 and 8 chips: their semantics on lists of arrays, against plain loops."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.isa import ROWS, CostArgs, Fault, f32, load_chip
from sohu.isa.machine import Space

Array = NDArray[Any]
SIZES = (1, 2, 3, 8)


def some(n: int, *shape: int, dtype: Any = np.float32) -> list[Array]:
    """A tile of whole numbers on each of n chips: sums are exact."""
    rng = np.random.default_rng(n)
    return [rng.integers(-50, 50, shape).astype(dtype) for _ in range(n)]


def empty(n: int, *shape: int, dtype: Any = np.float32) -> list[Array]:
    return [np.full(shape, 99, dtype) for _ in range(n)]


def collective(mnemonic: str, **operands: Any) -> None:
    ROWS[mnemonic].semantics(**operands, group=0)


@pytest.mark.parametrize("n", SIZES)
def test_allreduce(n: int) -> None:
    src, total, largest = some(n, 4, 3), empty(n, 4, 3), empty(n, 4, 3)
    before = [s.copy() for s in src]
    collective("cce.allreduce", dst=total, src=src)
    collective("cce.allreduce.max", dst=largest, src=src)
    for i in np.ndindex(4, 3):
        for rank in range(n):
            assert total[rank][i] == sum(int(s[i]) for s in src)
            assert largest[rank][i] == max(int(s[i]) for s in src)
    assert all(np.array_equal(s, b) for s, b in zip(src, before, strict=True))


def test_allreduce_adds_in_the_order_of_ranks() -> None:
    src = [np.array([x], np.float32) for x in (1.0, 2.0**24, -(2.0**24))]
    dst = empty(3, 1)
    collective("cce.allreduce", dst=dst, src=src)
    assert [float(d[0]) for d in dst] == [0.0] * 3  # 1 + 2^24 is 2^24 in float32
    collective("cce.allreduce", dst=dst, src=src[::-1])
    assert float(dst[0][0]) == 1.0


def test_the_largest_of_nan_is_nan() -> None:
    src = [np.array([x], np.float32) for x in (1.0, np.nan, 2.0)]
    dst = empty(3, 1)
    collective("cce.allreduce.max", dst=dst, src=src)
    assert all(np.isnan(d[0]) for d in dst)


@pytest.mark.parametrize("n", SIZES)
def test_allreduce_in_place(n: int) -> None:
    tiles = some(n, 5)
    want = sum(t.astype(np.int64) for t in tiles)
    collective("cce.allreduce", dst=tiles, src=tiles)
    assert all(np.array_equal(t, want) for t in tiles)


@pytest.mark.parametrize("n", SIZES)
def test_reducescatter_and_allgather_make_an_allreduce(n: int) -> None:
    src, part, whole, want = some(n, 2 * n, 3), empty(n, 2, 3), empty(n, 2 * n, 3), empty(n, 2 * n, 3)
    collective("cce.reducescatter", dst=part, src=src)
    for rank in range(n):
        for i in np.ndindex(2, 3):
            assert part[rank][i] == sum(int(s[rank * 2 + i[0], i[1]]) for s in src)
    collective("cce.allgather", dst=whole, src=part)
    collective("cce.allreduce", dst=want, src=src)
    assert all(np.array_equal(a, b) for a, b in zip(whole, want, strict=True))


@pytest.mark.parametrize("n", SIZES)
def test_allgather_converts(n: int) -> None:
    src, dst = some(n, 2, 3), empty(n, 2 * n, 3, dtype=ml_dtypes.bfloat16)
    collective("cce.allgather", dst=dst, src=src)
    for rank in range(n):
        for r, c in np.ndindex(2 * n, 3):
            assert dst[rank][r, c] == src[r // 2][r % 2, c]


@pytest.mark.parametrize("n", SIZES)
def test_alltoall(n: int) -> None:
    src, dst, back = some(n, 2 * n, 3), empty(n, 2 * n, 3), empty(n, 2 * n, 3)
    collective("cce.alltoall", dst=dst, src=src)
    for to in range(n):
        for source in range(n):
            for r, c in np.ndindex(2, 3):
                assert dst[to][2 * source + r, c] == src[source][2 * to + r, c]
    collective("cce.alltoall", dst=back, src=dst)
    assert all(np.array_equal(a, b) for a, b in zip(back, src, strict=True))


@pytest.mark.parametrize("n", SIZES)
def test_alltoallv_there_and_back(n: int) -> None:
    rng = np.random.default_rng(n)
    counts = [rng.integers(0, 4, n).astype(np.int32) for _ in range(n)]
    src, dst = some(n, 4 * n, 2), empty(n, 5 * n, 2)
    received = empty(n, n, dtype=np.int32)
    collective("cce.alltoallv", dst=dst, received=received, src=src, counts=counts)
    for rank in range(n):
        rows = []
        for source in range(n):
            first = sum(int(c) for c in counts[source][:rank])
            rows += [src[source][first + r] for r in range(counts[source][rank])]
            assert received[rank][source] == counts[source][rank]
        for r in range(5 * n):
            assert np.array_equal(dst[rank][r], rows[r] if r < len(rows) else [99, 99])
    back, returned = empty(n, 4 * n, 2), empty(n, n, dtype=np.int32)
    collective("cce.alltoallv", dst=back, received=returned, src=dst, counts=received)
    for rank in range(n):
        have = int(counts[rank].sum())
        assert np.array_equal(back[rank][:have], src[rank][:have])
        assert returned[rank].tolist() == counts[rank].tolist()


@pytest.mark.parametrize("n", SIZES)
def test_broadcast(n: int) -> None:
    for root in range(n):
        src, dst = some(n, 4), empty(n, 4, dtype=np.int32)
        collective("cce.broadcast", dst=dst, src=src, root=root)
        assert all(d.tolist() == src[root].tolist() for d in dst)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_permute_as_a_ring(n: int, shift: int) -> None:
    src, dst = some(n, 4), empty(n, 4)
    to = np.array([(r + shift) % n for r in range(n)], np.int32)
    collective("cce.permute", dst=dst, src=src, to=[to] * n)
    for rank in range(n):
        assert np.array_equal(dst[(rank + shift) % n], src[rank])


def test_permute_as_a_send() -> None:
    src, dst = some(3, 4), empty(3, 4)
    collective("cce.permute", dst=dst, src=src, to=[np.array([2, -1, -1], np.int32)] * 3)
    assert dst[2].tolist() == src[0].tolist()
    assert dst[0].tolist() == dst[1].tolist() == [99] * 4


def i32s(*values: list[int]) -> list[Array]:
    return [np.array(v, np.int32) for v in values]


@pytest.mark.parametrize(
    ("mnemonic", "operands", "category", "says"),
    [
        ("allreduce", {"dst": empty(2, 3), "src": [*some(1, 3), *some(1, 4)]}, "operand",
         "src of rank 1 has shape [4], of rank 0 [3]"),
        ("reducescatter", {"dst": empty(2, 2, 3), "src": some(2, 5, 3)}, "operand", "src has 5 rows, wants 2 times 2"),
        ("allgather", {"dst": empty(3, 5, 3), "src": some(3, 2, 3)}, "operand", "dst has 5 rows, wants 3 times 2"),
        ("alltoall", {"dst": empty(2, 5, 3), "src": some(2, 5, 3)}, "operand",
         "5 rows are no 2 blocks, one for each rank"),
        ("alltoallv", {"counts": i32s([1, 1], [2, -1])}, "operand", "rank 1 sends [2, -1] of 4 rows"),
        ("alltoallv", {"counts": i32s([1, 1], [2, 3])}, "operand", "rank 1 sends [2, 3] of 4 rows"),
        ("alltoallv", {"counts": i32s([0, 3], [0, 1])}, "out-of-bounds",
         "rank 1 is sent [3, 1] rows and has room for 3"),
        ("alltoallv", {"counts": i32s([1], [1])}, "operand", "1 counts in a group of 2"),
        ("broadcast", {"dst": empty(2, 3), "src": some(2, 3), "root": 2}, "operand",
         "root 2 is no rank of a group of 2"),
        ("broadcast", {"dst": empty(2, 3), "src": some(2, 3), "root": -1}, "operand",
         "root -1 is no rank of a group of 2"),
        ("permute", {"to": i32s([0], [0])}, "operand", "1 targets in a group of 2"),
        ("permute", {"to": i32s([0, 0], [0, 0])}, "operand", "targets [0, 0] are no different ranks of a group of 2"),
        ("permute", {"to": i32s([0, 2], [0, 2])}, "operand", "targets [0, 2] are no different ranks of a group of 2"),
        ("permute", {"to": i32s([0, 1], [1, 0])}, "operand", "rank 1 has the targets [1, 0], rank 0 [0, 1]"),
    ],
)  # fmt: skip
def test_what_is_refused(mnemonic: str, operands: dict[str, Any], category: str, says: str) -> None:
    if mnemonic == "alltoallv":
        operands |= {"dst": empty(2, 3, 2), "received": empty(2, 2, dtype=np.int32), "src": some(2, 4, 2)}
    if mnemonic == "permute":
        operands |= {"dst": empty(2, 3), "src": some(2, 3)}
    before = [d.copy() for d in operands["dst"]]
    with pytest.raises(Fault) as e:
        collective(f"cce.{mnemonic}", **operands)
    assert e.value.category == category and e.value.message == says
    assert all(np.array_equal(d, b) for d, b in zip(operands["dst"], before, strict=True))


COSTS = {  # of 8 chips and 64 KiB, latency 200, 16 bytes a cycle: 4096 cycles for all bytes
    "cce.allreduce": 2 * 3 * 200 + 2 * 7 / 8 * 4096,
    "cce.allreduce.max": 2 * 3 * 200 + 2 * 7 / 8 * 4096,
    "cce.reducescatter": 3 * 200 + 7 / 8 * 4096,
    "cce.allgather": 3 * 200 + 7 / 8 * 4096,
    "cce.alltoall": 7 * 200 + 7 / 8 * 4096,
    "cce.alltoallv": 7 * 200 + 7 / 8 * 4096,
    "cce.broadcast": (3 + 7) * 200 + 2 * 7 / 8 * 4096,
    "cce.permute": 200 + 4096,
}


def _cost(mnemonic: str, elements: int, n: int) -> float:
    row = ROWS[mnemonic]
    count = len(row.data)
    args = CostArgs(load_chip("small"), ((elements,),) * count, (f32,) * count, (Space.SRAM,) * count, {})
    return row.cost(dataclasses.replace(args, group=n))


@pytest.mark.parametrize("mnemonic", COSTS)
def test_costs_of_long_and_short_messages(mnemonic: str) -> None:
    assert _cost(mnemonic, 1 << 14, 8) == COSTS[mnemonic]
    steps = 1 if mnemonic == "cce.permute" else 3
    assert _cost(mnemonic, 0, 8) == steps * 200
    assert _cost(mnemonic, 1 << 14, 1) == 200 + (1 << 16) / 64  # a copy, at memory's bandwidth
