"""The header of .npy files, read without trust in it."""

from __future__ import annotations

import ast
import re
from typing import Any, BinaryIO

import numpy as np

_LONGEST_HEADER = 10_000


def read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype; raises ValueError. NumPy's own reader lets other exceptions of its parser out.

    Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    start = file.read(8)
    if start[:6] != b"\x93NUMPY" or start[6:] not in (b"\1\0", b"\2\0"):
        raise ValueError("it does not begin like one")
    width = 2 if start[6] == 1 else 4
    size = int.from_bytes(file.read(width), "little")
    text = file.read(min(size, _LONGEST_HEADER))
    try:
        header = ast.literal_eval(text.decode("ascii"))
        descr, fortran, shape = (header[key] for key in ("descr", "fortran_order", "shape"))
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError):
        raise ValueError("its header is damaged") from None
    if not isinstance(descr, str) or not re.fullmatch(r"[<>|=]?[?biufcSUVO]\d{0,3}", descr):
        raise ValueError(f"dtype {descr!r:.40} is not supported")
    if not isinstance(shape, tuple) or not all(type(d) is int and 0 <= d < 1 << 48 for d in shape) or len(shape) > 32:
        raise ValueError(f"{shape!r:.40} is no shape")
    try:
        dtype = np.dtype("V1" if descr in ("<f1", "|f1") else descr)  # NumPy's spelling of ml_dtypes.float8_e5m2
    except TypeError:
        raise ValueError(f"dtype {descr!r} is not known") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return shape, bool(fortran), dtype
