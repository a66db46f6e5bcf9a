"""NaN and infinity that an instruction makes of numbers.

A result with a NaN is at fault where no operand had one, with an infinity where no operand had one or a NaN; where
every operand is taken element by element, that is asked of each element. So masks of -inf pass, and what comes of
them where it should not (inf - inf, 0 * inf) does not. Transfers that only move are not looked at.

Results are tested as they appear; operands only when a result is bad, or before the instruction where it overwrites
them and they are bad themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.checks.places import KEPT, name_of_tile
from sohu.emulator.checks.registry import Check, check
from sohu.emulator.checks.scalars import Held, Scalars, operands
from sohu.emulator.memory import View
from sohu.isa import DType, Fault, Note, Tile
from sohu.isa.numerics import widen

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op

Bad = Callable[[], bool]
_INF = math.inf


def _above(codes: NDArray[Any], limit: int) -> bool:
    """Codes without their sign, doubled."""
    return bool(np.maximum.reduce(codes << 1, axis=None) >= limit)


def _largest(codes: NDArray[Any]) -> bool:
    return bool(codes.max() == 255)


def _not_finite(values: NDArray[Any]) -> bool:
    return not np.isfinite(values).all()


def _huge(flat: NDArray[np.float32]) -> bool:
    return not flat.dot(flat) < _INF


def sum_of_squares(array: NDArray[Any]) -> Callable[[], float] | None:
    """A sum that is finite unless an element is not, or they are huge; None for what is no dense float32.

    Without a Python frame of its own: it is asked of every result.
    """
    if array.dtype != np.float32 or not array.size or not array.flags.c_contiguous:
        return None
    flat = array.reshape(-1)
    squares: Callable[[], Any] = partial(flat.dot, flat)
    return squares


def quick_test(array: NDArray[Any], dtype: DType) -> Bad | None:
    """A test that is true when elements may be NaN or infinite, and seldom otherwise; None for no floats."""
    if not dtype.is_float or dtype.numbers > 1 or not array.size:
        return None
    if dtype.np == np.float32:
        return partial(_huge, array.reshape(-1)) if array.flags.c_contiguous else partial(_not_finite, array)
    with np.errstate(all="ignore"):
        infinity = np.array(np.inf, np.float32).astype(dtype.np)
    codes = array.view(f"u{dtype.itemsize}")
    if dtype.np.name == "float8_e8m0fnu":
        return partial(_largest, codes)
    return partial(_above, codes, int(infinity.view(f"u{dtype.itemsize}")) << 1 & (1 << 8 * dtype.itemsize) - 1)


class _Input(NamedTuple):
    name: str
    array: NDArray[Any]
    dtype: DType
    quick: Bad | None
    lost: bool  # an output overwrites it
    view: View


class _Plan:
    __slots__ = ("elementwise", "inputs", "lost", "outputs", "sums", "tests")

    def __init__(self) -> None:
        self.sums: list[Callable[[], float]] = []  # of outputs: finite if all is well
        self.tests: list[Bad] = []  # of the other outputs
        self.outputs: list[tuple[str, Bad, NDArray[Any], Tile]] = []
        self.inputs: list[_Input] = []
        self.lost: list[tuple[_Input, Bad]] = []
        self.elementwise = False


@check("nan", "nan", "a NaN or an infinity that an instruction makes of numbers")
class NonFinite(Check):
    """Finds the instruction that first makes a NaN or an infinity."""

    finds: tuple[str, ...] = ("NaN", "inf")

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.plans: dict[Bound, _Plan] = {}
        self.scalars = Scalars()
        self.held: Held | None = None
        self.before_it: dict[str, NDArray[np.float32]] = {}  # bad operands that the instruction overwrites

    def launch(self) -> None:
        self.scalars.clear()
        self.held = None
        self.before_it.clear()
        if len(self.plans) > KEPT:
            self.plans.clear()

    def save(self) -> tuple[Any, Held | None]:
        return self.scalars.save(), self.held

    def load(self, state: tuple[Any, Held | None]) -> None:
        scalars, self.held = state
        self.scalars.load(scalars)

    def parked(self, issued: Issued) -> None:
        self.scalars.park(issued)

    def before(self, op: Op, bound: Bound, value: int) -> None:
        plan = self.plans.get(bound) or self._plan(op, bound)
        if self.scalars.parked:
            self.held = self.scalars.take(op)
        for i, bad in plan.lost:
            if i.view.cover.live is not None:
                self.machine.memories.settle()  # what it overwrites has not even been copied there
            if bad():
                self.before_it[i.name] = widen(i.array)

    def after(self, op: Op, bound: Bound, value: int) -> None:
        plan = self.plans[bound]
        for squares in plan.sums:
            if not squares() < _INF:
                self._look_at_all(op, plan)
                break
        for bad in plan.tests:
            if bad():
                self._look_at_all(op, plan)
                break
        if self.before_it:
            self.before_it.clear()

    def _look_at_all(self, op: Op, plan: _Plan) -> None:
        for name, bad, array, tile in plan.outputs:
            if bad():
                self._look(op, plan, name, array, tile)

    def _plan(self, op: Op, bound: Bound) -> _Plan:
        plan = _Plan()
        assert op.inst is not None
        row = op.inst.row
        view = self.machine.memories.view
        outputs = [view(t) for (_, _, k), t in zip(row.data, bound.tiles, strict=True) if k.writes_data]
        moving = {
            t.dtype for (_, o, k), t in zip(row.data, bound.tiles, strict=True) if k.writes_data or o.name in row.moves
        }
        plan.elementwise = all(not pattern.dims for _, pattern in row.patterns)
        # of a collective, other chips hold operands too
        if op.queue is not None and not row.collective and not (row.moves and len(moving) == 1):
            for (_, o, kind), tile in zip(row.data, bound.tiles, strict=True):
                v = view(tile)
                quick = quick_test(v.array, tile.dtype)
                if kind.writes_data and quick is not None:
                    plan.outputs.append((o.name, quick, v.array, tile))
                    if (squares := sum_of_squares(v.array)) is not None:
                        plan.sums.append(squares)
                    else:
                        plan.tests.append(quick)
                if kind.reads_data:
                    lost = any(v.low < w.high and w.low < v.high and v.kind >> 8 == w.kind >> 8 for w in outputs)
                    plan.inputs.append(_Input(o.name, v.array, tile.dtype, quick, lost, v))
        if plan.outputs:
            plan.lost = [(i, i.quick) for i in plan.inputs if i.lost and i.quick is not None]
        self.plans[bound] = plan
        return plan

    def _look(self, op: Op, plan: _Plan, name: str, array: NDArray[Any], tile: Tile) -> None:
        """A result that is bad, or huge: is there an operand to blame?"""
        values = widen(array)
        nan, inf = np.isnan(values), np.isinf(values)
        if not nan.any() and not inf.any():
            return
        self.machine.memories.settle()
        held = operands(op, self.held)
        numbers = [v for v in held.values() if isinstance(v, float)]
        nan_before, inf_before = (np.zeros(values.shape, bool) for _ in range(2))
        if any(math.isnan(v) for v in numbers):
            return
        if any(math.isinf(v) for v in numbers):
            inf_before[...] = True
        for i in plan.inputs:
            if i.lost:
                wide = self.before_it.get(i.name)
                if wide is None:
                    continue
            elif i.quick is None or not i.quick():
                continue
            else:
                wide = widen(i.array)
            if plan.elementwise:
                wide = wide.reshape(wide.shape[max(wide.ndim - values.ndim, 0) :])
                nan_before |= np.isnan(wide)
                inf_before |= np.isinf(wide)
            else:
                nan_before |= bool(np.isnan(wide).any())
                inf_before |= bool(np.isinf(wide).any())
        made = nan & ~nan_before
        what = "NaN"
        if "NaN" not in self.finds or not made.any():
            made = inf & ~inf_before & ~nan_before
            what = "inf"
        if what in self.finds and made.any():
            self.found(self._fault(op, plan, name, array, tile, made, what, values))

    def _fault(
        self, op: Op, plan: _Plan, name: str, array: NDArray[Any], tile: Tile, made: NDArray[np.bool_], what: str,
        values: NDArray[np.float32],
    ) -> Fault:  # fmt: skip
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(made)), made.shape))
        where = f"[{', '.join(map(str, at))}]"
        count = int(np.count_nonzero(made))
        more = f" and {count - 1} more" if count > 1 else ""
        what = "NaN" if what == "NaN" else ("inf" if values[at] > 0 else "-inf")
        parts = []
        if plan.elementwise:
            for i in plan.inputs:
                source = self.before_it.get(i.name) if i.lost else widen(i.array)
                if source is not None and source.size:
                    source = source.reshape(source.shape[max(source.ndim - made.ndim, 0) :])
                    parts.append(f"{i.name} {np.broadcast_to(source, made.shape)[at]:.6g}")
        parts += [f"{n} {v:.6g}" for n, v in operands(op, self.held).items() if isinstance(v, float)]
        notes = [Note(f"there: {', '.join(parts)}")] if parts else []
        return Fault(
            "nan",
            f"{where}{more} of {name_of_tile(self.machine, tile)} {'is' if count == 1 else 'are'} {what}, "
            "and no operand was" + (" NaN" if what == "NaN" else " infinite") + (" there" if plan.elementwise else ""),
            operand=name,
            notes=notes,
            element=(tile, at),
            help="keep 0 / 0, inf - inf and 0 * inf out: mask first, or add a small number to the divisor"
            if what == "NaN"
            else "subtract the largest before an exponential; keep divisors away from 0",
        )


@check("only-nan", "nan", "a NaN alone: infinities pass", in_all=False)
class OnlyNaN(NonFinite):
    """Finds the instruction that first makes a NaN."""

    finds = ("NaN",)


@check("only-inf", "nan", "an infinity alone: a NaN passes", in_all=False)
class OnlyInfinity(NonFinite):
    """Finds the instruction that first makes an infinity."""

    finds = ("inf",)
