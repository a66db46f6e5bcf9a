"""VPU: attention beyond the causal mask. Opcodes 0x384..0x387.

Masks are computed from positions, never loaded. A learned sink logit for each head (as in gpt-oss) needs no
instruction of its own: a state that begins with m = sink, l = 1, o = 0 is that of one more key without a value. Nor
do linear biases (ALiBi): what a row has in common changes no softmax, so slope * key position is added as one row
(viota, vmuls, vadd). Chunks, and prefixes that all queries see, are bounds of loops and steps without `causal`.
"""

from typing import Any

import numpy as np
from sohu.isa.annotations import *
from sohu.isa.costs import per_element
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.rows.vpu_fused import softmax_step

VPU = Engine.VPU
_FAR = 1 << 40  # no tile has so many rows or columns


@instruction("vosm.window", 0x384, VPU, cost=per_element(8, operand=1), since=(1, 1))
def vosm_window(
    p: Out[Float, "... R C"],
    s: In[Float, "... R C"],
    m: InOut[F32, "... R 1"],
    l: InOut[F32, "... R 1"],
    o: InOut[F32, "... R D"],
    scale: XF,
    qpos: X,
    kpos: X,
    window: X,
    sinks: X,
    causal: Flag = 0,
) -> None:
    """One step of the online softmax (vosm) with a sliding window and sink tokens.

    Row r is the query at position qpos + r, column c the key at position kpos + c; with d = query - key, a key is
    masked when causal and d < 0, and when |d| >= window, unless its position is below `sinks`. A window of 0 or less
    has no end; then `sinks` says nothing. Everything else is as vosm has it.
    Source: Beltagy et al. 2020 (arXiv 2004.05150) for the window, Xiao et al. 2023 (arXiv 2309.17453) for the sinks.

    Example:
        s = f32 [[0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]]
        m = f32 [[-inf], [-inf]]
        l = f32 [[0.0], [0.0]]
        o = f32 [[0.0], [0.0]]
        x5 = 1.0
        x6 = 3
        x7 = 2
        x8 = 1
        vosm.window p, s, m, l, o, x5, x6, x0, x7, x8, causal=1
        p = f32 [[1.0, 0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0, 1.0]]
        m = f32 [[0.0], [0.0]]
        l = f32 [[3.0], [3.0]]
        o = f32 [[0.0], [0.0]]
    """
    np.multiply(s, np.float32(scale), out=p)
    rows, cols = p.shape[-2:]
    column, ahead = np.arange(cols), qpos - kpos
    offset = np.arange(rows)[:, None] - column  # query - key is this and `ahead`
    masked = np.zeros((rows, cols), bool)
    if window > 0:
        masked = (offset >= _near(window - ahead)) | (-offset >= _near(window + ahead))
        masked &= column >= _near(sinks - kpos)
    if causal:
        masked |= offset < _near(-ahead)
    np.copyto(p, -np.inf, where=masked)
    softmax_step(p, m, l, o)


@instruction("vosm.tree", 0x385, VPU, cost=per_element(10, operand=1), since=(1, 1))
def vosm_tree(
    p: Out[Float, "... R C"],
    s: In[Float, "... R C"],
    m: InOut[F32, "... R 1"],
    l: InOut[F32, "... R 1"],
    o: InOut[F32, "... R D"],
    parents: In[I32, "N"],
    scale: XF,
    qslot: X,
    kslot: X,
    start: X,
    window: X,
) -> None:
    """One step of the online softmax (vosm) over a tree of drafted tokens, for speculative decoding.

    The cache holds the context in slots 0 to start - 1 and the N nodes of the tree behind it; node n follows node
    parents[n], which is less than n, or the context where parents[n] is negative. Row r is the query of slot
    qslot + r, column c the key of slot kslot + c. A query of the tree sees the context, its ancestors and itself; one
    of the context sees the slots up to its own. The position of a slot of the context is its number, that of a node
    `start` and its depth in the tree; a key whose position is `window` or more before the query's is masked too (a
    window of 0 or less has no end). Columns behind the tree are masked. Everything else is as vosm has it.
    A parent that does not come before its node, a row behind the tree, and a slot outside 0 to 2^40 - 1 are operand
    errors.
    Source: Miao et al. 2023, SpecInfer (arXiv 2305.09781); Cai et al. 2024, Medusa (arXiv 2401.10774).

    Example:
        s = f32 [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
        m = f32 [[-inf], [-inf], [-inf]]
        l = f32 [[0.0], [0.0], [0.0]]
        o = f32 [[0.0], [0.0], [0.0]]
        parents = i32 [-1, 0, 0]
        x5 = 1.0
        x6 = 7
        x7 = 6
        vosm.tree p, s, m, l, o, parents, x5, x6, x7, x6, x0
        p = f32 [[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 1.0]]
        m = f32 [[0.0], [0.0], [0.0]]
        l = f32 [[2.0], [3.0], [3.0]]
        o = f32 [[0.0], [0.0], [0.0]]
    """
    rows, cols = p.shape[-2:]
    nodes = parents.shape[0]
    _check_tree(parents)
    if not all(0 <= slot < _FAR for slot in (qslot, kslot, start)):
        raise Fault("operand", f"no cache has the slots {qslot}, {kslot} and {start}")
    q = (qslot - start + np.arange(rows))[:, None]  # numbers of nodes; the context is below 0
    k = kslot - start + np.arange(cols)
    if rows and q[-1, 0] >= nodes:
        raise Fault("operand", f"row {int(np.argmax(q >= nodes))} lies behind a tree of {nodes} nodes", operand="s")
    visible = np.where(q < 0, k <= q, (k < 0) | _on_path(parents, q[:, 0], k))
    if window > 0:
        depth = _depth(parents)
        position_q = np.where(q < 0, q, depth[np.maximum(q, 0)])
        position_k = np.where(k < 0, k, depth[np.clip(k, 0, nodes)])
        visible &= position_q - position_k < window
    np.multiply(s, np.float32(scale), out=p)
    np.copyto(p, -np.inf, where=~visible)
    softmax_step(p, m, l, o)


@instruction("vsoftcap", 0x386, VPU, cost=per_element(6), since=(1, 1))
def vsoftcap(dst: Out[Float, "..."], src: In[Float, "...?"], cap: XFI) -> None:
    """Soft limit of logits: dst = cap * tanh(src / cap), for a cap above 0.

    Before a step of the online softmax, it wants scores that have been scaled: then the scale of the step is 1.
    Source: Gemma 2 (arXiv 2408.00118).

    Example:
        src = f32 [[0.0, 30.0, -1000.0]]
        vsoftcap dst, src, 30.0
        dst = f32 [[0.0, 22.847825, -30.0]]
    """
    np.tanh(src / np.float32(cap), out=dst)
    dst *= np.float32(cap)


def _near(distance: int) -> int:
    """A distance of positions, limited so that NumPy can compare it with those within a tile."""
    return max(-_FAR, min(distance, _FAR))


def _check_tree(parents: Any) -> None:
    wrong = np.flatnonzero(parents >= np.arange(parents.shape[0]))
    if wrong.size:
        n = int(wrong[0])
        raise Fault("operand", f"parents[{n}] is {parents[n]}, and a parent comes before its node", operand="parents")


def _on_path(parents: Any, nodes: Any, columns: Any) -> Any:
    """[rows, columns] of bool: which of some nodes a row's node follows, or is. All rows walk up at once."""
    seen = np.zeros((len(nodes), len(columns)), bool)
    row = np.flatnonzero(nodes >= 0)
    node = nodes[row]
    while row.size:
        column = node - columns[0] if len(columns) else node
        inside = (column >= 0) & (column < len(columns))
        seen[row[inside], column[inside]] = True
        node = parents[node]
        row, node = row[node >= 0], node[node >= 0]
    return seen


def _depth(parents: Any) -> Any:
    """How many ancestors each node has, and a 0 behind them."""
    depth: list[int] = []
    for parent in parents.tolist():
        depth.append(depth[parent] + 1 if parent >= 0 else 0)
    return np.array([*depth, 0])
