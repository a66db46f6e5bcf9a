"""Every row of the table: random operands are printed, parsed, encoded and decoded, and are the same."""

from __future__ import annotations

import random

import numpy as np
from sohu.asm import Names, assemble
from sohu.asm.printer import ColumnPrinter
from sohu.isa import INSTRUCTION_BYTES, ROWS
from sohu.isa.sample import random_words
from sohu.isa.vector import decode_all

from tools.fuzz.target import Target, expect

INSTRUCTIONS = 10_000  # of a case: few rows of the table would be in a small one more than once


def make(rng: random.Random) -> bytes:
    """Instructions of all rows."""
    return random_words(list(ROWS), INSTRUCTIONS, np.random.default_rng(rng.getrandbits(64)))


def check(code: bytes) -> None:
    """Printed and assembled again, it is the same code."""
    decoded = decode_all(code)
    expect(not decoded.bad.any(), "a random instruction is none")
    lines = ColumnPrinter(decoded, Names()).lines()
    again = assemble("\n".join(lines), "a.s").text
    if again != code:
        for i, (a, b) in enumerate(zip(words(code), words(again), strict=False)):
            expect(a == b, f"{lines[i]!r} is printed for {a.hex()}, and assembles to {b.hex()}")
        expect(False, f"{len(code)} bytes of code assemble to {len(again)}")


def words(code: bytes) -> list[bytes]:
    """The instructions' bytes, and what is left over."""
    return [code[i : i + INSTRUCTION_BYTES] for i in range(0, len(code), INSTRUCTION_BYTES)]


def count(code: bytes) -> int:
    """Number of instructions."""
    return len(code) // INSTRUCTION_BYTES


TARGET = Target(
    "rows", "random instructions of every row, printed and assembled", "instructions", 10_000_000, 1, ".code",
    make, check, count, words,
)  # fmt: skip
