"""Kernel objects: what is compiled once and what anew, from which arguments."""

from __future__ import annotations

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import assemble, read_elf
from sohu.dsl import DTypeVar, In, Index, InOut, Kernel, Out, f32, i32, kernel
from sohu.dsl.kernel import default_device, round_up
from sohu.dsl.signature import signature
from sohu.emulator import ArgumentError, Device
from sohu.isa import load_chip

import sohu
from tests.dsl.support import SMALL, library, rand

F = DTypeVar("F", f32, sohu.bf16)


def scaled() -> Kernel:
    @kernel
    def scale(x: In[F, "R C"], y: Out[F, "R C"], *, by: float = 2, rows: int = 4):
        for r in sohu.range(0, x.R, rows):
            y[r : r + rows] = (x[r : r + rows].to(f32) * by).to(x.dtype)

    return scale


def compiled(k: Kernel) -> int:
    return sum(len(c) for c in k.compiled.values())


def test_once_per_dtype() -> None:
    k, x = scaled(), rand(3, 5)
    for _ in range(2):
        k(x)
        k(x.astype(ml_dtypes.bfloat16))
    assert compiled(k) == 2


def test_once_per_compile_time_parameters_told_apart_by_type() -> None:
    k, x = scaled(), rand(3, 5)
    for by in (2, 2.0, np.float64(2), 3, np.int64(3), float("nan"), float("nan")):
        k(x, by=by)
    assert compiled(k) == 4  # 2, 2.0, 3, nan
    assert (k(x, by=3) == x * 3).all() and (k(x, rows=2) == x * 2).all()
    assert compiled(k) == 5


def test_parameters_that_can_change_are_refused() -> None:
    with pytest.raises(ArgumentError, match="rows is a list, wants a value that cannot change"):
        scaled()(rand(3, 5), rows=[1])

    @kernel
    def k(x: In[f32, "N"], y: Out[f32, "N"], *, table: Any = ([1],)):
        y[:] = x[:]

    with pytest.raises(ArgumentError, match="table is a tuple"):
        k(rand(3))


def test_larger_sizes_compile_again_and_smaller_ones_do_not() -> None:
    k = scaled()
    for c in (100, 1, 110, 112, 64):
        assert (k(rand(3, c)) == rand(3, c) * 2).all()
    assert compiled(k) == 1 and next(iter(k.compiled.values()))[0].bounds == {"C": round_up(100)}
    k(rand(3, 113))
    assert compiled(k) == 2
    k(rand(3000, 113))  # R is taken in blocks: no bound
    assert compiled(k) == 2


@pytest.mark.parametrize("n", [*range(20), 100, 1000, 12345])
def test_bounds_round_up_a_little(n: int) -> None:
    assert n <= round_up(n) <= max(1, n * 1.25 + 1) and round_up(round_up(n)) == round_up(n)


def test_chips_are_told_apart_by_what_they_are() -> None:
    k, x = scaled(), rand(3, 5)
    k(x, device=Device(SMALL))
    k(x, device=Device(load_chip("small")))
    assert compiled(k) == 1
    k(x, device=Device(dataclasses.replace(SMALL, sram_bytes=SMALL.sram_bytes // 2)))
    assert compiled(k) == 2
    assert k.compile(x, chip="small") is k.compile(x, chip=SMALL)
    assert k(x).shape == (3, 5) and default_device().chip.name == "sohu"


def test_compile_takes_arrays_dtypes_and_bounds() -> None:
    k = scaled()
    a = k.compile(rand(3, 5), chip=SMALL)
    b = k.compile(f32, chip=SMALL, bounds={"C": np.int64(5)})
    c = k.compile(x=f32, chip=SMALL, bounds={"C": 5, "R": 1000})
    assert a is b is c
    assert k.compile(f32, chip=SMALL, bounds={"C": 50}) is not a
    with pytest.raises(ArgumentError, match="no argument says what dtype F is"):
        k.compile(chip=SMALL, bounds={"C": 5})


def test_artefacts_are_of_one_program() -> None:
    c = scaled().compile(rand(3, 5), chip=SMALL)
    assert assemble(c.asm, "scale.s").text == c.program.text == read_elf(c.elf, "scale.elf").text
    assert c.ir.startswith("kernel @scale[%R, %C](%x: mem<f32")
    assert c.name == "scale" and 0 < c.seconds < 10 and c.chip == SMALL


def test_positional_arguments_with_and_without_outputs() -> None:
    @kernel
    def add(x: In[f32, "N"], y: Out[f32, "N"], z: InOut[f32, "N"], n: Index = 1):
        y[:] = x[:] + z[:] + sohu.arange((1,), n, dtype=f32)
        z[:] = x[:]

    x = np.ones(3, np.float32)
    y, z = np.zeros(3, np.float32), np.full(3, 5, np.float32)
    assert add(x, z.copy()).tolist() == [7, 7, 7]
    assert add(x, z=z.copy(), n=np.int32(4)).tolist() == [10, 10, 10]
    assert add(x, y, z) is None and y.tolist() == [7, 7, 7] and z.tolist() == [1, 1, 1]
    assert add(x, y, z, 2) is None and y.tolist() == [4, 4, 4]


def test_device_tensors_stay_on_the_device() -> None:
    device = Device(SMALL)
    x = device.tensor(rand(3, 5))
    y = scaled()(x, device=device)
    assert isinstance(y, sohu.Tensor) and (y.numpy() == rand(3, 5) * 2).all()


def test_tensors_of_a_call_lie_apart() -> None:
    device = Device(SMALL)
    x = device.tensor(rand(3, 5))
    with pytest.raises(ArgumentError, match="argument y of kernel scale: shares memory with x"):
        scaled()(x, x, device=device)
    assert (scaled()(x, device.tensor(rand(3, 5)), device=device) is None) and (x.numpy() == rand(3, 5)).all()


def test_signatures() -> None:
    def k(x: In[f32, "N 3"], n: Index = 2, *, rows: int = 4) -> None:
        """Never run."""

    s = signature(k, {})
    assert list(s.specs) == ["x", "n"] and s.defaults == {"n": 2} and s.constants == {"rows": 4}
    assert In[i32, "A 3"].dims == ("A", 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("k", "constants"), [pytest.param(k, c, id=n) for n, k, c in library()])
def test_compiling_is_quick(k: Kernel, constants: dict[str, Any]) -> None:
    dims = {d: 64 for s in k.specs.values() for d in getattr(s, "dims", ()) if isinstance(d, str)}
    tensor = next(n for n, s in k.specs.items() if isinstance(getattr(s, "dtype", None), DTypeVar))
    seconds = k.compile(**{tensor: f32}, bounds=dims, **constants).seconds
    assert seconds < 1, "a tenth of that is the aim; a second is slow on any machine"
