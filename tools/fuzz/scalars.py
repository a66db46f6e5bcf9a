"""Instructions of the sequencer in random programs, and the registers that they use."""

from __future__ import annotations

import random

from sohu.isa import ROWS, Row
from sohu.isa.machine import Flow
from sohu.isa.operands import XFI, XI, FImm, Kind, X

from tools.fuzz.choices import FLOATS, INTEGERS

SCALARS = [f"x{i}" for i in (4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)]
NOISE = SCALARS[:6]
# rounds of a loop; count of signals; addresses of the two tensors; anything for a moment
ROUND, COUNT, OTHER, ARENA, SPARE = "x26", "x28", "x29", "x30", "x27"
_BY_HAND = {
    "ld": ("sd {a}, sp, -{k}", "ld {b}, sp, -{k}"),
    "sd": ("sd {a}, sp, -{k}",),
    "tget": ("tget {a}, t63, 0",),
    "taddr": ("taddr {a}, t62",),
    "dbg.assert": ("li {a}, 3", 'dbg.assert {a}, "is not 0"'),
    "sync": ("sync signal s61+=3", "sync wait s61>=3"),
    "nop": ("nop",),
}
_SCALAR_ROWS = [
    r for r in ROWS
    if not r.engine.is_async and not r.data and r.flow is Flow.NEXT
    and not {"tld", "tst", "tmv", "tslice", "tswap", "tinsert", "tdrop", "tset", "tbase"} & {r.mnemonic}
    and r.mnemonic not in ("drain", "semreset")
]  # fmt: skip


class Scalars:
    """Scalar instructions, and numbers as operands."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.clock = rng.random() < 0.01  # the program may look at the clock

    def integer(self, n: int) -> tuple[str, list[str]]:
        """A number as it stands, or in a register."""
        if self.rng.random() < 0.6 and -(2**31) <= n < 2**31:
            return str(n), []
        reg = self.rng.choice(NOISE)
        return reg, [f"li {reg}, {n}"]

    def noise(self, count: int) -> list[str]:
        """Scalar instructions whose results matter to nobody but the comparison of registers."""
        rng = self.rng
        out = []
        for _ in range(count):
            row = rng.choice(_SCALAR_ROWS)
            a, b, c = (rng.choice(NOISE) for _ in range(3))
            if row.mnemonic in _BY_HAND:
                choices = [line.format(a=a, b=b, k=8 * rng.randrange(1, 20)) for line in _BY_HAND[row.mnemonic]]
                out += choices
                continue
            if row.mnemonic in ("sdcycle", "dbg.cycle"):
                if self.clock:
                    out.append("sdcycle sp, -512" if row.mnemonic == "sdcycle" else 'dbg.cycle "at "')
                continue
            words = []
            for o in row.operands:
                words.append(self._noise_operand(o.kind, row, a if o.kind.writes else rng.choice((b, c))))
            out.append(f"{row.mnemonic} {', '.join(words)}".rstrip())
        return out

    def _noise_operand(self, kind: Kind, row: Row, reg: str) -> str:
        rng = self.rng
        if isinstance(kind, XFI):
            return reg if rng.random() < 0.5 else rng.choice(FLOATS)
        if isinstance(kind, XI):
            if row.mnemonic in ("div", "rem"):
                return str(rng.choice((1, 2, 3, -1, -2, 7, -100)))
            return reg if rng.random() < 0.5 else str(rng.choice(INTEGERS))
        if isinstance(kind, X):
            return reg
        if isinstance(kind, FImm):
            return rng.choice(FLOATS)
        if row.mnemonic == "li":
            return str(rng.choice((*INTEGERS, rng.randrange(-(2**63), 2**63))))
        return {"dbg.print": '"x "', "dbg.mark": '"m"', "dbg.push": '"r"'}[row.mnemonic]
