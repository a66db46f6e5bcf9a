"""Rotary embeddings made of their instructions: positions along several axes, and a partial rotation in place."""

from __future__ import annotations

import numpy as np
from sohu.emulator import Device

from tests.emulator.support import after_prologue, kernel, named, random_floats


def test_sections_of_the_columns_have_positions_of_their_own() -> None:
    """As for images and video: time, height and width turn 2, 3 and 3 of the 8 pairs of an axis of 20."""
    sections = ((0, 2), (2, 3), (5, 3))
    lines = []
    for axis, (first, count) in enumerate(sections):
        lines += [f"tslice t{40 + i}, {tile}, {a}, {first}, {count}" for i, (tile, a) in
                  enumerate((("cos", 1), ("sin", 1), ("frequency", 0)))]  # fmt: skip
        lines += [f"tslice t43, positions, 0, {axis}, 1", "tdrop t43, t43, 0", "vrope.table t40, t41, t43, t42"]
    body = "\n".join([*lines, "vrope.part x, x, cos, sin"])
    declarations = """
        .tile cos, sram, f32, [5, 8]
        .tile sin, sram, f32, [5, 8]
        .tile frequency, sram, f32, [8]
        .tile positions, sram, i32, [3, 5]
        .tile x, sram, bf16, [2, 5, 20]
    """
    device = Device("small")
    after_prologue(device, kernel(body, declarations))
    machine = device.machine
    frequency = (10000.0 ** (-np.arange(8) / 8)).astype(np.float32)
    positions = np.array([[7] * 5, [0, 0, 1, 1, 2], [0, 1, 0, 1, 0]], np.int32)
    named(machine, "frequency")[...] = frequency
    named(machine, "positions")[...] = positions
    named(machine, "x")[...] = random_floats((2, 5, 20))
    x = named(machine, "x").astype(np.float64)
    machine.run()
    axis_of = np.repeat([0, 1, 2], [count for _, count in sections])
    angle = positions[axis_of].T * frequency.astype(np.float64)
    a, b = x[..., :8], x[..., 8:16]
    want = x.copy()
    want[..., :8] = a * np.cos(angle) - b * np.sin(angle)
    want[..., 8:16] = b * np.cos(angle) + a * np.sin(angle)
    np.testing.assert_allclose(named(machine, "x").astype(np.float64), want, rtol=2**-8, atol=1e-2)
    assert np.array_equal(named(machine, "x")[..., 16:].astype(np.float64), x[..., 16:])


def test_a_slice_in_the_middle_of_an_axis_turns_in_place() -> None:
    """As where keys have a part with positions and one without, in this order or the other."""
    body = """
        tslice t40, x, 1, 6, 4
        vrope.table cos, sin, position, frequency
        vrope t40, t40, cos, sin, interleaved=1
    """
    declarations = """
        .tile cos, sram, f32, [3, 2]
        .tile sin, sram, f32, [3, 2]
        .tile frequency, sram, f32, [2]
        .tile position, sram, i32, [3]
        .tile x, sram, f32, [3, 12]
    """
    device = Device("small")
    after_prologue(device, kernel(body, declarations))
    machine = device.machine
    x = random_floats((3, 12))
    position, frequency = np.array([4, 100_000, 9]), np.array([1.0, 0.25], np.float32)
    for name, value in {"x": x, "position": position, "frequency": frequency}.items():
        named(machine, name)[...] = value
    machine.run()
    angle = position[:, None] * frequency.astype(np.float64)
    pairs = x[:, 6:10].astype(np.float64).reshape(3, 2, 2)
    turned = (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angle)
    want = x.copy()
    want[:, 6:10] = np.stack([turned.real, turned.imag], axis=-1).reshape(3, 4)
    np.testing.assert_allclose(named(machine, "x"), want, atol=1e-6)
