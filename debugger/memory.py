"""Bytes of the machine's memories as numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from sohu.debugger.errors import CommandError
from sohu.isa import Space, bf16

if TYPE_CHECKING:
    from sohu.debugger.session import Session

MAX_COUNT = 65_536
_BYTES_PER_LINE = 32
_SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
_FLOATS = {2: bf16.np, 4: np.dtype(np.float32), 8: np.dtype(np.float64)}


def dump(session: Session, text: str, format: str) -> str:
    """`count` numbers from an address on; the format is written as GDB's x command has it.

    Raises CommandError for a bad format and for memory that is not there.
    """
    m = re.fullmatch(r"(\d*)([xdf]?)([bhwg]?)|(\d*)([bhwg]?)([xdf]?)", format)
    if m is None:
        raise CommandError(f"no format {format!r}", help="such as x/16xb ADDRESS: count, x d or f, b h w or g")
    count = int(m[1] or m[4] or 1)
    letter, size = m[2] or m[6] or "x", _SIZES[m[3] or m[5] or "w"]
    if not 1 <= count <= MAX_COUNT:
        raise CommandError(f"{count} numbers cannot be shown", help=f"1 to {MAX_COUNT} at a time")
    if letter == "f" and size not in _FLOATS:
        raise CommandError("there are no floats of one byte here", help="sizes of f: h (bfloat16), w, g")
    session.need_run()
    value = session.evaluate(text)
    space, address = Space.HBM, value.data
    if value.tile is not None:
        space, address = value.tile.space, value.tile.base
    if not isinstance(address, int):
        raise CommandError(f"{text}: an address is an integer, or a tile")
    raw = _read(session, space, address, count * size)
    dtype = _FLOATS[size] if letter == "f" else np.dtype(f"{'i' if letter == 'd' else 'u'}{size}")
    numbers = raw.view(dtype)
    per_line = max(1, _BYTES_PER_LINE // max(size, 2))
    out = []
    for i in range(0, count, per_line):
        part = numbers[i : i + per_line]
        words = [f"0x{int(v):0{2 * size}x}" if letter == "x" else f"{v:>8}" for v in part.tolist()]
        out.append(f"{space} {address + i * size:#010x}:  {'  '.join(words)}")
    return "\n".join(out)


def _read(session: Session, space: Space, address: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    memories = session.machine.memories
    low, high = address, address + size
    if space is Space.HBM:
        block = memories.hbm.find(address)
        if block is None or high > block.end:
            where = "is not allocated" if block is None else f"is past the end of {block}"
            raise CommandError(f"hbm {address if block is None else block.end:#x} {where}")
        return memories.hbm.bytes[low:high].copy()
    memory = memories.sram if space is Space.SRAM else memories.acc
    if not 0 <= low <= high <= memory.size:
        raise CommandError(f"{space} ends at {memory.size:#x}")
    return memory[low:high].copy()
