"""Element types against NumPy and ml_dtypes."""

import ml_dtypes
import numpy as np
import pytest
from sohu.isa import BY_CODE, DTYPES, dtype_of
from sohu.isa.dtypes import Any_, Float, Num
from sohu.isa.operands import In


@pytest.mark.parametrize("d", DTYPES.values(), ids=str)
def test_every_dtype(d: object) -> None:
    dtype = DTYPES[str(d)]
    assert BY_CODE[dtype.code] is dtype and 0 < dtype.code < 256
    assert dtype_of(dtype.np) is dtype
    assert dtype.itemsize == dtype.np.itemsize
    info = ml_dtypes.finfo(dtype.np) if dtype.is_float else ml_dtypes.iinfo(dtype.np)
    assert info.bits == dtype.itemsize * 8
    assert dtype.doc and repr(dtype) == dtype.name == str(dtype)


def test_formats() -> None:
    wanted = {"f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16, "i32": np.int32, "u8": np.uint8}
    assert {name: DTYPES[name].np for name in wanted} == {name: np.dtype(t) for name, t in wanted.items()}


def test_bf16_is_the_upper_half_of_a_float32() -> None:
    raw = np.arange(1 << 16, dtype=np.uint16)
    by_numpy = raw.view(DTYPES["bf16"].np).astype(np.float32)
    by_bits = (raw.astype(np.uint32) << 16).view(np.float32)
    same = (by_numpy == by_bits) | (np.isnan(by_numpy) & np.isnan(by_bits))
    assert same.all()


def test_what_the_chip_has_no_format_for() -> None:
    assert dtype_of(np.float64) is None
    assert dtype_of(np.dtype("V2")) is None


def test_how_semantics_sees_elements() -> None:
    views = {name: In(kinds).view for name, kinds in (("Float", Float), ("Num", Num), ("Any", Any_))}
    assert views == {"Float": "f32", "Num": "num", "Any": "raw"}
    assert In({DTYPES["i32"]}).view == "raw"
    assert In({DTYPES["f32"]}).view == "f32"
