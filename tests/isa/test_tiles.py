"""Tile descriptors: their bytes, and views of them against NumPy."""

import random

import numpy as np
import pytest
from sohu.isa import DTYPES, TILE_BYTES, Fault, Space, Tile, f32, row_major
from sohu.isa.dtypes import bf16


def random_tile(rng: random.Random) -> Tile:
    rank = rng.randint(1, 4)
    return Tile(
        rng.choice(list(Space)),
        rng.choice(list(DTYPES.values())),
        rng.getrandbits(rng.choice([16, 64])),
        [rng.getrandbits(rng.choice([3, 32])) for _ in range(rank)],
        [rng.randint(-(1 << 63), (1 << 63) - 1) >> rng.choice([0, 40]) for _ in range(rank)],
        rng.choice([None, [rng.randrange(32) for _ in range(rank)]]),
    )


def test_bytes_round_trip() -> None:
    rng = random.Random(1)
    for _ in range(500):
        tile = random_tile(rng)
        data = tile.pack()
        assert len(data) == TILE_BYTES
        again = Tile.unpack(data)
        assert again == tile and hash(again) == hash(tile) and again.pack() == data


def test_damaged_bytes_are_refused_or_round_trip() -> None:
    rng = random.Random(2)
    for _ in range(300):
        data = bytearray(random_tile(rng).pack())
        for _ in range(10):
            damaged = bytearray(data)
            damaged[rng.randrange(TILE_BYTES)] = rng.randrange(256)
            try:
                tile = Tile.unpack(bytes(damaged))
            except Fault as e:
                assert e.category == "operand"
                continue
            assert tile.pack() == damaged


def test_the_layout_is_as_documented() -> None:
    data = Tile(Space.ACC, f32, 0x1234, (5, 7), (-7, 1), (0, 9)).pack()
    assert data[:8] == (0x1234).to_bytes(8, "little")
    assert list(data[8:16]) == [2, f32.code, 2, 0, 0, 9, 0, 0]
    assert np.frombuffer(data[16:32], "<u4").tolist() == [5, 7, 0, 0]
    assert np.frombuffer(data[32:], "<i8").tolist() == [-7, 1, 0, 0]


@pytest.mark.parametrize(
    ("at", "value", "says"),
    [
        (8, 3, "space 3"),
        (9, 255, "dtype 255"),
        (10, 0, "rank 0"),
        (10, 5, "rank 5"),
        (11, 1, "no tile descriptor"),
        (12, 32, "above x31"),
        (15, 1, "no tile descriptor"),  # a register, a size and a stride beyond the rank
        (28, 1, "no tile descriptor"),
        (63, 1, "no tile descriptor"),
    ],
)
def test_bytes_that_are_no_descriptor(at: int, value: int, says: str) -> None:
    data = bytearray(Tile(Space.SRAM, f32, 0, (2, 3)).pack())
    data[at] = value
    with pytest.raises(Fault, match=says):
        Tile.unpack(bytes(data))


def test_what_does_not_fit_a_descriptor() -> None:
    for tile in (
        Tile(Space.SRAM, f32, 1 << 64, (1,)),
        Tile(Space.SRAM, f32, -4, (1,)),
        Tile(Space.SRAM, f32, 0, (1 << 32,)),
        Tile(Space.SRAM, f32, 0, (0, 1 << 31, 1 << 31, 1 << 31)),
    ):
        with pytest.raises(Fault, match="does not fit a descriptor"):
            tile.pack()


def test_a_descriptor_has_64_bytes() -> None:
    with pytest.raises(Fault, match="has 64 bytes, not 63"):
        Tile.unpack(bytes(63))


# -- views ---------------------------------------------------------------------------------------


def view(tile: Tile, memory: np.ndarray) -> np.ndarray:
    """The tile's elements, one by one, from the definition of a stride."""
    out = np.empty(tile.dims, memory.dtype)
    for index in np.ndindex(*tile.dims):
        address = tile.base + sum(i * s for i, s in zip(index, tile.strides, strict=True)) * tile.dtype.itemsize
        assert address % tile.dtype.itemsize == 0
        out[index] = memory[address // tile.dtype.itemsize]
    return out


def test_views_are_those_of_numpy() -> None:
    rng = random.Random(3)
    memory = np.arange(5000, dtype=np.float32)
    for _ in range(300):
        dims = [rng.randint(1, 5) for _ in range(rng.randint(1, 4))]
        start = rng.randrange(100)
        tile = Tile(Space.SRAM, f32, start * 4, dims)
        array = memory[start : start + tile.size].reshape(dims)
        for _ in range(rng.randint(0, 6)):
            change, axis = rng.choice(["slice", "swap", "insert", "drop", "dim"]), rng.randrange(tile.rank)
            if change == "slice":
                low, length = rng.randint(0, tile.dims[axis] + 2), rng.randint(0, tile.dims[axis] + 2)
                tile = tile.slice(axis, low, length)
                array = array[(slice(None),) * axis + (slice(low, low + length),)]
            elif change == "swap":
                other = rng.randrange(tile.rank)
                tile, array = tile.swap(axis, other), array.swapaxes(axis, other)
            elif change == "insert" and tile.rank < 4:
                tile, array = tile.insert(axis), np.expand_dims(array, axis)
            elif change == "drop" and tile.rank > 1 and tile.dims[axis] == 1:
                tile, array = tile.drop(axis), array.squeeze(axis)
            elif change == "dim":
                size = rng.randint(0, tile.dims[axis])
                tile = tile.with_dim(axis, size)
                array = array[(slice(None),) * axis + (slice(0, size),)]
        assert tile.dims == array.shape and tile.rank == array.ndim and tile.size == array.size
        assert np.array_equal(view(tile, memory), array)


def test_extent_is_what_is_touched() -> None:
    rng = random.Random(4)
    for _ in range(300):
        rank = rng.randint(1, 4)
        tile = Tile(
            Space.SRAM,
            rng.choice([f32, bf16]),
            4096,
            [rng.randint(1, 4) for _ in range(rank)],
            [rng.randint(-9, 9) for _ in range(rank)],
        )
        n = tile.dtype.itemsize
        offsets = [
            4096 + sum(i * s for i, s in zip(index, tile.strides, strict=True)) * n for index in np.ndindex(*tile.dims)
        ]
        assert tile.extent() == (min(offsets), max(offsets) + n)
    assert Tile(Space.SRAM, f32, 64, (3, 0)).extent() == (64, 64)


def test_row_major_is_numpy() -> None:
    for dims in [(5,), (2, 3), (4, 1, 2), (2, 3, 4, 5)]:
        wanted = tuple(s // 4 for s in np.empty(dims, np.float32).strides)
        assert row_major(dims) == wanted == Tile(Space.HBM, f32, 0, dims).strides


def test_dimensions_from_registers() -> None:
    tile = Tile(Space.SRAM, f32, 0, (128, 512), dimregs=(0, 7))
    x = [0] * 32
    x[7] = 100
    assert tile.resolve(x) == Tile(Space.SRAM, f32, 0, (128, 100), (512, 1))
    assert str(tile) == "f32[128, x7] at sram 0x0"
    plain = Tile(Space.SRAM, f32, 0, (128, 512), dimregs=(0, 0))
    assert plain.dimregs is None and plain.resolve(x) is plain
    assert tile.with_dim(1, 5) == Tile(Space.SRAM, f32, 0, (128, 5), (512, 1))
    assert tile.with_base(64).dimregs == (0, 7)
    for size in (-1, 1 << 32):
        x[7] = size
        with pytest.raises(Fault, match=f"x7 holds {size}"):
            tile.resolve(x)


def test_what_views_refuse() -> None:
    tile = Tile(Space.SRAM, f32, 0, (2, 1, 3, 4))
    for call in (
        lambda: tile.slice(4, 0, 1),
        lambda: tile.swap(0, 4),
        lambda: tile.drop(4),
        lambda: tile.with_dim(4, 1),
        lambda: tile.insert(0),  # rank 4 already
        lambda: tile.drop(0),  # size 2
        lambda: Tile(Space.SRAM, f32, 0, (1,)).drop(0),
        lambda: tile.with_dim(0, -1),
        lambda: tile.with_dim(0, 1 << 32),
    ):
        with pytest.raises(Fault) as raised:
            call()
        assert raised.value.category == "operand"
    for outside in (lambda: tile.slice(0, -1, 1), lambda: tile.slice(0, 0, -1), lambda: tile.with_base(-1)):
        with pytest.raises(Fault) as raised:
            outside()
        assert raised.value.category == "out-of-bounds"


def test_repr_says_it_all() -> None:
    tile = Tile(Space.SRAM, f32, 64, (2, 3), dimregs=(0, 5))
    assert repr(tile) == "Tile(<Space.SRAM: 1>, f32, 0x40, (2, 3), (3, 1), dimregs=(0, 5))"
    assert tile != Tile(Space.SRAM, f32, 64, (2, 3))
