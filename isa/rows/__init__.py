"""The instruction set. Importing this package fills sohu.isa.ROWS; one module per engine and family."""

from sohu.isa.rows import (
    cce,
    debug,
    dma,
    dma_rows,
    mxu,
    scalar,
    scalar_more,
    tiles,
    vpu,
    vpu_attention,
    vpu_fused,
    vpu_gates,
    vpu_math,
    vpu_norm,
    vpu_random,
    vpu_select,
)

__all__ = [
    "cce",
    "debug",
    "dma",
    "dma_rows",
    "mxu",
    "scalar",
    "scalar_more",
    "tiles",
    "vpu",
    "vpu_attention",
    "vpu_fused",
    "vpu_gates",
    "vpu_math",
    "vpu_norm",
    "vpu_random",
    "vpu_select",
]
