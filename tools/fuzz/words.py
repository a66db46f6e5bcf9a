"""Random words: each is an instruction with one encoding or none, and the disassembly assembles to the same bytes."""

from __future__ import annotations

import random

import numpy as np
from sohu.asm import Program, assemble, disassemble
from sohu.isa import ROWS, EncodingError, decode, encode
from sohu.isa.sample import random_words
from sohu.isa.vector import decode_all

from tools.fuzz.rows import count, words
from tools.fuzz.target import Target, expect

WORDS = 5_000  # of a case
_ODD_ONES = 200  # words of the case that are compared by repr too


def make(rng: random.Random) -> bytes:
    """Random words; words with the opcode of an instruction; instructions of which some bits are wrong."""
    numpy = np.random.default_rng(rng.getrandbits(64))
    rows = list(ROWS)
    any_bits = numpy.integers(0, 1 << 64, (WORDS, 2), np.uint64)
    right = np.frombuffer(random_words(rows, WORDS, numpy), "<u8").reshape(-1, 2)
    which = numpy.integers(0, len(rows), WORDS)
    reserved = np.array([[r.reserved_mask & (1 << 64) - 1, r.reserved_mask >> 64] for r in rows], np.uint64)
    known = any_bits.copy()
    known[:, 0] = known[:, 0] >> 12 << 12 | np.array([row.opcode for row in rows], np.uint64)[which]
    clean = known & ~reserved[which]
    bit = numpy.integers(0, 128, WORDS)
    flipped = right.copy()
    flipped[np.arange(WORDS), bit // 64] ^= np.uint64(1) << (bit % 64).astype(np.uint64)
    kind = numpy.choice(5, WORDS, p=[0.05, 0.15, 0.4, 0.2, 0.2])[:, None]
    return np.choose(kind, [any_bits, known, clean, flipped, right]).astype("<u8").tobytes()


def check(code: bytes) -> None:
    """Both decoders agree, what they accept is encoded as it was, and the disassembly assembles to these bytes."""
    decoded = decode_all(code)
    fast = decoded.insts()
    for i, (raw, found) in enumerate(zip(words(code), fast, strict=True)):
        word = int.from_bytes(raw, "little")
        try:
            inst = decode(word)
        except EncodingError as e:
            expect(bool(e.message) and "\n" not in e.message, f"{word:#034x}: the message is {e.message!r}")
            expect(found is None and bool(decoded.bad[i]), f"{word:#034x}: decode refuses it, decode_all does not")
            continue
        expect(encode(inst) == word, f"{word:#034x}: {inst} is encoded {encode(inst):#034x}")
        expect(found is not None and not decoded.bad[i], f"{word:#034x}: decode takes it, decode_all does not")
        same = found == inst if i >= _ODD_ONES else repr(found) == repr(inst)  # repr: NaN, and the sign of zero
        expect(same or repr(found) == repr(inst), f"{word:#034x}: decode says {inst}, decode_all {found}")
    program = Program(code)
    text = disassemble(program)
    again = assemble(text, "a.s")
    for a, b in zip(words(code), words(again.text), strict=False):
        expect(a == b, f"{int.from_bytes(a, 'little'):#034x} comes back as {int.from_bytes(b, 'little'):#034x}")
    expect(again.text == code and again.rodata == b"", "the disassembly assembles to more, or to less")


TARGET = Target(
    "words", "random words, disassembled and assembled", "words", 10_000_000, 1, ".code", make, check, count, words
)
