"""The kernel library against its NumPy references: several shapes and dtypes, tails included, two chips."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from sohu.dsl.kernels import attention, lookup, matmul, mlp, norm, rotary, softmax
from sohu.emulator import Device

BF16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = [np.dtype(np.float32), BF16, np.dtype(np.float16)]
# one unit in the last place of the result's dtype, for values of the size these tests make
STEP = {DTYPES[0]: 2e-6, BF16: 8e-3, DTYPES[2]: 1e-3}


@pytest.fixture(scope="module", params=["none", "all"], ids=["", "checked"])
def chip(request: pytest.FixtureRequest) -> Device:
    return Device("sohu", checks=request.param)


def make(rng: np.random.Generator, *shape: int, dtype: Any = np.float32) -> NDArray[Any]:
    return rng.standard_normal(shape, dtype=np.float32).astype(dtype)


def close(got: NDArray[Any], want: NDArray[Any], steps: float = 2) -> None:
    """Within `steps` units in the last place of the largest value."""
    assert got.shape == want.shape and got.dtype == want.dtype
    a, b = got.astype(np.float64), want.astype(np.float64)
    scale = max(1.0, float(np.abs(b).max(initial=0)))
    worst = float(np.abs(a - b).max(initial=0))
    assert worst <= steps * STEP[got.dtype] * scale, f"off by {worst:.3g}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (128, 512, 512), (129, 513, 517), (5, 700, 3), (300, 64, 1000)])
def test_matmul(chip: Device, dtype: Any, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(m * k + n)
    a, b = make(rng, m, k, dtype=dtype), make(rng, k, n, dtype=dtype)
    close(matmul.matmul(a, b, device=chip), matmul.matmul_reference(a, b))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("m", "k", "n"), [(1, 64, 256), (7, 100, 257), (130, 576, 600)])
def test_linear(chip: Device, dtype: Any, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(m + k + n)
    x, w = make(rng, m, k, dtype=dtype), make(rng, n, k, dtype=dtype)
    close(matmul.linear(x, w, device=chip), matmul.linear_reference(x, w))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("r", "c"), [(1, 1), (128, 64), (129, 65), (300, 1000), (3, 4097)])
def test_softmax(chip: Device, dtype: Any, r: int, c: int) -> None:
    x = make(np.random.default_rng(r + c), r, c, dtype=dtype) * np.dtype(dtype).type(3)
    close(softmax.softmax(x, device=chip), softmax.softmax_reference(x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("r", "c"), [(1, 8), (128, 576), (131, 577)])
def test_rmsnorm(chip: Device, dtype: Any, r: int, c: int) -> None:
    rng = np.random.default_rng(r + c)
    x, w = make(rng, r, c, dtype=dtype), make(rng, c, dtype=dtype)
    close(norm.rmsnorm(x, w, device=chip), norm.rmsnorm_reference(x, w))
    close(norm.rmsnorm(x, w, device=chip, eps=0.1), norm.rmsnorm_reference(x, w, 0.1))


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n", "h", "d", "pos"), [(1, 1, 2, 0), (65, 3, 64, 7), (130, 9, 32, 100)])
def test_rope(chip: Device, dtype: Any, interleaved: bool, n: int, h: int, d: int, pos: int) -> None:
    x = make(np.random.default_rng(n + h), n, h, d, dtype=dtype)
    cos, sin = rotary.rope_tables(256, d, 1e4)
    got = rotary.rope(x, cos, sin, pos=pos, device=chip, interleaved=interleaved)
    close(got, rotary.rope_reference(x, cos, sin, pos, interleaved))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n", "pos"), [(1, 0), (1, 299), (65, 3), (128, 100)])
def test_cache_append_changes_its_rows_and_no_others(chip: Device, dtype: Any, n: int, pos: int) -> None:
    rng = np.random.default_rng(n)
    x, cache = make(rng, n, 3, 16, dtype=dtype), make(rng, 3, 300, 16, dtype=dtype)
    want = cache.copy()
    attention.cache_append_reference(x, want, pos)
    attention.cache_append(x, cache, pos, device=chip)
    assert cache.tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("n", "h", "g", "d", "pos"),
    [
        (1, 1, 1, 8, 0),
        (1, 3, 3, 64, 511),
        (1, 3, 3, 64, 255),
        (64, 2, 4, 32, 0),
        (65, 3, 3, 64, 250),
        (130, 1, 2, 16, 3),
    ],
)
def test_attention(chip: Device, dtype: Any, n: int, h: int, g: int, d: int, pos: int) -> None:
    rng = np.random.default_rng(n + pos)
    q = make(rng, n, h, g, d, dtype=dtype)
    k, v = make(rng, h, 520, d, dtype=dtype), make(rng, h, 520, d, dtype=dtype)
    got = attention.attention(q, k, v, pos=pos, scale=d**-0.5, device=chip)
    close(got, attention.attention_reference(q, k, v, pos, d**-0.5), steps=4)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("m", "d", "n"), [(1, 16, 16), (1, 576, 1536), (129, 100, 300)])
def test_gated_mlp(chip: Device, dtype: Any, m: int, d: int, n: int) -> None:
    rng = np.random.default_rng(m + d)
    x = make(rng, m, d, dtype=dtype)
    gate, up, down = (make(rng, n, d, dtype=dtype) / np.dtype(dtype).type(d**0.5) for _ in range(3))
    close(mlp.gated_mlp(x, gate, up, down, device=chip), mlp.gated_mlp_reference(x, gate, up, down), steps=6)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("n", [1, 128, 300])
def test_embedding(chip: Device, dtype: Any, n: int) -> None:
    rng = np.random.default_rng(n)
    table = make(rng, 1000, 33, dtype=dtype)
    ids = rng.integers(0, 1000, n, dtype=np.int32)
    got = lookup.embedding(ids, table, device=chip)
    assert got.tobytes() == lookup.embedding_reference(ids, table).tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("r", "v"), [(1, 1), (1, 49152), (65, 20000), (3, 16385)])
def test_argmax(chip: Device, dtype: Any, r: int, v: int) -> None:
    x = make(np.random.default_rng(r + v), r, v, dtype=dtype)  # bf16 has many equals among so many
    assert (lookup.argmax(x, device=chip) == lookup.argmax_reference(x)).all()


def test_argmax_takes_the_first_of_equals(chip: Device) -> None:
    x = np.zeros((2, 40000), np.float32)
    x[1, [100, 20000, 39999]] = 1
    assert lookup.argmax(x, device=chip).tolist() == [0, 100]


CASES: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []


def cases() -> list[Any]:
    """Every kernel of the library on a small case with tails, blocks shrunk so that loops turn several times."""
    rng = np.random.default_rng(5)
    m = lambda *s: make(rng, *s)  # noqa: E731
    cos, sin = rotary.rope_tables(64, 8, 1e4)
    return [
        (matmul.matmul, (m(33, 50), m(50, 21)), {"bm": 16, "bn": 8, "bk": 16}, matmul.matmul_reference),
        (matmul.linear, (m(33, 50), m(21, 50)), {"bm": 16, "bn": 8}, matmul.linear_reference),
        (softmax.softmax, (m(33, 50),), {"rows": 8}, softmax.softmax_reference),
        (norm.rmsnorm, (m(33, 50), m(50)), {"rows": 8}, norm.rmsnorm_reference),
        (
            rotary.rope,
            (m(21, 3, 8), cos, sin),
            {"rows": 8, "pos": 5},
            lambda x, c, s: rotary.rope_reference(x, c, s, 5),
        ),
        (
            attention.attention,
            (m(21, 2, 3, 8), m(2, 40, 8), m(2, 40, 8)),
            {"pos": 11, "scale": 0.3, "bq": 8, "bk": 8},
            lambda q, k, v: attention.attention_reference(q, k, v, 11, 0.3),
        ),
        (
            mlp.gated_mlp,
            (m(21, 16), *(m(40, 16) / 4 for _ in range(3))),
            {"bm": 8, "bn": 16},
            mlp.gated_mlp_reference,
        ),
        (
            lookup.embedding,
            (np.arange(20, dtype=np.int32), m(30, 7)),
            {"rows": 8},
            lookup.embedding_reference,
        ),
        (lookup.argmax, (m(21, 100),), {"rows": 8, "bv": 16}, lookup.argmax_reference),
    ]


@pytest.mark.parametrize("case", cases(), ids=lambda c: c[0].name)
def test_small_chip_and_random_schedules(case: Any) -> None:
    """On a chip with little memory, in program order, in timed and in random legal orders: the same bits each time."""
    fn, args, kw, reference = case
    first = fn(*args, device=Device("small"), **kw)
    close(first, reference(*args), steps=4) if first.dtype != np.int32 else np.testing.assert_array_equal(
        first, reference(*args)
    )
    for seed in ("timed", *range(12)):
        got = fn(*args, device=Device("small", schedule=seed), **kw)
        assert got.tobytes() == first.tobytes(), f"seed {seed}"
