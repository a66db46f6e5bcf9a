"""Rows of the DMA, and of the CCE on a chip by itself, from their pages in docs/isa/."""

from __future__ import annotations

from typing import Any

from tests.emulator.reference.elements import Operands, Row
from tests.emulator.reference.formats import INTEGERS, ZERO, code, f32, moved, stored
from tests.emulator.reference.values import Codes, Nd, Stopped, wrapped


def _nothing(v: Operands) -> dict[str, Any]:
    return {}


def _converted(src: Nd, dtype: str) -> list[int]:
    return [moved(c, src.dtype, dtype) for c in src.codes]


def _copy(v: Operands) -> dict[str, Any]:
    return {"dst": Codes(_converted(v["src"], v["dst"].dtype))}


def _number(x: float, dtype: str) -> int:
    return code(dtype, x, ZERO, True) if dtype in INTEGERS else stored(dtype, x)


def _fill(v: Operands) -> dict[str, Any]:
    return {"dst": Codes([_number(v["value"], v["dst"].dtype)] * v["dst"].size)}


def _rows(codes: list[int], width: int) -> list[list[int]]:
    return [codes[i : i + width] for i in range(0, len(codes), width)] if width else []


def _gather(padded: bool) -> Row:
    def row(v: Operands) -> dict[str, Any]:
        dst, table = v["dst"], v["table"]
        width, count = table.shape[1], table.shape[0]
        index = v["index"].numbers
        if any(i >= count or (i < 0 and not padded) for i in index):
            raise Stopped("out-of-bounds")
        rows = _rows(_converted(table, dst.dtype), width)
        zeros = [_number(0.0, dst.dtype)] * width
        return {"dst": Codes(c for i in index for c in (rows[i] if i >= 0 else zeros)) if width else Codes()}

    return row


def _scatter(v: Operands) -> dict[str, Any]:
    table, src = v["table"], v["src"]
    count, width = table.shape
    if any(not 0 <= i < count for i in v["index"].numbers):
        raise Stopped("out-of-bounds")
    rows = _rows(table.codes, width)
    for i, r in zip(v["index"].numbers, _rows(_converted(src, table.dtype), width), strict=False):
        rows[i] = r
    return {"table": Codes(c for r in rows for c in r)}


def _scatter_add(v: Operands) -> dict[str, Any]:
    table, src = v["table"], v["src"]
    count, width = table.shape
    if any(i >= count for i in v["index"].numbers):
        raise Stopped("out-of-bounds")
    integers = table.dtype in INTEGERS
    sums = list(table.numbers)
    given = src.numbers
    for r, i in enumerate(v["index"].numbers):
        for c in range(width if i >= 0 else 0):
            total = sums[i * width + c] + given[r * width + c]
            sums[i * width + c] = wrapped(total) if integers else f32(total)
    return {"table": sums}


def _paged(v: Operands, count: int) -> list[int]:
    """Which row of the pool, counted through its pages, each row of the sequence is."""
    pages, (pool, size, _) = v["pages"].numbers, v["pool"].shape
    start = v["start"]
    if count and (start < 0 or start + count > len(pages) * size):
        raise Stopped("out-of-bounds")
    out = []
    for n in range(start, start + count):
        page = pages[n // size]
        if not 0 <= page < pool:
            raise Stopped("out-of-bounds")
        out.append(page * size + n % size)
    return out


def _gather_pages(v: Operands) -> dict[str, Any]:
    dst = v["dst"]
    rows = _rows(_converted(v["pool"], dst.dtype), dst.shape[1])
    return {"dst": Codes(c for i in _paged(v, dst.shape[0]) for c in (rows[i] if rows else []))}


def _scatter_pages(v: Operands) -> dict[str, Any]:
    pool, src = v["pool"], v["src"]
    rows = _rows(pool.codes, pool.shape[2])
    for i, r in zip(_paged(v, src.shape[0]), _rows(_converted(src, pool.dtype), src.shape[1]), strict=False):
        rows[i] = r
    return {"pool": Codes(c for r in rows for c in r)}


# -- collectives of one chip -----------------------------------------------------------------------


def _same(v: Operands) -> dict[str, Any]:
    if v["dst"].shape != v["src"].shape:
        raise Stopped("operand")
    return {"dst": v["src"].numbers}


def _moved(v: Operands) -> dict[str, Any]:
    if v["dst"].shape != v["src"].shape:
        raise Stopped("operand")
    return _copy(v)


def _broadcast(v: Operands) -> dict[str, Any]:
    if v["root"]:
        raise Stopped("operand")
    return _copy(v)


def _permute(v: Operands) -> dict[str, Any]:
    to = v["to"].numbers
    if len(to) != 1 or to[0] > 0:
        raise Stopped("operand")
    return _copy(v) if to[0] == 0 else {"dst": Codes(v["dst"].codes)}


def _uneven(v: Operands) -> dict[str, Any]:
    counts, dst, src = v["counts"].numbers, v["dst"], v["src"]
    if len(counts) != 1 or not 0 <= counts[0] <= src.shape[0]:
        raise Stopped("operand")
    if counts[0] > dst.shape[0]:
        raise Stopped("out-of-bounds")
    width = dst.shape[1]
    new = _converted(src, dst.dtype)[: counts[0] * width]
    return {"dst": Codes(new + dst.codes[len(new) :]), "received": counts}


def _signal(v: Operands) -> dict[str, Any]:
    if v["chip"]:
        raise Stopped("operand")
    return {}


MOVEMENT: dict[str, Row] = {
    "dma.load": _copy,
    "dma.store": _copy,
    "dma.copy": _copy,
    "dma.fill": _fill,
    "dma.gather": _gather(False),
    "dma.gather.pad": _gather(True),
    "dma.scatter": _scatter,
    "dma.scatter.add": _scatter_add,
    "dma.gather.pages": _gather_pages,
    "dma.scatter.pages": _scatter_pages,
    **dict.fromkeys(("dma.sync", "mxu.sync", "vpu.sync", "cce.sync"), _nothing),
    "cce.allreduce": _same,
    "cce.allreduce.max": _same,
    "cce.reducescatter": _same,
    "cce.allgather": _moved,
    "cce.alltoall": _moved,
    "cce.alltoallv": _uneven,
    "cce.broadcast": _broadcast,
    "cce.permute": _permute,
    "cce.signal": _signal,
}
