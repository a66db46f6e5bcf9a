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
    from sohu.dsl import add_rms_norm as add_rms_norm
    from sohu.dsl import arange as arange
    from sohu.dsl import argmax as argmax
    from sohu.dsl import argmin as argmin
    from sohu.dsl import bf16 as bf16
    from sohu.dsl import cast as cast
    from sohu.dsl import cdiv as cdiv
    from sohu.dsl import ceil as ceil
    from sohu.dsl import clip as clip
    from sohu.dsl import cos as cos
    from sohu.dsl import cumsum as cumsum
    from sohu.dsl import dequantize as dequantize
    from sohu.dsl import e8m0 as e8m0
    from sohu.dsl import epilogue as epilogue
    from sohu.dsl import erf as erf
    from sohu.dsl import exp as exp
    from sohu.dsl import exp2 as exp2
    from sohu.dsl import f16 as f16
    from sohu.dsl import f32 as f32
    from sohu.dsl import floor as floor
    from sohu.dsl import fma as fma
    from sohu.dsl import fp4x2 as fp4x2
    from sohu.dsl import fp8e4m3 as fp8e4m3
    from sohu.dsl import fp8e5m2 as fp8e5m2
    from sohu.dsl import full as full
    from sohu.dsl import geglu as geglu
    from sohu.dsl import gelu as gelu
    from sohu.dsl import i8 as i8
    from sohu.dsl import i32 as i32
    from sohu.dsl import isa_op as isa_op
    from sohu.dsl import kernel as kernel
    from sohu.dsl import layer_norm as layer_norm
    from sohu.dsl import log as log
    from sohu.dsl import maximum as maximum
    from sohu.dsl import minimum as minimum
    from sohu.dsl import mx_dequantize as mx_dequantize
    from sohu.dsl import mx_matmul as mx_matmul
    from sohu.dsl import mx_quantize as mx_quantize
    from sohu.dsl import online_softmax as online_softmax
    from sohu.dsl import quantize as quantize
    from sohu.dsl import range as range
    from sohu.dsl import relu2 as relu2
    from sohu.dsl import rint as rint
    from sohu.dsl import rms_norm as rms_norm
    from sohu.dsl import rope as rope
    from sohu.dsl import rope_tables as rope_tables
    from sohu.dsl import router as router
    from sohu.dsl import rsqrt as rsqrt
    from sohu.dsl import sigmoid as sigmoid
    from sohu.dsl import silu as silu
    from sohu.dsl import sin as sin
    from sohu.dsl import softcap as softcap
    from sohu.dsl import sort as sort
    from sohu.dsl import sqrt as sqrt
    from sohu.dsl import swiglu as swiglu
    from sohu.dsl import take_along_axis as take_along_axis
    from sohu.dsl import tanh as tanh
    from sohu.dsl import topk as topk
    from sohu.dsl import tree_softmax as tree_softmax
    from sohu.dsl import u8 as u8
    from sohu.dsl import uniform as uniform
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
        "CompileError", "DTypeVar", "In", "InOut", "Index", "Kernel", "Out", "Scalar", "add_rms_norm", "arange",
        "argmax", "argmin", "bf16", "cast", "cdiv", "ceil", "clip", "cos", "cumsum", "dequantize", "e8m0",
        "epilogue", "erf", "exp", "exp2", "f16", "f32", "floor", "fma", "fp4x2", "fp8e4m3", "fp8e5m2", "full",
        "geglu", "gelu", "i32", "i8", "isa_op", "kernel", "layer_norm", "log", "maximum", "minimum",
        "mx_dequantize", "mx_matmul", "mx_quantize", "online_softmax", "quantize", "range", "relu2", "rint",
        "rms_norm", "rope", "rope_tables", "router", "rsqrt", "sigmoid", "silu", "sin", "softcap", "sort",
        "sqrt", "swiglu", "take_along_axis", "tanh", "topk", "tree_softmax", "u8", "uniform", "where", "zeros",
        "zeros_like",
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
