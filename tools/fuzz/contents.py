"""Random elements of a dtype, of one kind or another, as bytes. The same line of a case gives the same ones."""

from __future__ import annotations

import math
import random

from tests.emulator.reference.formats import INTEGERS, SIZES, code

_SPECIAL = (
    math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-45, -1e-40, 3.4e38, -3.3e38, 65504.0, 65520.0, 448.0, 464.0,
    57344.0, 61440.0, 2.0**-133, 2.0**-24, 2.0**-14, 2.0**-9, 1.0, -1.0, 0.5, 1.5, 2.5, 2.0**31, -(2.0**31), 127.5,
)  # fmt: skip


def contents(dtype: str, count: int, policy: str, seed: int) -> bytes:
    """`count` elements."""
    rng = random.Random(seed)
    kind, _, limit = policy.partition(":")
    return b"".join(_one(dtype, i, kind, limit, rng).to_bytes(SIZES[dtype], "little") for i in range(count))


def _one(dtype: str, i: int, kind: str, limit: str, rng: random.Random) -> int:
    if kind == "tree":
        return code(dtype, rng.randrange(-2, i))
    if kind == "below":
        return code(dtype, rng.randrange(max(1, int(limit))))
    if kind == "above":
        return code(dtype, rng.randrange(-2, int(limit)))
    bits = 8 * SIZES[dtype]
    if kind == "nonzero":
        return rng.choice((1, 2, 7, 2**32 - 1, 2**32 - 3, rng.randrange(1, 1 << bits)))
    if kind == "bits" or dtype == "fp4x2":
        return rng.getrandbits(bits)
    if dtype in INTEGERS:
        low, high = INTEGERS[dtype]
        if kind == "special":
            return code(dtype, rng.choice((low, high, 0, 1, -1, low + 1, high - 1)))
        return code(dtype, rng.randrange(-50, 50) if kind == "normal" else rng.randrange(low, high + 1))
    if dtype == "e8m0":
        return rng.randrange(119, 134) if kind == "normal" else rng.getrandbits(8)
    x = rng.gauss(0, 2)
    if kind == "wide":
        x *= 2.0 ** rng.randrange(-20, 8)
    elif kind == "special" and rng.random() < 0.4:
        x = rng.choice(_SPECIAL)
    elif kind == "normal" and rng.random() < 0.2:
        x = float(round(x))
    return code(dtype, x, saturate=dtype not in ("f32", "bf16", "f16"))
