"""The words of the kernel language: parameter annotations and the functions that kernels call.

A function here is one declaration: its name, its documentation, and how it is built from instructions.
Any instruction of the table can also be called as it is: `sohu.isa_op("vtanh", t)`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sohu.dsl.builder import Builder, describe
from sohu.dsl.ir import INDEX, Dim, TileType, Value, slots
from sohu.dsl.ranges import constant
from sohu.isa import DTYPES, ROWS, Data, DType, SohuError, Space, f32, i8, i32
from sohu.isa.dtypes import Factor, Num

# -- annotations ---------------------------------------------------------------------------------


class DTypeVar:
    """A dtype that the arguments of a call decide: F = DTypeVar("F", f32, bf16).

    In annotations it stands for that dtype; inside a kernel it is that dtype. Without choices it can be any.
    """

    def __init__(self, name: str, *choices: DType) -> None:
        self.name = name
        self.choices = choices

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class TensorSpec:
    """What In, Out and InOut annotations say of a parameter."""

    direction: str
    dtype: DType | DTypeVar
    dims: tuple[str | int, ...]


@dataclass(frozen=True)
class ScalarSpec:
    """A run-time scalar parameter: i64 or f32."""

    direction: str


class _Tensor:
    direction = ""

    def __class_getitem__(cls, item: tuple[DType | DTypeVar, str]) -> TensorSpec:
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[1], str):
            raise SohuError(f'a tensor is annotated with a dtype and its dimensions: {cls.__name__}[f32, "R C"]')
        dtype, dims = item
        if not isinstance(dtype, (DType, DTypeVar)):
            raise SohuError(
                f"{dtype!r} in a tensor annotation is no dtype", help=f"{', '.join(DTYPES)}, or a sohu.DTypeVar"
            )
        words = tuple(int(w) if w.isdigit() else w for w in dims.split())
        for w in words:
            if isinstance(w, str) and not w.isidentifier():
                raise SohuError(f"dimension {w!r} of a tensor annotation is neither a name nor a number")
            if w in RESERVED_DIMS:
                raise SohuError(f"a dimension cannot be called {w!r}: x.{w} means something else")
        if not 1 <= len(words) <= 4:
            raise SohuError(f"tensors have 1 to 4 dimensions, not {len(words)}: {dims!r}")
        return TensorSpec(cls.direction, dtype, words)


# What x.NAME means otherwise
RESERVED_DIMS = frozenset(
    {"T", "mT", "shape", "dtype", "ndim", "to", "astype", "sum", "max", "min", "argmax", "transpose", "item", "reshape"}
)


class In(_Tensor):
    """A tensor that the kernel reads: `x: In[bf16, "R C"]`."""

    direction = "in"


class Out(_Tensor):
    """A tensor that the kernel writes, all of it; made by the call when not given."""

    direction = "out"


class InOut(_Tensor):
    """A tensor that the kernel reads and writes in place."""

    direction = "inout"


Index = ScalarSpec("i64")
Scalar = ScalarSpec("f32")

# -- functions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Intrinsic:
    """A function of the language: `build` makes the ops, inside a kernel; outside it says what it is."""

    name: str
    build: Callable[..., Any]
    doc: str

    def __call__(self, *_args: Any, **_kw: Any) -> Any:
        raise SohuError(
            f"sohu.{self.name} belongs inside a @sohu.kernel function",
            help="call the kernel with NumPy arrays; it runs on the emulated chip",
        )


INTRINSICS: dict[str, Intrinsic] = {}


def intrinsic(build: Callable[..., Any]) -> Any:
    """Declare a function of the language; the first parameter of `build` is the Builder."""
    name = build.__name__.rstrip("_")
    fn = Intrinsic(name, build, build.__doc__ or "")
    INTRINSICS[name] = fn
    return fn


def is_tile(v: Any) -> bool:
    """Whether a frontend value is a tile."""
    return isinstance(v, Value) and isinstance(v.type, TileType)


def _dims(b: Builder, shape: Any) -> tuple[Dim, ...]:
    sizes = shape if isinstance(shape, tuple) else (shape,)
    return tuple(b.dim(s) for s in sizes)


def binary(b: Builder, op: str, x: Any, y: Any) -> Any:
    """Elementwise arithmetic of tiles and numbers: op is add, sub, mul, div, max, min, lt, le, eq."""
    if is_tile(x) and is_tile(y):
        return b.one(f"v{op}", x, y)
    flip = not is_tile(x)
    tile, number = (y, x) if flip else (x, y)
    if not isinstance(number, (int, float, Value)):
        raise b.error("K036", f"cannot {op} {describe(x)} and {describe(y)}")
    if not tile.type.dtype.is_float:
        b.number(number)
        number_fits(b, number, tile.type.dtype)
    match op:
        case "add" | "mul" | "max" | "min":
            return b.one(f"v{op}s", tile, number)
        case "sub" if flip:
            return b.one("vrsubs", tile, number)
        case "sub" if isinstance(number, (int, float)):
            return b.one("vadds", tile, -number)
        case "div":
            return b.one("vrdivs" if flip else "vdivs", tile, number)
    like = b.one("vfill", number, shape=(Dim(1, 1),) * len(tile.type.dims), dtype=tile.type.dtype)
    return b.one(f"v{op}", *((like, tile) if flip else (tile, like)))


def whole(b: Builder, mnemonic: str, x: Any, y: Any) -> Value:
    """An instruction of two i32 tiles; an index stands for a tile full of it. Raises K037 for other numbers."""
    rank = max(len(t.type.dims) for t in (x, y) if is_tile(t))

    def wide(v: Any) -> Any:
        if is_tile(v):
            return v
        if not isinstance(v, int) and not (isinstance(v, Value) and v.type == INDEX):
            raise b.error("K037", f"i32 tiles take whole numbers here, not {describe(v)}")
        return b.one("viota", v, shape=(Dim(1, 1),) * rank, dtype=i32)

    return b.one(mnemonic, wide(x), wide(y))


def number_fits(b: Builder, number: Any, dtype: DType) -> DType:
    """The dtype, if a number becomes one of its elements exactly on the way through the instruction's f32.

    Raises K037 for integers that are not whole or not known, or beyond 2**24.
    """
    if not dtype.is_float and (not isinstance(number, int) or abs(number) > 1 << 24):
        raise b.error("K037", f"{dtype} tiles take whole numbers up to 2**24 here, not {describe(number)}")
    return dtype


def reduce(b: Builder, op: str, x: Value, axis: int | None, keepdims: bool) -> Value:
    """A reduction over the last axis or the one before it: op is sum, max, min, argmax."""
    rank = len(x.tile.dims)
    at = -1 if axis is None and rank == 1 else axis
    if at is None:
        raise b.error("K040", f"{op} of a tile of rank {rank} needs an axis", help=f"say .{op}(axis=-1)")
    if not isinstance(at, int) or not -rank <= at < rank:
        raise b.error("K041", f"{op} over axis {describe(at)} of a tile of rank {rank}")
    at %= rank
    if at < rank - 2 or (op == "argmax" and at != rank - 1):
        which = "the last axis" if op == "argmax" else "the last two axes"
        raise b.error("K041", f"{op} goes over {which}, not over axis {axis} of rank {rank}", help="transpose first")
    if rank == 1:
        x = b.insert(x, 0)
    row = at == rank - 1
    out = b.one(f"v{op}.{'row' if row else 'col'}", x)
    if rank == 1:
        return b.drop(out, 0)
    return out if keepdims else b.drop(out, at)


def matmul(b: Builder, x: Any, y: Any) -> Value:
    """x @ y: float32 in the accumulators, whichever floats the two are; i32 for two tiles of i8."""
    if not is_tile(x) or not is_tile(y):
        raise b.error("K036", f"cannot multiply {describe(x)} and {describe(y)} as matrices")
    k, k2 = x.type.dims[-1], y.type.dims[-2] if len(y.type.dims) > 1 else None
    if k2 is None or len(x.type.dims) < 2:
        raise b.error(
            "K017",
            "a matrix product takes tiles of rank 2 or more",
            help="t[None, :] makes a row of a vector",
        )
    if isinstance(k.size, int) and isinstance(k2.size, int) and k.size != k2.size:
        fits = isinstance(y.type.dims[-1].size, int) and y.type.dims[-1].size == k.size
        raise b.error(
            "K014",
            f"inner dimensions differ: {_show(x.type)} @ {_show(y.type)}",
            help="did you mean the transposed right side (.T)?" if fits else "",
        )
    if x.type.dtype == y.type.dtype == i8:
        return b.one("mm.i8", x, y)
    for t in (x.type.dtype, y.type.dtype):
        if t not in Factor:
            raise b.error(
                "K034",
                f"a matrix product of {x.type.dtype} and {y.type.dtype}",
                help=f"it takes {', '.join(d.name for d in Factor)}, or i8 on both sides; .to(...) converts",
            )
    return b.one("mm", x, y)


def _show(t: TileType) -> str:
    return "[" + ", ".join(str(d.size) if isinstance(d.size, int) else (d.size.hint or "?") for d in t.dims) + "]"


def convert(b: Builder, x: Value, dtype: Any) -> Value:
    """x in another dtype: floats rounded to nearest even, to integers toward zero."""
    if x.tile.dtype == _dtype(b, dtype):
        return x
    if x.tile.dtype.numbers != dtype.numbers:
        raise b.error(
            "K033", f"no conversion of {x.tile.dtype} to {dtype}", help="sohu.mx_quantize, sohu.mx_dequantize"
        )
    kinds = (x.tile.dtype.is_float, dtype.is_float)
    if not {x.tile.dtype, dtype} <= Num:
        return b.one("vcast", x, dtype=dtype, rtz=int(kinds == (True, False)))
    return b.one({(True, False): "vf2i", (False, True): "vi2f"}.get(kinds, "vmov"), x, dtype=dtype)


def unary(name: str, mnemonic: str, doc: str) -> Any:
    """Declare a function of one tile that is one instruction."""

    def build(b: Builder, x: Any) -> Value:
        return b.one(mnemonic, tile(b, x))

    fn = Intrinsic(name, build, doc)
    INTRINSICS[name] = fn
    return fn


def _dtype(b: Builder, dtype: Any) -> DType:
    if not isinstance(dtype, DType):
        raise b.error("K038", f"{describe(dtype)} is no dtype", help="f32, bf16, f16, i32, or x.dtype")
    return dtype


def tile(b: Builder, x: Any) -> Value:
    """x, which must be a tile; raises K036."""
    if not is_tile(x):
        raise b.error("K036", f"a tile is wanted here, not {describe(x)}")
    assert isinstance(x, Value)
    return x


exp = unary("exp", "vexp", "e ** x, elementwise.")
log = unary("log", "vlog", "Natural logarithm, elementwise.")
sqrt = unary("sqrt", "vsqrt", "Square root, elementwise.")
rsqrt = unary("rsqrt", "vrsqrt", "1 / sqrt(x), elementwise.")
tanh = unary("tanh", "vtanh", "Hyperbolic tangent, elementwise.")
sigmoid = unary("sigmoid", "vsigmoid", "1 / (1 + e ** -x), elementwise.")


def _choose(b: Builder, op: str, x: Any, y: Any) -> Any:
    if is_tile(x) or is_tile(y):
        return binary(b, op, x, y)
    if isinstance(x, (int, float)) and isinstance(y, (int, float)):
        return (max if op == "max" else min)(x, y)
    return b.scalar(op, x, y)


@intrinsic
def maximum(b: Builder, x: Any, y: Any) -> Any:
    """The larger of each pair of elements (or of two run-time indices)."""
    return _choose(b, "max", x, y)


@intrinsic
def minimum(b: Builder, x: Any, y: Any) -> Any:
    """The smaller of each pair of elements (or of two run-time indices)."""
    return _choose(b, "min", x, y)


@intrinsic
def cdiv(b: Builder, x: Any, y: Any) -> Any:
    """ceil(x / y) of indices."""
    return b.scalar("div", b.scalar("add", x, b.scalar("sub", y, 1)), y)


@intrinsic
def where(b: Builder, cond: Any, x: Any, y: Any) -> Value:
    """x where cond is not zero, else y; a number stands for a tile full of it."""
    cond = tile(b, cond)

    dtype = next((t.type.dtype for t in (x, y) if is_tile(t)), cond.tile.dtype)

    def wide(v: Any) -> Any:
        if is_tile(v):
            return v
        return b.one("vfill", v, shape=(Dim(1, 1),) * len(cond.tile.dims), dtype=number_fits(b, v, dtype))

    return b.one("vsel", cond, wide(x), wide(y))


@intrinsic
def full(b: Builder, shape: Any, value: float, dtype: DType = f32) -> Value:
    """A tile of one number."""
    b.number(value)
    return b.one("vfill", value, shape=_dims(b, shape), dtype=number_fits(b, value, _dtype(b, dtype)))


@intrinsic
def zeros(b: Builder, shape: Any, dtype: DType = f32) -> Value:
    """A tile of zeros: where `acc += a @ b` starts."""
    return b.one("vfill", 0.0, shape=_dims(b, shape), dtype=_dtype(b, dtype))


@intrinsic
def zeros_like(b: Builder, x: Any, dtype: DType | None = None) -> Value:
    """Zeros in the shape of another tile."""
    t = tile(b, x).tile
    return b.one("vfill", 0.0, shape=t.dims, dtype=_dtype(b, dtype or t.dtype))


@intrinsic
def arange(b: Builder, shape: Any, start: Any = 0, dtype: DType = i32) -> Value:
    """start, start + 1, ... along the last axis of a tile of that shape."""
    return b.one("viota", start, shape=_dims(b, shape), dtype=dtype)


@intrinsic
def argmax(b: Builder, x: Any, axis: int = -1, keepdims: bool = False) -> Value:
    """Position (i32) of the largest element along the last axis; the first of equals."""
    return reduce(b, "argmax", tile(b, x), axis, keepdims)


@intrinsic
def rms_norm(b: Builder, x: Any, weight: Any, eps: float = 1e-5, dtype: DType | None = None) -> Value:
    """x / sqrt(mean(x ** 2) + eps) * weight along the last axis: one instruction (vrms)."""
    x = tile(b, x)
    return b.one("vrms", x, tile(b, weight), eps, dtype=dtype or x.type.dtype)


@intrinsic
def rope(b: Builder, x: Any, cos: Any, sin: Any, interleaved: bool = False) -> Value:
    """Rotary embedding of the last axis of x [..., T, D] by tables [T, H]: of its first 2 H elements.

    One instruction: vrope, or vrope.part where 2 H is known to be less than D.
    """
    x, cos = tile(b, x), tile(b, cos)
    width, half = x.type.dims[-1].size, cos.type.dims[-1].size
    part = isinstance(width, int) and isinstance(half, int) and 2 * half < width
    mnemonic = "vrope.part" if part else "vrope"
    return b.one(mnemonic, x, cos, tile(b, sin), dtype=x.type.dtype, interleaved=int(interleaved))


@intrinsic
def swiglu(b: Builder, gate: Any, up: Any, dtype: DType | None = None) -> Value:
    """silu(gate) * up: one instruction (vswiglu)."""
    return b.one("vswiglu", tile(b, gate), tile(b, up), dtype=dtype)


@intrinsic
def online_softmax(
    b: Builder,
    s: Any,
    m: Any,
    l: Any,  # noqa: E741
    o: Any,
    *,
    scale: float = 1.0,
    causal: bool = False,
    qpos: Any = 0,
    kpos: Any = 0,
    window: Any = 0,
    sinks: Any = 0,
    dtype: DType = f32,
) -> tuple[Value, ...]:
    """One step of the online softmax (vosm): scores in, (weights in `dtype`, m, l, o) out.

    With causal, column c of s is masked for row r when kpos + c > qpos + r. With a window other than 0 (vosm.window),
    also when the two are `window` or more apart, unless the column's position is below `sinks`. A learned sink logit is
    where the state begins: m is that logit, l is 1.
    """
    args = [*(tile(b, v) for v in (s, m, l, o)), b.number(scale), b.value(qpos), b.value(kpos)]
    mnemonic = "vosm"
    if constant(window) != 0:
        mnemonic = "vosm.window"
        args += [b.value(window), b.value(sinks)]
    return tuple(b.inst(mnemonic, *args, dtype=dtype, causal=int(causal)))


def hbm_operands(mnemonic: Any) -> dict[int, bool]:
    """Which arguments of `isa_op(mnemonic, ...)` are tensors in HBM, by position, and whether they are written."""
    row = ROWS.by_mnemonic.get(mnemonic) if isinstance(mnemonic, str) else None
    return {
        s.operand + 1: s.kind.writes_data
        for s in (slots(row) if row is not None else ())
        if s.operand is not None and isinstance(s.kind, Data) and row is not None and row.spaces(s.kind) == {Space.HBM}
    }


@intrinsic
def isa_op(b: Builder, mnemonic: str, *operands: Any, **kw: Any) -> Any:
    """Any instruction of an engine by its mnemonic; operands in its order, without its pure results.

    shape= and dtype= say what a result is where the operands do not; other keywords are the row's immediates.
    """
    row = ROWS.by_mnemonic.get(mnemonic) if isinstance(mnemonic, str) else None
    if row is None:
        near = difflib.get_close_matches(str(mnemonic), ROWS.by_mnemonic, 1)
        raise b.error("K039", f"no instruction {mnemonic!r}", help=f"did you mean {near[0]!r}?" if near else "")
    if mnemonic != "sld" and (not row.engine.is_async or not row.data):
        raise b.error("K039", f"{mnemonic} is for the compiler to place", help="isa_op takes instructions over tiles")
    if "shape" in kw:
        kw["shape"] = _dims(b, kw["shape"])
    results = b.inst(mnemonic, *operands, **kw)
    return results[0] if len(results) == 1 else tuple(results)


@intrinsic
def range_(b: Builder, *args: Any) -> Any:
    """A loop on the chip: range(stop), range(start, stop), range(start, stop, step); step > 0 is constant."""
    if not 1 <= len(args) <= 3:
        raise b.error("K021", f"sohu.range takes 1 to 3 arguments, not {len(args)}")
    lo, hi, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
    c = constant(step)
    if c is None or not isinstance(c, int) or c <= 0:
        raise b.error("K022", "the step of a loop is a positive constant")
    for v in (lo, hi):
        if not isinstance(v, int) and not (isinstance(v, Value) and v.type == INDEX):
            raise b.error("K021", f"a loop runs over indices, not {describe(v)}")
    return Loop(lo, hi, c)


@dataclass(frozen=True)
class Loop:
    """What sohu.range gives inside a kernel."""

    lo: int | Value
    hi: int | Value
    step: int
