"""Random instructions of any row, for fuzzing and tests. They encode; whether they can run is another matter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from sohu.isa.errors import EncodingError
from sohu.isa.instruction import SYNC_START, Inst, Operand, Row, Signal, Wait
from sohu.isa.machine import NUM_SCALARS, NUM_SEMAPHORES
from sohu.isa.operands import Array, Kind
from sohu.isa.vector import field


def random_value(kind: Kind, rng: random.Random) -> Any:
    """A value that the kind encodes. Small, extreme and register values are as likely as any other."""
    while True:
        raw = rng.getrandbits(rng.randint(0, kind.bits))
        if rng.random() < 0.3:
            raw ^= 1 << (kind.bits - 1)  # the sign, or "this is a register"
        elif rng.random() < 0.2:
            raw ^= (1 << kind.bits) - 1
        try:
            return kind.decode(raw)
        except EncodingError:
            continue


def random_inst(row: Row, rng: random.Random) -> Inst:
    """An instruction of this row with random operands, wait and signal; operands with defaults often have them."""
    values = tuple(o.default if o.keyword and rng.random() < 0.3 else random_value(o.kind, rng) for o in row.operands)
    wait = signal = None
    if row.sync and rng.random() < 0.5:
        reg = rng.choice((0, rng.randrange(NUM_SCALARS)))
        wait = Wait(rng.randrange(NUM_SEMAPHORES), reg, rng.randint(-(1 << 15), (1 << 15) - 1))
    if row.sync and rng.random() < 0.5:
        signal = Signal(rng.randrange(NUM_SEMAPHORES), rng.randint(1, 255))
    return Inst(row, values, wait, signal)


def random_words(rows: Sequence[Row], count: int, rng: np.random.Generator) -> bytes:
    """The words of `count` instructions, each of any of these rows: what random_inst makes, in columns."""
    words = np.zeros((count, 2), np.uint64)
    which = rng.integers(0, len(rows), count)
    for n, row in enumerate(rows):
        at = np.flatnonzero(which == n)
        words[at, 0] = row.opcode
        if row.sync:
            words[at, 0] |= _random_syncs(len(at), rng)
        for o in row.operands:
            words[at, o.low // 64] |= _random_fields(o, len(at), rng) << (o.low % 64)
    return words.astype("<u8").tobytes()


def _random_fields(operand: Operand, count: int, rng: np.random.Generator) -> Array:
    """Fields that the operand's kind decodes, u64."""
    bits = operand.kind.bits
    sign, below = 1 << (bits - 1), 1 << bits >> 2  # a register, or a sign; and the sign of what stands below such a bit
    flips = np.array([0] * 6 + [sign] * 4 + [below, 2 * sign - 1, sign - 1], np.uint64)
    out = np.zeros(count, np.uint64)
    missing = np.arange(count)
    while missing.size:
        size = rng.integers(0, bits, missing.size, np.uint64, endpoint=True)
        raw = rng.integers(0, 1 << 64, missing.size, np.uint64)
        raw = np.where(size > 0, raw >> (64 - size) % 64, 0)
        raw ^= rng.choice(flips, missing.size)
        out[missing] = raw
        _, bad = operand.kind.decode_column(field(raw, 0, bits))
        missing = missing[:0] if bad is None else missing[bad]
    if operand.keyword:
        out[rng.random(count) < 0.3] = operand.kind.encode(operand.default)
    return out


def _random_syncs(count: int, rng: np.random.Generator) -> Array:
    """Waits and signals, each in half of the instructions, where they stand in the word."""

    def below(limit: int) -> Array:
        return rng.integers(0, limit, count, np.uint64)

    reg = below(NUM_SCALARS) * below(2)
    wait = 1 | below(NUM_SEMAPHORES) << 1 | reg << 7 | below(1 << 16) << 12
    signal = 1 | below(NUM_SEMAPHORES) << 1 | (below(255) + 1) << 7
    return (wait * below(2) | (signal * below(2)) << 28) << SYNC_START
