"""What the tests of the emulator share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.asm import Program, assemble
from sohu.emulator import Device, MachineError, Result
from sohu.isa import Fault

Array = NDArray[Any]


@functools.cache
def kernel(body: str, declarations: str = "") -> Program:
    """A program with one kernel `k`."""
    return assemble(f" .kernel k\n{declarations}\n{body}\n halt\n", "k.s")


def run(body: str, declarations: str = "", args: Any = (), device: Device | None = None) -> tuple[Device, Result]:
    """Run a kernel on the small chip; gives the device for its registers."""
    device = device or Device("small")
    return device, device.launch(kernel(body, declarations), "k", args)


def registers(body: str, *regs: int) -> list[int]:
    """Scalar registers after a kernel without parameters."""
    device, _ = run(body)
    return [device.machine.x[r] for r in regs]


def stopped(body: str, declarations: str = "", args: Any = (), device: Device | None = None) -> MachineError:
    """The error that stops a kernel."""
    with pytest.raises(MachineError) as e:
        run(body, declarations, args, device)
    return e.value


def named(machine: Any, name: str) -> Array:
    """The elements of a declared tile or tensor parameter of kernel `k`, in place, by the register it is in."""
    k = machine.program.kernels["k"]
    reg = next(d.reg for d in (*k.tiles, *(p for p in k.params if p.is_tensor)) if d.name == name)
    tile = machine.t[reg]
    assert tile is not None, f"{name} has not been loaded yet"
    view: Array = machine.view(tile)
    return view


def after_prologue(device: Device, program: Program, args: Any = ()) -> None:
    """Start kernel `k` and step until its first own instruction."""
    device.start(program, "k", args)
    k = program.kernels["k"]
    for _ in range(len(k.params) + len(k.tiles)):
        device.machine.step()


def raises_fault(category: str, action: Callable[[], Any]) -> Fault:
    """The fault that an action raises, of this category."""
    with pytest.raises(Fault) as e:
        action()
    assert e.value.category == category
    return e.value


def random_floats(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Some float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
