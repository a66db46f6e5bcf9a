"""Element types: one row each. The code is what a tile descriptor stores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
from sohu.isa.errors import DefinitionError


@dataclass(frozen=True)
class DType:
    """One element type: `code` (0..255) in descriptors, its NumPy dtype, and whether it is a float."""

    name: str
    code: int
    np: np.dtype[Any] = field(compare=False, repr=False)
    is_float: bool = field(compare=False, repr=False)
    doc: str = field(compare=False, repr=False)

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.np.itemsize

    def __repr__(self) -> str:
        return self.name

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return self.code


DTYPES: dict[str, DType] = {}
BY_CODE: dict[int, DType] = {}
BY_NUMPY: dict[np.dtype[Any], DType] = {}


def _dtype(name: str, code: int, np_dtype: Any, is_float: bool, doc: str) -> DType:
    if code in BY_CODE or name in DTYPES:
        raise DefinitionError(f"dtype {name}: name or code {code:#x} is taken")
    d = DType(name, code, np.dtype(np_dtype), is_float, doc)
    DTYPES[name] = BY_CODE[code] = BY_NUMPY[d.np] = d
    return d


f32 = _dtype("f32", 1, np.float32, True, "IEEE 754 binary32")
bf16 = _dtype("bf16", 2, ml_dtypes.bfloat16, True, "bfloat16: the upper half of a binary32")
f16 = _dtype("f16", 3, np.float16, True, "IEEE 754 binary16")
i32 = _dtype("i32", 8, np.int32, False, "32-bit two's complement")
u8 = _dtype("u8", 9, np.uint8, False, "8-bit unsigned")

# Classes of dtypes that an operand can accept. How a semantics function sees the data follows from
# the class: Float arrives as float32 (results are rounded once, to nearest even, when stored), Num as
# float32 or int32 by what the tile holds, Any as the stored elements themselves.
Float = frozenset({f32, bf16, f16})
Num = frozenset({f32, bf16, f16, i32})
Any_ = frozenset(DTYPES.values())
F32 = frozenset({f32})
I32 = frozenset({i32})


def to_integers(values: Any, to: np.dtype[Any]) -> Any:
    """Floats (an array or NumPy scalar) as integers: toward zero, saturating at the ends of `to`, NaN to 0."""
    ends = np.iinfo(to)
    wide = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=np.inf, neginf=-np.inf)
    return np.clip(np.trunc(wide), ends.min, ends.max).astype(to)


def dtype_of(array_dtype: Any) -> DType | None:
    """The element type of a NumPy dtype, or None when the chip has none for it."""
    return BY_NUMPY.get(np.dtype(array_dtype))
