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
from sohu.isa import SohuError, bf16, f32, i32, u8

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


def test_pages_of_a_file_can_be_given_back(tmp_path: Path) -> None:
    """They are there again when they are touched; memory that is no file's is left alone."""
    if sys.platform != "linux":
        pytest.skip("/proc tells what is resident")
    path = tmp_path / "weights"
    path.write_bytes(np.arange(8 << 20, dtype="<u4").tobytes())
    device = Device()
    with path.open("rb") as f:
        x = device.map(f, 0, (8 << 20,), i32)
    plain = device.tensor(np.arange(8 << 20, dtype=np.int32), writable=False)
    total = int(x.view().sum())

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before = resident()
    for t in (x, plain):
        block = device.hbm.find(t.address)
        assert block is not None
        device.hbm.release(block, block.start, block.end)
    assert 31 << 20 < before - resident() < 33 << 20
    assert int(x.view().sum()) == total == int(plain.view().sum())


@pytest.mark.parametrize("low_memory", [False, True])
def test_weights_of_a_file_in_low_memory(low_memory: bool, tmp_path: Path) -> None:
    """A product of mapped bf16 weights is the same; without the float32 copies, and without the pages, if so wanted."""
    path = tmp_path / "weights"
    w = np.random.default_rng(0).standard_normal((64, 1024)).astype(bf16.np)
    path.write_bytes(w.tobytes())
    program = assemble(
        ".kernel k\n.param x, in, bf16, [1, 64]\n.param w, in, bf16, [64, 1024]\n.param y, out, f32, [1, 1024]\n"
        ".tile a, sram, bf16, [1, 64]\n.tile b, sram, bf16, [64, 1024]\n.tile c, acc, f32, [1, 1024]\n"
        ".tile d, sram, f32, [1, 1024]\n"
        "dma.load a, x signal s0\ndma.load b, w signal s0\nmm c, a, b wait s0>=2 signal s1\n"
        "vmov d, c wait s1>=1 signal s2\ndma.store y, d wait s2>=1\ndrain\nhalt\n.endkernel\n",
        "k.s",
    )
    device = Device(low_memory=low_memory)
    with path.open("rb") as f:
        weights = device.map(f, 0, (64, 1024), bf16)
    x = np.ones((1, 64), bf16.np)
    want = x.astype(np.float32) @ w.astype(np.float32)
    for _ in range(3):
        y = device.launch(program, "k", {"x": x, "w": weights}).outputs["y"].numpy()
        np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)
