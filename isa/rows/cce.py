"""CCE: collectives over the chips of a group. Opcodes 0x400..0x4ff.

Every chip of the group executes the same instruction, with operands of the same shapes and dtypes; scalars and
immediates have the same values on all of them. It executes when it heads the CCE queue of each of them and its waits
are met; that a chip comes to another one in its place, or to none, is an error (category `collective`). Group 0 is all
chips; other groups are set up by the host, and on a chip by itself each is that chip. A chip's rank is its place in
the group, from 0; n is the number of ranks. Elements are converted where the dtypes of operands differ, as the DMA
does. To exchange columns, use views with the axes exchanged (tswap).

Semantics get, per tile operand, a list with one view per chip of the group, in rank order. Costs follow Thakur,
Rabenseifner and Gropp 2005, "Optimization of collective communication operations in MPICH": the better of the
algorithms there, of which each row names those that count, with a latency a and a time b per byte of the links.
"""

from typing import Any, TypeAlias

import numpy as np
from sohu.isa import costs
from sohu.isa.annotations import *
from sohu.isa.costs import linked, message
from sohu.isa.errors import Fault
from sohu.isa.instruction import instruction
from sohu.isa.rows.dma import converted

CCE = Engine.CCE
PerChip: TypeAlias = Any  # a list of tiles, which the annotation of an operand does not say


@instruction("cce.allreduce", 0x400, CCE, added={"group": (1, 1)}, cost=linked(costs.allreduce), collective=True)
def allreduce(dst: Out[Float, "..."], src: In[Float, "..."], group: Group = 0) -> None:
    """Sum over the n chips of a group, in rank order, in float32; every chip gets the whole sum.

    Cost: log2(n) (a + size b), or 2 log2(n) a + 2 (n - 1) / n size b (recursive doubling, Rabenseifner).

    Example:
        src = f32 [[1.0, 2.0]]
        cce.allreduce dst, src
        dst = f32 [[1.0, 2.0]]
    """
    _alike(src, "src")
    total = _sum(src)
    for d in dst:
        d[...] = total


@instruction("cce.allreduce.max", 0x401, CCE, cost=linked(costs.allreduce), collective=True, since=(1, 1))
def allreduce_max(dst: Out[Num, "..."], src: In[Num, "..."], group: Group = 0) -> None:
    """Largest of each element over the n chips of a group; every chip gets it. NaN where any chip has one.

    Cost: that of cce.allreduce.

    Example:
        src = i32 [[1, -2]]
        cce.allreduce.max dst, src
        dst = i32 [[1, -2]]
    """
    _alike(src, "src")
    largest = np.maximum.reduce(list(src))
    for d in dst:
        d[...] = largest


@instruction("cce.reducescatter", 0x402, CCE, cost=linked(costs.scatter, 1), collective=True, since=(1, 1))
def reducescatter(dst: Out[Float, "R C"], src: In[Float, "M C"], group: Group = 0) -> None:
    """Sum over the n chips of a group, in rank order, in float32; each chip gets its own rows of the sum.

    M = n R, or an operand error; rank r gets rows r R to (r + 1) R - 1.
    Cost: log2(n) a + (n - 1) / n size b, of src (recursive halving).

    Example:
        src = f32 [[1.0, 2.0], [3.0, 4.0]]
        cce.reducescatter dst, src
        dst = f32 [[1.0, 2.0], [3.0, 4.0]]
    """
    _alike(src, "src")
    rows = _times(dst, src, "src")
    total = _sum(src)
    for rank, d in enumerate(dst):
        d[...] = total[rank * rows : (rank + 1) * rows]


@instruction("cce.allgather", 0x403, CCE, cost=linked(costs.scatter, 0), collective=True, since=(1, 1), moves=("src",))
def allgather(dst: Out[Stored, "M C"], src: In[Stored, "R C"], group: Group = 0) -> None:
    """The rows of all n chips of a group, one after the other in rank order, to every chip.

    M = n R, or an operand error.
    Cost: log2(n) a + (n - 1) / n size b, of dst (recursive doubling).

    Example:
        src = f32 [[1.0, 2.0]]
        cce.allgather dst, src
        dst = f32 [[1.0, 2.0]]
    """
    _alike(src, "src")
    rows = _times(src, dst, "dst")
    for d in dst:
        for rank, s in enumerate(src):
            part = d[rank * rows : (rank + 1) * rows]
            part[...] = converted(s, part)


@instruction("cce.alltoall", 0x404, CCE, cost=linked(costs.exchange), collective=True, since=(1, 1), moves=("src",))
def alltoall(dst: Out[Stored, "M C"], src: In[Stored, "M C"], group: Group = 0) -> None:
    """Each of the n chips of a group sends each rank a block of its rows, and gets one from each.

    src and dst are n blocks of M / n rows (an operand error where n does not divide M); block j of rank i becomes
    block i of rank j.
    Cost: (n - 1) (a + size / n b), or log2(n) (a + size / 2 b) (pairwise exchange, Bruck et al. 1997).

    Example:
        src = f32 [[1.0], [2.0]]
        cce.alltoall dst, src
        dst = f32 [[1.0], [2.0]]
    """
    _alike(src, "src")
    n = len(src)
    rows, rest = divmod(src[0].shape[0], n)
    if rest:
        raise Fault("operand", f"{src[0].shape[0]} rows are no {n} blocks, one for each rank", operand="src")
    for j, d in enumerate(dst):
        for i, s in enumerate(src):
            part = d[i * rows : (i + 1) * rows]
            part[...] = converted(s[j * rows : (j + 1) * rows], part)


@instruction(
    "cce.alltoallv", 0x405, CCE, cost=linked(costs.exchange, 2), collective=True, since=(1, 1), moves=("dst", "src")
)
def alltoallv(
    dst: InOut[Stored, "R C"],
    received: Out[I32, "N"],
    src: In[Stored, "S C"],
    counts: In[I32, "N"],
    group: Group = 0,
) -> None:
    """Each of the n chips of a group sends each rank some of its rows, counts[j] to rank j.

    With experts on the chips, it dispatches their tokens. N = n. The rows for rank 0 come first in src, then those
    for rank 1, and so on; in dst come first those from rank 0. received[i] is how many came from rank i, so that
    the counts of the way back are known. Rows of dst behind the last one received stay as they were. Negative
    counts and more than S rows sent are operand errors, more than R received an out-of-bounds error; both name
    the rank.
    Cost: that of cce.alltoall, as if all of src were sent: what is sent is known to the data alone.

    Example:
        dst = f32 [[0.0], [0.0], [-1.0]]
        src = f32 [[1.0], [2.0], [3.0]]
        counts = i32 [2]
        cce.alltoallv dst, received, src, counts
        dst = f32 [[1.0], [2.0], [-1.0]]
        received = i32 [2]
    """
    _alike(src, "src")
    _alike(dst, "dst")
    n = len(src)
    if counts[0].shape[0] != n:
        raise Fault("operand", f"{counts[0].shape[0]} counts in a group of {n}", operand="counts")
    sent = [c.astype(np.int64) for c in counts]
    for rank, (c, s) in enumerate(zip(sent, src, strict=True)):
        if c.min() < 0 or c.sum() > s.shape[0]:
            why = f"rank {rank} sends {c.tolist()} of {s.shape[0]} rows"
            raise Fault("operand", why, operand="counts")
    for rank, d in enumerate(dst):
        got = [int(c[rank]) for c in sent]
        if sum(got) > d.shape[0]:
            why = f"rank {rank} is sent {got} rows and has room for {d.shape[0]}"
            raise Fault("out-of-bounds", why, operand="dst")
    starts = [np.cumsum(c) - c for c in sent]
    for rank, d in enumerate(dst):
        at = 0
        for i, s in enumerate(src):
            first, count = int(starts[i][rank]), int(sent[i][rank])
            part = d[at : at + count]
            part[...] = converted(s[first : first + count], part)
            received[rank][i] = count
            at += count


@instruction("cce.broadcast", 0x406, CCE, cost=linked(costs.broadcast), collective=True, since=(1, 1), moves=("src",))
def broadcast(dst: Out[Stored, "..."], src: In[Stored, "..."], root: XI, group: Group = 0) -> None:
    """The tile of rank `root` to all n chips of a group; src of the others is not read.

    A root that is no rank is an operand error.

    Cost: log2(n) (a + size b), or (log2(n) + n - 1) a + 2 (n - 1) / n size b (binomial tree, van de Geijn).

    Example:
        src = f32 [1.0, 2.0]
        cce.broadcast dst, src, 0
        dst = f32 [1.0, 2.0]
    """
    if not 0 <= root < len(src):
        raise Fault("operand", f"root {root} is no rank of a group of {len(src)}", operand="root")
    for d in dst:
        d[...] = converted(src[root], d)


@instruction("cce.permute", 0x407, CCE, cost=linked(costs.permute), collective=True, since=(1, 1), moves=("dst", "src"))
def permute(dst: InOut[Stored, "..."], src: In[Stored, "..."], to: In[I32, "N"], group: Group = 0) -> None:
    """Send and receive within a group of n chips: rank r sends its tile to rank to[r].

    N = n, and `to` is the same on all chips; a negative one sends nothing. dst of a rank that nobody sends to stays
    as it was. A ring, a pair that exchanges, and one send to the next stage of a pipeline are all of this form; a
    chip can send to itself. Targets that are no ranks, or named twice, are operand errors.
    Cost: a + size b.

    Example:
        dst = f32 [0.0]
        src = f32 [5.0]
        to = i32 [0]
        cce.permute dst, src, to
        dst = f32 [5.0]
    """
    n = len(src)
    targets = to[0].tolist()
    for rank, other in enumerate(to):
        if other.tolist() != targets:
            why = f"rank {rank} has the targets {other.tolist()}, rank 0 {targets}"
            raise Fault("operand", why, operand="to")
    if len(targets) != n:
        raise Fault("operand", f"{len(targets)} targets in a group of {n}", operand="to")
    used = [t for t in targets if t >= 0]
    if len(set(used)) != len(used) or any(t >= n for t in used):
        raise Fault("operand", f"targets {targets} are no different ranks of a group of {n}", operand="to")
    for s, t in zip(src, targets, strict=True):
        if t >= 0:
            dst[t][...] = converted(s, dst[t])


@instruction("cce.signal", 0x408, CCE, cost=message(), remote="chip", since=(1, 1))
def signal(m: Machine, chip: XI) -> None:
    """Signal another chip: the signal of this instruction is added to that chip's semaphore, not to this one's.

    `chip` is a number as chipid gives it; one that no chip has is an operand error. What this queue has done before
    is done when the signal arrives.

    Example:
        cce.signal 0   signal s3
        sync           wait s3>=1
        chipid x5
        x5 = 0
    """
    if not 0 <= chip < m.chips:
        raise Fault("operand", f"there is no chip {chip}: {m.chips} run", operand="chip")


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


def _sum(src: PerChip) -> Any:
    total = src[0].copy()
    for s in src[1:]:
        total += s
    return total


def _alike(tiles: PerChip, operand: str) -> None:
    """Raises Fault (operand), naming the rank, where a chip's tile has another shape than that of rank 0."""
    for rank, t in enumerate(tiles):
        if t.shape != tiles[0].shape:
            why = f"{operand} of rank {rank} has shape {list(t.shape)}, of rank 0 {list(tiles[0].shape)}"
            raise Fault("operand", why, operand=operand)


def _times(part: PerChip, whole: PerChip, operand: str) -> int:
    """Rows of a part, of which the whole has as many as there are ranks; raises Fault (operand)."""
    rows = int(part[0].shape[0])
    if whole[0].shape[0] != rows * len(whole):
        why = f"{operand} has {whole[0].shape[0]} rows, wants {len(whole)} times {rows}"
        raise Fault("operand", why, operand=operand)
    return rows
