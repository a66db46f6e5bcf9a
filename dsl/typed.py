"""What a type checker sees of the language: `sohu.dsl` shows it these names in place of those of language.py.

In a kernel `x: In[bf16, "R C"]` is a tile: it has operators, methods and named dimensions (`x.R`, an int). A dtype
is the class of its tiles, and a DTypeVar a TypeVar over such classes. At run time none of this is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated as In
from typing import Annotated as InOut
from typing import Annotated as Out
from typing import Any, ClassVar, TypeAlias
from typing import TypeVar as DTypeVar

import numpy

Index: TypeAlias = int
Scalar: TypeAlias = float
Shape: TypeAlias = Sequence[int] | int


class Tile:
    """A tile, a tensor, or a part of one."""

    @property
    def dtype(self) -> type[Tile]:
        """Its element type."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """Its rank."""
        raise NotImplementedError

    @property
    def T(self) -> Tile:
        """The last two axes exchanged."""
        raise NotImplementedError

    @property
    def mT(self) -> Tile:
        """The last two axes exchanged."""
        raise NotImplementedError

    def __getattr__(self, dimension: str) -> int:
        """A named dimension."""
        raise NotImplementedError

    def __getitem__(self, key: Any) -> Tile:
        """A part: slices, indices, None and `...` as in NumPy, or rows by a tile of indices."""
        raise NotImplementedError

    def __setitem__(self, key: Any, value: Tile | float) -> None:
        """Store into a tensor."""
        raise NotImplementedError

    def __len__(self) -> int:
        """Size of the first dimension."""
        raise NotImplementedError

    def __add__(self, other: Tile | float) -> Tile:
        raise NotImplementedError

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
    __lt__ = __le__ = __gt__ = __ge__ = __add__
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __and__ = __rand__ = __or__ = __ror__ = __add__
    __xor__ = __rxor__ = __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = __add__

    def __eq__(self, other: Tile | float) -> Tile:  # type: ignore[override]  # elementwise, as in NumPy
        raise NotImplementedError

    def __ne__(self, other: Tile | float) -> Tile:  # type: ignore[override]  # elementwise, as in NumPy
        raise NotImplementedError

    def __matmul__(self, other: Tile) -> Tile:
        raise NotImplementedError

    def __neg__(self) -> Tile:
        raise NotImplementedError

    def __abs__(self) -> Tile:
        raise NotImplementedError

    def to(self, dtype: type[Tile]) -> Tile:
        """Converted: floats rounded to nearest even, to integers toward zero."""
        raise NotImplementedError

    astype = to

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Tile:
        """Sum along one of the last two axes."""
        raise NotImplementedError

    max = min = argmax = sum

    def transpose(self, *axes: int) -> Tile:
        """Axes reordered; reversed without any."""
        raise NotImplementedError

    def item(self) -> Any:
        """The one element, as a run-time scalar."""
        raise NotImplementedError


class _DType(Tile):
    """What the host asks of a dtype; see sohu.isa.DType."""

    name: ClassVar[str]
    code: ClassVar[int]
    np: ClassVar[numpy.dtype[Any]]
    is_float: ClassVar[bool]
    numbers: ClassVar[int]
    itemsize: ClassVar[int]


class f32(_DType):
    """A tile of f32."""


class bf16(_DType):
    """A tile of bf16."""


class f16(_DType):
    """A tile of f16."""


class i32(_DType):
    """A tile of i32."""


class u8(_DType):
    """A tile of u8."""


class i8(_DType):
    """A tile of i8."""


class fp8e4m3(_DType):
    """A tile of fp8e4m3."""


class fp8e5m2(_DType):
    """A tile of fp8e5m2."""


class e8m0(_DType):
    """A tile of e8m0."""


class fp4x2(_DType):
    """A tile of fp4x2."""


def exp(x: Tile) -> Tile:
    """See language.py, here and below."""
    raise NotImplementedError


log = sqrt = rsqrt = tanh = sigmoid = exp
erf = sin = cos = exp2 = floor = ceil = rint = silu = relu2 = exp


def maximum(x: Any, y: Any) -> Any:
    """Of tiles and numbers a tile, of indices an index."""
    raise NotImplementedError


minimum = maximum


def cdiv(x: int, y: int) -> int:
    """An index."""
    raise NotImplementedError


def where(cond: Tile, x: Tile | float, y: Tile | float) -> Tile:
    """A tile."""
    raise NotImplementedError


def full(shape: Shape, value: float, dtype: type[Tile] = f32) -> Tile:
    """A tile."""
    raise NotImplementedError


def zeros(shape: Shape, dtype: type[Tile] = f32) -> Tile:
    """A tile."""
    raise NotImplementedError


def zeros_like(x: Tile, dtype: type[Tile] | None = None) -> Tile:
    """A tile."""
    raise NotImplementedError


def arange(shape: Shape, start: int = 0, dtype: type[Tile] = i32) -> Tile:
    """A tile."""
    raise NotImplementedError


def argmax(x: Tile, axis: int = -1, keepdims: bool = False) -> Tile:
    """A tile of i32."""
    raise NotImplementedError


def rms_norm(x: Tile, weight: Tile, eps: float = 1e-5, dtype: type[Tile] | None = None) -> Tile:
    """A tile."""
    raise NotImplementedError


def rope(x: Tile, cos: Tile, sin: Tile, interleaved: bool = False) -> Tile:
    """A tile."""
    raise NotImplementedError


def swiglu(gate: Tile, up: Tile, dtype: type[Tile] | None = None) -> Tile:
    """A tile."""
    raise NotImplementedError


def online_softmax(
    s: Tile,
    m: Tile,
    l: Tile,  # noqa: E741
    o: Tile,
    *,
    scale: float = 1.0,
    causal: bool = False,
    qpos: int = 0,
    kpos: int = 0,
    window: int = 0,
    sinks: int = 0,
    dtype: type[Tile] = f32,
) -> tuple[Tile, Tile, Tile, Tile]:
    """Weights, and the new m, l, o."""
    raise NotImplementedError


def gelu(x: Tile, exact: bool = False) -> Tile:
    """A tile."""
    raise NotImplementedError


def geglu(gate: Tile, up: Tile, exact: bool = False, dtype: type[Tile] | None = None) -> Tile:
    """A tile."""
    raise NotImplementedError


def softcap(x: Tile, cap: float) -> Tile:
    """A tile."""
    raise NotImplementedError


def clip(x: Tile, low: float, high: float) -> Tile:
    """A tile."""
    raise NotImplementedError


def fma(x: Tile, y: Tile, z: Tile) -> Tile:
    """A tile."""
    raise NotImplementedError


def argmin(x: Tile, axis: int = -1, keepdims: bool = False) -> Tile:
    """A tile of i32."""
    raise NotImplementedError


def cumsum(x: Tile, axis: int = -1, exclusive: bool = False) -> Tile:
    """A tile."""
    raise NotImplementedError


def topk(x: Tile, k: int, axis: int = -1) -> tuple[Tile, Tile]:
    """Values, and positions of i32."""
    raise NotImplementedError


def sort(keys: Tile, payload: Tile, descending: bool = False) -> tuple[Tile, Tile]:
    """Keys and payload."""
    raise NotImplementedError


def take_along_axis(x: Tile, index: Tile) -> Tile:
    """A tile."""
    raise NotImplementedError


def router(logits: Tile, k: int, dtype: type[Tile] | None = None) -> tuple[Tile, Tile]:
    """Weights, and numbers of experts (i32)."""
    raise NotImplementedError


def layer_norm(x: Tile, weight: Tile, bias: Tile, eps: float = 1e-5, dtype: type[Tile] | None = None) -> Tile:
    """A tile."""
    raise NotImplementedError


def add_rms_norm(
    residual: Tile, x: Tile, weight: Tile, eps: float = 1e-5, dtype: type[Tile] | None = None
) -> tuple[Tile, Tile]:
    """The norm, and the sum."""
    raise NotImplementedError


def rope_tables(position: Tile, frequency: Tile, scale: float = 1.0, dtype: type[Tile] = f32) -> tuple[Tile, Tile]:
    """Cosines and sines."""
    raise NotImplementedError


def tree_softmax(
    s: Tile,
    m: Tile,
    l: Tile,  # noqa: E741
    o: Tile,
    parents: Tile,
    *,
    scale: float = 1.0,
    qslot: int,
    kslot: int,
    start: int,
    window: int = 0,
    dtype: type[Tile] = f32,
) -> tuple[Tile, Tile, Tile, Tile]:
    """Weights, and the new m, l, o."""
    raise NotImplementedError


def uniform(shape: Shape, key: int, block: int = 0, stream: int = 0) -> Tile:
    """A tile of f32."""
    raise NotImplementedError


def isa_op(mnemonic: str, *operands: Any, **kw: Any) -> Any:
    """Its result, or a tuple of its results."""
    raise NotImplementedError


range = range


def cast(
    x: Tile,
    dtype: type[Tile],
    rounding: str = "nearest",
    saturate: bool = True,
    key: int = 0,
    block: int = 0,
    stream: int = 0,
) -> Tile:
    """See quantize.py, here and below."""
    raise NotImplementedError


def quantize(x: Tile, dtype: type[Tile], scale: Tile | None = None, axis: int | None = -1) -> Any:
    """Elements, and their scales when none are given."""
    raise NotImplementedError


def dequantize(x: Tile, scale: Tile, dtype: type[Tile] = f32) -> Tile:
    """A tile."""
    raise NotImplementedError


def mx_quantize(x: Tile, dtype: type[Tile] = fp8e4m3) -> tuple[Tile, Tile]:
    """Elements, and scales (e8m0)."""
    raise NotImplementedError


def mx_dequantize(elements: Tile, scales: Tile, dtype: type[Tile] = f32) -> Tile:
    """A tile."""
    raise NotImplementedError


def mx_matmul(x: Tile, w: Tile, w_scale: Tile, x_scale: Tile | None = None) -> Tile:
    """A tile in the accumulators (f32)."""
    raise NotImplementedError


def epilogue(
    acc: Tile,
    scale: float | None = None,
    rows: Tile | None = None,
    cols: Tile | None = None,
    bias: Tile | None = None,
    activation: str = "none",
    dtype: type[Tile] = f32,
    saturate: bool = True,
) -> Tile:
    """A tile."""
    raise NotImplementedError


__all__ = [
    "DTypeVar",
    "In",
    "InOut",
    "Index",
    "Out",
    "Scalar",
    "Tile",
    "add_rms_norm",
    "arange",
    "argmax",
    "argmin",
    "bf16",
    "cast",
    "cdiv",
    "ceil",
    "clip",
    "cos",
    "cumsum",
    "dequantize",
    "e8m0",
    "epilogue",
    "erf",
    "exp",
    "exp2",
    "f16",
    "f32",
    "floor",
    "fma",
    "fp4x2",
    "fp8e4m3",
    "fp8e5m2",
    "full",
    "geglu",
    "gelu",
    "i8",
    "i32",
    "isa_op",
    "layer_norm",
    "log",
    "maximum",
    "minimum",
    "mx_dequantize",
    "mx_matmul",
    "mx_quantize",
    "online_softmax",
    "quantize",
    "range",
    "relu2",
    "rint",
    "rms_norm",
    "rope",
    "rope_tables",
    "router",
    "rsqrt",
    "sigmoid",
    "silu",
    "sin",
    "softcap",
    "sort",
    "sqrt",
    "swiglu",
    "take_along_axis",
    "tanh",
    "topk",
    "tree_softmax",
    "u8",
    "uniform",
    "where",
    "zeros",
    "zeros_like",
]
