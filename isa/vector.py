"""Decoding a whole program at once: `decode` for many words, in columns of NumPy arrays instead of objects.

`decode_all` accepts exactly the words that `sohu.isa.decode` accepts, with the same values. Words are grouped by
instruction; within a group each operand is one array. What has to look at every instruction of a program (the
disassembler, static checks, the fuzzer) does so in a few array operations per row of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from sohu.isa.errors import EncodingError
from sohu.isa.instruction import OPCODE_BITS, ROWS, SYNC_START, Inst, Row, Signal, Table, Wait
from sohu.isa.machine import INSTRUCTION_BYTES
from sohu.isa.operands import Array, Column


@dataclass(frozen=True, eq=False)
class SyncColumns:
    """Waits and signals of many instructions, each [n]; without one, its fields are 0."""

    waits: Array  # bool: has a wait
    wait_sem: Array
    wait_reg: Array
    wait_imm: Array
    signals: Array  # bool: has a signal
    signal_sem: Array
    signal_inc: Array

    def wait_list(self) -> list[Wait | None]:
        """The waits as an Inst holds them."""
        fields = (self.waits, self.wait_sem, self.wait_reg, self.wait_imm)
        rows = zip(*(f.tolist() for f in fields), strict=True)
        return [Wait(sem, reg, imm) if has else None for has, sem, reg, imm in rows]

    def signal_list(self) -> list[Signal | None]:
        """The signals as an Inst holds them."""
        rows = zip(self.signals.tolist(), self.signal_sem.tolist(), self.signal_inc.tolist(), strict=True)
        return [Signal(sem, inc) if has else None for has, sem, inc in rows]


@dataclass(frozen=True, eq=False)
class Group:
    """All instructions of one row: where they stand (ascending), and their operands in the row's order."""

    row: Row
    at: Array  # index of the word in .text, [n]
    operands: tuple[Column, ...]
    sync: SyncColumns | None  # None for rows that can neither wait nor signal

    def insts(self) -> list[Inst]:
        """The instructions as objects."""
        count = len(self.at)
        values = zip(*(c.tolist() for c in self.operands), strict=True) if self.operands else repeat((), count)
        waits: Sequence[Wait | None] = self.sync.wait_list() if self.sync else [None] * count
        signals: Sequence[Signal | None] = self.sync.signal_list() if self.sync else [None] * count
        return list(map(Inst, repeat(self.row, count), values, waits, signals))


@dataclass(frozen=True, eq=False)
class Decoded:
    """The words of a program, decoded; n words."""

    low: Array  # bits 0..63 of each word, u64 [n]
    high: Array  # bits 64..127
    bad: Array  # bool [n]: the word is no instruction
    groups: tuple[Group, ...]  # in the order of opcodes; none is empty

    def __len__(self) -> int:
        return len(self.low)

    def insts(self) -> list[Inst | None]:
        """Each instruction as an object; None for a word that is none."""
        out: list[Inst | None] = [None] * len(self)
        for group in self.groups:
            for i, inst in zip(group.at.tolist(), group.insts(), strict=True):
                out[i] = inst
        return out


def decode_all(text: bytes, table: Table = ROWS) -> Decoded:
    """Decode every word of `text`; raises EncodingError when it is no whole number of words."""
    if len(text) % INSTRUCTION_BYTES:
        raise EncodingError(f"{len(text)} bytes are no whole number of instructions of {INSTRUCTION_BYTES} bytes")
    words = np.frombuffer(text, "<u8").reshape(-1, 2)
    low, high = words[:, 0].copy(), words[:, 1].copy()
    # Words sorted by row: number of each opcode's row, and last all that are none
    rows = [row for _, row in sorted(table.by_opcode.items())]
    number = np.full(1 << OPCODE_BITS, len(rows), np.uint8 if len(rows) < 1 << 8 else np.uint16)
    number[[row.opcode for row in rows]] = np.arange(len(rows))
    numbers = number[low.astype(np.uint16) & ((1 << OPCODE_BITS) - 1)]
    order = np.argsort(numbers, kind="stable")
    ends = np.bincount(numbers, minlength=len(rows)).cumsum().tolist()
    bad = numbers == len(rows)
    groups = []
    for row, start, end in zip(rows, [0, *ends], ends, strict=False):
        if start < end:
            group, wrong = _group(row, order[start:end], low, high)
            bad[wrong] = True
            if group.at.size:
                groups.append(group)
    return Decoded(low, high, bad, tuple(groups))


def _group(row: Row, at: Array, low: Array, high: Array) -> tuple[Group, Array]:
    """The instructions among the words at these places, and where the others are."""
    group, bad = _columns(row, at, low.take(at), high.take(at))
    if not bad.any():
        return group, at[:0]
    good = at[~bad]
    return _columns(row, good, low.take(good), high.take(good))[0], at[bad]


def _columns(row: Row, at: Array, low: Array, high: Array) -> tuple[Group, Array]:
    """The words decoded as this row's, and which of them are no instruction (what is decoded of them means nothing)."""
    bad = np.zeros(len(at), bool)
    for half, mask in ((low, row.reserved_mask & (1 << 64) - 1), (high, row.reserved_mask >> 64)):
        if int(np.bitwise_or.reduce(half)) & mask:
            bad |= (half & np.uint64(mask)) != 0
    columns = []
    for o in row.operands:
        half, shift = (low, o.low) if o.low < 64 else (high, o.low - 64)
        column, wrong = o.kind.decode_column(field(half, shift, o.kind.bits))
        columns.append(column)
        if wrong is not None:
            bad |= wrong
    sync = None
    if row.sync:
        sync, wrong = _sync(low >> SYNC_START)
        bad |= wrong
    return Group(row, at, tuple(columns), sync), bad


def field(half: Array, shift: int, bits: int) -> Array:
    """Bits [shift, shift + bits) of each number, in the smallest unsigned dtype that holds them."""
    dtype = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32 if bits <= 32 else np.uint64
    low: Array = (half >> shift if shift else half).astype(dtype)
    return low & ((1 << bits) - 1) if bits < low.itemsize * 8 else low


def _sync(bits: Array) -> tuple[SyncColumns, Array]:
    """Wait and signal of words shifted to them, and where they are malformed."""
    wait, signal = field(bits, 0, 28), field(bits, 28, 15)
    waits, signals = field(wait, 0, 1).view(bool), field(signal, 0, 1).view(bool)
    increment = field(signal, 7, 8)
    bad = ~waits & (wait != 0)
    bad |= np.where(signals, increment == 0, signal != 0)
    sync = SyncColumns(
        waits, field(wait, 1, 6), field(wait, 7, 5), field(wait, 12, 16).view(np.int16),
        signals, field(signal, 1, 6), increment,
    )  # fmt: skip
    return sync, bad
