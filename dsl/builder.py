"""Builds typed IR: folds constants, shares equal scalars, infers the results of instructions from their rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sohu.dsl.errors import CompileError, Loc
from sohu.dsl.ir import (
    FLOAT,
    INDEX,
    Block,
    Dim,
    MemType,
    Op,
    ScalarType,
    TileType,
    Type,
    Value,
    slots,
)
from sohu.isa import ROWS, Data, DType, Row, Space, f32, i32
from sohu.isa.operands import XF, XFI, XOut

Index = int | Value
FOLD: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a // b,
    "rem": lambda a, b: a % b,
    "min": min,
    "max": max,
}


def constant(v: Any) -> int | float | None:
    """The number that an index, or the op behind a value, is; None when only the run knows."""
    if isinstance(v, (int, float)):
        return v
    if isinstance(v, Value) and v.op is not None and v.op.name == "const":
        return v.op.attrs["value"]
    return None


class Builder:
    """Appends ops to the innermost block. `bound` gives the capacity of a named dimension, and records the question."""

    def __init__(self, bound: Callable[[str], int]) -> None:
        self.bound = bound
        self.dim_names: dict[Value, str] = {}
        self.steps: dict[Value, tuple[Index, int]] = {}  # induction variable -> (lowest value, step)
        self.blocks: list[Block] = [Block()]
        self.known: list[dict[Any, Value]] = [{}]
        self.loc: Loc | None = None

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
        return op

    def pure(self, name: str, operands: Sequence[Value], t: Type, attrs: dict[str, int | float] | None = None) -> Value:
        """Append an op without effects, or give the equal one that is there."""
        key = (name, tuple(operands), tuple(sorted((attrs or {}).items())), t)
        for scope in reversed(self.known):
            if key in scope:
                return scope[key]
        value = self.emit(name, operands, [t], attrs).result
        self.known[-1][key] = value
        return value

    @contextlib.contextmanager
    def inside(self, block: Block) -> Iterator[None]:
        """Append to another block for a while."""
        self.blocks.append(block)
        self.known.append({})
        try:
            yield
        finally:
            self.blocks.pop()
            self.known.pop()

    def error(self, code: str, message: str, help: str = "") -> CompileError:
        """An error at the current place."""
        return CompileError(code, message, self.loc, help=help)

    # -- scalars --------------------------------------------------------------------------------

    def value(self, x: Index) -> Value:
        """An index as a value."""
        return x if isinstance(x, Value) else self.pure("const", [], INDEX, {"value": int(x)})

    def float(self, x: float | Value) -> Value:
        """A float as a value."""
        return x if isinstance(x, Value) else self.pure("const", [], FLOAT, {"value": float(x)})

    def scalar(self, name: str, a: Index, b: Index) -> Index:
        """Scalar arithmetic, folded where the operands are known."""
        ca, cb = constant(a), constant(b)
        if ca is not None and cb is not None:
            if name in ("div", "rem") and cb == 0:
                raise self.error("K020", "division by zero")
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
            case "sub" if a is b:
                return 0
        if name == "sub" and isinstance(a, Value) and a.op is not None and a.op.name == "add":
            x, y = a.op.operands  # (b + y) - b, what a slice lo : lo + n comes to
            for this, other in ((x, y), (y, x)):
                if this is b or (cb is not None and constant(this) == cb):
                    c = constant(other)
                    return int(c) if c is not None else other
        if name == "sub" and isinstance(a, Value) and a.op is not None and a.op.name == "min":
            x, y = (self.scalar("sub", v, b) for v in a.op.operands)  # min(j + n, end) - j is min(n, end - j)
            return self.scalar("min", x, y)
        if name in ("add", "mul", "min", "max") and ca is not None:
            a, b = b, a  # constants to the right, where the instruction has an immediate
        return self.pure(name, [self.value(a), self.value(b)], INDEX)

    def upper(self, x: Index) -> int | None:
        """The most an index can be, as far as is known; a named dimension answers with its bound."""
        c = constant(x)
        if c is not None:
            return int(c)
        assert isinstance(x, Value)
        if x in self.dim_names:
            return self.bound(self.dim_names[x])
        if x.op is None:
            return None
        if x.op.name == "min":  # asking a dimension for its bound binds it: constants first
            known = [int(c) for c in map(constant, x.op.operands) if c is not None]
            known = known or [u for u in map(self.upper, x.op.operands) if u is not None]
            return min(known, default=None)
        if x.op.name in ("add", "mul"):
            a, b = (self.upper(v) for v in x.op.operands)
            return None if a is None or b is None else FOLD[x.op.name](a, b)
        if x.op.name == "div" and constant(x.op.operands[1]):
            a = self.upper(x.op.operands[0])
            return None if a is None else a // int(constant(x.op.operands[1]) or 1)
        return None

    def dim(self, size: Index, cap: int | None = None) -> Dim:
        """A dimension of a tile; raises K012 when nothing bounds it."""
        c = constant(size)
        if c is not None:
            if c < 0:
                raise self.error("K013", f"a dimension of size {int(c)}")
            return Dim(int(c), int(c))
        if cap is None:
            cap = self.upper(size)
        if cap is None:
            raise self.error(
                "K012",
                "nothing bounds the size of this tile at compile time",
                help="write the slice as lo:lo+N with a constant N, or slice a whole named dimension",
            )
        return Dim(size, cap)

    # -- views ----------------------------------------------------------------------------------

    def _view(self, op: str, v: Value, dims: Sequence[Dim], operands: Sequence[Value], **attrs: int) -> Value:
        assert isinstance(v.type, (MemType, TileType))
        t: Type = (
            MemType(v.type.dtype, tuple(dims)) if isinstance(v.type, MemType) else TileType(v.type.dtype, tuple(dims))
        )
        return self.pure(op, [v, *operands], t, dict(attrs))

    def slice(self, v: Value, axis: int, lo: Index | None, hi: Index | None) -> Value:
        """v[lo:hi] along one axis, with NumPy's clamping at the upper end."""
        assert isinstance(v.type, (MemType, TileType))
        d = v.type.dims[axis]
        lo = 0 if lo is None else lo
        hi = d.size if hi is None else hi
        clo, chi = constant(lo), constant(hi)
        if (clo is not None and clo < 0) or (chi is not None and chi < 0):
            if not isinstance(d.size, int):
                raise self.error("K015", "a negative index into a dimension that only the run knows")
            lo = int(clo) + d.size if clo is not None and clo < 0 else lo
            hi = int(chi) + d.size if chi is not None and chi < 0 else hi
        if constant(lo) == 0 and (hi is d.size or hi == d.size):
            return v
        length = self.scalar("sub", hi, lo)
        size, cap = self._slice_size(d, lo, hi, length)
        dims = (*v.type.dims[:axis], Dim(size, cap), *v.type.dims[axis + 1 :])
        return self._view("tslice", v, dims, [self.value(lo), self.value(size)], axis=axis)

    def _slice_size(self, d: Dim, lo: Index, hi: Index, length: Index) -> tuple[Index, int | None]:
        whole = hi is d.size or hi == d.size
        n = constant(length)
        if n is not None and n < 0:
            raise self.error("K013", f"a slice of length {int(n)}")
        if n is not None and isinstance(d.size, int):
            clo = constant(lo)
            if clo is not None:
                n = max(0, min(int(n), d.size - int(clo)))
                return int(n), int(n)
            first, step = self.steps.get(lo, (None, 0)) if isinstance(lo, Value) else (None, 0)
            start = constant(first) if first is not None else None
            if start is not None and step == n and (d.size - int(start)) % step == 0:
                return int(n), int(n)  # a block of a static dimension that divides evenly: no tail
        size = length if whole else self.scalar("min", self.scalar("sub", d.size, lo), length)
        if isinstance(size, int):
            return size, size
        if n is not None:
            return size, min(int(n), d.cap) if d.cap is not None else int(n)
        if self._boundable(length):
            return size, self.upper(length)
        return size, d.cap

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
        if len(operands) != len(wanted):
            names = ", ".join(s.name for s in wanted)
            raise self.error("K030", f"{mnemonic} takes {len(wanted)} operands ({names}), not {len(operands)}")
        for s, v in zip(wanted, operands, strict=True):
            args.append(self._operand(row, s.name, s.kind, v))
        types = [args[s.operand].type if s.operand is not None else None for s in places]
        dims = self._infer(row, {s.name: args[s.operand] for s in wanted if isinstance(s.kind, Data)}, shape)  # type: ignore[index]
        results: list[Type] = []
        for s, t in zip(places, types, strict=True):
            if s.result is None:
                continue
            if isinstance(t, TileType):
                results.append(TileType(t.dtype, t.dims))
            elif isinstance(s.kind, Data):
                results.append(TileType(self._dtype(row, s.kind, args, dtype), dims[s.name]))
            else:
                results.append(INDEX if type(s.kind) is XOut else TileType(f32, ()))
        immediates = {s.attr for s in places if s.attr is not None}
        for key in attrs:
            if key not in immediates:
                raise self.error("K031", f"{mnemonic} has no option {key!r}")
        return self.emit(mnemonic, args, results, attrs).results

    def one(self, mnemonic: str, *operands: Value | float, **kw: Any) -> Value:
        """`inst` for an instruction with one result."""
        (value,) = self.inst(mnemonic, *operands, **kw)
        return value

    def _operand(self, row: Row, name: str, kind: Any, v: Any) -> Value:
        if not isinstance(kind, Data):
            return self.float(v) if type(kind) in (XF, XFI) else self.value(v)
        if not isinstance(v, Value) or isinstance(v.type, ScalarType):
            raise self.error("K032", f"{row.mnemonic}: {name} must be a tile, not {describe(v)}")
        if v.type.dtype not in kind.dtypes:
            takes = ", ".join(sorted(d.name for d in kind.dtypes))
            raise self.error(
                "K033",
                f"{row.mnemonic}: {name} is {v.type.dtype}, the instruction takes {takes}",
                help=f"convert it: .to({sorted(kind.dtypes, key=lambda d: d.code)[0]})",
            )
        return v

    def _dtype(self, row: Row, kind: Data, args: Sequence[Value], asked: DType | None) -> DType:
        if len(kind.dtypes) == 1:
            return next(iter(kind.dtypes))
        if asked is not None:
            if asked not in kind.dtypes:
                raise self.error("K033", f"{row.mnemonic} cannot give {asked}")
            return asked
        tiles = [v.type.dtype for v in args if isinstance(v.type, (TileType, MemType)) and v.type.dtype in kind.dtypes]
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
                if word.divisor == 1 and (word.name not in bound or (word.broadcast and bound[word.name].size == 1)):
                    bound[word.name] = d
                elif word.divisor == 1 and not (word.broadcast and d.size == 1):
                    self.agree(d, bound[word.name], f"{row.mnemonic}: {name}", word.name)
            if pattern.leading:
                lead = self.broadcast(lead, dims[:extra], row.mnemonic)
        out = {}
        for name, pattern in row.patterns:
            if name in tiles:
                continue
            if shape is not None:
                out[name] = tuple(shape)
                continue
            missing = [w.name for w in pattern.dims if w.name not in bound]
            if missing:
                raise self.error("K030", f"{row.mnemonic}: nothing gives the size {missing[0]}; say shape=")
            full = lead if pattern.leading else ()
            sizes = (bound[w.name] for w in pattern.dims)
            out[name] = (*full, *(self.dim(d.size, d.cap) for d in sizes))
        return out

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
            else:
                if isinstance(x.size, int) and isinstance(y.size, int):
                    raise self.error("K014", f"{what}: sizes {x.size} and {y.size} do not broadcast")
                pick = x if isinstance(x.size, int) or isinstance(y.size, Value) else y
            out.append(self.dim(pick.size, pick.cap))
        return tuple(out)

    def load(self, view: Value) -> Value:
        """A view of HBM as a tile in SRAM."""
        assert isinstance(view.type, MemType)
        dims = tuple(self.dim(d.size, d.cap) for d in view.type.dims)
        return self.emit("dma.load", [view], [TileType(view.type.dtype, dims)], {"q": 0}).result

    def loadable(self, view: Value) -> bool:
        """Whether every dimension of the view has a bound (asks no named dimension for one it does not need)."""
        assert isinstance(view.type, MemType)
        return all(d.cap is not None or isinstance(d.size, int) or self._boundable(d.size) for d in view.type.dims)

    def _boundable(self, v: Index) -> bool:
        if isinstance(v, int) or v in self.dim_names or constant(v) is not None:
            return True
        if v.op is None:
            return False
        if v.op.name == "min":
            return any(self._boundable(x) for x in v.op.operands)
        return v.op.name in ("add", "mul", "div") and all(self._boundable(x) for x in v.op.operands)


def describe(v: Any) -> str:
    """What a frontend value is, for messages."""
    if isinstance(v, Value):
        if isinstance(v.type, TileType):
            return f"a {v.type.dtype} tile of rank {len(v.type.dims)}"
        return "a tensor in HBM" if isinstance(v.type, MemType) else f"a run-time {v.type.name}"
    return f"{v!r}" if isinstance(v, (int, float, str, bool, type(None), DType)) else f"a Python {type(v).__name__}"


__all__ = ["Builder", "Index", "Space", "constant", "describe"]
