"""Philox against the known answers of its authors, and the order of its words."""

from __future__ import annotations

import numpy as np
import pytest
from sohu.isa.philox import philox4x32, random_words

# Random123, tests/kat_vectors: philox4x32 with 10 rounds
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(w, 16) for w in text.split()]


@pytest.mark.parametrize(("counter", "key", "want"), KNOWN)
def test_known_answers(counter: str, key: str, want: str) -> None:
    k0, k1 = words(key)
    assert philox4x32(np.array(words(counter), np.uint32), (k0, k1)).tolist() == words(want)


def test_the_known_answers_as_a_sequence() -> None:
    for counter, key, want in KNOWN:
        c, k = words(counter), words(key)
        block, stream, seed = c[0] | c[1] << 32, c[2] | c[3] << 32, k[0] | k[1] << 32
        assert random_words(4, seed, block, stream).tolist() == words(want)
        assert random_words(3, seed, block - (1 << 64), stream - (1 << 64)).tolist() == words(want)[:3]


def test_a_sequence_can_be_entered_at_any_block_and_wraps() -> None:
    whole = random_words(23, 7, 0)
    assert whole[8:].tolist() == random_words(15, 7, 2).tolist()
    assert len(set(whole.tolist())) == 23
    assert random_words(8, 7, -1)[4:].tolist() == whole[:4].tolist()
    assert random_words(0, 7, 0).size == 0


def test_words_are_even() -> None:
    words = random_words(1 << 16, 1, 0)
    bits = np.unpackbits(words.view(np.uint8)).mean()
    assert abs(bits - 0.5) < 0.003  # 4 standard deviations of 2**21 coins are 0.0014
