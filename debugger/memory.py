"""Bytes of the machine's memories as numbers, and how addresses are written: 0x4000, `sram:0x100`, a tile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sohu.debugger.errors import CommandError
from sohu.debugger.values import Value
from sohu.debugger.views import numbers
from sohu.isa import DTYPES, DType, Space, bf16

if TYPE_CHECKING:
    from sohu.debugger.session import Session

MAX_COUNT = 65_536
_BYTES_PER_LINE = 32
_SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
_FLOATS = {2: bf16.np, 4: np.dtype(np.float32), 8: np.dtype(np.float64)}
SPACES = {str(space): space for space in Space}
_LETTERS = "xduotf"


@dataclass(frozen=True)
class _Format:
    count: int
    letter: str  # one of _LETTERS; "" for a dtype's numbers
    dtype: np.dtype[Any]
    chip: DType | None = None

    @property
    def bytes(self) -> int:
        return self.count * self.dtype.itemsize


def _read_format(format: str) -> _Format:
    if (m := re.fullmatch(r"(\d*)(\w+)", format)) is not None and (chip := DTYPES.get(m[2])) is not None:
        return _Format(_count(m[1]), "", chip.np, chip)
    m = re.fullmatch(rf"(\d*)(?:([{_LETTERS}]?)([bhwg]?)|([bhwg]?)([{_LETTERS}]?))", format)
    if m is None:
        raise CommandError(
            f"no format {format!r}",
            help=f"such as x/16xb ADDRESS: count, one of {' '.join(_LETTERS)}, b h w or g; or a dtype: x/8bf16",
        )
    letter, size = m[2] or m[5] or "x", _SIZES[m[3] or m[4] or "w"]
    if letter == "f" and size not in _FLOATS:
        raise CommandError(
            "there are no floats of one byte here", help="sizes of f: h (bfloat16), w, g; or x/8fp8e4m3 ADDRESS"
        )
    dtype = _FLOATS[size] if letter == "f" else np.dtype(f"{'i' if letter == 'd' else 'u'}{size}")
    return _Format(_count(m[1]), letter, dtype)


def _count(text: str) -> int:
    count = int(text[:9] or 1)
    if not 1 <= count <= MAX_COUNT:
        raise CommandError(f"{count} numbers cannot be shown", help=f"1 to {MAX_COUNT} at a time")
    return count


def place(session: Session, text: str) -> tuple[Space, int]:
    """The memory and address that `0x4000` (of HBM), `sram:0x100` or a tile means; raises CommandError."""
    space = Space.HBM
    if (m := re.match(r"(\w+):", text)) is not None:
        if m[1] not in SPACES:
            raise CommandError(f"there is no memory {m[1]!r}", help=f"there are: {', '.join(SPACES)}")
        space, text = SPACES[m[1]], text[m.end() :]
        value = session.evaluate(text)
    else:
        value = session.evaluate(text)
        if value.tile is not None:
            return value.tile.space, value.tile.base
    if not isinstance(value.data, int):
        raise CommandError(f"{text}: an address is an integer, or a tile")
    return space, value.data


def dump(session: Session, text: str, format: str) -> tuple[str, str]:
    """`count` numbers from an address on, and the address after them; the format is GDB's x command's, or a dtype's.

    Raises CommandError for a bad format and for memory that is not there.
    """
    f = _read_format(format)
    session.need_run()
    space, address = place(session, text)
    raw = read(session, space, address, f.bytes)
    words = _words(f, raw)
    size = f.dtype.itemsize
    per_line = max(1, min(_BYTES_PER_LINE // max(size, 2), 100 // (2 + max(map(len, words)))))
    out = []
    for i in range(0, f.count, per_line):
        part = words[i : i + per_line]
        out.append(f"{space} {address + i * size:#010x}:  {'  '.join(part)}")
    return "\n".join(out), f"{space}:{address + f.bytes:#x}"


def _words(f: _Format, raw: NDArray[np.uint8]) -> list[str]:
    data = raw.view(f.dtype)
    size = f.dtype.itemsize
    if f.chip is not None:
        pairs = numbers(Value(data, f.chip)).reshape(f.count, -1)
        return [" ".join(f"{v:>10.6g}" for v in pair) for pair in pairs.tolist()]
    bases = {"x": ("#0", 2 * size + 2, "x"), "o": ("#0", 0, "o"), "t": ("#0", 8 * size + 2, "b")}
    if f.letter in bases:
        flag, width, base = bases[f.letter]
        return [f"{int(v):{flag}{width or ''}{base}}" for v in data.tolist()]
    return [f"{v:>8}" for v in data.tolist()]


def read(session: Session, space: Space, address: int, size: int) -> NDArray[np.uint8]:
    """A copy of some bytes; raises CommandError when they are not all there."""
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
