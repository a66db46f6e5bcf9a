"""The instruction set. Importing this package fills sohu.isa.ROWS; one module per engine."""

from sohu.isa.rows import cce, debug, dma, mxu, scalar, tiles, vpu, vpu_fused

__all__ = ["cce", "debug", "dma", "mxu", "scalar", "tiles", "vpu", "vpu_fused"]
