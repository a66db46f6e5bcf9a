"""An instruction set extension: RMSNorm with a gate, as Mamba-2 and the linear attention of Qwen3-Next have it."""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.instruction import instruction


@instruction("vgnorm", 0xC01, Engine.VPU, cost=per_element(8, operand=1))
def vgnorm(
    dst: Out[Float, "... R C"], src: In[Float, "... R C"], gate: In[Float, "... R C"], weight: In[Float, "C"], eps: XFI
) -> None:
    """RMSNorm along the last axis, gated: dst = src / sqrt(mean(src ** 2) + eps) * weight * silu(gate).

    silu(x) = x / (1 + e ** -x). The sum of squares is in float32, its order open. Source: Dao and Gu 2024
    (arXiv 2405.21060), with the norm before the gate.

    Example:
        src = f32 [[3.0, 4.0]]
        gate = f32 [[0.0, 2.0]]
        weight = f32 [1.0, 0.5]
        vgnorm dst, src, gate, weight, 0.0
        dst = f32 [[0.0, 0.99651414]]
    """
    mean = np.mean(np.square(src), axis=-1, keepdims=True)
    silu = gate / (np.float32(1) + np.exp(-gate))
    np.multiply(src / np.sqrt(mean + np.float32(eps)) * weight, silu, out=dst)
