"""Sohu: write a kernel in Python, read its assembly, run its binary, step through it as tensors.

This is the front door. A name is fetched from its room (`sohu.isa`, `sohu.dsl`, ...) when it is first used,
so that `import sohu.isa` does not pay for the compiler, and `import sohu` pays for nothing.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"

# The public names: here for type checkers, in the table below for Python. tests/house compares the two.
if TYPE_CHECKING:
    from sohu.asm import assemble as assemble
    from sohu.dsl import CompileError as CompileError
    from sohu.dsl import DTypeVar as DTypeVar
    from sohu.dsl import In as In
    from sohu.dsl import Index as Index
    from sohu.dsl import InOut as InOut
    from sohu.dsl import Kernel as Kernel
    from sohu.dsl import Out as Out
    from sohu.dsl import Scalar as Scalar
    from sohu.dsl import arange as arange
    from sohu.dsl import argmax as argmax
    from sohu.dsl import bf16 as bf16
    from sohu.dsl import cdiv as cdiv
    from sohu.dsl import e8m0 as e8m0
    from sohu.dsl import exp as exp
    from sohu.dsl import f16 as f16
    from sohu.dsl import f32 as f32
    from sohu.dsl import fp4x2 as fp4x2
    from sohu.dsl import fp8e4m3 as fp8e4m3
    from sohu.dsl import fp8e5m2 as fp8e5m2
    from sohu.dsl import full as full
    from sohu.dsl import i8 as i8
    from sohu.dsl import i32 as i32
    from sohu.dsl import isa_op as isa_op
    from sohu.dsl import kernel as kernel
    from sohu.dsl import log as log
    from sohu.dsl import maximum as maximum
    from sohu.dsl import minimum as minimum
    from sohu.dsl import online_softmax as online_softmax
    from sohu.dsl import range as range
    from sohu.dsl import rms_norm as rms_norm
    from sohu.dsl import rope as rope
    from sohu.dsl import rsqrt as rsqrt
    from sohu.dsl import sigmoid as sigmoid
    from sohu.dsl import sqrt as sqrt
    from sohu.dsl import swiglu as swiglu
    from sohu.dsl import tanh as tanh
    from sohu.dsl import u8 as u8
    from sohu.dsl import where as where
    from sohu.dsl import zeros as zeros
    from sohu.dsl import zeros_like as zeros_like
    from sohu.emulator import ArgumentError as ArgumentError
    from sohu.emulator import Device as Device
    from sohu.emulator import MachineError as MachineError
    from sohu.emulator import Tensor as Tensor
    from sohu.isa.errors import SohuError as SohuError

# fmt: off
_NAMES = {
    "sohu.asm": ("assemble",),
    "sohu.dsl": (
        "CompileError", "DTypeVar", "In", "InOut", "Index", "Kernel", "Out", "Scalar", "arange", "argmax", "bf16",
        "cdiv", "e8m0", "exp", "f16", "f32", "fp4x2", "fp8e4m3", "fp8e5m2", "full", "i8", "i32",
        "isa_op", "kernel", "log", "maximum", "minimum", "online_softmax",
        "range", "rms_norm", "rope", "rsqrt", "sigmoid", "sqrt", "swiglu", "tanh", "u8",
        "where", "zeros", "zeros_like",
    ),
    "sohu.emulator": ("ArgumentError", "Device", "MachineError", "Tensor"),
    "sohu.isa.errors": ("SohuError",),
}
# fmt: on
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

if not TYPE_CHECKING:  # a type checker that saw this function would let every misspelled name pass

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name not in _MODULE_OF:
            raise AttributeError(f"module 'sohu' has no attribute '{name}'")
        value = getattr(import_module(_MODULE_OF[name]), name)
        globals()[name] = value  # found without this function from now on
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
