"""What a program asks of the toolchain that runs it: a version of the instruction set, and extensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm.program import Kernel
from sohu.isa import INSTRUCTION_BYTES, ROWS, Row
from sohu.isa.instruction import OPCODE_BITS
from sohu.isa.packages import OWN

Halves = NDArray[np.uint64]  # [instructions, 2]

_OPCODES = (1 << OPCODE_BITS) - 1


def version_needed(text: bytes | bytearray, kernels: Iterable[Kernel]) -> tuple[int, int]:
    """The lowest version of the instruction set that has all instructions, operands and dtypes of a program.

    Dtypes are those of parameters and named tiles. What is no instruction needs none: it faults in any version.
    """
    halves = _halves(text)
    versions = [(1, 0)]
    for row in _rows(halves):
        versions.append(row.since)
        for o in row.operands:
            if o.since > row.since and _gives(halves, row, o.low, o.kind.bits):
                versions.append(o.since)
    for k in kernels:
        versions += [p.dtype.since for p in k.params if p.dtype is not None]
        versions += [t.tile.dtype.since for t in k.tiles]
    return max(versions)


def extensions_used(text: bytes | bytearray) -> list[Row]:
    """The instructions of extensions that a program has, by opcode."""
    return [row for row in _rows(_halves(text)) if row.package != OWN]


def _halves(text: bytes | bytearray) -> Halves:
    return np.frombuffer(text, "<u8", len(text) // INSTRUCTION_BYTES * 2).reshape(-1, 2)


def _rows(halves: Halves) -> Iterator[Row]:
    present = np.bincount((halves[:, 0] & np.uint64(_OPCODES)).astype(np.int64))
    for opcode in np.flatnonzero(present):
        row = ROWS.by_opcode.get(int(opcode))
        if row is not None:
            yield row


def _gives(halves: Halves, row: Row, low: int, bits: int) -> bool:
    """Whether a word of a row has bits set in a field: it was added to the row later, and left out is zero."""
    mine = halves[(halves[:, 0] & np.uint64(_OPCODES)) == row.opcode, low // 64]
    mask: Any = np.uint64(((1 << bits) - 1) << low % 64)
    return bool((mine & mask).any())
