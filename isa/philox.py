"""Philox4x32-10, a counter-based random generator: each block of four words depends on its number and the key alone.

Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" (SC'11); constants as in
its reference code, Random123.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

_MULTIPLY = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MASK = (1 << 64) - 1
_CHUNK = 1 << 13  # blocks at a time, so that what is between the rounds stays in a cache


def philox4x32(counter: Words, key: tuple[int, int]) -> Words:
    """The blocks of some counters: [..., 4] of u32 in, the same shape out; `key` is two 32-bit words."""
    a, b, c, d = (counter[..., i].astype(np.uint64) for i in range(4))
    k0, k1 = key
    for _ in range(_ROUNDS):
        left, right = a * _MULTIPLY[0], c * _MULTIPLY[1]
        a, b, c, d = (
            (right >> _HALF) ^ b ^ np.uint64(k0),
            right & _LOW,
            (left >> _HALF) ^ d ^ np.uint64(k1),
            left & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & 0xFFFFFFFF, (k1 + _WEYL[1]) & 0xFFFFFFFF
    return np.stack((a, b, c, d), axis=-1).astype(np.uint32)


def random_words(count: int, key: int, block: int, stream: int = 0) -> Words:
    """Words 0 .. count of a sequence, [count] of u32: word i is word i % 4 of block `block` + i // 4.

    key, block and stream are 64 bits each, and wrap: the key seeds the generator, and the counter of a block is its
    number in the lower half and the stream in the upper.
    """
    blocks = -(-count // 4)
    words = np.empty((blocks, 4), np.uint32)
    high = stream & _MASK
    for first in range(0, blocks, _CHUNK):
        part = words[first : first + _CHUNK]
        numbers = np.arange(len(part), dtype=np.uint64) + np.uint64(block + first & _MASK)
        counter = np.empty((len(part), 4), np.uint32)
        counter[:, 0], counter[:, 1] = numbers & _LOW, numbers >> _HALF
        counter[:, 2], counter[:, 3] = high & 0xFFFFFFFF, high >> 32
        part[...] = philox4x32(counter, (key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF))
    return words.reshape(-1)[:count]
