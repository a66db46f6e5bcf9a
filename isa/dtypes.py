"""Element types: one row each. The code is what a tile descriptor stores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
from sohu.isa.errors import DefinitionError
from sohu.isa.packages import OWN, package_of

EXTENSION_DTYPES = range(0xC0, 0x100)  # codes of dtypes that extensions define


@dataclass(frozen=True)
class DType:
    """One element type: `code` (0..255) in descriptors, its NumPy dtype, and whether it is a float."""

    name: str
    code: int
    np: np.dtype[Any] = field(compare=False, repr=False)
    is_float: bool = field(compare=False, repr=False)
    doc: str = field(compare=False, repr=False)
    since: tuple[int, int] = field(default=(1, 0), compare=False, repr=False)  # ISA version
    package: str = field(default=OWN, compare=False, repr=False)  # that defines it

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


def dtype(name: str, code: int, np_dtype: Any, is_float: bool, doc: str, *, since: tuple[int, int] = (1, 0)) -> DType:
    """Define an element type: its name in assembly, its code, how NumPy holds it. `since` is an ISA version.

    A float must convert to and from float32 (instructions compute in it). Extensions have the codes EXTENSION_DTYPES.
    Raises DefinitionError for a name or a code that is taken or belongs to others.
    """
    package = package_of(sys._getframe(1).f_globals["__name__"])
    if (code in EXTENSION_DTYPES) == (package == OWN):
        low, high = EXTENSION_DTYPES.start, EXTENSION_DTYPES.stop - 1
        raise DefinitionError(f"dtype {name} of {package}: code {code:#x}; extensions have {low:#x} to {high:#x}")
    other = BY_CODE.get(code) or DTYPES.get(name)
    if other is not None:
        of = f" of {package}" if package != other.package else ""
        whose = f" of {other.package}" if of else ""
        raise DefinitionError(f"dtype {name}{of}: name or code {code:#x} is taken by {other}{whose}")
    d = DType(name, code, np.dtype(np_dtype), is_float, doc, since, package)
    DTYPES[name] = BY_CODE[code] = BY_NUMPY[d.np] = d
    return d


class DTypes(Set[DType]):
    """A class of dtypes, by a test: it grows with what extensions define."""

    def __init__(self, test: Callable[[DType], bool]) -> None:
        self._test = test

    def __contains__(self, d: object) -> bool:
        return isinstance(d, DType) and self._test(d)

    def __iter__(self) -> Iterator[DType]:
        return filter(self._test, DTYPES.values())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"DTypes({', '.join(d.name for d in self)})"

    @classmethod
    def _from_iterable(cls, it: Any) -> frozenset[DType]:  # type: ignore[override]  # what | and & give
        return frozenset(it)


f32 = dtype("f32", 1, np.float32, True, "IEEE 754 binary32")
bf16 = dtype("bf16", 2, ml_dtypes.bfloat16, True, "bfloat16: the upper half of a binary32")
f16 = dtype("f16", 3, np.float16, True, "IEEE 754 binary16")
i32 = dtype("i32", 8, np.int32, False, "32-bit two's complement")
u8 = dtype("u8", 9, np.uint8, False, "8-bit unsigned")

# Classes of dtypes that an operand can accept. How a semantics function sees the data follows from
# the class: Float arrives as float32 (results are rounded once, to nearest even, when stored), Num as
# float32 or int32 by what the tile holds, Any as the stored elements themselves.
Float = DTypes(lambda d: d.is_float)
Num = DTypes(lambda d: d.is_float or d is i32)
Any_ = DTypes(lambda _: True)
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
