"""Tables of number formats for the chapter on numerics, computed from the formats themselves."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from sohu.isa.dtypes import DTYPES, e8m0, fp4x2
from sohu.isa.manual.page import grid
from sohu.isa.numerics import FP4, format_of, unpack_fp4
from sohu.isa.packages import OWN


def floats() -> str:
    """Bits, range and precision of every signed float format."""
    own = [(d.name, d.np) for d in DTYPES.values() if d.is_float and d.package == OWN and d is not e8m0]
    lines = []
    for name, dtype in [*own, (fp4x2.name, FP4)]:
        f = format_of(dtype)
        bits = 4 if dtype == FP4 else 8 * dtype.itemsize
        special = ["infinity"] * f.infinite + ["NaN"] * _has_nan(dtype)
        lines.append(
            [
                f"`{name}`",
                f"1 + {bits - 1 - f.fraction} + {f.fraction}",
                _number(f.largest),
                _power(f.emin),
                _power(f.emin - f.fraction),
                _power(-f.fraction - 1),
                " and ".join(special) or "neither",
            ]
        )
    head = ("dtype", "sign + exponent + fraction", "largest", "smallest normal", "smallest", "unit roundoff", "has")
    return grid(head, lines)


def integers() -> str:
    """The ranges of the integer dtypes."""
    own = [d for d in DTYPES.values() if not d.is_float and d.numbers == 1 and d.package == OWN]
    ends = [(d, np.iinfo(d.np)) for d in own]
    return grid(("dtype", "from", "to"), [[f"`{d.name}`", str(e.min), str(e.max)] for d, e in ends])


def e2m1() -> str:
    """The numbers of the codes of E2M1."""
    values = unpack_fp4(np.array([0x10, 0x32, 0x54, 0x76], np.uint8))
    return grid(["code", *map(str, range(8))], [["number", *(f"{v:g}" for v in values)]])


def _has_nan(dtype: np.dtype[Any]) -> bool:
    with np.errstate(invalid="ignore"):
        return bool(np.isnan(np.array(np.nan).astype(dtype).astype(np.float64)))


def _number(x: float) -> str:
    return f"{x:g}" if x < 1e6 else f"{x:.6e}"


def _power(e: int) -> str:
    value = float(Fraction(2) ** e)
    return f"2^{e} ({value:.3g})"
