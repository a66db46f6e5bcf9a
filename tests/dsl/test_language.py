"""Every construct of the language against NumPy, on the chip, in program order and in random legal orders."""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.dsl import DTypeVar, In, Index, InOut, Out, Scalar, bf16, f16, f32, i32, kernel, u8

import sohu
from tests.dsl.support import rand, run, same

F = DTypeVar("F", f32, bf16, f16)
G = DTypeVar("G")
BF16 = np.dtype(ml_dtypes.bfloat16)
BLOCK = 8


# -- slices, views, tails ------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 33])
def test_copy_by_blocks_with_a_tail(n: int) -> None:
    @kernel
    def copy(x: In[f32, "N C"], y: Out[f32, "N C"]):
        for i in sohu.range(0, x.N, BLOCK):
            y[i : i + BLOCK] = x[i : i + BLOCK]

    x = rand(n, 5)
    same(run(copy, x), x)


@pytest.mark.parametrize(("n", "c"), [(0, 0), (0, 3), (3, 0)])
def test_empty_tensors(n: int, c: int) -> None:
    @kernel
    def whole(x: In[f32, "N C"], y: Out[f32, "N C"]):
        y[...] = x[...] * 2 + 1

    same(run(whole, np.zeros((n, c), np.float32)), np.zeros((n, c), np.float32))


@pytest.mark.parametrize("n", [3, 8, 10])
def test_constant_slices_clamp_as_in_numpy(n: int) -> None:
    @kernel
    def slices(x: In[f32, "N"], a: Out[f32, "A"], b: Out[f32, "B"], c: Out[f32, "C"], d: Out[f32, "D"]):
        a[:] = x[2:6]
        b[:] = x[-4:]
        c[:] = x[:-2]
        d[:] = x[5:1]

    x = rand(n)
    want = (x[2:6], x[-4:], x[:-2], x[5:1])
    outs = [np.zeros(len(w), np.float32) for w in want]
    for got, w in zip(run(slices, x, *outs)[1:], want, strict=True):
        same(got, w)


def test_slices_of_static_dimensions() -> None:
    @kernel
    def static(x: In[f32, "6 4"], y: Out[f32, "3 2"], z: Out[f32, "6 4"], last: Out[f32, "4"]):
        y[:] = x[-100:3, 2:100]
        z[:] = x[0:100]
        last[:] = x[-1]

    x = rand(6, 4)
    y, z, last = run(static, x)
    same(y, x[:3, 2:])
    same(z, x)
    same(last, x[-1])


def test_a_loop_past_the_end_of_a_static_dimension() -> None:
    @kernel
    def past(x: In[f32, "12"], y: Out[f32, "12"]):
        for i in sohu.range(0, 24, 4):
            y[i : i + 4] = x[i : i + 4]

    x = rand(12)
    same(run(past, x), x)


@pytest.mark.parametrize(("n", "pos"), [(10, 0), (10, 4), (10, 8), (10, 10), (10, 40)])
def test_a_run_time_start_past_the_end_gives_an_empty_slice(n: int, pos: int) -> None:
    @kernel
    def window(x: In[f32, "N"], y: InOut[f32, "4"], pos: Index):
        t = x[pos : pos + 4]
        y[0 : t.shape[0]] = t

    x = rand(n)
    y = np.zeros(4, np.float32)
    y[: len(x[pos : pos + 4])] = x[pos : pos + 4]
    same(run(window, x, np.zeros(4, np.float32), pos)[1], y)


def test_a_negative_run_time_start_stops_the_chip() -> None:
    @kernel
    def window(x: In[f32, "N"], y: Out[f32, "4"], pos: Index):
        y[:] = x[pos : pos + 4]

    with pytest.raises(sohu.MachineError, match="starts before the tile"):
        run(window, rand(10), pos=-2)


def test_the_rest_of_a_tensor_has_the_bound_of_its_dimension() -> None:
    @kernel
    def rest(x: In[f32, "N C"], y: Out[f32, "N C"]):
        for i in sohu.range(0, x.N, 4):
            t = x[i:]
            y[i:] = t + i_as_tile(i)

    def i_as_tile(i):
        return sohu.arange((1, 1), i, dtype=f32)

    x = rand(11, 3)
    want = x.copy()
    for i in range(0, 11, 4):
        want[i:] = x[i:] + np.float32(i)
    same(run(rest, x), want)


def test_growing_prefix() -> None:
    @kernel
    def prefix_sums(x: In[f32, "N C"], y: Out[f32, "N C"]):
        for i in sohu.range(x.N):
            y[i] = x[: i + 1].sum(axis=0)

    x = rand(9, 3)
    same(run(prefix_sums, x), np.cumsum(x, axis=0, dtype=np.float32))


def test_integers_none_and_ellipsis() -> None:
    @kernel
    def index(x: In[f32, "A B C"], y: Out[f32, "A 1 C"], z: Out[f32, "A B"], w: Out[f32, "B"], i: Index):
        y[...] = x[:, i][:, None]
        z[...] = x[..., i]
        w[:] = x[-1, :, -1]

    x = rand(3, 4, 5)
    y, z, w = run(index, x, i=2)
    same(y, x[:, 2][:, None])
    same(z, x[..., 2])
    same(w, x[-1, :, -1])


def test_index_outside_stops_the_chip() -> None:
    @kernel
    def row(x: In[f32, "N C"], y: Out[f32, "C"], i: Index):
        y[:] = x[i]

    same(run(row, rand(3, 4), i=2), rand(3, 4)[2])
    with pytest.raises(sohu.MachineError):
        run(row, rand(3, 4), i=3)


def test_an_index_outside_is_no_matter_when_the_loop_has_no_turn() -> None:
    @kernel
    def maybe(x: In[f32, "N C"], y: InOut[f32, "C"], i: Index, turns: Index):
        for _ in sohu.range(turns):
            y[:] = x[i]

    y = np.ones(4, np.float32)
    same(run(maybe, rand(3, 4), y, 7, 0)[1], y)
    same(run(maybe, rand(3, 4), y, 1, 2)[1], rand(3, 4)[1])


def test_what_a_loop_without_turns_would_have_picked_does_not_matter() -> None:
    @kernel
    def rows(x: In[f32, "N C"], y: InOut[f32, "C"], many: Index, turns: Index):
        for i in sohu.range(many):
            for _ in sohu.range(turns):
                y[:] = x[i]

    same(run(rows, rand(3, 4), np.ones(4, np.float32), 9, 0)[1], np.ones(4, np.float32))
    same(run(rows, rand(3, 4), np.ones(4, np.float32), 2, 2)[1], rand(3, 4)[1])


def test_transposes_of_tensors_and_tiles() -> None:
    @kernel
    def turn(x: In[f32, "A B C"], y: Out[f32, "A C B"], z: Out[f32, "C A B"], w: Out[f32, "C B A"]):
        y[...] = x.T
        z[...] = (x[...] + 0).transpose(2, 0, 1)
        w.transpose(2, 1, 0)[...] = x

    x = rand(2, 3, 4)
    y, z, w = run(turn, x)
    same(y, x.swapaxes(1, 2))
    same(z, x.transpose(2, 0, 1))
    same(w, x.transpose(2, 1, 0))


def test_rank_1_and_rank_4() -> None:
    @kernel
    def ranks(x: In[f32, "N"], q: In[f32, "A B C D"], y: Out[f32, "1"], p: Out[f32, "A B C D"]):
        y[:] = x.sum() + x.max(axis=0)
        p[...] = q * 2 - q.max(axis=3, keepdims=True) + q.sum(axis=2, keepdims=True)

    x, q = rand(9), rand(2, 3, 4, 5)
    y, p = run(ranks, x, q)
    same(y, [x.sum() + x.max()])
    same(p, q * 2 - q.max(axis=3, keepdims=True) + q.sum(axis=2, keepdims=True))


def test_views_of_views_and_of_tiles() -> None:
    @kernel
    def nested(x: In[f32, "N C"], y: Out[f32, "2 2"], z: Out[f32, "2 3"]):
        part = x[1:6][:, 1:5]
        y[...] = part[2:4].T[0:2]
        t = x[0:6] * 2
        z[...] = t[4:6, 1:4]

    x = rand(7, 5)
    y, z = run(nested, x)
    same(y, x[1:6][:, 1:5][2:4].T[:2])
    same(z, (x[:6] * 2)[4:6, 1:4])


def test_shape_dtype_ndim_and_len() -> None:
    @kernel
    def facts(x: In[F, "N C"], y: Out[f32, "N C"]):
        t = x[...]
        assert t.dtype == x.dtype and x.ndim == 2 and t.ndim == 2
        rows, cols = t.shape
        y[0:rows, 0:cols] = t.to(f32)
        for i in sohu.range(len(x)):
            y[i] = x[i].to(f32)

    same(run(facts, rand(5, 3)), rand(5, 3))


# -- loads and stores ----------------------------------------------------------------------------


def test_a_view_of_what_is_written_shows_what_is_there_now() -> None:
    @kernel
    def now(x: In[f32, "N"], y: InOut[f32, "N"], z: Out[f32, "N"]):
        v = y[:]
        y[:] = x[:] + v
        z[:] = v

    x, y = rand(6), rand(6, seed=1)
    got = run(now, x, y)
    same(got, x + y)


def test_a_view_from_before_a_loop_shows_what_the_last_turn_stored() -> None:
    @kernel
    def powers(y: InOut[f32, "4"], z: Out[f32, "4"], turns: Index):
        v = y[:]
        w = v.T if False else y[0:4]
        for _ in sohu.range(turns):
            v[...] = v * 2 + w
        z[:] = v

    y = np.ones(4, np.float32)
    for turns in (0, 1, 5):
        same(run(powers, y, turns=turns), np.full(4, 3.0**turns, np.float32))


def test_store_through_a_name_update_and_transposed_view() -> None:
    @kernel
    def store(x: In[f32, "N C"], y: InOut[f32, "C N"]):
        for i in sohu.range(0, x.N, 4):
            out = y.T[i : i + 4]
            out[...] += x[i : i + 4]

    x, y = rand(6, 3), rand(3, 6, seed=2)
    same(run(store, x, y)[1], y + x.T)


def test_stores_convert_and_broadcast() -> None:
    @kernel
    def wide(x: In[f32, "N C"], y: Out[bf16, "N C"], z: Out[f32, "N C"], n: Out[i32, "N C"], s: Scalar):
        y[...] = x[...].max(axis=1, keepdims=True)
        z[...] = s
        n[...] = x[0:1] * 10

    x = rand(4, 3)
    y, z, n = run(wide, x, s=1.5)
    same(y, np.broadcast_to(x.max(axis=1, keepdims=True), x.shape).astype(BF16))
    same(z, np.full((4, 3), 1.5, np.float32))
    same(n, np.broadcast_to(np.trunc(x[:1] * 10), x.shape).astype(np.int32))


def test_store_of_numbers() -> None:
    @kernel
    def numbers(y: InOut[f32, "N C"], n: InOut[i32, "3"]):
        y[1:3] = -0.5
        n[:] = 1 << 24

    y, n = run(numbers, rand(5, 2), np.zeros(3, np.int32))
    want = rand(5, 2)
    want[1:3] = -0.5
    same(y, want)
    assert n.tolist() == [1 << 24] * 3


def test_gather_rows() -> None:
    @kernel
    def take(ids: In[i32, "N"], table: In[G, "V C"], y: Out[G, "N C"]):
        for i in sohu.range(0, ids.N, 4):
            y[i : i + 4] = table[ids[i : i + 4]]

    ids = np.array([3, 0, 3, 1, 2, 3, 0], np.int32)
    for dtype in (np.float32, np.uint8, np.int32):
        table = (
            (rand(4, 3) * 50).astype(np.float32).astype(dtype)
            if dtype is not np.uint8
            else np.arange(12, dtype=np.uint8).reshape(4, 3)
        )
        same(run(take, ids, table), table[ids])


def test_bytes_convert() -> None:
    @kernel
    def dequantize(x: In[u8, "N C"], y: Out[f32, "N C"], z: Out[i32, "N C"], s: Scalar):
        y[...] = x.to(f32) * s
        z[...] = x[...].to(i32) - 128

    x = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10
    y, z = run(dequantize, x, s=0.5)
    same(y, x.astype(np.float32) * np.float32(0.5))
    same(z, x.astype(np.int32) - 128)


# -- arithmetic ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.dtype(np.float32), BF16, np.dtype(np.float16)], ids=str)
def test_operators(dtype: Any) -> None:
    @kernel
    def every(x: In[F, "N C"], w: In[F, "C"], y: Out[f32, "N C"]):
        a, b = x.to(f32), w.to(f32)
        t = (a + b) * (a - b) / (2 + b * b) - (-a) * 3 + 1 / (1 + a * a)
        t = t - 0.5 + (1 - a) - +b
        t += a / 4
        t *= 2
        y[...] = t

    x, w = rand(5, 4, dtype=dtype), rand(4, seed=1, dtype=dtype)
    a, b = x.astype(np.float32), w.astype(np.float32)
    t = (a + b) * (a - b) / (2 + b * b) - (-a) * 3 + 1 / (1 + a * a)
    t = t - np.float32(0.5) + (1 - a) - b
    same(run(every, x, w), (t + a / 4) * 2)


def test_comparisons_where_minimum_maximum_abs() -> None:
    @kernel
    def choose(x: In[f32, "N"], z: In[f32, "N"], y: Out[f32, "8 N"]):
        a, b = x[:], z[:]
        y[0] = a < b
        y[1] = (a <= b) + (a >= 0.5) * 2 + (a > b) * 4
        y[2] = (a == b) + (a != b) * 2
        y[3] = sohu.where(a > 0, a, -1)
        y[4] = sohu.maximum(a, b) - sohu.minimum(a, 0)
        y[5] = max(a, b) + min(a, b, 0.25) + abs(a)
        y[6] = sohu.where(a < b, 1.0, b)
        y[7] = a > 0.5

    x, z = rand(16), rand(16, seed=1)
    z[3] = x[3]
    rows = [
        x < z,
        (x <= z) + (x >= 0.5) * 2 + (x > z) * 4,
        (x == z) + (x != z) * 2,
        np.where(x > 0, x, -1),
        np.maximum(x, z) - np.minimum(x, 0),
        np.maximum(x, z) + np.minimum(np.minimum(x, z), np.float32(0.25)) + abs(x),
        np.where(x < z, 1.0, z),
        x > 0.5,
    ]
    same(run(choose, x, z), np.array([np.asarray(r, np.float32) for r in rows]))


def test_functions() -> None:
    @kernel
    def functions(x: In[f32, "N"], y: Out[f32, "6 N"]):
        a = x[:]
        y[0] = sohu.exp(a)
        y[1] = sohu.log(sohu.exp(a))
        y[2] = sohu.sqrt(a * a)
        y[3] = sohu.rsqrt(1 + a * a)
        y[4] = sohu.tanh(a)
        y[5] = sohu.sigmoid(a)

    x = rand(16)
    want = [np.exp(x), x, abs(x), 1 / np.sqrt(1 + x * x), np.tanh(x), 1 / (1 + np.exp(-x))]
    same(run(functions, x), np.array(want, np.float32), 1e-5)


def test_reductions_and_argmax() -> None:
    @kernel
    def reduce(x: In[f32, "A B C"], y: Out[f32, "A B"], z: Out[f32, "A C"], k: Out[f32, "A B 1"], n: Out[i32, "A B"]):
        t = x[...]
        y[...] = t.sum(axis=-1) - t.min(axis=2)
        z[...] = t.max(axis=1) + t.sum(axis=-2)
        k[...] = t.max(axis=-1, keepdims=True)
        n[...] = sohu.argmax(t) + t.argmax(axis=2)

    x = rand(2, 3, 5)
    y, z, k, n = run(reduce, x)
    same(y, x.sum(axis=-1) - x.min(axis=2))
    same(z, x.max(axis=1) + x.sum(axis=1))
    same(k, x.max(axis=-1, keepdims=True))
    same(n, (2 * x.argmax(axis=-1)).astype(np.int32))


def test_integers() -> None:
    @kernel
    def whole(x: In[i32, "N"], y: Out[i32, "6 N"], s: Index):
        a = x[:]
        y[0] = a + 3 - a * 2
        y[1] = sohu.maximum(a, 0) - sohu.arange((x.N,), s)
        y[2] = sohu.where(a > 2, a, -a)
        y[3] = (a == 3) + (a != 3) * 2
        y[4] = (a.to(f32) * 0.5).to(i32)
        y[5] = sohu.full((x.N,), 7, i32) - sohu.zeros_like(a)

    x = np.array([-5, 0, 3, 7, 100000], np.int32)
    rows = [
        x + 3 - 2 * x,
        np.maximum(x, 0) - (np.arange(5) + 11),
        np.where(x > 2, x, -x),
        (x == 3) + (x != 3) * 2,
        np.trunc(x * 0.5),
        np.full(5, 7),
    ]
    same(run(whole, x, s=11), np.array(rows).astype(np.int32))


def test_matrix_products() -> None:
    @kernel
    def products(a: In[F, "M K"], b: In[F, "K N"], h: In[F, "H M K"], y: Out[f32, "M N"], z: Out[f32, "H M M"]):
        y[...] = a @ b + (b.T @ a.T).T
        z[...] = h @ a.T

    for dtype in (np.float32, BF16):
        a, b, h = rand(4, 5, dtype=dtype), rand(5, 3, seed=1, dtype=dtype), rand(2, 4, 5, seed=2, dtype=dtype)
        y, z = run(products, a, b, h)
        fa, fb, fh = (v.astype(np.float32) for v in (a, b, h))
        same(y, 2 * (fa @ fb), 1e-5)
        same(z, fh @ fa.T, 1e-5)


def test_instructions_by_name() -> None:
    @kernel
    def raw(x: In[f32, "N C"], table: InOut[f32, "V C"], ids: In[i32, "N"], y: Out[f32, "N C"]):
        y[...] = sohu.isa_op("vabs", x[...])
        sohu.isa_op("dma.scatter", table, x[...], ids[:])

    x, ids = rand(3, 4), np.array([4, 0, 2], np.int32)
    table = np.zeros((5, 4), np.float32)
    copies = [x, table.copy(), ids]
    y = raw(*copies, device=sohu.Device("small"))
    same(y, abs(x))
    table[ids] = x
    same(copies[1], table)


# -- scalars -------------------------------------------------------------------------------------


def test_index_arithmetic() -> None:
    @kernel
    def indices(x: In[f32, "N"], y: Out[i32, "10"], a: Index, b: Index = 3):
        values = (
            a + b,
            a - b,
            a * b + 1,
            a // b,
            a % b,
            -a,
            sohu.minimum(a, b),
            max(a, b, 4),
            sohu.cdiv(a, b),
            x.N - (x.N - a),
        )
        for i, v in enumerate(values):
            y[i : i + 1] = sohu.arange((1,), v)

    for a, b in ((17, 5), (-17, 5), (0, 1), (7, -2)):
        want = [a + b, a - b, a * b + 1, a // b, a % b, -a, min(a, b), max(a, b, 4), -(-a // b) if b > 0 else None, a]
        got = run(indices, rand(4), a=a, b=b).tolist()
        assert [g for g, w in zip(got, want, strict=True) if w is not None] == [w for w in want if w is not None]
    assert run(indices, rand(4), a=10).tolist()[:2] == [13, 7]  # b's default


def test_a_scalar_read_from_a_tile() -> None:
    @kernel
    def indirect(where: In[i32, "N"], x: In[f32, "V C"], y: Out[f32, "N C"], scale: Out[f32, "N C"]):
        for i in sohu.range(where.N):
            row = where[i : i + 1].item()
            y[i] = x[row]
            s = x[row, 0:1].item()
            scale[i] = x[i] * s

    x, where = rand(6, 3), np.array([5, 0, 2], np.int32)
    y, scale = run(indirect, where, x)
    same(y, x[where])
    same(scale, x[:3] * x[where, :1])


def test_run_time_floats_in_tile_arithmetic() -> None:
    @kernel
    def scalars(x: In[f32, "N"], y: Out[f32, "6 N"], s: Scalar):
        a = x[:]
        y[0] = a * s + s
        y[1] = a - s
        y[2] = s - a
        y[3] = a / s + s / (a * a + 1)
        y[4] = sohu.maximum(a, s) + sohu.full((x.N,), s)
        y[5] = a < s

    x, s = rand(9), np.float32(0.75)
    rows = [x * s + s, x - s, s - x, x / s + s / (x * x + 1), np.maximum(x, s) + s, (x < s).astype(np.float32)]
    same(run(scalars, x, s=float(s)), np.array(rows))


# -- loops ---------------------------------------------------------------------------------------

TURNS = [0, 1, 2, 5]


@pytest.mark.parametrize("turns", TURNS)
def test_swap(turns: int) -> None:
    @kernel
    def swap(x: In[f32, "2 N"], y: Out[f32, "2 N"], turns: Index):
        a, b = x[0] + 0, x[1] + 0
        for _ in sohu.range(turns):
            a, b = b, a
        y[0] = a
        y[1] = b

    x = rand(2, 6)
    same(run(swap, x, turns=turns), x if turns % 2 == 0 else x[::-1])


@pytest.mark.parametrize("turns", TURNS)
def test_rotation_of_three_and_of_indices(turns: int) -> None:
    @kernel
    def rotate(x: In[f32, "3 N"], y: Out[f32, "3 N"], z: Out[i32, "3"], turns: Index):
        a, b, c = x[0] + 0, x[1] + 0, x[2] + 0
        i, j, k = 0, 1, 2
        for _ in sohu.range(turns):
            a, b, c = b, c, a
            i, j, k = j, k, i
        for n, (t, v) in enumerate(((a, i), (b, j), (c, k))):
            y[n] = t
            z[n : n + 1] = sohu.arange((1,), v)

    x = rand(3, 4)
    order = [(n + turns) % 3 for n in range(3)]
    y, z = run(rotate, x, turns=turns)
    same(y, x[order])
    assert z.tolist() == order


@pytest.mark.parametrize("turns", TURNS)
def test_swap_of_accumulators_updated_in_place(turns: int) -> None:
    @kernel
    def cross(p: In[f32, "N N"], q: In[f32, "N N"], y: Out[f32, "2 N N"], turns: Index):
        a, b = sohu.zeros((p.N, p.N)), sohu.full((p.N, p.N), 1.0)
        for _ in sohu.range(turns):
            a, b = b + p[...] @ q[...], a + q[...] @ p[...]
        y[0] = a
        y[1] = b

    p, q = rand(4, 4), rand(4, 4, seed=1)
    a, b = np.zeros((4, 4), np.float32), np.ones((4, 4), np.float32)
    for _ in range(turns):
        a, b = b + p @ q, a + q @ p
    same(run(cross, p, q, turns=turns), np.array([a, b]), 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_a_new_value_begun_before_the_old_is_read_for_the_last_time(turns: int) -> None:
    @kernel
    def begin(p: In[f32, "N N"], y: Out[f32, "N N"], z: Out[f32, "N N"], turns: Index):
        acc = sohu.zeros((p.N, p.N))
        old = sohu.zeros((p.N, p.N))
        for _ in sohu.range(turns):
            fresh = sohu.full((p.N, p.N), 0.5)
            old = old + acc
            for _ in sohu.range(2):
                fresh += p[...] @ p[...]
            acc = fresh
        y[...] = acc
        z[...] = old

    p = rand(4, 4)
    acc = old = np.zeros((4, 4), np.float32)
    for _ in range(turns):
        old = old + acc
        acc = np.float32(0.5) + 2 * (p @ p)
    y, z = run(begin, p, turns=turns)
    same(y, acc, 1e-5)
    same(z, old, 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_an_heir_of_one_name_lives_where_another_is_renewed(turns: int) -> None:
    @kernel
    def heirs(p: In[f32, "N N"], y: Out[f32, "2 N N"], turns: Index):
        a, b = sohu.zeros((p.N, p.N)), sohu.zeros((p.N, p.N))
        for _ in sohu.range(turns):
            a = b + p[...] @ p[...]
            b = sohu.full((p.N, p.N), 2.0)
        y[0] = a
        y[1] = b

    p = rand(3, 3)
    a = b = np.zeros((3, 3), np.float32)
    for _ in range(turns):
        a, b = b + p @ p, np.full((3, 3), 2, np.float32)
    same(run(heirs, p, turns=turns), np.array([a, b]), 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_carried_unchanged_yielded_twice_and_as_views(turns: int) -> None:
    @kernel
    def odd(x: In[f32, "N N"], y: Out[f32, "4 N N"], turns: Index):
        same_ = x[...] * 2
        a, b, t = x[...] + 0, x[...] + 1, x[...] + 2
        for _ in sohu.range(turns):
            same_ = same_
            s = t + same_
            a = b = s
            t = (t + 1).T
        y[0] = same_
        y[1] = a
        y[2] = b
        y[3] = t

    x = rand(4, 4)
    keep, a, b, t = x * 2, x, x + 1, x + 2
    for _ in range(turns):
        a = b = t + keep
        t = (t + 1).T
    same(run(odd, x, turns=turns), np.array([keep, a, b, t]))


@pytest.mark.parametrize("turns", TURNS)
def test_one_beginning_for_two_loops_and_two_names(turns: int) -> None:
    @kernel
    def shared(x: In[f32, "N"], y: Out[f32, "5 N"], turns: Index):
        start = x[:] * 3
        a = b = start
        for _ in sohu.range(turns):
            a = a + 1
            b = b * 2
        c = start
        for _ in sohu.range(turns):
            c = c + start
        y[0] = a
        y[1] = b
        y[2] = c
        y[3] = start
        y[4] = start + a

    x = rand(5)
    s = x * 3
    a, b, c = s + turns, s * 2**turns, s * (1 + turns)
    same(run(shared, x, turns=turns), np.array([a, b, c, s, s + a]), 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_nested_loops_carry_the_same_name(turns: int) -> None:
    @kernel
    def nested(x: In[f32, "N"], y: Out[f32, "2 N"], turns: Index):
        acc = x[:] + 0
        n = 0
        for i in sohu.range(turns):
            for _ in sohu.range(i):
                acc = acc * 2 + x[:]
                n += 1
            acc = acc + 1
        y[0] = acc
        y[1] = sohu.arange((x.N,), n, dtype=f32)

    x = rand(4)
    acc, n = x, 0
    for i in range(turns):
        for _ in range(i):
            acc = acc * 2 + x
            n += 1
        acc = acc + 1
    same(run(nested, x, turns=turns), np.array([acc, np.arange(4, dtype=np.float32) + n]), 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_values_from_outside_consumed_inside(turns: int) -> None:
    @kernel
    def outside(p: In[f32, "N N"], y: Out[f32, "N N"], z: Out[f32, "N N"], turns: Index):
        base = sohu.full((p.N, p.N), 2.0)
        product = p[...] @ p[...]
        total = sohu.zeros((p.N, p.N))
        for _ in sohu.range(turns):
            total += base + p[...] @ p[...]
            total += product
        y[...] = total
        z[...] = base

    p = rand(3, 3)
    y, z = run(outside, p, turns=turns)
    same(y, turns * (2 + 2 * (p @ p)), 1e-5)
    same(z, np.full((3, 3), 2, np.float32))


@pytest.mark.parametrize("turns", TURNS)
def test_consumed_tiles_still_used_also_by_views(turns: int) -> None:
    @kernel
    def tied(s: In[f32, "R C"], y: Out[f32, "R C"], z: Out[f32, "3 R 1"], turns: Index):
        m = sohu.full((s.R, 1), -np.inf)
        l = sohu.zeros((s.R, 1))  # noqa: E741
        o = sohu.zeros((s.R, s.C))
        seen = sohu.zeros((s.R, s.C))
        for _ in sohu.range(turns):
            first = o[:, 0:1]
            before = o
            p, m, l, o = sohu.online_softmax(s[...], m, l, o)  # noqa: E741
            o = o + p
            seen = seen + before * 2 + first
        y[...] = o + seen
        z[0] = sohu.maximum(m, -100)
        z[1] = l
        z[2] = m if False else l

    s = rand(3, 4)
    m, l, o = np.full((3, 1), -np.inf, np.float32), np.zeros((3, 1), np.float32), np.zeros((3, 4), np.float32)  # noqa: E741
    seen = np.zeros((3, 4), np.float32)
    for _ in range(turns):
        before = o
        new = np.maximum(m, s.max(axis=1, keepdims=True))
        p = np.exp(s - new)
        l = l * np.exp(m - new) + p.sum(axis=1, keepdims=True)  # noqa: E741
        o = o * np.exp(m - new) + p
        m = new
        seen = seen + before * 2 + before[:, :1]
    y, z = run(tied, s, turns=turns)
    same(y, o + seen, 1e-5)
    same(z, np.array([np.maximum(m, -100), l, l]), 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_a_view_outlives_the_tile_it_is_of(turns: int) -> None:
    @kernel
    def seen(p: In[f32, "N N"], y: Out[f32, "2 N N"], turns: Index):
        acc, first = sohu.zeros((p.N, p.N)), sohu.zeros((p.N, p.N))
        for _ in sohu.range(turns):
            before = acc.T
            acc += p[...] @ p[...]
            first = first + before
        y[0] = acc
        y[1] = first

    p = rand(4, 4)
    acc = first = np.zeros((4, 4), np.float32)
    for _ in range(turns):
        acc, first = acc + p @ p, first + acc.T
    same(run(seen, p, turns=turns), np.array([acc, first]), 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_one_beginning_for_two_names_and_nothing_else(turns: int) -> None:
    @kernel
    def twins(x: In[f32, "N"], y: Out[f32, "2 N"], turns: Index):
        a = b = x[:] * 3
        for _ in sohu.range(turns):
            a = a + 1
            b = b * 2
        y[0] = a
        y[1] = b

    x = rand(5)
    same(run(twins, x, turns=turns), np.array([x * 3 + turns, x * 3 * 2**turns]), 1e-5)


@pytest.mark.parametrize("turns", TURNS)
def test_numbers_views_and_tuples_are_carried(turns: int) -> None:
    @kernel
    def kinds(x: In[f32, "N 4"], y: Out[f32, "3 4"], turns: Index):
        row = x[0]
        scale = 0.5
        state = (sohu.zeros((4,)), 0)
        for i in sohu.range(turns):
            total, n = state
            state = (total + row * scale, n + 2)
            row = x[i]
            scale = 2.0
        y[0] = state[0]
        y[1] = row
        y[2] = sohu.arange((4,), state[1], dtype=f32)

    x = rand(6, 4)
    row, scale, total, n = x[0], np.float32(0.5), np.zeros(4, np.float32), 0
    for i in range(turns):
        total, n = total + row * scale, n + 2
        row, scale = x[i], np.float32(2)
    same(run(kinds, x, turns=turns), np.array([total, row, np.arange(4, dtype=np.float32) + n]))


def test_names_reused_for_something_else() -> None:
    @kernel
    def reuse(x: In[f32, "N C"], y: Out[f32, "N C"]):
        t = x[0].to(bf16)
        rows = 4
        for i in sohu.range(0, x.N, rows):
            t = x[i : i + 4] * 2
            rows = 4
            y[i : i + 4] = t
        for i in sohu.range(0, x.N, rows):
            t = y[i : i + 4] + 1
            y[i : i + rows] = t

    x = rand(6, 3)
    same(run(reuse, x), x * 2 + 1)


@pytest.mark.parametrize(("lo", "hi", "step"), [(0, 10, 3), (2, 11, 4), (-3, 4, 2), (5, 5, 1), (7, 3, 2)])
def test_ranges(lo: int, hi: int, step: int) -> None:
    def check(k: Any, **kw: int) -> None:
        n, last = run(k, **kw).tolist()
        turns = list(range(lo, hi, step))
        assert (n, last) == (len(turns), turns[-1] if turns else -99)

    @kernel
    def constant(y: Out[i32, "2"]):
        n, last = 0, -99
        for i in sohu.range(lo, hi, step):
            n += 1
            last = i
        y[0:1] = sohu.arange((1,), n)
        y[1:2] = sohu.arange((1,), last)

    @kernel
    def dynamic(y: Out[i32, "2"], a: Index, b: Index):
        n, last = 0, -99
        for i in sohu.range(a, b, step):
            n += 1
            last = i
        y[0:1] = sohu.arange((1,), n)
        y[1:2] = sohu.arange((1,), last)

    @kernel
    def half(y: Out[i32, "2"], b: Index):
        n, last = 0, -99
        for i in sohu.range(lo, b, step):
            n += 1
            last = i
        y[0:1] = sohu.arange((1,), n)
        y[1:2] = sohu.arange((1,), last)

    check(constant)
    check(dynamic, a=lo, b=hi)
    check(half, b=hi)


def test_eight_loops_deep() -> None:
    @kernel
    def deep(y: Out[i32, "1"], n: Index):
        c = 0
        for _a in sohu.range(n):
            for _b in sohu.range(2):
                for _c in sohu.range(1):
                    for _d in sohu.range(2):
                        for _e in sohu.range(1):
                            for _f in sohu.range(2):
                                for _g in sohu.range(n):
                                    for _h in sohu.range(2):
                                        c += 1
        y[:] = sohu.arange((1,), c)

    assert run(deep, n=2).tolist() == [64]


# -- compile time --------------------------------------------------------------------------------


def test_if_unrolled_loops_and_compile_time_values() -> None:
    @kernel
    def parts(
        x: In[f32, "N"], y: Out[f32, "N"], *, kind: str = "a", parts: tuple[float, ...] = (1, 2), sign: bool = True
    ):
        t = x[:] * 0
        for i, p in enumerate(parts):
            t = t + x[:] * p if i % 2 == 0 else t - p
        for key in {"a": 1, "b": 2}:
            if key == kind and not (1 < 0 < 2) and f"{kind}{1 + 1:02d}" == kind + "02":
                t += 10
            elif kind in ("c",):
                t = -t
        if (sign and len(parts) > 1) or kind is None:
            t = -t
        y[:] = t

    x = rand(6)
    same(run(parts, x), -(x - 2 + 10))
    same(run(parts, x, kind="c", parts=(3.0,), sign=False), x * 3)
    same(run(parts, x, parts=(np.float32(1.5), np.int64(2), 1)), -(x * np.float32(2.5) - 2 + 10), 1e-5)


def test_optional_tensors_of_inlined_functions() -> None:
    def affine(t, scale=None, *, shift=None):
        if scale is not None:
            t = t * scale
        return t if shift is None else t + shift

    @kernel
    def optional(x: In[f32, "N"], w: In[f32, "N"], y: Out[f32, "3 N"]):
        y[0] = affine(x[:])
        y[1] = affine(x[:], w)
        y[2] = affine(*(x[:], w[:]), **{"shift": 2})

    x, w = rand(5), rand(5, seed=1)
    same(run(optional, x, w), np.array([x, x * w, x * w + 2]))


def test_functions_lambdas_methods_closures_and_early_returns() -> None:
    double = lambda t: t * 2  # noqa: E731
    pair = (lambda t: t + 1, lambda t: t - 1)

    class Scaler:
        def __init__(self, by: float) -> None:
            self.by = by

        def __call__(self, t: Any) -> Any:
            return t * self.by

        def apply(self, t: Any, *, plus: float = 0) -> Any:
            return t * self.by + plus

    scaler = Scaler(3.0)

    def clamp(t, low, high=1.0):
        """A docstring
        that begins at the margin."""
        if low is None:
            return t, "free"
        return sohu.minimum(sohu.maximum(t, low), high), "clamped"

    @kernel
    def calls(x: In[f32, "N"], y: Out[f32, "4 N"]):
        y[0] = double(x[:])
        t, how = clamp(x[:], -1, high=0.5)
        assert how == "clamped"
        y[1] = t
        y[2] = scaler.apply(x[:], plus=1)
        y[3] = clamp(x[:], None)[0] + pair[0](x[:]) if False else clamp(x[:], None)[0]

    x = rand(7)
    same(run(calls, x), np.array([x * 2, np.clip(x, -1, 0.5), x * 3 + 1, x]))


def decorate(*_names: str) -> Any:
    return lambda fn: fn


def test_decorators_over_several_lines() -> None:
    @kernel
    @decorate(
        "one",
        "two",
    )
    def decorated(
        x: In[f32, "N"],
        y: Out[f32, "N"],
    ):
        y[:] = x[:] + 1

    same(run(decorated, rand(3)), rand(3) + 1)


def test_kernels_call_kernels() -> None:
    @kernel
    def scale(x: In[F, "A B"], y: Out[f32, "A B"], by: Scalar, start: Index = 0, *, rows: int = 4):
        for i in sohu.range(start, x.A, rows):
            y[i : i + rows] = x[i : i + rows].to(f32) * by

    @kernel
    def both(x: In[F, "N C"], w: In[f32, "C N"], y: Out[f32, "N C"], z: Out[f32, "C N"], s: Scalar):
        scale(x, y, s)
        scale(w[...], z, 2, rows=3)
        scale((w + 1)[:, 0:2], z[:, 0:2], by=s, start=1)

    x, w = rand(6, 5, dtype=BF16), rand(5, 6, seed=1)
    y, z = run(both, x, w, s=0.5)
    want = w * 2
    want[1:, :2] = ((w + 1) * np.float32(0.5))[1:, :2]
    same(y, x.astype(np.float32) * np.float32(0.5))
    same(z[:, 2:], want[:, 2:])


def test_dtype_variables() -> None:
    @kernel
    def two(x: In[F, "N"], w: In[G, "N"], y: Out[G, "N"]):
        y[:] = (x.to(f32) + w[:].to(f32)).to(G)
        assert x.dtype == F

    for a, b in ((np.float32, BF16), (BF16, np.float32), (np.float16, np.float16)):
        x, w = rand(5, dtype=a), rand(5, seed=1, dtype=b)
        same(run(two, x, w), (x.astype(np.float32) + w.astype(np.float32)).astype(b))


def test_several_targets_and_annotations() -> None:
    @kernel
    def targets(x: In[f32, "N"], y: Out[f32, "2 N"]):
        """Docstrings are fine."""
        a = b = x[:] + 1
        c: Any = a * b
        d: Any
        [e, f] = a, c
        d = e + f
        y[0] = y[1] = d
        pass

    x = rand(4)
    want = (x + 1) + (x + 1) * (x + 1)
    same(run(targets, x), np.array([want, want]))


def test_kernels_made_by_functions_have_their_own_closure() -> None:
    def make(factor: float) -> Any:
        dtype = DTypeVar("dtype")

        @kernel
        def scaled(x: In[dtype, "N"], y: Out[dtype, "N"]):
            y[:] = x[:] * factor

        return scaled

    two, three = make(2.0), make(3.0)
    same(run(two, rand(4)), rand(4) * 2)
    same(run(three, rand(4)), rand(4) * 3)


def test_a_notebook_cell() -> None:
    import linecache

    source = (
        "import sohu\nfrom sohu import In, Out, f32\n\n@sohu.kernel\n"
        'def cell(x: In[f32, "N"], y: Out[f32, "N"]):\n    y[:] = x[:] * 4\n'
    )
    name = "<ipython-input-7-abc>"
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), scope)  # noqa: S102  # what a notebook does
    same(run(scope["cell"], rand(3)), rand(3) * 4)


def test_functools_wraps_keeps_its_name_and_signature() -> None:
    @kernel
    def named(x: In[f32, "N"], y: Out[f32, "N"]):
        """What it does."""
        y[:] = x[:]

    assert named.name == named.__name__ == "named" and named.__doc__ == "What it does."
    assert isinstance(named, sohu.Kernel) and repr(named) == "<kernel named(x, y)>"
    assert functools.partial(named, rand(2))(device=sohu.Device("small")).shape == (2,)
