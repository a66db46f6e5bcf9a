"""Files in HBM: mapped where the host can, copied elsewhere, never written."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.emulator import Device, MachineError
from sohu.emulator import mapping as module
from sohu.isa import SohuError, f32, u8

ALIGN = 64 << 10


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A page of something else, then 3000 floats (not a whole number of pages), then something else."""
    path = tmp_path / "weights"
    path.write_bytes(b"\xff" * ALIGN + np.arange(3000, dtype="<f4").tobytes() + b"\xee" * ALIGN)
    return path


@pytest.mark.parametrize("offset", [ALIGN, ALIGN + 8], ids=["mapped", "copied"])
def test_a_tensor_in_a_file(file: Path, offset: int) -> None:
    device = Device("small")
    with file.open("rb") as f:
        x = device.map(f, offset, (29, 100), f32, "weights")
    first = (offset - ALIGN) // 4
    want = np.arange(first, first + 2900, dtype=np.float32).reshape(29, 100)
    np.testing.assert_array_equal(x.view(), want)
    assert not x.view().flags.writeable and not x.writable
    double = assemble(
        ".kernel k\n.param x, in, f32, [N, 100]\n.param y, out, f32, [N, 100]\n.tile t, sram, f32, [29, 100]\n"
        "dma.load t, x signal s0\nvadd t, t, t wait s0>=1 signal s1\ndma.store y, t wait s1>=1\n"
        "drain\nhalt\n.endkernel\n",
        "k.s",
    )
    y = device.empty((29, 100), f32)
    device.launch(double, "k", [x, y])
    np.testing.assert_array_equal(y.view(), 2 * want)
    with pytest.raises(MachineError, match="may only read"):
        device.launch(double, "k", [x, x])


def test_pages_are_mapped_and_not_read(tmp_path: Path) -> None:
    """A gigabyte that nobody touches costs nothing; what is touched is right."""
    if sys.platform != "linux":
        pytest.skip("/proc tells what is resident")
    path = tmp_path / "sparse"
    with path.open("wb") as f:
        f.truncate(900 << 20)
        f.seek(800 << 20)
        f.write(b"\x07")

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    device = Device()
    before = resident()
    with path.open("rb") as f:
        x = device.map(f, 0, (900, 1 << 20), u8)
    assert x.view()[800, 0] == 7
    assert resident() - before < 16 << 20


def test_memory_is_clean_once_it_is_freed(file: Path) -> None:
    device = Device("small")
    with file.open("rb") as f:
        x = device.map(f, ALIGN, (3000,), f32)
    address, end = x.address, x.address + x.nbytes
    device.hbm.map[address : address + 4] = b"abcd"  # private: the file does not see it
    beside = device.zeros((64,), f32)
    assert beside.address >= end and not beside.view().any()
    x.free()
    assert file.read_bytes()[ALIGN : ALIGN + 4] == bytes(4)
    again = device.empty((3000,), f32)
    assert again.address == address and not again.view().any()


def test_the_tail_of_the_last_page_belongs_to_nobody(file: Path) -> None:
    device = Device("small")
    with file.open("rb") as f:
        x = device.map(f, ALIGN, (3000,), f32)
    last = (x.address + x.nbytes - 1) // mmap.PAGESIZE
    kept = [device.zeros((16,), f32)]
    while kept[-1].address < x.address:
        kept.append(device.zeros((16,), f32))
    assert all(y.address // mmap.PAGESIZE != last for y in kept)


@pytest.mark.parametrize("why", ["short", "gone"])
def test_a_file_that_cannot_be_mapped(why: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device("small")
    before = device.hbm.allocations
    with file.open("rb") as f:
        if why == "short":
            with pytest.raises(SohuError, match="too short for 400,000 bytes"):
                device.map(f, ALIGN, (100_000,), f32)
        else:
            monkeypatch.setattr(module, "_map", lambda *_: False)
            monkeypatch.setattr(os, "fstat", lambda fd: os.stat_result((0,) * 6 + (1 << 30,) + (0,) * 3))
            with pytest.raises(SohuError, match="become shorter"):
                device.map(f, ALIGN, (100_000,), f32)
    assert device.hbm.allocations == before
