"""Results that stray from what float64 gives: what rounding, quantization and saturation have done to the numbers.

A second copy of the data is computed in float64 (emulator/shadow.py), by the same semantics. Casts and quantization
keep their values there; what the host or the sequencer has written, scales in e8m0, packed elements and integers are
taken as they are, but for i8 that comes from floats and the sums of its products. What is decided by data (masks,
comparisons, indices, rounding to whole numbers, random numbers, every branch) is decided by the machine's data. So a
shadow is what the program would compute if no element were ever rounded.

The error of a result is measured by row, along its last axis (that before it, where the last has one element; integers,
whose steps are all equal, as a whole): the largest |machine - float64| of the row, over its largest |float64|. Small
elements that cancellation leaves beside large ones are so no finding. An instruction is at fault when the error of its
result is beyond

    limit + u + min(ROUNDINGS * v, MOST)

where u is the unit roundoff of the result's dtype, and v that of the coarsest dtype through which its operands have
gone: what dtypes cost at best is no error, and what a wrong scale costs is beyond it. No operand was beyond its own
such bound, or it would have been reported before. From a result that was, the shadow begins anew with what the machine
has: what comes of it is not reported again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.bind import constant, traits_of
from sohu.emulator.checks.places import KEPT, name_of_tile
from sohu.emulator.checks.registry import Check, check
from sohu.emulator.checks.scalars import Scalars
from sohu.emulator.shadow import Doubles, Home, Saved, Shadows, Spot, doubles, holds, roundoff
from sohu.isa import Data, DType, Fault, Note, Row, Space, Tile, e8m0, i8
from sohu.isa.numerics import widen

if TYPE_CHECKING:
    from sohu.emulator.bind import Bound
    from sohu.emulator.machine import Machine
    from sohu.emulator.memory import View
    from sohu.emulator.translate import Issued, Op

ROUNDINGS = 8  # of the coarsest dtype before, that are no finding,
MOST = 0.25  # nor this error, whatever came before
_Saved = tuple[dict[Home, Saved], Any]
_PIECE = 1 << 17  # elements that are compared at a time
_TINY = 1e-30  # a row whose numbers are all smaller has no error
_REFUSALS = (ValueError, TypeError, IndexError, ArithmeticError, AttributeError)


class _Operand:
    """One tile operand of a binding."""

    __slots__ = (
        "at", "coarse", "early", "extra", "factor", "held", "integer", "is_table",
        "name", "reads", "spot", "tile", "view", "writes",
    )  # fmt: skip

    def __init__(self, name: str, at: int, tile: Tile, view: View) -> None:
        self.name = name
        self.at = at  # position among all operands
        self.tile = tile
        self.view = view
        self.reads = self.writes = False
        self.spot: Spot | None = None  # its shadow; None for what is always taken as it is
        self.extra = 0  # leading dimensions to leave out
        self.early = False  # what it holds is overwritten
        self.held: Doubles | None = None  # that, as it was
        self.integer = False
        self.factor = False  # of a product
        self.is_table = False  # taken as stored where it has no shadow
        self.coarse = 0.0


class _Plan:
    """What one binding means here. `arguments`: what its semantics gets, but for tiles and what registers hold."""

    __slots__ = ("arguments", "drops", "early", "inputs", "names", "outputs", "pure", "semantics")

    def __init__(self) -> None:
        self.inputs: list[_Operand] = []
        self.outputs: list[_Operand] = []
        self.early: list[_Operand] = []
        self.drops: list[tuple[Space, Any, int, int]] = []  # outputs that never have a shadow
        self.pure = False  # it only moves, between tiles of one dtype
        self.semantics: Callable[..., Any] | None = None  # None: it computes nothing that has a shadow
        self.arguments: list[Any] = []
        self.names: dict[str, int] = {}


@check("error", "tolerance", "a result that strays from what float64 gives", parameter="LIMIT")
class Tolerance(Check):
    """Stops at the first instruction whose result strays by more than `limit` (see the module).

    refused: instructions whose semantics takes no float64; what they make is taken as it is.
    """

    def __init__(self, machine: Machine, limit: float = 1e-3) -> None:
        super().__init__(machine)
        self.limit = limit
        self.shadows = Shadows(machine.memories)
        self.plans: dict[Bound, _Plan] = {}
        self.scalars = Scalars()
        self.refused: set[Row] = set()

    def launch(self) -> None:
        self.shadows.forget()
        self.scalars.clear()
        if len(self.plans) > KEPT:
            self.plans.clear()

    def save(self) -> _Saved:
        """All that it knows of the launch."""
        homes = [*self.shadows.chip.values(), *self.shadows.blocks.values()]
        return {home: home.save() for home in homes if home.ranges}, self.scalars.save()

    def load(self, state: _Saved) -> None:
        """Know again what `save` gave."""
        self.shadows.forget()
        for home, kept in state[0].items():
            home.load(kept)
        self.scalars.load(state[1])

    def large(self, state: _Saved) -> Iterator[bytes]:
        """The numbers."""
        for kept in state[0].values():
            yield from (values for *_, values in kept)

    # -- hooks -------------------------------------------------------------------------------------

    def parked(self, issued: Issued) -> None:
        self.scalars.park(issued)

    def touched(self, op: Op, low: int, high: int, write: bool) -> None:
        if write:
            for block, home in self.shadows.blocks.items():
                if block.start <= low < block.end:
                    home.cut(low, high)

    def host_wrote(self, tile: Tile) -> None:
        view = self.machine.memories.view(tile)
        self.shadows.drop(tile.space, view.allocation, view.low, view.high)

    def before(self, op: Op, bound: Bound, value: int) -> None:
        plan = self.plans.get(bound) or self._plan(op, bound)
        for o in plan.early:
            assert o.spot is not None
            o.held = None
            if self.shadows.of(o.spot) is None:
                o.held = doubles(self._stored(o))

    def after(self, op: Op, bound: Bound, value: int) -> None:
        plan = self.plans[bound]
        held = self.scalars.take(op) if self.scalars.parked else None
        for place in plan.drops:
            self.shadows.drop(*place)
        semantics = plan.semantics
        if semantics is None:
            return
        arguments = plan.arguments.copy()
        if held is not None:
            for name, number in held.items():
                arguments[plan.names[name]] = number
        else:
            for name, read in op.scalars:
                arguments[plan.names[name]] = read()
        coarse, any_shadow, integer = self._take(plan, arguments)
        made: list[tuple[_Operand, Doubles]] = []
        for o in plan.outputs:
            spot = o.spot
            if spot is None or (o.integer and not integer) or (plan.pure and not any_shadow):
                if spot is not None:
                    self.shadows.drop(o.tile.space, o.view.allocation, o.view.low, o.view.high)
                    spot = None
                if not (plan.pure and not any_shadow):
                    arguments[o.at] = self._scratch(o)
                continue
            known = o.reads and self.shadows.of(spot) is not None
            view = self.shadows.claim(spot, max(coarse, o.coarse))
            if o.reads:
                if not known and o.held is not None:
                    view[...] = o.held
            elif op.inst is not None and op.inst.row.precise is not None:
                view[...] = doubles(o.view.array)
            inner = view[(0,) * o.extra] if o.extra else view
            arguments[o.at] = inner
            made.append((o, view))
        if not made:
            return
        try:
            semantics(*arguments)
        except _REFUSALS:  # of another package, perhaps, whose semantics takes no float64
            assert op.inst is not None
            self.refused.add(op.inst.row)
            for o, _ in made:
                self.shadows.drop(o.tile.space, o.view.allocation, o.view.low, o.view.high)
            return
        if not plan.pure:
            for o, view in made:
                self._compare(plan, o, view, coarse)

    # -- operands ----------------------------------------------------------------------------------

    def _plan(self, op: Op, bound: Bound) -> _Plan:
        plan = self.plans[bound] = _Plan()
        assert op.inst is not None
        row = op.inst.row
        values = list(zip(row.operands, op.inst.values, strict=True))
        plan.names = {o.name: i for i, (o, _) in enumerate(values)}
        plan.arguments = [None if isinstance(o.kind, Data) else constant(o.kind, v) for o, v in values]
        recipe = bound.recipe
        specs = traits_of(row).specs
        operands = []
        for i, ((at, _, kind), s, tile) in enumerate(zip(row.data, specs, bound.tiles, strict=True)):
            o = _Operand(s.name, at, tile, bound.views[i])
            o.reads, o.writes, o.extra = s.reads, s.writes, recipe.extra[i]
            o.is_table, o.factor = s.name in row.moves or s.either, s.either
            o.integer = not tile.dtype.is_float
            several = len(kind.dtypes) > 1
            takes = tile.dtype.is_float or tile.dtype == i8 or several or row.precise is not None
            if takes and s.name not in row.decides:
                o.spot = self.shadows.spot(tile)
            operands.append(o)
        outputs = [o for o in operands if o.writes]
        plan.inputs = [o for o in operands if not o.writes]
        # made of the data by a power of two, scales may leave a block's largest numbers beyond the largest of all
        blocks = 2 if any(o.tile.dtype == e8m0 for o in outputs) else 1
        floats = any(o.tile.dtype.is_float and o.spot is not None for o in plan.inputs)
        for o in outputs:
            if o.spot is not None:
                o.coarse = blocks * roundoff(o.tile.dtype)
                if o.tile.dtype == i8 and floats and (row.casts or row.precise):
                    o.integer = False  # it stands for what was quantized
        moving = {o.tile.dtype for o in operands if o.writes or o.name in row.moves}
        plan.pure = bool(row.moves) and len(moving) == 1
        if row.collective or row.takes_machine or not any(o.spot is not None for o in outputs):
            plan.drops = [
                (o.tile.space, o.view.allocation, o.view.low, o.view.high) for o in outputs if o.view.low < o.view.high
            ]
            return plan
        plan.outputs = outputs
        plan.semantics = row.precise or row.semantics
        for o in operands:
            lost = any(
                o.view.low < w.view.high and w.view.low < o.view.high and o.tile.space is w.tile.space for w in outputs
            )
            if lost and o.reads and o.spot is not None:
                o.early = True
                plan.early.append(o)
        return plan

    def _take(self, plan: _Plan, arguments: list[Any]) -> tuple[float, bool, bool]:
        """Fill in the inputs. Their coarsest roundoff, whether any has a shadow, and whether an integer one has."""
        coarse, found, integer = 0.0, False, False
        shadows = self.shadows
        for o in plan.inputs:
            array: NDArray[Any] | None = None
            if o.spot is not None:
                array = shadows.of(o.spot)
            if array is not None:
                found = True
                integer |= o.integer
                assert o.spot is not None and o.spot.range is not None
                coarse = max(coarse, o.spot.range.roundoff)
                if o.early and not any(w.tile is o.tile or w.tile == o.tile for w in plan.outputs):
                    array = array.copy()
            elif o.held is not None:
                array, o.held = o.held, None
            elif plan.pure:
                array = o.view.array if o.view.cover.live is None else None
            else:
                array = self._stored(o)
                if o.spot is not None and not o.is_table:
                    array = doubles(array)
            if array is None:
                array = self._stored(o)
            arguments[o.at] = array[(0,) * o.extra] if o.extra else array
        for o in plan.outputs:
            if o.reads and o.spot is not None and shadows.of(o.spot) is not None:
                assert o.spot.range is not None
                found = True
                integer |= o.integer
                coarse = max(coarse, o.spot.range.roundoff)
        return coarse, found, integer

    def _stored(self, o: _Operand) -> NDArray[Any]:
        """What the machine has."""
        return self.machine.memories.deferrals.contents(o.view, wide=o.factor)

    def _scratch(self, o: _Operand) -> NDArray[Any]:
        """A place for a result that nobody looks at."""
        array = o.view.array
        return (array[(0,) * o.extra] if o.extra else array).copy()

    # -- results -----------------------------------------------------------------------------------

    def _compare(self, plan: _Plan, o: _Operand, shadow: Doubles, coarse: float) -> None:
        real, axis = o.view.array, _axis(o.tile)
        allowed = self.limit + o.coarse + min(ROUNDINGS * coarse, MOST)
        if shadow.size <= _PIECE or axis != -1 or shadow.ndim == 1:
            fine = _within(real, shadow, axis, allowed)
        else:
            step = max(1, _PIECE * shadow.shape[0] // shadow.size)
            starts = range(0, shadow.shape[0], step)
            fine = all(_within(real[i : i + step], shadow[i : i + step], axis, allowed) for i in starts)
        if not fine:
            self._look(plan, o, shadow, allowed)

    def _look(self, plan: _Plan, o: _Operand, shadow: Doubles, allowed: float) -> None:
        """Row by row, without what is no number on both sides; raises Fault for what is beyond the limit."""
        real = doubles(o.view.array)
        wild = ~np.isfinite(shadow)
        if wild.any():  # infinities that belong there, and those that saturation has taken away
            shadow[wild] = real[wild]
        away = np.abs(shadow - real)
        away[wild] = 0
        away[np.isnan(away)] = np.inf  # the machine has no number where there is one
        largest = np.abs(np.where(wild, 0, shadow)).max(axis=_axis(o.tile), keepdims=True)
        error = away / np.maximum(largest, _TINY)
        error[away <= _TINY] = 0
        if not (error > allowed).any():
            return
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), error.shape))
        fault = self._fault(plan, o, at, float(shadow[at]), float(real[at]), float(error[at]), allowed)
        for w in plan.outputs:
            self.shadows.drop(w.tile.space, w.view.allocation, w.view.low, w.view.high)
        self.found(fault)

    def _fault(
        self, plan: _Plan, o: _Operand, at: tuple[int, ...], shadow: float, real: float, error: float, allowed: float
    ) -> Fault:
        rounded = allowed - self.limit
        notes = [
            Note(f"beyond {allowed:.3g}: the limit {self.limit:g}, and {rounded:.2g} for the dtypes it went through")
        ]
        for i in plan.inputs:
            if i.early or i.spot is None:
                continue
            array = self.shadows.of(i.spot)
            if array is None:
                notes.append(Note(f"{i.name} is as it was given"))
                continue
            stored = doubles(self._stored(i))
            with np.errstate(all="ignore"):
                off = float(np.nanmax(np.abs(array - stored), initial=0))
                top = float(np.nanmax(np.abs(array), initial=0))
            notes.append(Note(f"{i.name} is within {off / max(top, _TINY):.2g} of its largest element, {top:.6g}"))
        where = f"[{', '.join(map(str, at))}]"
        return Fault(
            "tolerance",
            f"{where} of {name_of_tile(self.machine, o.tile)} is {real:.6g}, and float64 gives {shadow:.6g}: "
            f"an error of {error:.3g} of the largest in its row",
            operand=o.name,
            notes=notes,
            element=(o.tile, at),
            help=_advice(o.tile.dtype),
        )


def _within(real: NDArray[Any], shadow: Doubles, axis: int | None, allowed: float) -> bool:
    """Whether no row is farther away; False where there are infinities or NaN."""
    if real.dtype.itemsize < 4:
        real = widen(real)
    away = np.subtract(shadow, real)
    np.abs(away, out=away)
    worst = np.maximum.reduce(away, axis=axis)
    largest = np.maximum(np.maximum.reduce(shadow, axis=axis), -np.minimum.reduce(shadow, axis=axis))
    return bool((worst <= allowed * largest + _TINY).all() and (largest < np.inf).all())


def _axis(tile: Tile) -> int | None:
    """Of the rows of a result; None for one that is a row as a whole."""
    if not tile.dtype.is_float:
        return None
    return -2 if len(tile.dims) > 1 and tile.dims[-1] == 1 else -1


def _advice(dtype: DType) -> str:
    assert holds(dtype)
    if dtype.itemsize == 1:
        return "does the scale fit the data? what is too large saturates, what is too small becomes 0"
    if dtype.itemsize == 2:
        return f"keep it in f32 here, if {dtype} is too coarse for what comes of it"
    return "where numbers cancel, what they were rounded by before is what is left: keep them in f32 until then"
