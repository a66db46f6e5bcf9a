"""Of which elements an instruction made an element: for every row, by its example, and for what is known exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.emulator import Device, Tensor, examples
from sohu.emulator.checks import Hooks
from sohu.emulator.provenance import Entry, Origin, Part, Place, Recorder, index_of, place_of
from sohu.isa import ROWS, Row, Space, Tile, bf16, f32, fp4x2, i32, u8
from sohu.isa.numerics import convert, widen

from tests.emulator.support import kernel, random_floats

Array = np.ndarray[Any, np.dtype[Any]]


def recorded(device: Device) -> Recorder:
    """Its recorder, which is on from now on."""
    recorder = Recorder(device.machine)
    device.machine.hooks = Hooks((recorder,))
    return recorder


def number(x: Any) -> float:
    return float(x) if np.asarray(x).dtype.itemsize > 2 else float(widen(np.asarray(x)[None])[0])


class Ran(NamedTuple):
    """A kernel that has run to its end."""

    device: Device
    recorder: Recorder
    tensors: list[Tensor]  # of which views are asked for


def asked(it: Ran, name: str, *index: int) -> Origin:
    """Where an element of a declared tile or parameter comes from, when the kernel has ended."""
    device, recorder, _ = it
    k = device.machine.program.kernels["k"]
    reg = next(d.reg for d in (*k.tiles, *(p for p in k.params if p.is_tensor)) if d.name == name)
    tile = device.machine.t[reg]
    assert tile is not None
    write = recorder.last(recorder.log, place_of(tile, index), 1 << 60)
    assert write is not None and write.output is not None
    instruction = recorder.log[write.number].instruction(device.machine)
    assert instruction is not None
    return instruction.origin(write.output, write.index, number(device.machine.view(tile)[index]))


def ran(body: str, tiles: str, args: Any = ()) -> Ran:
    """A kernel that has run to its end on the small chip."""
    device = Device("small")
    recorder = recorded(device)
    tensors = [device.tensor(a) for a in args]
    device.launch(kernel(body, tiles), "k", tensors)
    return Ran(device, recorder, tensors)


def where(origin: Origin, count: int | None = None) -> list[tuple[str, tuple[int, ...]]]:
    """Operands and indices of its parts."""
    return [(p.operand, p.index) for p in origin.parts[:count]]


# -- every row ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [r for r in ROWS if r.data and not r.collective], ids=lambda r: r.mnemonic)
def test_every_row_tells(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each element of its example's results: what went into it is there, and is right where it is only moved."""
    devices: list[tuple[Device, Recorder]] = []

    def device(*args: Any, **options: Any) -> Device:
        made = Device(*args, **options)
        devices.append((made, recorded(made)))
        return made

    monkeypatch.setattr(examples, "Device", device)
    examples.run_example(row)
    made, recorder = devices[0]
    log = [e for e in recorder.log if e.op.inst is not None and e.op.inst.row is row]
    for entry in log[-1:]:
        assert entry.bound is not None
        for output, (spec, view) in enumerate(zip(entry.bound.recipe.specs, entry.bound.views, strict=True)):
            if spec.writes:
                for flat in range(min(view.array.size, 12)):
                    index = tuple(int(i) for i in np.unravel_index(flat, view.array.shape))
                    _one(made, recorder, entry, output, index, view.array[index])


def _one(device: Device, recorder: Recorder, entry: Entry, output: int, index: tuple[int, ...], stored: Any) -> None:
    assert entry.bound is not None and entry.op.inst is not None
    row, tile = entry.op.inst.row, entry.bound.tiles[output]
    if recorder.last(recorder.log, place_of(tile, index), 1 << 60) is None:
        return
    instruction = entry.instruction(device.machine)
    assert instruction is not None and entry.arrays is not None
    origin = instruction.origin(output, index, number(stored))
    assert origin.kind in ("moved", "computed", "made", "kept")
    names = [o.name for _, o, _ in row.data]
    for p in origin.parts:
        at = names.index(p.operand)
        held = number(entry.arrays[at][p.index])
        assert held == p.value or (np.isnan(held) and np.isnan(p.value))
    if origin.kind == "moved":
        (source,) = origin.parts
        assert source.operand in row.moves
        array = entry.arrays[names.index(source.operand)]
        if tile.dtype.np == array.dtype:
            assert array[source.index].tobytes() == np.asarray(stored).tobytes()
        elif tile.dtype.np.kind not in "iu" and array.dtype.kind not in "iu":
            near = number(convert(array[source.index][None], tile.dtype.np)[0])
            same = near == number(stored) or (np.isnan(near) and np.isnan(number(stored)))
            assert same or row.mnemonic == "vcast.sr"
    elif origin.kind == "computed":
        assert origin.parts and origin.of >= len({(p.operand, p.index) for p in origin.parts})
    else:
        reads = [s for s in entry.bound.recipe.specs if s.reads]
        assert origin.kind == "kept" or not reads or row.moves


# -- what is known exactly ---------------------------------------------------------------------------------

X = random_floats((4, 8))
Y = np.zeros((8, 4), np.float32)
TILES = ".param x, in, f32, [4, 8]\n.param y, out, f32, [8, 4]\n" + "\n".join(
    f".tile {n}, {s}, {d}, [{shape}]"
    for n, s, d, shape in (
        ("a", "sram", "f32", "4, 8"),
        ("b", "sram", "f32", "8, 4"),
        ("r", "sram", "f32", "4, 1"),
        ("i", "sram", "i32", "4, 1"),
        ("m", "acc", "f32", "4, 4"),
        ("h", "sram", "bf16", "4, 8"),
    )
)


def test_a_transposed_copy() -> None:
    it = ran("dma.load a, x\n tswap t40, y, 0, 1\n dma.store t40, a", TILES, [X, Y])
    for row, column in ((0, 0), (7, 3), (5, 2)):
        origin = asked(it, "y", row, column)
        assert origin.kind == "moved" and where(origin) == [("src", (column, row))]
    assert asked(it, "a", 2, 5).parts[0].tile.space is Space.HBM


def test_products_by_what_each_contributes() -> None:
    body = "dma.load a, x\n tswap t40, a, 0, 1\n vmov b, t40\n mm m, a, b\n mma m, a, b"
    it = ran(body, TILES, [X, Y])
    origin = asked(it, "m", 1, 2)
    terms = X[1].astype(np.float64) * X[2]
    assert origin.about == "sum of 8 products" and origin.of == 17
    assert where(origin, 1) == [("acc", (1, 2))]  # the half that was there before is more than any product
    best = int(np.argmax(np.abs(terms)))
    assert ("a", (1, best)) in where(origin) and ("b", (best, 2)) in where(origin)
    shares = {(p.operand, p.index): p.share for p in origin.parts}
    assert shares["a", (1, best)] == pytest.approx(terms[best])


def test_a_maximum_and_a_sum() -> None:
    it = ran("dma.load a, x\n vmax.row r, a", TILES, [X, Y])
    assert where(asked(it, "r", 3, 0), 1) == [("src", (3, int(X[3].argmax())))]
    it = ran("dma.load a, x\n vsum.row r, a", TILES, [X, Y])
    origin = asked(it, "r", 3, 0)
    assert where(origin, 1) == [("src", (3, int(np.abs(X[3]).argmax())))] and origin.about == "sum of 8"


def test_broadcasting() -> None:
    it = ran("dma.load a, x\n vmax.row r, a\n vsub h, a, r", TILES, [X, Y])
    assert sorted(where(asked(it, "h", 2, 5))) == [("a", (2, 5)), ("b", (2, 0))]


def test_nan_is_blamed_on_what_was_nan() -> None:
    x = X.copy()
    x[2, 6] = np.nan
    it = ran("dma.load a, x\n vsum.row r, a\n vadd h, a, r", TILES, [x, Y])
    assert where(asked(it, "r", 2, 0), 1) == [("src", (2, 6))]
    assert where(asked(it, "h", 2, 1), 1) == [("b", (2, 0))]


def test_a_norm_looks_at_its_whole_row() -> None:
    tiles = f"{TILES}\n.tile w, sram, f32, [8]"
    it = ran("dma.load a, x\n vfill w, 1.5\n vrms h, a, w, 0.0", tiles, [X, Y])
    origin = asked(it, "h", 1, 4)
    assert where(origin, 1) == [("src", (1, 4))] and origin.of == 16
    x = X[1].astype(np.float64)
    y = 1.5 * x[4] / np.sqrt((x**2).mean())
    shares = {(p.operand, p.index): p.share for p in origin.parts}
    assert shares["src", (1, 4)] == pytest.approx(y * (1 - x[4] ** 2 / (x**2).sum()), rel=1e-2)
    assert shares["weight", (4,)] == pytest.approx(y, rel=1e-2)


def test_rows_by_index_and_what_a_scatter_leaves() -> None:
    tiles = (
        ".param x, in, f32, [4, 8]\n.param p, in, i32, [2]\n.param y, inout, f32, [4, 8]\n"
        ".tile a, sram, f32, [2, 8]\n.tile n, sram, i32, [2]"
    )
    body = "dma.load n, p\n dma.gather a, x, n\n dma.scatter y, a, n"
    it = ran(body, tiles, [X, np.array([3, 1], np.int32), np.zeros((4, 8), np.float32)])
    assert where(asked(it, "a", 0, 5)) == [("table", (3, 5))]
    assert where(asked(it, "y", 1, 2)) == [("src", (1, 2))]
    assert asked(it, "y", 0, 2).kind == "kept"


def test_constants_come_of_nothing() -> None:
    it = ran("vfill a, 2.5\n viota i, 3", TILES, [X, Y])
    assert asked(it, "a", 1, 1) == Origin("made")
    assert asked(it, "i", 1, 0) == Origin("made")


def test_too_much_is_not_kept() -> None:
    device = Device("small")
    recorder = Recorder(device.machine, memory=100)
    device.machine.hooks = Hooks((recorder,))
    device.launch(kernel("dma.load a, x\n vexp a, a\n vmax.row r, a", TILES), "k", [X, Y])
    assert [e.arrays is None for e in recorder.log] == [True, True, True]
    assert recorder.log[-1].instruction(device.machine) is None


# -- where elements lie ------------------------------------------------------------------------------------


@given(
    dims=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    order=st.randoms(use_true_random=False),
    gaps=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    data=st.data(),
)
def test_an_element_is_found_by_its_address(dims: list[int], order: Any, gaps: list[int], data: st.DataObject) -> None:
    axes = list(range(len(dims)))
    order.shuffle(axes)
    strides, step = [0] * len(dims), 1
    for axis, gap in zip(axes, gaps, strict=False):
        strides[axis] = step if data.draw(st.booleans()) else -step
        step = step * dims[axis] + gap
    dtype = data.draw(st.sampled_from([f32, bf16, u8]))
    tile = Tile(Space.SRAM, dtype, 4096, dims, strides)
    index = tuple(data.draw(st.integers(0, d - 1)) for d in dims)
    assert index_of(tile, place_of(tile, index)) == index
    low, high = tile.extent()
    mine = {place_of(tile, i).low for i in np.ndindex(*dims)}
    for address in range(low - dtype.itemsize, high + dtype.itemsize, dtype.itemsize):
        found = index_of(tile, Place(Space.SRAM, address, address + dtype.itemsize))
        assert (found is not None) == (address in mine)


def test_another_dtype_in_the_same_place() -> None:
    wide = Tile(Space.SRAM, f32, 0, [4])
    narrow = Tile(Space.SRAM, bf16, 0, [8])
    assert index_of(wide, place_of(narrow, (5,))) == (2,) and index_of(narrow, place_of(wide, (2,))) == (4,)
    assert index_of(wide, Place(Space.ACC, 0, 4)) is None
    assert index_of(Tile(Space.SRAM, i32, 0, [0]), Place(Space.SRAM, 0, 4)) is None
    broadcast = Tile(Space.SRAM, f32, 0, [4, 4], [0, 1])
    assert index_of(broadcast, place_of(broadcast, (3, 2))) == (0, 2)
    assert Part("a", Tile(Space.SRAM, fp4x2, 0, [2]), (0,), 1.0).share is None
