"""Tiles: every construct of the language against NumPy, on the chip, in program order and in random legal orders."""

from __future__ import annotations

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
