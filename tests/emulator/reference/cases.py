"""A plain reference for the arithmetic of every row: Python numbers, one element at a time.

Each entry gives the shapes of the tiles, and a function from the stored inputs (nested by index) to the
exact outputs, computed in double precision from the manual's text. It shares no code with the semantics.
"""

from tests.emulator.reference import (
    cce,
    dma,
    fused,
    mxu,
    vpu,
    vpu_attention,
    vpu_gates,
    vpu_math,
    vpu_norm,
    vpu_quant,
    vpu_random,
    vpu_select,
)
from tests.emulator.reference.plain import Array, Case

CASES: dict[str, list[Case]] = {}
for _module in (
    cce,
    dma,
    fused,
    mxu,
    vpu,
    vpu_attention,
    vpu_gates,
    vpu_math,
    vpu_norm,
    vpu_quant,
    vpu_random,
    vpu_select,
):
    assert not CASES.keys() & _module.CASES.keys()
    CASES |= _module.CASES

__all__ = ["CASES", "Array", "Case"]
