"""VPU: activations and gated products, and the router of a mixture of experts. Opcodes 0x390..0x39f.

Sources: Hendrycks and Gimpel 2016 (arXiv 1606.08415) for GELU, Shazeer 2020 (arXiv 2002.05202) for the gated forms.
Before rounding, vsilu is within 4 ULP of float32 (what is less than 2^-120 may be 0), the forms with erf within 1,
those with the tanh form of GELU within 2^-20 of |src| or |gate * up|, vroute within 16 ULP, and vswiglu.clamp within
16 + |alpha g|. An activation of -inf is NaN, but for vrelu2.
"""

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element, selected
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.order import largest_first
from sohu.isa.special import gelu_erf, gelu_tanh, silu

VPU = Engine.VPU
ONE = np.float32(1)
ACTIVATION, GATED = per_element(6), per_element(7)


@instruction("vsilu", 0x390, VPU, cost=ACTIVATION, since=(1, 1), split=1)
def vsilu(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """SiLU (swish): dst = src / (1 + e ** -src).

    Source: Elfwing, Uchibe and Doya 2017 (arXiv 1702.03118).

    Example:
        src = f32 [[0.0, 1.0, -1.0]]
        vsilu dst, src
        dst = f32 [[0.0, 0.7310586, -0.26894143]]
    """
    dst[...] = silu(src)


@instruction("vgelu", 0x391, VPU, cost=ACTIVATION, since=(1, 1), split=1)
def vgelu(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """GELU in the tanh form: dst = src / 2 * (1 + tanh(sqrt(2 / pi) * (src + 0.044715 src^3))).

    Example:
        src = f32 [[0.0, 1.0, -1.0]]
        vgelu dst, src
        dst = f32 [[0.0, 0.841192, -0.158808]]
    """
    dst[...] = gelu_tanh(src)


@instruction("vgelu.erf", 0x392, VPU, cost=ACTIVATION, since=(1, 1), split=1)
def vgelu_erf(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """GELU: dst = src / 2 * (1 + erf(src / sqrt(2))).

    Example:
        src = f32 [[0.0, 1.0, -1.0]]
        vgelu.erf dst, src
        dst = f32 [[0.0, 0.8413447, -0.1586553]]
    """
    dst[...] = gelu_erf(src)


@instruction("vrelu2", 0x393, VPU, cost=per_element(1), since=(1, 1), split=1)
def vrelu2(dst: Out[Float, "..."], src: In[Float, "...?"]) -> None:
    """Squared ReLU: dst = max(src, 0)^2. NaN stays NaN.

    Source: So et al. 2021, Primer (arXiv 2109.08668).

    Example:
        src = f32 [[-3.0, 0.5, 3.0]]
        vrelu2 dst, src
        dst = f32 [[0.0, 0.25, 9.0]]
    """
    positive = np.maximum(src, np.float32(0))
    np.multiply(positive, positive, out=dst)


@instruction("vgeglu", 0x394, VPU, cost=GATED, since=(1, 1), split=1)
def vgeglu(dst: Out[Float, "..."], gate: In[Float, "..."], up: In[Float, "..."]) -> None:
    """GELU-gated product, GELU in the tanh form: dst = vgelu(gate) * up.

    Example:
        gate = f32 [[1.0, -1.0]]
        up = f32 [[2.0, 10.0]]
        vgeglu dst, gate, up
        dst = f32 [[1.682384, -1.58808]]
    """
    np.multiply(gelu_tanh(gate), up, out=dst)


@instruction("vgeglu.erf", 0x395, VPU, cost=GATED, since=(1, 1), split=1)
def vgeglu_erf(dst: Out[Float, "..."], gate: In[Float, "..."], up: In[Float, "..."]) -> None:
    """GELU-gated product: dst = vgelu.erf(gate) * up.

    Example:
        gate = f32 [[1.0, -1.0]]
        up = f32 [[2.0, 10.0]]
        vgeglu.erf dst, gate, up
        dst = f32 [[1.6826895, -1.5865526]]
    """
    np.multiply(gelu_erf(gate), up, out=dst)


@instruction("vswiglu.clamp", 0x396, VPU, cost=per_element(9), since=(1, 1), split=1)
def vswiglu_clamp(dst: Out[Float, "..."], gate: In[Float, "..."], up: In[Float, "..."], alpha: XF, limit: XF) -> None:
    """SiLU-gated product within limits: dst = g / (1 + e ** (-alpha g)) * (u + 1).

    g = min(gate, limit), u = min(max(up, -limit), limit). alpha g is rounded to float32: the error before rounding is
    at most 16 + |alpha g| ULP.
    Source: the experts of gpt-oss (arXiv 2508.10925), alpha 1.702, limit 7.

    Example:
        gate = f32 [[0.0, 100.0]]
        up = f32 [[3.0, -9.0]]
        x5 = 1.0
        x6 = 2.0
        vswiglu.clamp dst, gate, up, x5, x6
        dst = f32 [[0.0, -1.7615942]]
    """
    g = np.minimum(gate, np.float32(limit))
    u = np.clip(up, np.float32(-limit), np.float32(limit))
    u += ONE
    g /= ONE + np.exp(g * np.float32(-alpha))
    np.multiply(g, u, out=dst)


@instruction("vroute", 0x398, VPU, cost=selected(2), since=(1, 1))
def vroute(weights: Out[Float, "... R K"], experts: Out[I32, "... R K"], logits: In[Float, "... R E"]) -> None:
    """Router of a mixture of experts: the K largest logits of each row, their positions, and the softmax over them.

    The order is that of vtopk.row. Weights are NaN where a chosen logit is NaN or +inf, or all are -inf. K above E is
    an operand error. Other routers (a bias that only chooses, sigmoid scores, groups) are made of vtopk.row,
    vtake.row and arithmetic.
    Source: Shazeer et al. 2017 (arXiv 1701.06538), as Mixtral has it (arXiv 2401.04088).

    Example:
        logits = f32 [[0.0, 2.0, -1.0, 2.0]]
        vroute weights, experts, logits
        weights = f32 [[0.46831053, 0.46831053, 0.063378938]]
        experts = i32 [[1, 3, 0]]
    """
    k, have = experts.shape[-1], logits.shape[-1]
    if k > have:
        raise Fault("operand", f"the {k} best of {have} experts", operand="logits")
    order = largest_first(logits, k)
    # a difference would be rounded in float32, which its exponential multiplies
    chosen = np.take_along_axis(logits, order, axis=-1).astype(np.float64)
    np.exp(chosen - chosen[..., :1], out=chosen)
    np.divide(chosen, chosen.sum(axis=-1, keepdims=True), out=weights)
    experts[...] = order
