"""The allocation map against a simple model; views of tiles against NumPy's own indexing."""

from __future__ import annotations

import mmap
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from sohu.emulator.memory import ALIGN, PAGE, Allocation, Hbm, Memories
from sohu.isa import SohuError, Space, Tile, f32, i32, load_chip, u8

from tests.emulator.support import raises_fault

CHIP = load_chip("small")


@given(st.lists(st.tuples(st.integers(0, 3000), st.sampled_from([ALIGN, PAGE]), st.integers(0, 5)), max_size=60))
def test_allocations_never_overlap_and_are_all_found(steps: list[tuple[int, int, int]]) -> None:
    hbm = Hbm(1 << 16)
    live: list[Allocation] = []
    for size, align, drop in steps:
        try:
            block = hbm.allocate(size, align=align)
        except SohuError:
            assert sum(b.end - b.start for b in live) + size + len(live) * PAGE > (1 << 16) - 2 * PAGE
        else:
            assert block.start % align == 0 and block.start >= PAGE and block.end - block.start == size
            live.append(block)
        if drop == 0 and live:
            hbm.free(live.pop(len(live) // 2))
    live.sort(key=lambda b: b.start)
    assert list(hbm.allocations) == live
    for a, b in pairwise(live):
        assert a.end <= b.start
    for b in live:
        if b.end > b.start:
            assert hbm.find(b.start) is b and hbm.find(b.end - 1) is b and hbm.check(b.start, b.end) is b
            raises_fault("out-of-bounds", lambda b=b: hbm.check(b.start, b.end + 1))  # type: ignore[misc]
    for b in list(live):
        hbm.free(b)
    assert hbm._free == [(PAGE, 1 << 16)]


def test_neighbours_are_not_one_block() -> None:
    hbm = Hbm(1 << 16)
    a, b = hbm.allocate(64, name="a"), hbm.allocate(64, name="b")
    assert a.end == b.start
    e = raises_fault("out-of-bounds", lambda: hbm.check(a.start, b.end))
    assert e.message == "hbm 0x1000..0x1080 reaches 64 bytes past the end of a at 0x1000..0x1040"
    e = raises_fault("out-of-bounds", lambda: hbm.check(8, 16))
    assert "page 0" in e.help


def test_guards_stay_empty() -> None:
    hbm = Hbm(1 << 16)
    block = hbm.allocate(100, align=PAGE, guard=PAGE)
    assert block.start == 2 * PAGE
    others = [hbm.allocate(64) for _ in range(4)]
    assert all(b.start >= 3 * PAGE + 128 for b in others)


def test_large_freed_blocks_are_zero_again() -> None:
    hbm = Hbm(1 << 26)
    block = hbm.allocate(32 << 20)
    hbm.bytes[block.start : block.end] = 7
    hbm.free(block)
    again = hbm.allocate(32 << 20, zero=True)
    assert again.start == block.start and not hbm.bytes[again.start : again.end].any()
    assert not block.live and again.live


def test_a_host_that_refuses_the_address_space(monkeypatch: pytest.MonkeyPatch) -> None:
    real = mmap.mmap

    def limited(fd: int, size: int, **options: int) -> mmap.mmap:
        if size > 3 << 30:
            raise OSError(12, "Cannot allocate memory")
        return real(fd, size, **options)

    monkeypatch.setattr(mmap, "mmap", limited)
    hbm = Hbm(10 << 30)
    assert (hbm.size, hbm.wanted) == (5 << 29, 10 << 30)
    with pytest.raises(SohuError, match=r"the host gave 2,684,354,560 of 10,737,418,240 bytes") as e:
        hbm.allocate(4 << 30)
    assert "ulimit -v" in e.value.help
    monkeypatch.setattr(mmap, "mmap", lambda *a, **k: (_ for _ in ()).throw(OSError(12, "Cannot allocate memory")))
    with pytest.raises(SohuError, match="the host refuses"):
        Hbm(10 << 30)


@given(
    st.sampled_from([f32, i32, u8]),
    st.lists(st.tuples(st.integers(1, 4), st.integers(-5, 5)), min_size=1, max_size=4),
    st.integers(0, 200),
)
def test_views_are_the_elements_of_the_descriptor(dtype: object, dims: list[tuple[int, int]], base: int) -> None:
    assert dtype in (f32, i32, u8)
    kind = next(d for d in (f32, i32, u8) if d is dtype)
    memories = Memories(CHIP)
    n = kind.itemsize
    flat = memories.sram.view(kind.np)
    flat[:400] = np.arange(400) % 251
    tile = Tile(Space.SRAM, kind, base * n, [d for d, _ in dims], [s for _, s in dims])
    low, high = tile.extent()
    if low < 0:
        raises_fault("out-of-bounds", lambda: memories.view(tile))
        return
    view = memories.view(tile)
    assert (view.low, view.high) == (low, high) and view.array.shape == tile.dims
    for i in np.ndindex(*tile.dims):
        at = base + sum(k * s for k, s in zip(i, tile.strides, strict=True))
        assert view.array[i] == flat[at]
    assert memories.view(tile) is view


@pytest.mark.parametrize(
    ("tile", "category", "message"),
    [
        (Tile(Space.SRAM, f32, 2, (1,)), "misaligned", "no multiple of 4"),
        (Tile(Space.SRAM, f32, CHIP.sram_bytes, (1,)), "out-of-bounds", "sram ends at 0x100000"),
        (Tile(Space.ACC, f32, 0, (1 << 20,)), "out-of-bounds", "acc ends at 0x40000"),
        (Tile(Space.SRAM, f32, 0, (2, 2), (-1, 1)), "out-of-bounds", "covers -0x4..0x8"),
        (Tile(Space.SRAM, u8, 0, (1 << 31, 1 << 31), (0, 0)), "operand", "more elements than"),
        (Tile(Space.SRAM, u8, 0, (0, 1 << 20, 2), (0, 0, 0)), "operand", "is empty, but"),
        (Tile(Space.HBM, f32, 0, (1,)), "out-of-bounds", "not allocated"),
        (Tile(Space.HBM, f32, (1 << 64) - 4, (1,)), "out-of-bounds", "ends at"),
        (Tile(Space.SRAM, f32, 0, (4, 4), (1 << 62, 1)), "out-of-bounds", ""),
    ],
)
def test_views_that_are_refused(tile: Tile, category: str, message: str) -> None:
    memories = Memories(CHIP)
    assert message in raises_fault(category, lambda: memories.view(tile)).message


def test_an_empty_tile_lies_anywhere() -> None:
    assert Memories(CHIP).view(Tile(Space.HBM, f32, 0, (0, 5))).array.shape == (0, 5)


def test_a_matrix_with_a_dimension_of_one_still_goes_to_blas() -> None:
    # NumPy looks at the strides of both dimensions, and multiplies by hand when they are no matrix's
    memories = Memories(CHIP)
    row = Tile(Space.SRAM, f32, 0, (64,)).insert(0)
    assert row.strides == (0, 1)
    assert memories.view(row).array.strides == (256, 4)
    assert memories.view(row.swap(0, 1)).array.strides == (4, 4)
