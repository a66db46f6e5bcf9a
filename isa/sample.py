"""Random instructions of any row, for fuzzing and tests. They encode; whether they can run is another matter."""

from __future__ import annotations

import random
from typing import Any

from sohu.isa.errors import EncodingError
from sohu.isa.instruction import Inst, Row, Signal, Wait
from sohu.isa.machine import NUM_SCALARS, NUM_SEMAPHORES
from sohu.isa.operands import Kind


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
