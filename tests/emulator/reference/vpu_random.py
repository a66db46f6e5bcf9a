"""Random numbers, one word at a time, in Python's integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.emulator.reference.plain import Array, Case, Shapes, Values, indices


def philox(counter: int, key: int) -> list[int]:
    """Ten rounds of Philox4x32: a counter of 128 bits and a key of 64 give four words."""
    words = [counter >> 32 * i & 0xFFFFFFFF for i in range(4)]
    for i in range(10):
        left, right = words[0] * 0xD2511F53, words[2] * 0xCD9E8D57
        k0 = ((key & 0xFFFFFFFF) + i * 0x9E3779B9) % 2**32
        k1 = ((key >> 32) + i * 0xBB67AE85) % 2**32
        words = [right >> 32 ^ words[1] ^ k0, right % 2**32, left >> 32 ^ words[3] ^ k1, left % 2**32]
    return words


def _random(number: Callable[[int], float]) -> Callable[[Values], dict[str, Array]]:
    def reference(v: Values) -> dict[str, Array]:
        out = np.empty(v["dst"].shape, object)
        for n, i in enumerate(indices(out.shape)):
            counter = (v["stream"] % 2**64) << 64 | (v["block"] + n // 4) % 2**64
            out[i] = number(philox(counter, v["key"] % 2**64)[n % 4])
        return {"dst": out}

    return reference


SHAPE: Shapes = {"dst": (2, 3, 5)}
SEEDS = (
    {"key": "i:12345678901234", "block": "i:7", "stream": "i:0"},
    {"key": "i:-1", "block": "i:-3", "stream": "i:-9"},
)
CASES: dict[str, list[Case]] = {
    "vrand.bits": [Case(SHAPE, _random(lambda w: w), dict(s)) for s in SEEDS],
    "vrand.uniform": [Case(SHAPE, _random(lambda w: (w >> 8) / 2**24), dict(s)) for s in SEEDS],
}
