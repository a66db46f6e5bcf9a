"""More functions of the language, each one instruction; what they compute is in the manual."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sohu.dsl.builder import Builder, describe
from sohu.dsl.ir import Dim, Value
from sohu.dsl.language import intrinsic, tile, unary
from sohu.isa import DType, f32

erf = unary("erf", "verf", "Error function, elementwise.")
sin = unary("sin", "vsin", "Sine, elementwise, in radians.")
cos = unary("cos", "vcos", "Cosine, elementwise, in radians.")
exp2 = unary("exp2", "vexp2", "2 ** x, elementwise.")
floor = unary("floor", "vfloor", "Largest whole number not above x, elementwise.")
ceil = unary("ceil", "vceil", "Smallest whole number not below x, elementwise.")
rint = unary("rint", "vround", "Nearest whole number, halves to the even one, elementwise.")
silu = unary("silu", "vsilu", "x * sigmoid(x), elementwise.")
relu2 = unary("relu2", "vrelu2", "max(x, 0) ** 2, elementwise.")


@intrinsic
def gelu(b: Builder, x: Any, exact: bool = False) -> Value:
    """GELU, elementwise: the tanh form (vgelu), or with erf when `exact` (vgelu.erf)."""
    return b.one("vgelu.erf" if exact else "vgelu", tile(b, x))


@intrinsic
def geglu(b: Builder, gate: Any, up: Any, exact: bool = False, dtype: DType | None = None) -> Value:
    """gelu(gate) * up: one instruction (vgeglu, vgeglu.erf)."""
    return b.one("vgeglu.erf" if exact else "vgeglu", tile(b, gate), tile(b, up), dtype=dtype)


@intrinsic
def softcap(b: Builder, x: Any, cap: Any) -> Value:
    """cap * tanh(x / cap), elementwise (vsoftcap)."""
    return b.one("vsoftcap", tile(b, x), cap)


@intrinsic
def clip(b: Builder, x: Any, low: Any, high: Any) -> Value:
    """x limited to low .. high, elementwise (vclamp)."""
    return b.one("vclamp", tile(b, x), low, high)


@intrinsic
def fma(b: Builder, x: Any, y: Any, z: Any) -> Value:
    """x * y + z of tiles, the product unrounded (vfma)."""
    return b.one("vfma", tile(b, x), tile(b, y), tile(b, z))


def _rows(b: Builder, x: Value, axis: Any, make: Callable[[Value], list[Value]]) -> list[Value]:
    """`make` along one of the last two axes; its results have their rows there too."""
    rank = len(x.tile.dims)
    if not isinstance(axis, int) or not -min(rank, 2) <= axis - (axis >= 0) * rank < 0:
        raise b.error("K041", f"axis {describe(axis)} of a tile of rank {rank}", help="one of the last two axes")
    if rank == 1:
        return [b.drop(v, 0) for v in make(b.insert(x, 0))]
    if axis % rank == rank - 1:
        return make(x)
    return [b.swap(v, rank - 2, rank - 1) for v in make(b.swap(x, rank - 2, rank - 1))]


@intrinsic
def argmin(b: Builder, x: Any, axis: int = -1, keepdims: bool = False) -> Value:
    """Position (i32) of the smallest element along one of the last two axes; the first of equals."""
    x = tile(b, x)
    rank = len(x.type.dims)
    if rank == 1:
        return b.drop(b.one("vargmin.row", b.insert(x, 0)), 0)
    (out,) = _rows(b, x, axis, lambda v: b.inst("vargmin.row", v))
    return out if keepdims else b.drop(out, axis % rank)


@intrinsic
def cumsum(b: Builder, x: Any, axis: int = -1, exclusive: bool = False) -> Value:
    """Sums up to each element along one of the last two axes, without the element itself when `exclusive`."""
    (out,) = _rows(b, tile(b, x), axis, lambda v: b.inst("vcumsum.row", v, exclusive=int(exclusive)))
    return out


def _first(b: Builder, v: Value, k: Any) -> tuple[Dim, ...]:
    return (*v.tile.dims[:-1], b.dim(k))


@intrinsic
def topk(b: Builder, x: Any, k: Any, axis: int = -1) -> tuple[Value, ...]:
    """The k largest elements along one of the last two axes, largest first, and their positions (i32)."""
    return tuple(_rows(b, tile(b, x), axis, lambda v: b.inst("vtopk.row", v, shape=_first(b, v, k))))


@intrinsic
def sort(b: Builder, keys: Any, payload: Any, descending: bool = False) -> tuple[Value, ...]:
    """Each row (the last axis) by its keys, and an i32 payload along with them; stable."""
    return tuple(b.inst("vsort.row", tile(b, keys), tile(b, payload), descending=int(descending)))


@intrinsic
def take_along_axis(b: Builder, x: Any, index: Any) -> Value:
    """x[..., index[..., k]] along the last axis (vtake.row)."""
    return b.one("vtake.row", tile(b, x), tile(b, index))


@intrinsic
def router(b: Builder, logits: Any, k: Any, dtype: DType | None = None) -> tuple[Value, ...]:
    """The k best experts of each row: the softmax over their logits, and their numbers (vroute)."""
    logits = tile(b, logits)
    return tuple(b.inst("vroute", logits, shape=_first(b, logits, k), dtype=dtype))


@intrinsic
def layer_norm(b: Builder, x: Any, weight: Any, bias: Any, eps: float = 1e-5, dtype: DType | None = None) -> Value:
    """(x - mean) / sqrt(variance + eps) * weight + bias along the last axis: one instruction (vln)."""
    x = tile(b, x)
    return b.one("vln", x, tile(b, weight), tile(b, bias), eps, dtype=dtype or x.type.dtype)


@intrinsic
def add_rms_norm(
    b: Builder, residual: Any, x: Any, weight: Any, eps: float = 1e-5, dtype: DType | None = None
) -> tuple[Value, ...]:
    """RMSNorm of residual + x, and that sum: one instruction (vrms.add)."""
    x = tile(b, x)
    return tuple(b.inst("vrms.add", tile(b, residual), x, tile(b, weight), eps, dtype=dtype or x.type.dtype))


@intrinsic
def rope_tables(b: Builder, position: Any, frequency: Any, scale: float = 1.0, dtype: DType = f32) -> tuple[Value, ...]:
    """Tables (cos, sin) [T, H] for rope, of positions [T] (i32) and frequencies [H] (vrope.table)."""
    return tuple(b.inst("vrope.table", tile(b, position), tile(b, frequency), scale, dtype=dtype))


@intrinsic
def tree_softmax(
    b: Builder,
    s: Any,
    m: Any,
    l: Any,  # noqa: E741
    o: Any,
    parents: Any,
    *,
    scale: float = 1.0,
    qslot: Any,
    kslot: Any,
    start: Any,
    window: Any = 0,
    dtype: DType = f32,
) -> tuple[Value, ...]:
    """online_softmax over a tree of drafted tokens, whose node n follows node parents[n] (vosm.tree)."""
    tiles = [tile(b, v) for v in (s, m, l, o, parents)]
    places = [b.value(v) for v in (qslot, kslot, start, window)]
    return tuple(b.inst("vosm.tree", *tiles, b.number(scale), *places, dtype=dtype))


@intrinsic
def uniform(b: Builder, shape: Any, key: Any, block: Any = 0, stream: Any = 0) -> Value:
    """Random float32 in [0, 1), the same for the same key, block and stream (vrand.uniform)."""
    sizes = shape if isinstance(shape, tuple) else (shape,)
    return b.one("vrand.uniform", *(b.value(v) for v in (key, block, stream)), shape=tuple(b.dim(s) for s in sizes))
