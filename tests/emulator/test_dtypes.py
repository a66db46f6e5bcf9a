"""Tensors of every dtype: from arrays and files to kernels and back; transfers that convert."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.asm import assemble, write_elf
from sohu.emulator import ArgumentError, Device
from sohu.emulator.run_cli import run
from sohu.isa import DTYPES, DType, SohuError, e8m0, f32, fp4x2, fp8e4m3, fp8e5m2, i8, u8

from tests.emulator.support import stopped

Array = NDArray[Any]


def copying(source: DType, target: DType) -> Any:
    """A kernel that copies x[32] to y[32], converting."""
    text = f" .kernel k\n .param x, in, {source}, [32]\n .param y, out, {target}, [32]\n dma.copy y, x\n halt\n"
    return assemble(text, "k.s")


def numbers(dtype: DType) -> Array:
    """Some elements of a dtype."""
    rng = np.random.default_rng(dtype.code)
    if dtype.is_float:
        with np.errstate(all="ignore"):
            return (rng.standard_normal(32) * 300).astype(np.float32).astype(dtype.np)
    ends = np.iinfo(dtype.np)
    return rng.integers(ends.min, ends.max, 32, endpoint=True).astype(dtype.np)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_there_and_back(dtype: DType) -> None:
    device = Device("small")
    x = numbers(dtype)
    tensor = device.tensor(x, dtype=dtype)
    assert tensor.dtype is dtype and tensor.numpy().dtype == dtype.np
    for given in (x, tensor):
        y = device.launch(copying(dtype, dtype), "k", [given]).outputs["y"]
        assert y.dtype is dtype and y.numpy().tobytes() == x.tobytes()


PAIRS = [p for p in itertools.product(DTYPES.values(), repeat=2) if p[0] is not p[1]]


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=str)
def test_transfers_convert_between_all_dtypes_but_packed_ones(source: DType, target: DType) -> None:
    device = Device("small")
    x = device.tensor(numbers(source), dtype=source)
    if fp4x2 in (source, target):
        with pytest.raises(SohuError, match="does not convert packed elements"):
            device.launch(copying(source, target), "k", [x])
        return
    got = device.launch(copying(source, target), "k", [x]).outputs["y"].numpy()
    with np.errstate(all="ignore"):
        wide = x.numpy().astype(np.float32)
        if not target.is_float:
            ends = np.iinfo(target.np)
            want = x.numpy().astype(target.np)
            if source.is_float:
                want = np.clip(np.trunc(np.nan_to_num(wide.astype(np.float64))), ends.min, ends.max).astype(target.np)
        elif target in (fp8e4m3, fp8e5m2):
            largest = float(ml_dtypes.finfo(target.np).max)
            want = np.clip(wide, -largest, largest).astype(target.np)
        elif target is e8m0:
            want = np.where(wide > 0, wide, np.nan).astype(target.np)
        else:
            want = wide.astype(target.np)
    assert got.view(np.uint8).tobytes() == want.view(np.uint8).tobytes() or (np.isnan(wide).any() and target.is_float)


def test_an_array_does_not_say_that_it_is_packed() -> None:
    device = Device("small")
    x = np.arange(32, dtype=np.uint8)
    assert device.tensor(x).dtype is u8
    with pytest.raises(SohuError, match="fp4x2 is held in uint8, not in float32"):
        device.tensor(x.astype(np.float32), dtype=fp4x2)
    with pytest.raises(ArgumentError, match="2 numbers packed in each element"):
        device.launch(copying(fp4x2, fp4x2), "k", [x.astype(np.int8)])
    with pytest.raises(ArgumentError, match=r"dtype uint8.*wants dtype i8"):
        device.launch(copying(i8, i8), "k", [x])
    with pytest.raises(ArgumentError, match=r"x.astype\(ml_dtypes.float8_e4m3fn\)"):
        device.launch(copying(fp8e4m3, f32), "k", [x])


def test_vpu_arithmetic_takes_no_narrow_floats() -> None:
    e = stopped("vexp a, a", ".tile a, sram, fp8e4m3, [4]")
    assert e.category == "operand" and "has dtype fp8e4m3, vexp takes bf16, f16, f32" in e.message


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_files(dtype: DType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, elf, out = tmp_path / "x.npy", tmp_path / "k.elf", tmp_path / "y.npy"
    np.save(x, numbers(dtype))
    elf.write_bytes(write_elf(copying(dtype, dtype)))
    assert run([str(elf), "--arg", f"x={x}", "--out", str(out), "--chip", "small"]) == 0, capsys.readouterr().err
    assert out.read_bytes()[-32 * dtype.itemsize :] == numbers(dtype).tobytes()
    assert run([str(elf), "--arg", f"x={out}", "--chip", "small"]) == 0, capsys.readouterr().err
    assert "y [32] =" in capsys.readouterr().out
