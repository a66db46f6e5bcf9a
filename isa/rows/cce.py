"""CCE: collectives over the chips of a group. Opcodes 0x400..0x4ff.

Semantics get, per operand, a list with one view per chip of the group, in rank order.
"""

from sohu.isa.annotations import *
from sohu.isa.costs import linked
from sohu.isa.instruction import instruction

CCE = Engine.CCE


@instruction("cce.allreduce", 0x400, CCE, cost=linked(), collective=True)
def allreduce(dst: Out[Float, "..."], src: In[Float, "..."]) -> None:
    """Sum over the group, in rank order, in float32; every chip gets the whole sum.

    Example:
        src = f32 [[1.0, 2.0]]
        cce.allreduce dst, src
        dst = f32 [[1.0, 2.0]]
    """
    total = src[0].copy()
    for s in src[1:]:
        total += s
    for d in dst:
        d[...] = total


@instruction("cce.sync", 0x40F, CCE, cost=lambda _: 0)
def sync() -> None:
    """Only wait and signal, in the order of the queue.

    Example:
        src = f32 [1.0]
        cce.allreduce dst, src
        cce.sync         signal s2
        vadds dst, dst, 1.0   wait s2>=1
        dst = f32 [2.0]
    """
