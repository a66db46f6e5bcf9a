"""Copies that wait: nobody can see that they do."""

from __future__ import annotations

import random
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.asm import Program, assemble
from sohu.emulator import Device, Listener, MachineError, blocks, deferred
from sohu.isa import Space, Tile, bf16, f32

from tests.emulator.support import random_floats

SIDE = 16  # of the tensors; a page of four such tiles is what the random programs work on
BF16 = np.dtype(ml_dtypes.bfloat16)


@pytest.fixture(autouse=True)
def all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every copy is deferred that can be, and every block compiled."""
    monkeypatch.setattr(deferred, "SMALLEST", 1)
    monkeypatch.setattr(blocks, "HOT", 0)


def both(program: Program, arrays: list[NDArray[Any]], writable: list[bool]) -> list[tuple[Any, ...]]:
    """Everything that a program leaves, on the fast path and one instruction after the other."""
    out = []
    for listeners in ([], [Listener()]):
        device = Device("small")
        device.machine.listeners += listeners
        tensors = [device.tensor(a, writable=w) for a, w in zip(arrays, writable, strict=True)]
        result = device.launch(program, "k", tensors)
        left = [t.numpy().tobytes() for t in tensors]
        m = device.machine
        out.append((result.instructions, m.x[:], m.sems[:], left, m.memories.sram.tobytes(), m.memories.acc.tobytes()))
    return out


def random_program(seed: int) -> Program:
    """Loads, stores and arithmetic on tiles that overlap, whole, in part, transposed, in loops and out of them."""
    rng = random.Random(seed)
    lines = [" .kernel k", f" .param r, in, f32, [{SIDE}, {SIDE}]", f" .param w, inout, f32, [{SIDE}, {SIDE}]"]
    tiles = []
    for i in range(8):
        rows, columns = rng.choice((4, 8, 16)), rng.choice((4, 8, 16))
        at = rng.randrange(0, 4096, rng.choice((64, 256, 1024)))
        lines.append(f" .tile a{i}, sram, f32, [{rows}, {columns}], at={at}, over=*")
        tiles.append((f"a{i}", rows, columns))
    lines[3:] = [line.replace(", over=*", "") for line in lines[3:]]
    lines += [" .tile c, acc, f32, [16, 16]", " li x5, 3", " li x6, 0"]

    def piece(name: str, rows: int, columns: int, into: str) -> tuple[int, int]:
        """A tile register with a part of a tile; its shape."""
        r, c = rng.choice((rows, max(1, rows // 2))), rng.choice((columns, columns, max(1, columns // 2)))
        lines.append(f" tslice {into}, {name}, 0, {rng.randint(0, rows - r)}, {r}")
        lines.append(f" tslice {into}, {into}, 1, {rng.randint(0, columns - c)}, {c}")
        if rng.random() < 0.3:
            lines.append(f" tswap {into}, {into}, 0, 1")
            r, c = c, r
        return r, c

    def shaped(name: str, rows: int, columns: int, r: int, c: int, into: str) -> bool:
        """A part of a tile with a given shape, if it has room for one."""
        if r > rows or c > columns:
            return False
        lines.append(f" tslice {into}, {name}, 0, {rng.randint(0, rows - r)}, {r}")
        lines.append(f" tslice {into}, {into}, 1, {rng.randint(0, columns - c)}, {c}")
        return True

    looped = rng.random() < 0.5
    if looped:
        lines.append(" loop x5, done")
    for _ in range(rng.randint(4, 14)):
        name, rows, columns = rng.choice(tiles)
        kind = rng.choice(("load", "load", "load", "store", "add", "copy", "fill", "product", "scalar"))
        if kind == "scalar":  # changes a source behind the loads' backs
            lines += [" taddr x7, w", f" sd x5, x7, {rng.randrange(0, SIDE * SIDE * 4, 8)}", " add x6, x6, 1"]
            continue
        r, c = piece(name, rows, columns, "t40")
        source = rng.choice("rw")
        if kind == "load" and shaped(source, SIDE, SIDE, r, c, "t41"):
            lines.append(" dma.load t40, t41")
        elif kind == "store" and shaped("w", SIDE, SIDE, r, c, "t41"):
            lines.append(" dma.store t41, t40")
        elif kind == "fill":
            lines.append(f" vfill t40, {rng.randint(-3, 3)}.0")
        elif kind in ("add", "copy"):
            other, *shape = rng.choice(tiles)
            if shaped(other, *shape, r, c, "t41"):
                lines.append(" vadds t40, t41, 1.0" if kind == "add" else " vmov t40, t41")
        elif kind == "product":
            other, rows, columns = rng.choice(tiles)
            if shaped(other, rows, columns, c, min(columns, 4), "t41"):
                lines += [f" tslice t42, c, 0, 0, {r}", f" tslice t42, t42, 1, 0, {min(columns, 4)}"]
                lines += [" mm t42, t40, t41"]
    lines += ["done:"] * looped + [" add x6, x6, x5", " drain", " halt", " .endkernel"]
    return assemble("\n".join(lines), f"random {seed}")


@pytest.mark.parametrize("seeds", [range(i, i + 50) for i in range(0, 300, 50)], ids=lambda r: str(r.start))
def test_random_programs_leave_the_same_bits(seeds: range) -> None:
    rng = np.random.default_rng(seeds.start)
    for seed in seeds:
        arrays = [rng.integers(-8, 8, (SIDE, SIDE)).astype(np.float32) for _ in range(2)]
        fast, slow = both(random_program(seed), arrays, [False, True])
        assert fast == slow, f"seed {seed}"


def test_a_product_reads_its_weights_where_they_lie() -> None:
    """The copy is not made at all: what SRAM held before is still there until somebody looks."""
    program = assemble(
        """
        .kernel k
        .param w, in, f32, [64, 64]
        .param y, out, f32, [64, 64]
        .tile b, sram, f32, [64, 64]
        .tile a, sram, f32, [64, 64]
        .tile c, acc, f32, [64, 64]
        vfill a, 1.0
        dma.load b, w
        mm c, a, b
        vmov a, c
        dma.store y, a
        halt
        """,
        "weights",
    )
    device = Device("small")
    device.memories.sram[:] = 7
    w = device.tensor(random_floats((64, 64)), writable=False)
    y = device.launch(program, "k", [w]).outputs["y"]
    assert np.allclose(y.numpy(), w.numpy().sum(axis=0), atol=1e-4)
    size = 64 * 64 * 4
    raw = device.memories._sram[:size]
    assert (raw == 7).all()  # the memory itself
    assert device.memories.sram[:size].tobytes() == w.numpy().tobytes()  # and what everybody sees


def test_a_source_that_goes_away_is_copied_first() -> None:
    program = assemble(
        " .kernel k\n .param w, in, f32, [64, 64]\n .tile b, sram, f32, [64, 64]\n dma.load b, w\n halt\n", "free.s"
    )
    device = Device("small")
    w = device.tensor(random_floats((64, 64)), writable=False)
    expected = w.numpy().tobytes()
    device.launch(program, "k", [w])
    w.free()
    device.hbm.bytes[:] = 0
    assert device.memories.sram[: len(expected)].tobytes() == expected


def test_the_host_may_change_a_tensor_after_a_launch() -> None:
    program = assemble(
        " .kernel k\n .param w, inout, f32, [64, 64]\n .tile b, sram, f32, [64, 64]\n dma.load b, w\n halt\n", "host.s"
    )
    device = Device("small")
    w = device.tensor(random_floats((64, 64)))
    expected = w.numpy().tobytes()
    device.launch(program, "k", [w])
    w.view()[...] = 0
    assert device.memories.sram[: len(expected)].tobytes() == expected


def test_a_copy_with_gaps_leaves_what_lies_in_them() -> None:
    program = assemble(
        """
        .kernel k
        .param r, in, f32, [16, 16]
        .param w, inout, f32, [16, 16]
        .tile b, sram, f32, [16, 16]
        tslice t40, b, 0, 4, 2
        tslice t40, t40, 1, 8, 4
        tslice t41, r, 0, 0, 2
        tslice t41, t41, 1, 0, 4
        dma.load t40, t41          # rows 4 and 5, columns 8 to 11
        tslice t42, b, 1, 0, 8
        tslice t43, r, 1, 0, 8
        dma.load t42, t43          # all rows, columns 0 to 7
        dma.store w, b
        halt
        """,
        "gaps",
    )
    fast, slow = both(program, [random_floats((16, 16)), np.zeros((16, 16), np.float32)], [False, True])
    assert fast == slow


PRODUCT = """
        .kernel k
        .param x, in, {0}, [32, 64]
        .param w, in, {0}, [64, 48]
        .param y, out, f32, [32, 48]
        .tile a, sram, {0}, [32, 64]
        .tile b, sram, {0}, [64, 48]
        .tile o, sram, f32, [32, 48]
        .tile c, acc, f32, [32, 48]
        dma.load a, x
        dma.load b, w
        mm c, a, b
        vmov o, c
        dma.store y, o
        halt
        """


@pytest.mark.parametrize("dtype", ["bf16", "f16", "fp8e4m3", "fp8e5m2"])
def test_float32_copies_of_weights_change_nothing(dtype: str) -> None:
    program = assemble(PRODUCT.format(dtype), "wide")
    np_dtype = {"bf16": BF16, "f16": np.dtype(np.float16)}.get(dtype) or np.dtype(
        {"fp8e4m3": ml_dtypes.float8_e4m3fn, "fp8e5m2": ml_dtypes.float8_e5m2}[dtype]
    )
    x, w = (random_floats(s, seed=i).astype(np_dtype) for i, s in enumerate([(32, 64), (64, 48)]))
    results = []
    for low_memory in (False, True):
        device = Device("small", low_memory=low_memory, native=False)
        weights = device.tensor(w, writable=False)
        for _ in range(2):
            results.append(device.launch(program, "k", [device.tensor(x), weights]).outputs["y"].numpy())
        kept = device.hbm.find(weights.tile.base)
        assert kept is not None and bool(kept.widened) is not low_memory
    assert all(np.array_equal(results[0], r) for r in results)
    assert np.allclose(results[0], x.astype(np.float32) @ w.astype(np.float32), rtol=1e-5, atol=1e-4)


def test_float32_copies_are_as_large_as_allowed() -> None:
    device = Device("small", native=False)
    device.memories.deferrals.keep = 64 * 48 * 4 - 1
    w = device.tensor(random_floats((64, 48)).astype(BF16), writable=False)
    device.launch(
        assemble(PRODUCT.format("bf16"), "wide"), "k", [device.tensor(random_floats((32, 64)).astype(BF16)), w]
    )
    block = device.hbm.find(w.tile.base)
    assert block is not None and not block.widened


def tile(base: int, dims: tuple[int, ...], strides: tuple[int, ...] | None = None, dtype: Any = f32) -> Tile:
    return Tile(Space.SRAM, dtype, base, dims, strides)


@pytest.mark.parametrize(
    ("view", "base", "strides"),
    [
        (tile(64, (8, 4)), 1000, (10, 1)),  # the whole
        (tile(64 + 4 * 4 * 2, (3, 4)), 1000 + 2 * 10 * 4, (10, 1)),  # rows 2..4
        (tile(64 + 4, (8, 2), (4, 1)), 1004, (10, 1)),  # columns 1..2
        (tile(64, (4, 8), (1, 4)), 1000, (1, 10)),  # transposed
        (tile(64 + 4 * 6, (4,), (4,)), 1000 + 4 * 12, (10,)),  # a piece of column 2
        (tile(64, (1, 4), (99, 1)), 1000, (0, 1)),  # a row, whose first stride means nothing
        (tile(64, (8, 4), dtype=bf16), None, None),  # other elements
        (tile(66, (2, 2), (4, 1)), None, None),  # not at an element
        (tile(64, (5, 8), (4, 1)), None, None),  # beyond a row
        (tile(64, (4, 4), (8, 1)), None, None),  # every second row
        (tile(64 + 4 * 3, (2, 2), (4, 1)), None, None),  # around a corner
        (tile(60, (2, 2), (4, 1)), None, None),  # before it
    ],
)
def test_where_a_view_lies_in_the_source(view: Tile, base: int | None, strides: tuple[int, ...] | None) -> None:
    source = Tile(Space.HBM, f32, 1000, (8, 4), (10, 1))
    found = deferred.translated(view, tile(64, (8, 4)), source)
    if base is None:
        assert found is None
    else:
        assert found == Tile(Space.HBM, f32, base, view.dims, strides)


def test_sizes_that_grow_leave_nothing_behind() -> None:
    """As a cache does that grows with every token: what is remembered of views and ranges stays bounded."""
    program = assemble(
        """
        .kernel k
        .param w, in, f32, [4096, 4]
        .param y, out, f32, [4096, 4]
        .param n, i64, reg=x9
        .tile b, sram, f32, [4096, 4]
        tslice t40, w, 0, 0, x9
        tset b, b, 0, x9
        dma.load b, t40
        vadds b, b, 1.0
        tslice t41, y, 0, 0, x9
        dma.store t41, b
        halt
        """,
        "grows",
    )
    device = Device("small")
    w = device.tensor(random_floats((4096, 4)), writable=False)
    y = device.zeros((4096, 4), f32)
    deferrals = device.memories.deferrals
    for n in range(1, 300):
        device.launch(program, "k", [w, y, n])
        assert np.array_equal(y.numpy()[:n], w.numpy()[:n] + np.float32(1))
        assert len(deferrals._ranges) <= deferred._KEPT_RANGES + 2


def test_views_that_were_forgotten_are_known_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deferred, "_KEPT_VIEWS", 3)
    monkeypatch.setattr(deferred, "_KEPT_RANGES", 1)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        arrays = [rng.integers(-8, 8, (SIDE, SIDE)).astype(np.float32) for _ in range(2)]
        fast, slow = both(random_program(seed), arrays, [False, True])
        assert fast == slow, f"seed {seed}"


def test_the_parameter_block_is_no_constant() -> None:
    """It is read-only to programs, and another one at each launch."""
    program = assemble(
        """
        .kernel k
        .param y, out, f32, [4]
        .param n, i64
        .tile b, sram, bf16, [4, 4]
        .tile a, sram, bf16, [1, 4]
        .tile c, acc, f32, [1, 4]
        .tile o, sram, f32, [1, 4]
        .tile p, hbm, bf16, [4, 4], at=0x1000
        vfill a, 1.0
        add x6, args, 64
        tbase t40, p, x6
        dma.load b, t40
        mm c, a, b
        vmov o, c
        tinsert t41, y, 0
        dma.store t41, o
        halt
        """,
        "block",
    )
    device = Device("small", native=False)
    y = device.zeros((4,), f32)
    for bits in (0x3F80, 0x4000, 0x4080):
        device.launch(program, "k", [y, bits])
        assert y.numpy()[0] == np.array([bits], np.uint16).view(BF16)[0]


def test_a_tensor_that_is_frozen_after_a_launch_is_read_only() -> None:
    program = assemble(
        " .kernel k\n .param y, in, f32, [8, 8]\n .tile a, sram, f32, [8, 8]\n vfill a, 9.0\n dma.store y, a\n halt\n",
        "frozen",
    )
    device = Device("small")
    y = device.zeros((8, 8), f32)
    for _ in range(3):
        device.launch(program, "k", [y])
    y.freeze()
    with pytest.raises(MachineError) as e:
        device.launch(program, "k", [y])
    assert e.value.category == "read-only"


def test_a_restored_tensor_has_no_old_float32_copy() -> None:
    program = assemble(PRODUCT.format("bf16"), "wide")
    device = Device("small", native=False)
    x, w = device.tensor(np.ones((32, 64), BF16)), device.tensor(np.ones((64, 48), BF16))
    before = device.snapshot()
    w.view()[...] = 2
    w.freeze()
    assert device.launch(program, "k", [x, w]).outputs["y"].numpy()[0, 0] == 128
    device.restore(before)
    assert device.launch(program, "k", [x, w]).outputs["y"].numpy()[0, 0] == 64


def test_a_fault_leaves_what_was_loaded_before() -> None:
    program = assemble(
        """
        .kernel k
        .param w, in, f32, [8, 8]
        .param n, in, i32, [8]
        .tile b, sram, f32, [8, 8]
        .tile i, sram, i32, [8]
        dma.load i, n
        dma.load b, w
        dma.gather b, w, i
        halt
        """,
        "fault",
    )
    device = Device("small")
    with pytest.raises(MachineError):
        device.launch(program, "k", [np.ones((8, 8), np.float32), np.full(8, 99, np.int32)])
    assert (device.memories.sram[:256].view(np.float32) == 1).all()
