"""Binding: the operands of an instruction, resolved when it issues, become one call of its semantics.

Everything that depends only on the tiles (views, checks of dtype, space, alignment, bounds, shapes and
overlap, conversions) is done once per combination of tiles and kept, since descriptors are immutable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sohu.emulator.codegen import function
from sohu.emulator.deferred import UNKNOWN, Deferrals, Deferred, is_dense
from sohu.emulator.memory import Allocation, Memories, View, kind_of
from sohu.isa import BY_CODE, Fault, Inst, Row, Tile, bf16, f32, i32, pieces, products
from sohu.isa.dtypes import DTypes, Fp8
from sohu.isa.numerics import convert, widen
from sohu.isa.operands import XF, XFI, XI, Data, FImm, Kind, Reg, T, X, bits_f32, f32_bits
from sohu.isa.shapes import Shape, match

# Bounds of what is kept; beyond them, all of it is forgotten.
_KEPT_BINDINGS = 1024  # per instruction
_KEPT_SIZES = 256  # per descriptor or binding with sizes from registers
_KEPT_SHAPES = 8192  # in all
_KEPT_REDIRECTIONS = 4096  # per binding

_SHARE_WORK = 1 << 16  # candidates that NumPy may try when it decides whether two strided tiles overlap
_F32 = np.dtype(np.float32)
_SATURATING = frozenset(d.code for d in Fp8)


_VIEWS = [f"v{i}" for i in range(8)]


class Bound:
    """An instruction with its tiles: `invoke(*scalars)` runs it, with the scalars that come from registers.

    views: of the tiles, in order; v0, v1, ... are the same, of as many as a row can have, for generated code.
    blocks: of HBM, that must still be live; hbm_writes: byte ranges of HBM that are written. deferred: for a copy that
    can wait, what to defer (emulator/deferred.py).
    """

    __slots__ = (
        "_redirected", "blocks", "cost", "deferred", "dims", "hbm_writes", "invoke", "recipe", "tiles",
        "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "views",
    )  # fmt: skip

    def __init__(self, recipe: _Recipe, tiles: tuple[Tile, ...], views: tuple[View, ...], dims: dict[str, int]) -> None:
        self.recipe = recipe
        self.invoke: Callable[..., Any] = recipe.invoke([(v.array, False) for v in views])
        self.tiles = tiles
        self.views = views
        for name, v in zip(_VIEWS, views, strict=False):
            setattr(self, name, v)
        self.blocks = tuple([v.allocation for v in views if v.allocation is not None])
        self.hbm_writes: Sequence[tuple[int, int]] = ()
        if self.blocks:
            written = [v for s, v in zip(recipe.specs, views, strict=True) if s.writes and v.allocation is not None]
            self.hbm_writes = [(v.low, v.high) for v in written]
        self.dims = dims
        self.cost: tuple[float, float] | None = None  # filled by the timer
        self.deferred: Deferred | None = None
        self._redirected: dict[tuple[Deferred | None, ...], Callable[..., Any]] = {}

    def redirected(self, deferrals: Deferrals) -> Callable[..., Any]:
        """`invoke` for a moment when some of its tiles hold copies that are deferred."""
        for v in self.views:
            if v.cover is UNKNOWN:
                deferrals.register(v)
        key = tuple([v.cover.live for v in self.views])
        known = self._redirected.get(key)
        if known is None:
            if len(self._redirected) >= _KEPT_REDIRECTIONS:
                self._redirected.clear()
            known = self._redirected[key] = self._redirect(key, deferrals)
        return known

    def _redirect(self, key: tuple[Deferred | None, ...], deferrals: Deferrals) -> Callable[..., Any]:
        def settled(*scalars: Any) -> Any:
            deferrals.settle()
            return self.invoke(*scalars)

        arrays: list[tuple[NDArray[Any], bool]] = []
        overwritten: list[tuple[int, int]] = []
        for s, v in zip(self.recipe.specs, self.views, strict=True):
            found: NDArray[Any] | None = v.array
            wide = False
            if v.cover.live is not None:
                if not s.writes:
                    wide = v.tile.dtype.is_float and (
                        v.kind & 255 not in s.direct or (s.either and v.tile.dtype != f32 and not native_takes(v.tile))
                    )
                    found = v.cover.live.array(v, wide, deferrals)
                    if found is None and wide:
                        wide = False
                        found = v.cover.live.array(v, False, deferrals)
                elif s.reads or not is_dense(v):
                    found = None
                else:
                    overwritten.append((v.low, v.high))
            if found is None:
                return settled
            arrays.append((found, wide))
        invoke = self.recipe.invoke(arrays)
        if not overwritten:
            return invoke

        def overwriting(*scalars: Any) -> Any:
            gone = deferrals.forget(overwritten)
            if gone is None:
                return self.invoke(*scalars)
            try:
                return invoke(*scalars)
            except BaseException:  # it has written nothing: what was there is there again
                for d in gone:
                    d.dst.array[...] = d.src.array
                raise

        return overwriting


_FOREVER = Allocation(0, 0, True, "")  # stands for the HBM of bindings that touch none


class Registers(NamedTuple):
    """What operands are read from."""

    x: list[int]
    t: list[Tile | None]


def resolve(tile: Tile, x: list[int]) -> Tile:
    """The tile with the sizes that come from registers filled in; equal sizes give the same object.

    Raises Fault (operand) when a register holds no size.
    """
    if tile.dimregs is None:
        return tile
    if tile.cache is None:
        tile.cache = itemgetter(*tile.dimregs), {}
    sizes, known = tile.cache
    key = sizes(x)
    found = known.get(key)
    if found is None:
        if len(known) >= _KEPT_SIZES:
            known.clear()
        found = known[key] = tile.resolve(x)
    return found  # type: ignore[no-any-return]  # cache is Any


def _named(tile: Tile, x: list[int], operand: str) -> Tile:
    """`resolve`, whose faults name the operand."""
    try:
        return resolve(tile, x)
    except Fault as e:
        e.operand = operand
        raise


def read_tile(t: list[Tile | None], reg: int, x: list[int], operand: str) -> Tile:
    """The resolved descriptor in a tile register; raises Fault (operand)."""
    tile = t[reg]
    if tile is None:
        raise Fault("operand", f"t{reg} holds no tile", operand=operand, help="load a descriptor with tld first")
    return _named(tile, x, operand)


def scalar_reader(kind: Kind, value: Any, name: str, r: Registers) -> Callable[[], Any] | None:
    """A function that reads what the semantics gets for an operand; None where it is a constant."""
    x, t = r
    if isinstance(kind, T):
        return None if kind.writes or isinstance(kind, Data) else partial(read_tile, t, value, x, name)
    if isinstance(kind, XF):
        return lambda: bits_f32(x[value])
    if isinstance(kind, XI):
        if not isinstance(value, Reg):
            return None
        i = value.index
        return (lambda: bits_f32(x[i])) if isinstance(kind, XFI) else (lambda: x[i])
    if isinstance(kind, X) and not kind.writes:
        return lambda: x[value]
    return None


def constant(kind: Kind, value: Any) -> Any:
    """What the semantics gets for an operand that is no register; None for one it writes."""
    if kind.writes:
        return None
    return f32_bits(value) if isinstance(kind, FImm) else value


class _Spec(NamedTuple):
    """A data operand, as binding looks at it."""

    name: str
    data: Data
    accepted: frozenset[int]
    direct: frozenset[int]  # dtype codes that the semantics gets as they are stored
    reads: bool
    writes: bool
    num: bool
    mixed: bool  # takes packed elements and others
    either: bool  # takes elements as stored, or as float32


class Traits(NamedTuple):
    """All data operands of a row, and which of them there is something to check about."""

    specs: tuple[_Spec, ...]
    num: tuple[int, ...]
    mixed: tuple[int, ...]
    ranks: tuple[int, ...]  # the least rank of each
    optional: tuple[int, ...]  # those that may lack leading dimensions
    alike: tuple[int, ...]  # zeros


_kept_traits: dict[tuple[Row, int], Traits] = {}  # by row and number of dtypes, which may grow
_dims_of: dict[tuple[Row, tuple[Shape, ...]], dict[str, int]] = {}


def traits_of(row: Row) -> Traits:
    """What binding looks at in the data operands of a row."""
    key = row, len(BY_CODE)
    known = _kept_traits.get(key)
    if known is None:
        out = []
        for _, o, k in row.data:
            accepted = frozenset(kind_of(s, d.code) for s in row.spaces(k) for d in k.dtypes)
            either = isinstance(k.dtypes, DTypes) and k.dtypes.either
            stored = {"f32": {f32}, "num": {f32, i32}, "raw": k.dtypes}["raw" if either else k.view]
            direct = frozenset(d.code for d in stored)
            mixed = len({d.numbers for d in k.dtypes}) > 1
            out.append(_Spec(o.name, k, accepted, direct, k.reads_data, k.writes_data, k.view == "num", mixed, either))
        known = _kept_traits[key] = Traits(
            tuple(out),
            tuple([i for i, s in enumerate(out) if s.num]),
            tuple([i for i, s in enumerate(out) if s.mixed]),
            tuple([s.data.pattern.min_rank for s in out]),
            tuple([i for i, s in enumerate(out) if s.data.pattern.leading == "...?"]),
            (0,) * len(out),
        )
    return known


def _bind_dims(row: Row, shapes: tuple[Shape, ...]) -> dict[str, int]:
    key = (row, shapes)
    known = _dims_of.get(key)
    if known is None:
        if len(_dims_of) >= _KEPT_SHAPES:
            _dims_of.clear()
        known = _dims_of[key] = match(row.patterns, shapes)
    return known


def _refused(row: Row, s: _Spec, tile: Tile) -> Fault:
    if tile.dtype not in s.data.dtypes:
        wants = ", ".join(sorted(d.name for d in s.data.dtypes))
        return Fault("operand", f"{tile} has dtype {tile.dtype}, {row.mnemonic} takes {wants}", operand=s.name)
    wants = " or ".join(str(x) for x in sorted(row.spaces(s.data)))
    return Fault("operand", f"{tile} is in {tile.space}, {row.mnemonic} wants it in {wants}", operand=s.name)


def native_takes(tile: Tile) -> bool:
    """Whether products read these elements faster as they are stored than as float32."""
    return products.native is not None and tile.dtype == bf16


def _extra_ranks(traits: Traits, views: Sequence[View]) -> tuple[int, ...]:
    """How many leading dimensions of size 1 broadcast operands have beyond the first operand's rank.

    The pattern allows them, and NumPy does in assignments; where it has an `out`, it does not.
    """
    if not traits.optional:
        return traits.alike
    ranks = traits.ranks
    lead = views[0].array.ndim - ranks[0]
    extra = {i: views[i].array.ndim - ranks[i] - lead for i in traits.optional}
    return tuple([max(0, extra.get(i, 0)) for i in range(len(ranks))]) if max(extra.values()) > 0 else traits.alike


def _check_nests(tile: Tile, name: str) -> None:
    """A tile that is written may hold no byte twice: its dimensions, by stride, lie within each other."""
    reach = 0
    for stride, d in sorted([(abs(s), d) for s, d in zip(tile.strides, tile.dims, strict=True) if d > 1]):
        if stride <= reach:
            raise Fault(
                "operand",
                f"{tile} with strides {list(tile.strides)} is written, and some of its elements overlap",
                operand=name,
            )
        reach += stride * (d - 1)


def _overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    try:
        return np.shares_memory(a, b, max_work=_SHARE_WORK)  # type: ignore[arg-type]  # stubs: only -1, 0
    except np.exceptions.TooHardError:
        return True


def _copied(specs: tuple[_Spec, ...], tiles: tuple[Tile, ...], views: Sequence[View]) -> frozenset[int]:
    """Inputs that must be copied before the semantics runs, because an output overlaps them.

    The very same tile as input and output is left to the semantics: rows are written so that this works.
    Raises Fault (operand) for two outputs that overlap.
    """
    copied: set[int] = set()
    for i, s in enumerate(specs):
        if not s.writes:
            continue
        v = views[i]
        _check_nests(tiles[i], s.name)
        for j, o in enumerate(specs):
            w = views[j]
            if j == i or w.kind >> 8 != v.kind >> 8 or w.low >= v.high or v.low >= w.high:
                continue
            if o.writes:
                if j > i and _overlap(v.array, w.array):
                    raise Fault("operand", f"{tiles[j]} overlaps {s.name}, which is written too", operand=o.name)
            elif tiles[j] is not tiles[i] and tiles[j] != tiles[i]:
                copied.add(j)
    return frozenset(copied)


class _Recipe(NamedTuple):
    """How the semantics of an instruction is called, whatever arrays its tiles are."""

    row: Row
    specs: tuple[_Spec, ...]
    codes: tuple[int, ...]  # dtypes of the tiles
    extra: tuple[int, ...]  # leading dimensions of size 1 to leave out
    copied: frozenset[int]  # inputs to copy first, because an output overlaps them
    fixed: Mapping[str, Any]  # operands that are constants
    scalars: tuple[str, ...]  # operands that come from registers, in order
    machine: Any

    def invoke(self, arrays: Sequence[tuple[NDArray[Any], bool]]) -> Callable[..., Any]:
        """The call, for an array per tile and whether it is float32 already where the tile's dtype is not."""
        row = self.row
        values = dict(self.fixed)
        before: list[str] = []  # statements of generated code
        after: list[str] = []
        constants: dict[str, Any] = {}
        for i, (s, code, extra, (array, wide)) in enumerate(
            zip(self.specs, self.codes, self.extra, arrays, strict=True)
        ):
            if extra:
                array = array[(0,) * extra]
            if wide or code in s.direct:
                if i in self.copied:
                    constants[f"v{i}"] = array.copy
                    before.append(f"{s.name} = v{i}()")
                else:
                    values[s.name] = array
                continue
            if s.reads:
                narrow = array.dtype.itemsize == 1
                constants[f"v{i}"] = partial(widen, array) if narrow else partial(array.astype, _F32)
                before.append(f"{s.name} = v{i}()")
            else:
                constants[f"v{i}"] = partial(np.empty, array.shape, _F32)
                before.append(f"{s.name} = v{i}()")
            if s.writes:
                constants[f"w{i}"] = array
                if code in _SATURATING:
                    constants |= {"convert": convert, f"d{i}": array.dtype}
                    after.append(f"w{i}[...] = convert({s.name}, d{i})")  # to nearest even
                else:
                    after.append(f"w{i}[...] = {s.name}")
        names = [o.name for o in row.operands]
        if row.collective:  # semantics get a list of arrays, one per chip
            tiles = {s.name for s in self.specs}
            values = {n: [v] if n in tiles else v for n, v in values.items()}
        first = (self.machine,) if row.takes_machine else ()
        semantics = row.semantics
        if row.split and arrays[0][0].ndim >= row.split and pieces.is_large(a for a, _ in arrays):
            semantics = partial(pieces.in_pieces, row.semantics, row.split)
        if not before and not self.scalars:
            return partial(semantics, *first, *(values[n] for n in names))
        made = {s.name for s in self.specs if s.name not in values}
        arguments = ", ".join(
            [*(["m_"] if first else []), *(f"[{n}]" if row.collective and n in made else n for n in names)]
        )
        constants |= {n: values[n] for n in names if n in values} | {"f_": semantics}
        if first:
            constants["m_"] = self.machine
        lines = (
            [*before, f"r_ = f_({arguments})", *after, "return r_"] if after else [*before, f"return f_({arguments})"]
        )
        return function(self.scalars, lines, constants)


def join(bounds: Sequence[Bound], scalars: Mapping[str, Any]) -> None:
    """Run a collective on all chips of a group: a binding for each, in rank order; `scalars` are the same on all."""
    first = bounds[0].recipe
    tiles: dict[str, list[NDArray[Any]]] = {s.name: [] for s in first.specs}
    after: list[tuple[NDArray[Any], NDArray[Any], bool]] = []
    for b in bounds:
        r = b.recipe
        for i, (s, code, extra, v) in enumerate(zip(r.specs, r.codes, r.extra, b.views, strict=True)):
            array = v.array[(0,) * extra] if extra else v.array
            if code in s.direct:
                tiles[s.name].append(array.copy() if i in r.copied else array)
                continue
            held = np.asarray(widen(array) if array.dtype.itemsize == 1 else array.astype(_F32))
            tiles[s.name].append(held)
            if s.writes:
                after.append((array, held, code in _SATURATING))
    first.row.semantics(**(dict(first.fixed) | tiles | dict(scalars)))
    for array, held, saturate in after:
        array[...] = convert(held, array.dtype) if saturate else held


def bind(
    row: Row,
    tiles: tuple[Tile, ...],
    fixed: Mapping[str, Any],
    machine: Any,
    memories: Memories,
    scalars: tuple[str, ...],
) -> Bound:
    """Check an instruction's resolved tiles and make the call of its semantics.

    `fixed` holds the operands that are constants; `scalars` names those that are still to come, in order.
    Raises Fault (operand, misaligned, out-of-bounds, read-only), with the operand's name.
    """
    traits = traits_of(row)
    specs = traits.specs
    views: list[View] = []
    for s, tile in zip(specs, tiles, strict=True):
        try:
            v = memories.view(tile)
        except Fault as e:
            e.operand = s.name
            raise
        if v.kind not in s.accepted:
            raise _refused(row, s, tile)
        if s.writes and v.allocation is not None and not v.allocation.writable:
            fault = memories.hbm.read_only(v.allocation, v.low)
            fault.operand = s.name
            raise fault
        views.append(v)
    dims = _bind_dims(row, tuple([t.dims for t in tiles]))
    if traits.num and len({tiles[i].dtype.is_float for i in traits.num}) > 1:
        what = ", ".join(f"{s.name} {t.dtype}" for s, t in zip(specs, tiles, strict=True) if s.num)
        raise Fault(
            "operand", f"{row.mnemonic} mixes integers and floats: {what}", help="convert one with vf2i or vi2f"
        )
    if traits.mixed and len({tiles[i].dtype.numbers for i in traits.mixed}) > 1:
        what = ", ".join(f"{s.name} {t.dtype}" for s, t in zip(specs, tiles, strict=True) if s.mixed)
        raise Fault(
            "operand",
            f"{row.mnemonic} does not convert packed elements: {what}",
            help="one element of fp4x2 is two numbers; vunpack.fp4 and vmxdequant.fp4 make floats of them",
        )
    recipe = _Recipe(
        row,
        specs,
        tuple([v.kind & 255 for v in views]),
        _extra_ranks(traits, views),
        _copied(specs, tiles, views),
        fixed,
        scalars,
        machine,
    )
    bound = Bound(recipe, tiles, tuple(views), dims)
    if row.copies and memories.deferrals.may_defer(views[0], views[1]):
        bound.deferred = Deferred(views[0], views[1])
    return bound


class _Family:
    """The bindings of one combination of tile registers' contents: one, or one for each set of sizes."""

    __slots__ = ("bounds", "only", "sizes", "tiles")

    def __init__(self, tiles: tuple[Tile, ...]) -> None:
        self.tiles = tiles  # kept alive, so that their identities stay theirs
        self.only: Bound | None = None
        regs = [r for t in tiles if t.dimregs is not None for r in t.dimregs if r]
        self.sizes = itemgetter(*regs) if regs else None  # from the scalar registers, as a key
        self.bounds: dict[Any, Bound] = {}


def binder(
    inst: Inst, r: Registers, memories: Memories, machine: Any, fixed: Mapping[str, Any], scalars: tuple[str, ...]
) -> Callable[[], Bound]:
    """A function that binds the instruction to the tiles its registers hold at that moment."""
    row = inst.row
    x, t = r
    regs = [inst.values[i] for i, _, _ in row.data]
    names = [o.name for _, o, _ in row.data]
    if not regs:
        only = bind(row, (), fixed, machine, memories, scalars)
        return lambda: only
    families: dict[tuple[int, ...], _Family] = {}
    contents: Callable[[Any], tuple[Any, ...]] = itemgetter(*regs) if len(regs) > 1 else lambda t: (t[regs[0]],)

    def fresh(family: _Family) -> Bound:
        tiles = tuple([_named(tile, x, name) for tile, name in zip(family.tiles, names, strict=True)])
        bound = bind(row, tiles, fixed, machine, memories, scalars)
        if family.sizes is None:
            family.only = bound
        else:
            if len(family.bounds) >= _KEPT_SIZES:
                family.bounds.clear()
            family.bounds[family.sizes(x)] = bound
        return bound

    def general() -> Bound:
        raw = contents(t)
        key = tuple(map(id, raw))
        family = families.get(key)
        if family is None:
            for reg, name in zip(regs, names, strict=True):
                read_tile(t, reg, x, name)
            if len(families) >= _KEPT_BINDINGS:
                families.clear()
            family = families[key] = _Family(raw)
        bound = family.only if family.sizes is None else family.bounds.get(family.sizes(x))
        if bound is None:
            return fresh(family)
        for block in bound.blocks:
            if not block.live:
                return fresh(family)
        return bound

    return _last_kept(regs, t, general) if len(regs) <= 3 else general


def _last_kept(regs: list[int], t: list[Tile | None], general: Callable[[], Bound]) -> Callable[[], Bound]:
    """`general`, skipped when the registers hold the very tiles of the last time.

    What is remembered is resolved, so a tile with sizes from registers is never found here.
    """
    last: Bound
    nothing: Any = object()
    c0 = c1 = c2 = nothing
    block: Allocation = _FOREVER

    def remember() -> Bound:
        nonlocal last, c0, c1, c2, block
        last = general()
        c0, c1, c2 = (*last.tiles, nothing, nothing)[:3]
        if len(last.blocks) == 1:
            block = last.blocks[0]
        elif last.blocks:
            c0 = nothing  # two blocks to look at: left to `general`
        else:
            block = _FOREVER
        return last

    r0, r1, r2 = (*regs, 0, 0)[:3]

    def one() -> Bound:
        return last if t[r0] is c0 and block.live else remember()

    def two() -> Bound:
        return last if t[r0] is c0 and t[r1] is c1 and block.live else remember()

    def three() -> Bound:
        return last if t[r0] is c0 and t[r1] is c1 and t[r2] is c2 and block.live else remember()

    return (one, two, three)[len(regs) - 1]
