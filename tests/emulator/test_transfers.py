"""Transfers that no single case of a row shows: four strided dimensions, transposes, conversions, lengths, pages."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from sohu.emulator import Device
from sohu.isa import Tile

from tests.emulator.support import Array, after_prologue, kernel, named, run, stopped


def numbers(*shape: int, dtype: type = np.float32) -> Array:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def test_four_dimensions_strided_on_both_sides() -> None:
    """A block from the middle of a tensor to the middle of a tile, with axes exchanged on the way."""
    x = numbers(5, 6, 7, 8)
    body = """
        viota whole, -1000
        tslice t40, x, 0, 1, 2
        tslice t40, t40, 1, 2, 3
        tslice t40, t40, 2, 0, 4
        tslice t40, t40, 3, 3, 5      # [2, 3, 4, 5]
        tswap t40, t40, 0, 3          # [5, 3, 4, 2]
        tslice t41, whole, 0, 1, 5
        tslice t41, t41, 3, 2, 2      # of [7, 3, 4, 6]
        drain
        dma.load t41, t40, q=3
        drain
        tswap t40, t40, 0, 3
        tswap t41, t41, 0, 3
        tswap t42, y, 0, 1            # y is [3, 2, 4, 5]
        dma.store t42, t41
    """
    declarations = """.param x, in, f32, [5, 6, 7, 8]
        .param y, out, f32, [3, 2, 4, 5]
        .tile whole, sram, f32, [7, 3, 4, 6]"""
    y = np.zeros((3, 2, 4, 5), np.float32)
    device, _ = run(body, declarations, [x, y])
    block = x[1:3, 2:5, 0:4, 3:8]
    whole = np.broadcast_to(np.arange(-1000, -994), (7, 3, 4, 6)).astype(np.float32).copy()
    whole[1:6, :, :, 2:4] = block.transpose(3, 1, 2, 0)
    assert np.array_equal(named(device.machine, "whole"), whole)
    assert np.array_equal(y, block.transpose(1, 0, 2, 3))


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16, np.int32])
def test_a_transpose_that_converts(dtype: type) -> None:
    x = (numbers(6, 4) * 1.37 - 9).astype(np.float32)
    name = {"bfloat16": "bf16", "float16": "f16", "int32": "i32"}[np.dtype(dtype).name]
    y = np.zeros((6, 4), np.float32)
    body = "tswap t40, x, 0, 1\n dma.load t, t40\n drain\n tswap t41, t, 0, 1\n dma.store y, t41"
    declarations = f".param x, in, f32, [6, 4]\n.param y, out, f32, [6, 4]\n.tile t, sram, {name}, [4, 6]"
    device, _ = run(body, declarations, [x, y])
    assert np.array_equal(named(device.machine, "t"), x.T.astype(dtype))
    assert np.array_equal(y, x.astype(dtype).astype(np.float32))


def test_a_fill_of_every_second_column() -> None:
    """Strides of a descriptor that no view instruction makes."""
    tiles = ".tile t, sram, i32, [4, 6]\n.tile half, sram, i32, [4, 3]"
    device = Device("small")
    after_prologue(device, kernel("vfill t, 7.0\n drain\n dma.fill half, -1.0", tiles))
    machine = device.machine
    whole, half = (machine.t[d.reg] for d in machine.program.kernels["k"].tiles)
    assert whole is not None and half is not None
    machine.t[machine.t.index(half)] = Tile(whole.space, whole.dtype, whole.base, (4, 3), (6, 2))
    machine.run()
    want = np.full((4, 6), 7, np.int32)
    want[:, ::2] = -1
    assert np.array_equal(named(machine, "t"), want)


LENGTHS = """.param n, i64
    .param x, in, f32, [9, 4]
    .param y, inout, f32, [9, 4]
    .tile t, sram, f32, [9, 4]"""


@pytest.mark.parametrize("n", [0, 1, 5, 9])
def test_lengths_from_registers(n: int) -> None:
    """One program, any length up to the room: loads and stores touch nothing behind it."""
    x, y = numbers(9, 4), np.full((9, 4), -1, np.float32)
    body = """tset t40, x, 0, n
        tset t41, t, 0, n
        tset t42, y, 0, n
        dma.load t41, t40
        drain
        dma.store t42, t41"""
    run(body, LENGTHS, [n, x, y])
    assert np.array_equal(y[:n], x[:n]) and (y[n:] == -1).all()


def test_a_length_beyond_the_tensor() -> None:
    e = stopped("tset t40, x, 0, n\n dma.load t, t40", LENGTHS, [10, numbers(9, 4), numbers(9, 4)])
    assert e.category == "out-of-bounds"


PAGED = """
    .param start, i64
    .param pool, inout, f32, [4, 3, 2]
    .tile pages, sram, i32, [3]
    .tile rows, sram, f32, [4, 2]
"""


@pytest.mark.parametrize(
    ("pages", "start", "operand", "says"),
    [
        ("viota pages, 1", 6, "start", "rows 6 to 9 of a sequence in 3 pages of 3 rows"),
        ("viota pages, 1", -1, "start", "rows -1 to 2 of a sequence in 3 pages of 3 rows"),
        ("viota pages, 3", 1, "pages", "pages[1] = 4 is outside a pool of 4 pages"),
        ("viota pages, -1", 2, "pages", "pages[0] = -1 is outside a pool of 4 pages"),
    ],
)
@pytest.mark.parametrize("operands", ["gather.pages rows, pool", "scatter.pages pool, rows"])
def test_rows_that_no_page_holds(operands: str, pages: str, start: int, operand: str, says: str) -> None:
    e = stopped(f"{pages}\n drain\n dma.{operands}, pages, start", PAGED, [start, numbers(4, 3, 2)])
    assert (e.category, e.operand, e.message) == ("out-of-bounds", operand, says)


def test_pages_that_are_not_needed_may_be_anything() -> None:
    pool = numbers(4, 3, 2)
    device, _ = run("viota pages, -1\n drain\n dma.gather.pages rows, pool, pages, start", PAGED, [3, pool])
    assert np.array_equal(named(device.machine, "rows"), np.concatenate([pool[0], pool[1, :1]]))
    run("viota pages, 9\n tset t40, rows, 0, x0\n drain\n dma.gather.pages t40, pool, pages, start", PAGED, [99, pool])


def test_an_index_above_the_table_adds_nothing() -> None:
    table = numbers(3, 2)
    before = table.copy()
    body = "viota index, 2\n vfill rows, 1.0\n drain\n dma.scatter.add table, rows, index"
    declarations = """.param table, inout, f32, [3, 2]
        .tile rows, sram, f32, [2, 2]
        .tile index, sram, i32, [2]"""
    e = stopped(body, declarations, [table])
    assert (e.category, e.message) == ("out-of-bounds", "index[1] = 3 is outside a table of 3 rows")
    assert np.array_equal(table, before)


def test_sums_of_a_narrow_table_are_rounded_once() -> None:
    table = np.array([[256.0]], ml_dtypes.bfloat16)
    body = "vfill rows, 1.0\n vfill index, 0.0\n drain\n dma.scatter.add table, rows, index"
    declarations = """.param table, inout, bf16, [1, 1]
        .tile rows, sram, f32, [3, 1]
        .tile index, sram, i32, [3]"""
    run(body, declarations, [table])
    assert float(table[0, 0]) == 260.0  # 259 to the nearest bfloat16; one by one it would stay 256
