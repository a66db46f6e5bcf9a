"""Numbers too large for the dtype that an instruction converts them to: saturated, infinite, NaN or wrapped.

For rows that end with a conversion (Row.casts). A result that holds no largest number of its dtype had no overflow;
else the semantics is run once more, into float32, to see what was converted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.bind import traits_of
from sohu.emulator.checks.nonfinite import Bad, quick_test
from sohu.emulator.checks.places import KEPT, name_of_tile
from sohu.emulator.checks.registry import Check, check
from sohu.emulator.checks.scalars import Held, Scalars, operands
from sohu.isa import DType, Fault, Note, Tile, f32
from sohu.isa.numerics import format_of, widen

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op


def limits(dtype: DType) -> tuple[float, float]:
    """Numbers strictly between these become finite numbers of a dtype, rounded at most."""
    if dtype.np.kind in "iu":
        ends = np.iinfo(dtype.np)
        return float(ends.min) - 1, float(ends.max) + 1
    if dtype.np.name == "float8_e8m0fnu":
        return 0.0, 2.0**127 * 1.5
    f = format_of(dtype.np)
    half = 2.0 ** (f.emax - f.fraction) / 2
    return -f.largest - half, f.largest + half


def _reaches(codes: NDArray[Any], limit: int) -> bool:
    return bool((codes << 1).max() >= limit)


def _at_an_end(values: NDArray[Any], low: int, high: int) -> bool:
    return bool(values.max() == high or values.min() == low)


def _always() -> bool:
    return True


def _suspicious(array: NDArray[Any], dtype: DType, wraps: bool) -> Bad | None:
    """A test whether any element may come of a number that is too large; None where none can."""
    if not array.size or dtype == f32 or dtype.numbers > 1:
        return None
    if dtype.np.kind in "iu":
        ends = np.iinfo(dtype.np)
        return _always if wraps else partial(_at_an_end, array, int(ends.min), int(ends.max))
    if dtype.itemsize > 1 or dtype.np.name == "float8_e8m0fnu":
        return quick_test(array, dtype)
    largest = int(np.array(format_of(dtype.np).largest).astype(dtype.np).view(np.uint8))
    return partial(_reaches, array.view(np.uint8), largest << 1)


class _Plan:
    __slots__ = ("lost", "name", "output", "suspicious", "tile")

    def __init__(self) -> None:
        self.suspicious: Bad | None = None
        self.lost = False  # operands are overwritten: look before
        self.output: NDArray[Any] | None = None
        self.tile: Tile | None = None
        self.name = ""


@check("overflow", "overflow", "a number too large for the dtype it is converted to")
class Overflow(Check):
    """Finds conversions that do not hold what they are given."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine)
        self.plans: dict[Bound, _Plan] = {}
        self.scalars = Scalars()
        self.held: Held | None = None

    def launch(self) -> None:
        self.scalars.clear()
        self.held = None
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
        if plan.lost:
            self._look(op, bound, plan)

    def after(self, op: Op, bound: Bound, value: int) -> None:
        plan = self.plans[bound]
        if plan.suspicious is not None and not plan.lost and plan.suspicious():
            self._look(op, bound, plan)

    def _plan(self, op: Op, bound: Bound) -> _Plan:
        plan = self.plans[bound] = _Plan()
        assert op.inst is not None
        row = op.inst.row
        if not row.casts:
            return plan
        view = self.machine.memories.view
        tiles = list(zip(row.data, bound.tiles, strict=True))
        name, tile = next((o.name, t) for (_, o, k), t in tiles if k.writes_data)
        sources = [(o.name, t) for (_, o, k), t in tiles if k.reads_data and o.name != name]
        if row.moves and all(t.dtype == tile.dtype for n, t in sources if n in row.moves):
            return plan
        v = view(tile)
        plan.output, plan.tile, plan.name = v.array, tile, name
        wraps = any(not t.dtype.is_float for _, t in sources) or operands(op, None).get("sat") == 0
        plan.suspicious = _suspicious(v.array, tile.dtype, wraps)
        for _, t in sources:
            w = view(t)
            if t.space is tile.space and w.low < v.high and v.low < w.high:
                plan.lost = plan.suspicious is not None
        return plan

    def _look(self, op: Op, bound: Bound, plan: _Plan) -> None:
        """What was converted, in float32."""
        assert op.inst is not None and plan.output is not None and plan.tile is not None
        row = op.inst.row
        self.machine.memories.settle()
        values = operands(op, self.held)
        wide = np.zeros(plan.output.shape, np.float32)
        for s, tile in zip(traits_of(row).specs, bound.tiles, strict=True):
            array = self.machine.memories.view(tile).array
            if s.name == plan.name:
                values[s.name] = wide
            else:
                values[s.name] = array if tile.dtype.code in s.direct else widen(array)
        row.semantics(**values)
        low, high = limits(plan.tile.dtype)
        with np.errstate(invalid="ignore"):
            over = ((wide <= low) | (wide >= high)) & np.isfinite(wide)
        if plan.tile.dtype.np.kind in "iu" and plan.tile.dtype.itemsize == 4:
            over &= np.abs(wide) > 2.0**31  # of integers, float32 says no more
        if not over.any():
            return
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(over)), over.shape))
        where = f"[{', '.join(map(str, at))}]"
        count = int(np.count_nonzero(over))
        more = f", and {count - 1} more" if count > 1 else ""
        became = widen(plan.output)[at]
        dtype = plan.tile.dtype
        text = f"{wide[at]:.6g} does not fit {dtype}" + ("" if plan.lost else f" and becomes {became:.6g}")
        largest = f"{dtype} holds {_range(dtype)}"
        self.found(
            Fault(
                "overflow",
                f"{where} of {name_of_tile(self.machine, plan.tile)}: {text}{more}",
                operand=plan.name,
                notes=[Note(largest)],
                element=(plan.tile, at),
                help="scale before the conversion, or convert to a wider dtype",
            )
        )


def _range(dtype: DType) -> str:
    if dtype.np.kind in "iu":
        ends = np.iinfo(dtype.np)
        return f"{ends.min} to {ends.max}"
    if dtype.np.name == "float8_e8m0fnu":
        return "powers of two up to 2^127"
    return f"numbers up to {format_of(dtype.np).largest:.6g}"
