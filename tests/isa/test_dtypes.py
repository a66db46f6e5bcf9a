"""Element types against NumPy and ml_dtypes."""

import ml_dtypes
import numpy as np
import pytest
from sohu.isa import BY_CODE, DTYPES, dtype_of, dtypes
from sohu.isa.operands import In


@pytest.mark.parametrize("d", DTYPES.values(), ids=str)
def test_every_dtype(d: object) -> None:
    dtype = DTYPES[str(d)]
    assert BY_CODE[dtype.code] is dtype and 0 < dtype.code < 256
    assert dtype_of(dtype.np) is (dtype if dtype.numbers == 1 else DTYPES["u8"])
    assert dtype.itemsize == dtype.np.itemsize
    info = ml_dtypes.finfo(dtype.np) if dtype.is_float else ml_dtypes.iinfo(dtype.np)
    assert info.bits == dtype.itemsize * 8
    assert dtype.doc and repr(dtype) == dtype.name == str(dtype)


def test_formats_and_codes() -> None:
    wanted = {
        "f32": (1, np.float32), "bf16": (2, ml_dtypes.bfloat16), "f16": (3, np.float16),
        "fp8e4m3": (4, ml_dtypes.float8_e4m3fn), "fp8e5m2": (5, ml_dtypes.float8_e5m2),
        "e8m0": (6, ml_dtypes.float8_e8m0fnu), "fp4x2": (7, np.uint8),
        "i32": (8, np.int32), "u8": (9, np.uint8), "i8": (10, np.int8),
    }  # fmt: skip
    assert {d.name: (d.code, d.np) for d in DTYPES.values()} == {n: (c, np.dtype(t)) for n, (c, t) in wanted.items()}
    assert [d.name for d in DTYPES.values() if d.numbers == 2] == ["fp4x2"]


def test_bf16_is_the_upper_half_of_a_float32() -> None:
    raw = np.arange(1 << 16, dtype=np.uint16)
    by_numpy = raw.view(DTYPES["bf16"].np).astype(np.float32)
    by_bits = (raw.astype(np.uint32) << 16).view(np.float32)
    same = (by_numpy == by_bits) | (np.isnan(by_numpy) & np.isnan(by_bits))
    assert same.all()


def test_what_the_chip_has_no_format_for() -> None:
    assert dtype_of(np.float64) is None
    assert dtype_of(np.dtype("V2")) is None


def test_classes() -> None:
    names = {n: " ".join(d.name for d in getattr(dtypes, n)) for n in ("Float", "Factor", "Num", "Scalable", "Number")}
    assert names == {
        "Float": "f32 bf16 f16",
        "Factor": "f32 bf16 f16 fp8e4m3 fp8e5m2",
        "Num": "f32 bf16 f16 i32",
        "Scalable": "fp8e4m3 fp8e5m2 i8",
        "Number": "f32 bf16 f16 fp8e4m3 fp8e5m2 e8m0 i32 u8 i8",
    }


def test_how_semantics_sees_elements() -> None:
    names = ("Float", "Factor", "Fp8", "Scale", "Num", "Any_", "Number", "Scalable", "StoredFp8", "I8", "F32")
    views = {name: In(getattr(dtypes, name)).view for name in names}
    assert views == dict.fromkeys(names[:4], "f32") | {"Num": "num"} | dict.fromkeys(names[5:10], "raw") | {
        "F32": "f32"
    }
    assert In({DTYPES["f32"], DTYPES["i8"]}).view == "raw"
