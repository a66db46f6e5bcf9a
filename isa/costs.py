"""Cost functions of rows: the cycles an engine is busy. docs/machine.md says where figures come from."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import NamedTuple

from sohu.isa.instruction import Cost, CostArgs
from sohu.isa.machine import Space
from sohu.isa.shapes import Shape


def per_element(cycles: float, operand: int = 0) -> Cost:
    """`cycles` per element of a tile operand and lane, after the VPU's latency."""

    def cost(a: CostArgs) -> float:
        return a.chip.vpu_latency + ceil(prod(a.shapes[operand]) * cycles / a.chip.vpu_lanes)

    return cost


def systolic(lhs: int = 1, rhs: int = 2) -> Cost:
    """Matrix product of operands `lhs` [.., M, K] and `rhs` [.., K, N] into operand 0 [.., M, N], weight-stationary.

    K x N is cut into array-sized folds, spread over the arrays; a fold streams M rows (at the rate of the
    wider operand's dtype) while the next fold's weights load behind it; the first fold's load and the last
    one's drain are exposed: 2 rows + cols - 2 (the fill of SCALE-Sim's weight-stationary formula).
    """

    def cost(a: CostArgs) -> float:
        c = a.chip
        acc = a.shapes[0]
        m, k, n = acc[-2], a.dims["K"], acc[-1]
        fixed = 2 * c.mxu_rows + c.mxu_cols - 2
        if not prod(acc) * k:
            return fixed
        folds = prod(acc[:-2]) * ceil(k / c.mxu_rows) * ceil(n / c.mxu_cols)
        rate = min(c.mxu_rate.get(d.name, c.mxu_rate["f32"]) for d in (a.dtypes[lhs], a.dtypes[rhs]))
        stream = max(ceil(m / rate), c.mxu_rows)  # loading a fold's weights takes one cycle per array row
        # with fewer folds than arrays, the rows of one fold are split over idle arrays
        split = max(1, min(c.mxu_arrays // max(folds, 1), ceil(m / c.mxu_rows)))
        waves = ceil(folds / c.mxu_arrays)
        return waves * max(ceil(stream / split), c.mxu_rows) + fixed

    return cost


def drained() -> Cost:
    """Accumulators [.., M, N] on their way out: each array gives a row of its columns per cycle, after its depth."""

    def cost(a: CostArgs) -> float:
        return a.chip.mxu_rows + ceil(prod(a.shapes[0]) / (a.chip.mxu_arrays * a.chip.mxu_cols))

    return cost


def _bytes(shape: Shape, itemsize: int) -> int:
    return prod(shape) * itemsize


def moved(hbm_operand: int) -> Cost:
    """A transfer: the HBM side's bytes over the queue's bandwidth, after the memory's latency.

    Within SRAM neither HBM's latency nor its bandwidth counts.
    """

    def cost(a: CostArgs) -> float:
        n = _bytes(a.shapes[hbm_operand], a.dtypes[hbm_operand].itemsize)
        if Space.HBM not in a.spaces:
            return ceil(n / a.chip.dma_queue_bytes_per_cycle)
        rate = min(a.chip.dma_queue_bytes_per_cycle, a.chip.hbm_bytes_per_cycle)
        return a.chip.hbm_latency + ceil(n / rate)

    return cost


def gathered(tile_operand: int, passes: int = 1) -> Cost:
    """A gather or scatter: as many bytes as the dense side has, in whole 64-byte bursts per row.

    `passes`: how often each byte crosses the memory's interface; 2 where it is read, changed and written.
    """

    def cost(a: CostArgs) -> float:
        rows, row = prod(a.shapes[tile_operand][:-1]), a.shapes[tile_operand][-1:]
        burst = ceil(_bytes(row, a.dtypes[tile_operand].itemsize) / 64) * 64
        return a.chip.hbm_latency + ceil(passes * rows * burst / a.chip.dma_queue_bytes_per_cycle)

    return cost


class Links(NamedTuple):
    """What the cost of a collective depends on: ranks, bytes, latency in cycles, cycles per byte."""

    n: int
    size: int
    a: float
    b: float

    @property
    def steps(self) -> int:
        """ceil(log2 n)."""
        return (self.n - 1).bit_length()


def allreduce(x: Links) -> float:
    """Recursive doubling, or Rabenseifner's reduce-scatter and all-gather (as all: Thakur et al. 2005)."""
    part = (x.n - 1) / x.n * x.size * x.b
    return min(x.steps * (x.a + x.size * x.b), 2 * x.steps * x.a + 2 * part)


def scatter(x: Links) -> float:
    """Reduce-scatter by recursive halving, all-gather by recursive doubling: of the whole, in bytes."""
    return x.steps * x.a + (x.n - 1) / x.n * x.size * x.b


def exchange(x: Links) -> float:
    """All-to-all, pairwise or by Bruck's algorithm."""
    return min((x.n - 1) * (x.a + x.size / x.n * x.b), x.steps * (x.a + x.size / 2 * x.b))


def broadcast(x: Links) -> float:
    """A binomial tree, or van de Geijn's scatter and all-gather."""
    long = (x.steps + x.n - 1) * x.a + 2 * (x.n - 1) / x.n * x.size * x.b
    return min(x.steps * (x.a + x.size * x.b), long)


def permute(x: Links) -> float:
    """Everybody sends at once."""
    return x.a + x.size * x.b


def linked(formula: Callable[[Links], float], operand: int = 0) -> Cost:
    """A collective over the links, by the bytes of one operand.

    In a group of one, a copy: only the latency of the launch is paid, and memory's bandwidth.
    """

    def cost(a: CostArgs) -> float:
        n = _bytes(a.shapes[operand], a.dtypes[operand].itemsize)
        if a.group == 1:
            return a.chip.link_latency + ceil(n / a.chip.hbm_bytes_per_cycle)
        return ceil(formula(Links(a.group, n, a.chip.link_latency, 1 / a.chip.link_bytes_per_cycle)))

    return cost


def message() -> Cost:
    """A message without data: the latency of a link."""

    def cost(a: CostArgs) -> float:
        return a.chip.link_latency

    return cost


def selected(operand: int) -> Cost:
    """The K largest of each row: every element of a tile operand is compared against a sorted list of K.

    The list is a binary tree of comparators in flight: 1 + ceil(log2 K) cycles per element and lane. K is bound by the
    row's patterns.
    """

    def cost(a: CostArgs) -> float:
        depth = 1 + max(a.dims["K"] - 1, 0).bit_length()
        return a.chip.vpu_latency + ceil(prod(a.shapes[operand]) * depth / a.chip.vpu_lanes)

    return cost


def sorted_rows(operand: int) -> Cost:
    """Rows of C elements sorted by Batcher's bitonic network: n (n + 1) / 2 passes, n = ceil(log2 C)."""

    def cost(a: CostArgs) -> float:
        n = max(a.shapes[operand][-1] - 1, 0).bit_length()
        passes = max(n * (n + 1) // 2, 1)
        return a.chip.vpu_latency + ceil(prod(a.shapes[operand]) * passes / a.chip.vpu_lanes)

    return cost
