"""Element types: one row each. The code is what a tile descriptor stores.

Narrow formats are those of OCP OFP8 (8-bit Floating Point Specification, revision 1.0) and OCP MX (Microscaling
Formats, v1.0); sohu.isa.numerics has their arithmetic.
"""

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
    """One element type.

    code: 0..255, in descriptors. np: its NumPy dtype; fp4x2 shares that of u8, since NumPy has no packed elements.
    is_float: whether an element is one float. numbers: how many numbers an element holds; 2 for packed ones, whose
    tiles count bytes.
    """

    name: str
    code: int
    np: np.dtype[Any] = field(compare=False, repr=False)
    is_float: bool = field(compare=False, repr=False)
    doc: str = field(compare=False, repr=False)
    numbers: int = field(default=1, compare=False, repr=False)
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


def dtype(
    name: str,
    code: int,
    np_dtype: Any,
    is_float: bool,
    doc: str,
    *,
    numbers: int = 1,
    since: tuple[int, int] = (1, 0),
) -> DType:
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
    d = DType(name, code, np.dtype(np_dtype), is_float, doc, numbers, since, package)
    DTYPES[name] = BY_CODE[code] = d
    if numbers == 1:  # an array says nothing of what is packed in its elements
        BY_NUMPY[d.np] = d
    return d


class DTypes(Set[DType]):
    """A class of dtypes, by a test: it grows with what extensions define.

    stored: semantics functions get the elements as they are stored, to convert them by themselves. either: they take
    them so, or as float32 where an executor has that.
    """

    def __init__(self, test: Callable[[DType], bool], *, stored: bool = False, either: bool = False) -> None:
        self._test = test
        self.stored = stored or either
        self.either = either

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
fp8e4m3 = dtype("fp8e4m3", 4, ml_dtypes.float8_e4m3fn, True, "OFP8 E4M3: NaN, no infinity, largest 448", since=(1, 1))
fp8e5m2 = dtype("fp8e5m2", 5, ml_dtypes.float8_e5m2, True, "OFP8 E5M2: as IEEE 754, largest 57344", since=(1, 1))
e8m0 = dtype(
    "e8m0", 6, ml_dtypes.float8_e8m0fnu, True, "OCP MX E8M0: a power of two, 2^-127 to 2^127, or NaN", since=(1, 1)
)
fp4x2 = dtype(
    "fp4x2", 7, np.uint8, False, "two OCP MX E2M1 in a byte, the first in its low half", numbers=2, since=(1, 1)
)
i32 = dtype("i32", 8, np.int32, False, "32-bit two's complement")
u8 = dtype("u8", 9, np.uint8, False, "8-bit unsigned")
i8 = dtype("i8", 10, np.int8, False, "8-bit two's complement", since=(1, 1))

# Classes of dtypes that an operand can accept. How a semantics function sees the data follows from
# the class: classes of floats arrive as float32 (results are rounded once, to nearest even, when stored;
# in fp8 they saturate), Num as float32 or int32 by what the tile holds, others as the stored elements.
_NARROW = (fp8e4m3, fp8e5m2, e8m0)  # no operands of general arithmetic
Float = DTypes(lambda d: d.is_float and d not in _NARROW)
Fp8 = DTypes(lambda d: d in (fp8e4m3, fp8e5m2))
Factor = DTypes(lambda d: d in Float or d in Fp8, either=True)  # what the MXU multiplies
Num = DTypes(lambda d: d in Float or d is i32)
F32 = frozenset({f32})
I32 = frozenset({i32})
I8 = frozenset({i8})
Fp4 = frozenset({fp4x2})
Scale = frozenset({e8m0})
Summed = frozenset({f32, i32})  # what the MXU accumulates
StoredFp8 = DTypes(lambda d: d in Fp8, stored=True)
Result = DTypes(lambda d: d in Factor or d is i8, stored=True)  # what leaves the accumulators
Scalable = DTypes(lambda d: d in Fp8 or d is i8, stored=True)  # what is quantized with a float32 scale
Number = DTypes(lambda d: d.numbers == 1, stored=True)
Any_ = DTypes(lambda _: True, stored=True)


def dtype_of(array_dtype: Any) -> DType | None:
    """The element type of a NumPy dtype, or None when the chip has none for it."""
    return BY_NUMPY.get(np.dtype(array_dtype))
