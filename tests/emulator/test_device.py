"""Tensors, loading and launching; what is said about wrong arguments."""

from __future__ import annotations

import gc
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import Kernel, Program, assemble
from sohu.emulator import ArgumentError, Device
from sohu.isa import SohuError, bf16, f32, i32, load_chip

from tests.emulator.support import kernel, random_floats

DOUBLE = """
 .kernel k
 .param x, in, f32, [R, C]
 .param y, out, f32, [R, C]
 .param z, inout, f32, [C]
 .param n, i64, reg=x11
 .param s, f32, reg=x12
 .bound C, 8
 .tile a, sram, f32, [4, 8]
 .tile b, sram, f32, [8]
 tget x5, x, 0
 tget x6, x, 1
 tset t30, a, 0, x5
 tset t30, t30, 1, x6
 tset t31, b, 0, x6
 dma.load t30, x
 vmuls t30, t30, x12
 dma.store y, t30
 dma.load t31, z
 vadds t31, t31, 1.0
 dma.store z, t31
 halt
"""


@pytest.fixture(scope="module")
def program() -> Program:
    return assemble(DOUBLE, "double.s")


@pytest.fixture
def device() -> Device:
    return Device("small")


def good(**changes: Any) -> dict[str, Any]:
    args = {"x": random_floats((3, 5)), "z": np.zeros(5, np.float32), "n": 7, "s": 2.0} | changes
    return {name: value for name, value in args.items() if value is not None}


# -- tensors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.float16, np.int32, np.uint8])
def test_tensors_hold_what_they_are_given(device: Device, dtype: Any) -> None:
    array = (np.arange(24) % 7).reshape(2, 3, 4).astype(dtype)
    t = device.tensor(array, "name")
    assert t.shape == (2, 3, 4) and t.dtype.np == array.dtype and t.name == "name" and t.nbytes == array.nbytes
    assert t.address % 64 == 0
    copy, view = t.numpy(), t.view()
    assert np.array_equal(copy, array) and copy.dtype == array.dtype
    view[0, 0, 0] = 5
    assert t.numpy()[0, 0, 0] == 5 and copy[0, 0, 0] == 0


def test_a_tensor_of_a_strided_array_is_dense(device: Device) -> None:
    x = random_floats((4, 6))[::2, ::-1]
    assert np.array_equal(device.tensor(x).numpy(), x)


def test_reshaped_tensors_share_memory(device: Device) -> None:
    t = device.tensor(random_floats((4, 6)))
    r = t.reshape(2, -1)
    assert r.shape == (2, 12) and r.address == t.address
    r.view()[0, 0] = 9
    assert t.numpy()[0, 0] == 9
    for wrong in ((5, 5), (-1, 7), (-1, -1), (), (1, 2, 3, 2, 2)):
        with pytest.raises(SohuError, match="has no shape"):
            t.reshape(*wrong)


def test_zeros_are_zero_also_in_memory_used_before(device: Device) -> None:
    t = device.tensor(np.full(1000, 7, np.float32))
    address = t.address
    t.free()
    z = device.zeros((1000,), f32)
    assert z.address == address and not z.numpy().any()
    e = device.empty((10, 10), bf16)
    assert e.shape == (10, 10) and e.dtype is bf16


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4, 5), (-1,), (1 << 32,)])
def test_shapes_that_no_tile_has(device: Device, shape: tuple[int, ...]) -> None:
    with pytest.raises(SohuError, match=r"dimensions|no shape"):
        device.empty(shape, f32)


def test_dtypes_that_the_chip_lacks(device: Device) -> None:
    with pytest.raises(SohuError, match="the chip has no dtype float64") as e:
        device.tensor(np.zeros(3))
    assert "bf16" in e.value.help


def test_a_full_memory_says_so(device: Device) -> None:
    with pytest.raises(
        SohuError, match=r"HBM has no room for 2,147,483,648 bytes: big; 1,0\d\d,\d\d\d,\d\d\d are free"
    ):
        device.empty((1 << 29,), f32, "big")


def test_memory_is_given_back_with_the_last_user(device: Device) -> None:
    used = len(device.hbm.allocations)
    t = device.tensor(random_floats((4, 6)))
    view = t.reshape(24).view()[3:]
    address = t.address
    assert len(device.hbm.allocations) == used + 1
    del t
    gc.collect()
    assert len(device.hbm.allocations) == used + 1
    del view
    assert len(device.hbm.allocations) == used
    assert device.empty((1,), f32).address == address


def test_a_freed_tensor_cannot_be_read(device: Device) -> None:
    t = device.tensor(random_floats((4,)), "t")
    t.free()
    t.free()
    assert not t.live
    with pytest.raises(SohuError, match=r"tensor t .* has been freed"):
        t.numpy()


def test_the_whole_address_space_costs_nothing() -> None:
    device = Device("sohu")
    assert device.hbm.size == device.chip.hbm_bytes == 144_000_000_000
    big = device.zeros((50, 1 << 30), bf16)  # 107 GB
    assert not big.view()[::7, :: 1 << 26].any()
    with pytest.raises(SohuError, match="HBM has no room"):
        device.empty((50, 1 << 30), bf16)


# -- launching --------------------------------------------------------------------------------------------


def test_arrays_go_in_and_come_back(device: Device, program: Program) -> None:
    args = good()
    result = device.launch(program, "k", args)
    assert np.array_equal(result.outputs["y"].numpy(), args["x"] * 2)
    assert args["z"].tolist() == [1] * 5
    assert set(result.outputs) == {"y"} and result.instructions == len(program) and result.cycles is None
    assert device.machine.x[11] == 7


def test_tensors_are_used_in_place(device: Device, program: Program) -> None:
    x, z = device.tensor(random_floats((3, 5))), device.zeros((5,), f32)
    y = device.empty((3, 5), f32)
    for _ in range(3):  # the second time takes the short way
        result = device.launch(program, "k", [x, y, z, 7, 2.0])
        assert result.outputs["y"] is y
    assert np.array_equal(y.numpy(), x.numpy() * 2) and z.numpy().tolist() == [3] * 5


def test_an_output_array_is_written(device: Device, program: Program) -> None:
    y = np.zeros((3, 5), np.float32)
    args = good(y=y)
    device.launch(program, "k", args)
    assert np.array_equal(y, args["x"] * 2)


def test_arguments_in_order_with_and_without_outputs(device: Device, program: Program) -> None:
    a = good()
    y = np.zeros((3, 5), np.float32)
    device.launch(program, "k", [a["x"], y, a["z"], 7, 2.0])
    result = device.launch(program, "k", (a["x"], a["z"], 7, 2))
    assert np.array_equal(result.outputs["y"].numpy(), y) and y.any()


def test_the_short_way_checks_all_the_same(device: Device, program: Program) -> None:
    x, y, z = device.zeros((3, 5), f32), device.zeros((3, 5), f32), device.zeros((5,), f32)
    device.launch(program, "k", [x, y, z, 1, 1.0])
    with pytest.raises(ArgumentError, match="C = 4"):
        device.launch(program, "k", [x, y, device.zeros((4,), f32), 1, 1.0])
    with pytest.raises(ArgumentError, match="dtype i32"):
        device.launch(program, "k", [device.zeros((3, 5), i32), y, z, 1, 1.0])
    with pytest.raises(ArgumentError, match="an integer"):
        device.launch(program, "k", [x, y, z, 1.5, 1.0])
    device.launch(program, "k", [x, z, 1, 1.0])  # shapes in another order, the output being made last
    with pytest.raises(ArgumentError, match="rank"):
        device.launch(program, "k", [x, z, y, 1, 1.0])
    z.free()
    with pytest.raises(ArgumentError, match="freed"):
        device.launch(program, "k", [x, y, z, 1, 1.0])


READ_ONLY = np.zeros(5, np.float32)
READ_ONLY.flags.writeable = False

WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("dtype", {"x": np.zeros((3, 5))}, "argument x of kernel k: dtype float64, wants dtype f32",
     "x.astype(np.float32)"),
    ("bf16", {"x": np.zeros((3, 5), ml_dtypes.bfloat16)}, "dtype bfloat16, wants dtype f32", ""),
    ("list", {"x": [[1.0]]}, "argument x of kernel k: [[1.0]] (list), wants in f32[R, C]", "give a NumPy array"),
    ("rank", {"x": np.zeros(5, np.float32)}, "shape [5] of rank 1, wants rank 2: [R, C]", ""),
    ("dims", {"z": np.zeros(4, np.float32)}, "argument z of kernel k: shape [4]: C = 4, wants [C]: C = 5 as in x", ""),
    ("bound", {"x": np.zeros((3, 9), np.float32)}, "shape [3, 9]: C = 9, wants C <= 8", "compile it again"),
    ("strided", {"x": np.zeros((5, 3), np.float32).T}, "not C-contiguous", "np.ascontiguousarray(x)"),
    ("read-only", {"z": READ_ONLY}, "a read-only array", "z.copy()"),
    ("missing", {"x": None}, "argument x is missing", "k(x: in f32[R, C], y: out"),
    ("unknown", {"xx": 1}, "no parameter 'xx'", "did you mean 'x'?"),
    ("far", {"weights": 1}, "no parameter 'weights'", "k(x: in f32[R, C]"),
    ("float", {"n": 1.0}, "argument n of kernel k: 1.0 (float), wants an integer (i64)", ""),
    ("bool", {"n": True}, "argument n of kernel k: True (bool), wants an integer (i64)", ""),
    ("large", {"n": 1 << 63}, "does not fit 64 bits", ""),
    ("scalar", {"s": np.zeros(1)}, "an array of shape [1], wants a number (f32)", ""),
    ("text", {"s": "2"}, "'2' (str), wants a number (f32)", ""),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message", "help"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_arguments(device: Device, program: Program, changes: dict[str, Any], message: str, help: str) -> None:
    used = len(device.hbm.allocations)
    with pytest.raises(ArgumentError) as e:
        device.launch(program, "k", good(**changes))
    assert message in e.value.message and help in e.value.help
    del e
    gc.collect()
    assert len(device.hbm.allocations) <= used + 1  # nothing but the program stays


@pytest.mark.parametrize("count", [0, 3, 6])
def test_a_wrong_number_of_arguments(device: Device, program: Program, count: int) -> None:
    with pytest.raises(ArgumentError, match=rf"takes 4 arguments \(or 5, with its outputs\), {count} given"):
        device.launch(program, "k", [1] * count)


@pytest.mark.parametrize("args", ["x", 5, np.zeros(3)])
def test_arguments_that_are_no_list(device: Device, program: Program, args: Any) -> None:
    with pytest.raises(ArgumentError, match=r"arguments of kernel k|takes 4 arguments"):
        device.launch(program, "k", args)


def test_tensors_of_another_device_are_refused(device: Device, program: Program) -> None:
    other = Device("small")
    with pytest.raises(ArgumentError, match="a tensor of another device"):
        device.launch(program, "k", good(x=other.tensor(random_floats((3, 5)))))
    with pytest.raises(ArgumentError, match="loaded on another device"):
        device.launch(other.load(program), "k", good())


def test_an_output_whose_size_nobody_gives(device: Device) -> None:
    with pytest.raises(ArgumentError, match="no other argument says how large N is"):
        device.launch(kernel("nop", ".param y, out, f32, [N, 4]"), "k")


def test_fixed_dimensions_are_checked(device: Device) -> None:
    program = kernel("nop", ".param x, in, f32, [R, 64]")
    device.launch(program, "k", [np.zeros((2, 64), np.float32)])
    with pytest.raises(ArgumentError, match=r"shape \[2, 63\], wants \[R, 64\]"):
        device.launch(program, "k", [np.zeros((2, 63), np.float32)])


def test_float_scalars_arrive_as_float32_bits(device: Device) -> None:
    device.launch(kernel("nop", ".param s, f32, reg=x11\n.param n, i64, reg=x12"), "k", [-1.5, -3])
    assert device.machine.x[11:13] == [0xBFC00000, -3]


def test_unknown_kernels(device: Device, program: Program) -> None:
    with pytest.raises(SohuError, match="no kernel 'softmax'") as e:
        device.launch(program, "softmax")
    assert e.value.help == "there are: k"


# -- loading ----------------------------------------------------------------------------------------------


def test_a_program_is_loaded_once(device: Device, program: Program) -> None:
    loaded = device.load(program)
    assert device.load(program) is loaded
    used = len(device.hbm.allocations)
    device.launch(program, "k", good())
    device.launch(loaded, "k", good())
    gc.collect()
    assert len(device.hbm.allocations) == used
    image = device.hbm.load_bytes(loaded.address, len(program.text))
    assert image == program.text
    assert device.hbm.load_bytes(loaded.address + program.rodata_address, 64) == program.rodata[:64]


def test_a_changed_program_is_loaded_again(device: Device) -> None:
    a, b = assemble(" .kernel k\n li x5, 1\n halt"), assemble(" .kernel k\n li x5, 2\n halt")
    device.launch(a, "k")
    a.text = b.text
    device.launch(a, "k")
    assert device.machine.x[5] == 2


def test_broken_programs_are_refused(device: Device) -> None:
    with pytest.raises(SohuError, match="ends within an instruction"):
        device.load(Program(b"123"))
    with pytest.raises(SohuError, match=r"starts outside \.text"):
        device.load(Program(bytes(16), kernels={"k": Kernel("k", 16, 32)}))
    params = assemble(" .kernel k\n .param n, i64\n halt").kernels["k"].params * 200
    with pytest.raises(SohuError, match="200 parameters; 128 are possible"):
        device.load(Program(bytes(16), kernels={"k": Kernel("k", 0, 16, params)}))


def test_unknown_chips() -> None:
    with pytest.raises(SohuError, match="unknown chip 'smal'"):
        Device("smal")
    assert Device(load_chip("small")).chip.name == "small"


def test_finish_needs_an_end(device: Device, program: Program) -> None:
    with pytest.raises(SohuError, match="no kernel has run to its end"):
        device.finish()
    device.start(program, "k", good())
    with pytest.raises(SohuError, match="no kernel has run to its end"):
        device.finish()
    device.machine.run()
    assert device.finish().outputs["y"].shape == (3, 5)


def test_kernels_follow_one_another_with_memory_kept() -> None:
    device = Device("small")
    tile = ".tile a, sram, f32, [1], at=256"
    device.launch(kernel("vfill a, 3.0", tile), "k")
    device.launch(kernel("vadds a, a, 1.0 signal s1\n sld x6, a wait s1>=1", tile), "k")
    assert device.machine.x[6] == 0x40800000


def test_loading_costs_no_object_per_instruction() -> None:
    program = assemble(" .kernel k\n" + "add x5, x5, 1\n" * 50_000 + " halt\n", "k.s")
    device = Device("small")
    before = sys.getallocatedblocks()
    loaded = device.load(program)
    device.start(loaded, "k")
    device.machine.run({32})
    assert sys.getallocatedblocks() - before < 5_000  # one instruction in ten
