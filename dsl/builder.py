"""Builds typed IR: folds constants, shares equal scalars, infers the results of instructions from their rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sohu.dsl.errors import CompileError, Loc, Scope
from sohu.dsl.ir import (
    FLOAT,
    INDEX,
    Block,
    Dim,
    MemType,
    Op,
    TileType,
    Type,
    Value,
    no_reshape,
    root,
    slots,
    written,
)
from sohu.dsl.ranges import Index, Ranges, constant
from sohu.isa import ROWS, Data, DType, Row, Space, f32, i32
from sohu.isa.dtypes import Num
from sohu.isa.operands import XF, XFI

FOLD: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a // b,
    "rem": lambda a, b: a % b,
    "min": min,
    "max": max,
}


class Builder:
    """Appends ops to the innermost block."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self.blocks: list[Block] = [Block()]
        self.known: list[dict[Any, Value]] = [{}]
        self.versions: dict[Value, int] = {}  # of tensors that are written: counts what may have been a store
        self.loc: Loc | None = None
        # What names are bound to, in order: scope, name, value, block, and when. Only debuggers want to know.
        self.bindings: list[tuple[Scope, str, Any, Block, int]] = []

    # -- ops ------------------------------------------------------------------------------------

    def emit(
        self,
        name: str,
        operands: Sequence[Value],
        types: Sequence[Type] = (),
        attrs: dict[str, int | float] | None = None,
    ) -> Op:
        """Append an op as it is."""
        op = Op(name, list(operands), attrs or {}, loc=self.loc)
        op.results = [Value(t, op) for t in types]
        self.blocks[-1].ops.append(op)
        for v in written(op):
            self.versions[v] = self.version(v) + 1
        return op

    def version(self, tensor: Value) -> int:
        """Counts what may have changed a tensor (a parameter) so far."""
        return self.versions.get(tensor, 0)

    def pure(self, name: str, operands: Sequence[Value], t: Type, attrs: dict[str, int | float] | None = None) -> Value:
        """Append an op without effects, or give the equal one that is there."""
        key = (name, tuple(operands), repr(attrs), t)
        for scope in self.known[::-1]:
            if key in scope:
                return scope[key]
        value = self.emit(name, operands, [t], attrs).result
        self.known[-1][key] = value
        return value

    @contextlib.contextmanager
    def inside(self, block: Block) -> Iterator[None]:
        """Append to the body of a loop for a while. What it stores may come before and after anything in it."""
        self.blocks.append(block)
        self.known.append({})
        self._turn()
        try:
            yield
        finally:
            self.blocks.pop()
            self.known.pop()
            self._turn()

    def _turn(self) -> None:
        for v in self.versions:
            self.versions[v] += 1

    def error(self, code: str, message: str, help: str = "") -> CompileError:
        """An error at the current place."""
        return CompileError(code, message, self.loc, help=help)

    # -- scalars --------------------------------------------------------------------------------

    def value(self, x: Index) -> Value:
        """An index as a value; raises K019 for anything else."""
        if isinstance(x, Value) and x.type == INDEX:
            return x
        if not isinstance(x, int):
            raise self.error("K019", f"an index is wanted here, not {describe(x)}")
        return self.pure("const", [], INDEX, {"value": int(x)})

    def number(self, x: float | Value) -> Value:
        """A float as a value; raises K035 for a run-time index, K036 for anything else."""
        if isinstance(x, Value) and x.type == FLOAT:
            return x
        if isinstance(x, Value) and x.type == INDEX:
            raise self.error(
                "K035",
                "a run-time index cannot enter tile arithmetic",
                help="sohu.arange(shape, start) makes a tile of indices",
            )
        if not isinstance(x, (int, float)):
            raise self.error("K036", f"a number is wanted here, not {describe(x)}")
        return self.pure("const", [], FLOAT, {"value": float(x)})

    def scalar(self, name: str, a: Index, b: Index) -> Index:
        """Index arithmetic, folded where the operands are known; raises K019 for what is no index."""
        for x in (a, b):
            if not isinstance(x, int):
                self.value(x)
        ca, cb = constant(a), constant(b)
        if name in ("div", "rem") and cb == 0:
            raise self.error("K020", "division by zero")
        if ca is not None and cb is not None:
            return FOLD[name](int(ca), int(cb))
        match name:
            case "add" if ca == 0:
                return b
            case "add" | "sub" if cb == 0:
                return a
            case "mul" | "div" if cb == 1:
                return a
            case "mul" if ca == 1:
                return b
            case "mul" if ca == 0 or cb == 0:
                return 0
            case "min" | "max" if a is b:
                return a
            case "max" if cb is not None and (least := self.ranges.lower(a)) is not None and least >= cb:
                return a
            case "sub" if a is b:
                return 0
        if name == "sub" and isinstance(a, Value) and a.op is not None and a.op.name == "add":
            x, y = a.op.operands  # (b + y) - b, what a slice lo : lo + n comes to
            for this, other in ((x, y), (y, x)):
                if this is b or (cb is not None and constant(this) == cb):
                    c = constant(other)
                    return int(c) if c is not None else other
        if name == "sub" and isinstance(b, Value) and b.op is not None and b.op.name == "sub" and b.op.operands[0] is a:
            c = constant(b.op.operands[1])  # a - (a - y)
            return int(c) if c is not None else b.op.operands[1]
        if name == "sub" and isinstance(a, Value) and a.op is not None and a.op.name == "min":
            # min(j + n, end) - j is min(n, end - j)
            return self.scalar("min", *(self.scalar("sub", v, b) for v in a.op.operands))
        if name in ("add", "mul", "min", "max") and ca is not None:
            a, b = b, a  # constants to the right, where the instruction has an immediate
        return self.pure(name, [self.value(a), self.value(b)], INDEX)

    def dim(self, size: Index, cap: int | None = None) -> Dim:
        """A dimension of a tile; raises K012 when nothing bounds it, K013 when it is negative."""
        c = constant(size) if isinstance(size, int) else constant(self.value(size))
        if c is not None:
            if c < 0:
                raise self.error("K013", f"a dimension of size {int(c)}")
            return Dim(int(c), int(c))
        if cap is None:
            cap = self.ranges.upper(size)
        if cap is None:
            raise self.error(
                "K012",
                "nothing bounds the size of this tile at compile time",
                help="write the slice as lo:lo+N with a constant N, slice a whole named dimension, "
                "or compile with arrays (or bounds=) if the dimension has a name",
            )
        return Dim(size, max(cap, 0))

    # -- views ----------------------------------------------------------------------------------

    def _view(self, op: str, v: Value, dims: Sequence[Dim], operands: Sequence[Value], **attrs: int) -> Value:
        assert isinstance(v.type, (MemType, TileType))
        t: Type = (
            MemType(v.type.dtype, tuple(dims)) if isinstance(v.type, MemType) else TileType(v.type.dtype, tuple(dims))
        )
        return self.pure(op, [v, *operands], t, dict(attrs))

    def slice(self, v: Value, axis: int, lo: Index | None, hi: Index | None) -> Value:
        """v[lo:hi] along one axis as NumPy has it: constants may be negative, and both ends are clamped.

        A start that only the run knows must not be negative: the machine stops then.
        """
        assert isinstance(v.type, (MemType, TileType))
        d = v.type.dims[axis]
        lo = self._from_end(0 if lo is None else lo, d.size)
        hi = self._from_end(d.size if hi is None else hi, d.size)
        if constant(lo) == 0 and self.ranges.at_most(d.size, hi):
            return v
        size = self._slice_size(d.size, lo, hi)
        c = constant(size)
        cap = d.cap  # of a tile; a tensor's slice gets its capacity when it is loaded
        if c is not None:
            size = cap = int(c)
        else:
            if cap is not None and (n := constant(self.scalar("sub", hi, lo))) is not None:
                cap = min(cap, int(n))
        dims = (*v.type.dims[:axis], Dim(size, cap), *v.type.dims[axis + 1 :])
        return self._view("tslice", v, dims, [self.value(lo), self.value(size)], axis=axis)

    def _from_end(self, x: Index, size: Index) -> Index:
        c = constant(x)
        return x if c is None or c >= 0 else self.scalar("max", self.scalar("add", size, int(c)), 0)

    def _slice_size(self, have: Index, lo: Index, hi: Index) -> Index:
        """max(min(hi, have) - lo, 0), without what is known not to matter."""
        ranges = self.ranges
        n = self.scalar("sub", hi, lo)
        if isinstance(lo, Value) and lo in ranges.loops and isinstance(n, int) and isinstance(have, int):
            start, stop, step = ranges.loops[lo]
            first = constant(start)
            if first is not None and step == n and (have - int(first)) % step == 0 and ranges.at_most(stop, have):
                return n  # a block of a static dimension that divides evenly: no tail
        size = n if ranges.at_most(hi, have) else self.scalar("min", self.scalar("sub", have, lo), n)
        certain = ranges.at_least_0(n) and ranges.at_most(lo, have)
        return size if certain else self.scalar("max", size, 0)

    def pick(self, v: Value, axis: int, at: Index) -> Value:
        """v[at] along one axis, which disappears; raises K013 when that is outside for certain."""
        assert isinstance(v.type, (MemType, TileType))
        d = v.type.dims[axis]
        if len(v.type.dims) == 1:
            raise self.error(
                "K017", "an element of rank 0", help="tiles have a rank of at least 1: [i:i + 1] keeps the dimension"
            )
        c = constant(at)
        if c is not None and isinstance(d.size, int) and not -d.size <= c < d.size:
            raise self.error("K013", f"index {int(c)} is outside a dimension of size {d.size}")
        if c is not None and c < 0:
            at = self.scalar("add", d.size, int(c))
        dims = (*v.type.dims[:axis], Dim(1, 1), *v.type.dims[axis + 1 :])
        one = self._view("tslice", v, dims, [self.value(at), self.value(1)], axis=axis)
        return self.drop(one, axis)

    def swap(self, v: Value, a: int, b: int) -> Value:
        """Two axes exchanged."""
        assert isinstance(v.type, (MemType, TileType))
        if a == b:
            return v
        dims = list(v.type.dims)
        dims[a], dims[b] = dims[b], dims[a]
        return self._view("tswap", v, dims, [], a=a, b=b)

    def permute(self, v: Value, order: Sequence[int]) -> Value:
        """All axes reordered, by exchanges."""
        at = list(range(len(order)))
        for i, want in enumerate(order):
            j = at.index(want)
            if j != i:
                v = self.swap(v, i, j)
                at[i], at[j] = at[j], at[i]
        return v

    def insert(self, v: Value, axis: int) -> Value:
        """A dimension of size 1 before `axis`."""
        assert isinstance(v.type, (MemType, TileType))
        if len(v.type.dims) == 4:
            raise self.error("K016", "tiles have at most 4 dimensions")
        return self._view("tinsert", v, (*v.type.dims[:axis], Dim(1, 1), *v.type.dims[axis:]), [], axis=axis)

    def drop(self, v: Value, axis: int) -> Value:
        """Without a dimension of size 1."""
        assert isinstance(v.type, (MemType, TileType))
        return self._view("tdrop", v, (*v.type.dims[:axis], *v.type.dims[axis + 1 :]), [], axis=axis)

    def reshape(self, v: Value, shape: Sequence[Index]) -> Value:
        """A tile in another shape, in place; a view of a tile is copied first. Raises K014."""
        t = v.tile
        known = {d.size: d.cap for d in t.dims if isinstance(d.size, Value)}
        dims = [self.dim(s, known.get(s) if isinstance(s, Value) else None) for s in shape]
        if not 1 <= len(dims) <= 4:
            raise self.error("K016", "tiles have at most 4 dimensions")
        if (why := no_reshape(t.dims, dims)) is not None:
            raise self.error("K014", f"reshape: {why}")
        if root(v) is not v and v.op is not None and v.op.name != "reshape":
            v = self.one("vmov" if t.dtype in Num else "vcast", v, shape=t.dims, dtype=t.dtype)
        return self.pure("reshape", [v], TileType(t.dtype, tuple(dims)))

    # -- instructions ---------------------------------------------------------------------------

    def inst(
        self,
        mnemonic: str,
        *operands: Value | float,
        shape: Sequence[Dim] | None = None,
        dtype: DType | None = None,
        **attrs: int | float,
    ) -> list[Value]:
        """Any instruction of the table. Operands in the row's order, without its pure results.

        Result shapes and dtypes follow from the row; `shape` and `dtype` say them where they do not (vfill).
        """
        row = ROWS[mnemonic]
        args: list[Value] = []
        places = slots(row)
        wanted = [s for s in places if s.operand is not None]
        defaults = {o.name: o.default for o in row.operands if o.keyword}
        rest = [s.name for s in wanted[len(operands) :] if s.name in defaults]  # those that may be left out come last
        operands = (*operands, *(attrs.pop(name, defaults[name]) for name in rest))
        if len(operands) != len(wanted):
            names = ", ".join(s.name for s in wanted)
            raise self.error("K030", f"{mnemonic} takes {len(wanted)} operands ({names}), not {len(operands)}")
        for s, v in zip(wanted, operands, strict=True):
            args.append(self._operand(row, s.name, s.kind, v))
        types = [args[s.operand].type if s.operand is not None else None for s in places]
        dims = self._infer(row, {s.name: args[s.operand] for s in wanted if isinstance(s.kind, Data)}, shape)  # type: ignore[index]
        # an operand of one dtype only (an index, say) has no part in that of the results
        typed = [v for s, v in zip(wanted, args, strict=True) if isinstance(s.kind, Data) and len(s.kind.dtypes) > 1]
        results: list[Type] = []
        for s, t in zip(places, types, strict=True):
            if s.result is None:
                continue
            if isinstance(t, TileType):
                results.append(TileType(t.dtype, t.dims))
            elif isinstance(s.kind, Data):
                results.append(TileType(self._dtype(row, s.kind, typed, dtype), dims[s.name]))
            else:  # a scalar: an index, or the bits of a float
                is_float = any(isinstance(v.type, TileType) and v.type.dtype.is_float for v in args)
                results.append(FLOAT if is_float else INDEX)
        immediates = {s.attr for s in places if s.attr is not None}
        for key in attrs:
            if key not in immediates:
                raise self.error("K031", f"{mnemonic} has no option {key!r}")
        for key, value in attrs.items():
            if not isinstance(value, (int, float)):
                raise self.error("K031", f"{mnemonic}: {key}= is known at compile time, not {describe(value)}")
        return self.emit(mnemonic, args, results, attrs).results

    def one(self, mnemonic: str, *operands: Value | float, **kw: Any) -> Value:
        """`inst` for an instruction with one result."""
        (value,) = self.inst(mnemonic, *operands, **kw)
        return value

    def _operand(self, row: Row, name: str, kind: Any, v: Any) -> Value:
        if not isinstance(kind, Data):
            return self.number(v) if type(kind) in (XF, XFI) else self.value(v)
        in_hbm = row.spaces(kind) == {Space.HBM}
        if not isinstance(v, Value) or not isinstance(v.type, MemType if in_hbm else TileType):
            wanted = "a tensor in HBM" if in_hbm else "a tile"
            raise self.error("K032", f"{row.mnemonic}: {name} must be {wanted}, not {describe(v)}")
        if v.type.dtype not in kind.dtypes:
            takes = ", ".join(sorted(d.name for d in kind.dtypes))
            raise self.error(
                "K033",
                f"{row.mnemonic}: {name} is {v.type.dtype}, the instruction takes {takes}",
                help=f"convert it: .to({sorted(kind.dtypes, key=lambda d: d.code)[0]})",
            )
        return v

    def _dtype(self, row: Row, kind: Data, args: Sequence[Value], asked: DType | None) -> DType:
        if asked is not None and not isinstance(asked, DType):
            raise self.error("K038", f"{describe(asked)} is no dtype", help="f32, bf16, f16, i32, or x.dtype")
        if len(kind.dtypes) == 1:
            return next(iter(kind.dtypes))
        if asked is not None:
            if asked not in kind.dtypes:
                raise self.error("K033", f"{row.mnemonic} cannot give {asked}")
            return asked
        tiles = [v.type.dtype for v in args if isinstance(v.type, (TileType, MemType)) and v.type.dtype in kind.dtypes]
        if not tiles and f32 not in kind.dtypes:
            makes = ", ".join(d.name for d in sorted(kind.dtypes, key=lambda d: d.code))
            raise self.error("K033", f"{row.mnemonic} gives {makes}: which?", help="say dtype=")
        return self.promote(tiles) if tiles else f32

    def promote(self, dtypes: Sequence[DType]) -> DType:
        """The dtype of a result of these: NumPy's rule, and f32 for two different narrow floats."""
        distinct = set(dtypes)
        if len(distinct) == 1:
            return dtypes[0]
        if i32 in distinct:
            raise self.error("K034", "integers and floats do not mix", help="convert one: .to(f32) or .to(i32)")
        return f32

    def _infer(self, row: Row, tiles: dict[str, Value], shape: Sequence[Dim] | None) -> dict[str, tuple[Dim, ...]]:
        """Dimensions of every result, from the operands' dimensions by the row's shape patterns."""
        bound: dict[str, Dim] = {"1": Dim(1, 1)}
        lead: tuple[Dim, ...] = ()
        for name, pattern in row.patterns:
            if name not in tiles:
                continue
            t = tiles[name].type
            assert isinstance(t, (TileType, MemType))
            dims = t.dims
            extra = len(dims) - len(pattern.dims)
            if extra < 0 and pattern.leading == "...?":
                dims, extra = (Dim(1, 1),) * -extra + dims, 0
            if extra < 0 or (extra and not pattern.leading):
                raise self.error("K017", f"{row.mnemonic}: {name} has rank {len(t.dims)}, wants [{pattern.text}]")
            for word, d in zip(pattern.dims, dims[extra:], strict=True):
                if word.name not in bound or (word.broadcast and bound[word.name].size == 1):
                    bound[word.name] = self._times(d, word.divisor)
                elif not (word.broadcast and d.size == 1):
                    whole = Dim(d.size * word.divisor, None) if isinstance(d.size, int) else d
                    self.agree(whole, bound[word.name], f"{row.mnemonic}: {name}", word.name)
            if pattern.leading:
                lead = self.broadcast(lead, dims[:extra], row.mnemonic)
        out = {}
        for name, pattern in row.patterns:
            if name in tiles:
                continue
            missing = [w.name for w in pattern.dims if w.name not in bound]
            if shape is not None and (missing or not pattern.dims):
                out[name] = tuple(shape)
                continue
            if missing:
                raise self.error("K030", f"{row.mnemonic}: nothing gives the size {missing[0]}; say shape=")
            full = lead if pattern.leading else ()
            sizes = (self._part(bound[w.name], w.divisor, row.mnemonic) for w in pattern.dims)
            out[name] = (*full, *(self.dim(d.size, d.cap) for d in sizes))
        return out

    def _times(self, d: Dim, n: int) -> Dim:
        if n == 1:
            return d
        size = d.size * n if isinstance(d.size, int) else self.scalar("mul", d.size, n)
        return self.dim(size, None if d.cap is None else d.cap * n)

    def _part(self, d: Dim, n: int, what: str) -> Dim:
        """One n-th of a size; raises K014 for one known not to be a multiple."""
        if n == 1:
            return d
        if isinstance(d.size, int) and d.size % n:
            raise self.error("K014", f"{what}: {d.size} is no multiple of {n}")
        size = d.size // n if isinstance(d.size, int) else self.scalar("div", d.size, n)
        return self.dim(size, None if d.cap is None else d.cap // n)

    def agree(self, a: Dim, b: Dim, what: str, name: str) -> None:
        """Raises K014 when two sizes can't be equal; sizes known only at run time are checked by the machine."""
        if isinstance(a.size, int) and isinstance(b.size, int) and a.size != b.size:
            label = "inner dimensions differ" if name == "K" else f"dimension {name} differs"
            raise self.error(
                "K014",
                f"{what}: {label}: {a.size} and {b.size}",
                help="a transposed view (.T) may be what you want",
            )

    def broadcast(self, a: Sequence[Dim], b: Sequence[Dim], what: str) -> tuple[Dim, ...]:
        """NumPy's broadcasting; raises K014."""
        out: list[Dim] = []
        n = max(len(a), len(b))
        wide_a = (Dim(1, 1),) * (n - len(a)) + tuple(a)
        wide_b = (Dim(1, 1),) * (n - len(b)) + tuple(b)
        for x, y in zip(wide_a, wide_b, strict=True):
            if y.size == 1 or x.same(y):
                pick = x
            elif x.size == 1:
                pick = y
            elif isinstance(x.size, int) and isinstance(y.size, int):
                raise self.error("K014", f"{what}: sizes {x.size} and {y.size} do not broadcast")
            elif 1 in (x.cap, y.cap):  # like x[0:1], whose size is 1 or, of an empty tensor, 0
                pick = y if x.cap == 1 else x
            else:  # the machine checks that they are the same
                pick = y if isinstance(y.size, int) else x
            out.append(self.dim(pick.size, pick.cap))
        return tuple(out)

    def load(self, view: Value, block: Block | None = None, after: Op | None = None) -> Value:
        """A view of HBM as a tile in SRAM; with `block`, loaded there, after that op (None: at its start).

        Raises K012 when nothing bounds a size of the view.
        """
        assert isinstance(view.type, MemType)
        loc, self.loc = self.loc, view.op.loc if view.op is not None else self.loc
        dims = tuple(self.dim(d.size, d.cap) for d in view.type.dims)
        self.loc = loc
        if block is None:
            return self.emit("dma.load", [view], [TileType(view.type.dtype, dims)], {"q": 0}).result
        op = Op("dma.load", [view], {"q": 0}, loc=view.op.loc if view.op is not None else self.loc)
        op.results = [Value(TileType(view.type.dtype, dims), op)]
        block.ops.insert(0 if after is None else block.ops.index(after) + 1, op)
        return op.result


def describe(v: Any) -> str:
    """What a frontend value is, for messages."""
    v = getattr(v, "mem", v)  # of a View
    if isinstance(v, Value):
        if isinstance(v.type, TileType):
            name = v.type.dtype.name
            return f"{'an' if name[0] in 'fi' else 'a'} {name} tile of rank {len(v.type.dims)}"
        return "a tensor in HBM" if isinstance(v.type, MemType) else f"a run-time {v.type.name}"
    return f"{v!r}" if isinstance(v, (int, float, str, bool, type(None), DType)) else f"a Python {type(v).__name__}"


__all__ = ["Builder", "Index", "constant", "describe"]
