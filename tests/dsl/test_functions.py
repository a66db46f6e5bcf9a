"""Functions of the language that are one instruction each, in kernels, against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sohu.dsl import CompileError, DTypeVar, In, Index, Out, bf16, f32, i32, kernel
from sohu.isa.philox import random_words

import sohu
from tests.dsl.support import ops, rand, run, same
from tests.dsl.test_instructions import build

F = DTypeVar("F", f32, bf16)


def test_elementwise() -> None:
    @kernel
    def functions(x: In[f32, "R C"], y: Out[f32, "13 R C"]):
        t = x[...]
        y[0] = sohu.erf(t)
        y[1] = sohu.sin(t) * sohu.cos(t)
        y[2] = sohu.exp2(t)
        y[3] = sohu.floor(t) + sohu.ceil(t) * 10 + sohu.rint(t) * 100
        y[4] = sohu.silu(t)
        y[5] = sohu.relu2(t)
        y[6] = sohu.gelu(t)
        y[7] = sohu.gelu(t, exact=True)
        y[8] = sohu.softcap(t, 1.5)
        y[9] = sohu.clip(t, -0.5, 0.25)
        y[10] = sohu.fma(t, t, t)
        y[11] = sohu.geglu(t, t)
        y[12] = sohu.geglu(t, t, exact=True)

    x = rand(3, 5) * 2
    erf = np.vectorize(math.erf)
    exact = x * 0.5 * (1 + erf(x / math.sqrt(2)))
    tanh = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    want = [
        erf(x),
        np.sin(x) * np.cos(x),
        2.0**x,
        np.floor(x) + np.ceil(x) * 10 + np.rint(x) * 100,
        x / (1 + np.exp(-x)),
        np.maximum(x, 0) ** 2,
        tanh,
        exact,
        1.5 * np.tanh(x / 1.5),
        np.clip(x, -0.5, 0.25),
        x * x + x,
        tanh * x,
        exact * x,
    ]
    for got, wanted in zip(run(functions, x), want, strict=True):
        same(got, wanted.astype(np.float32), 2e-6)


@pytest.mark.parametrize("rows", [1, 4, 11])
def test_along_both_axes(rows: int) -> None:
    @kernel
    def along(
        x: In[f32, "R C"], sums: Out[f32, "R C"], down: Out[f32, "R C"], least: Out[i32, "R"], low: Out[i32, "1 C"]
    ):
        for r in sohu.range(0, x.R, 4):
            sums[r : r + 4] = sohu.cumsum(x[r : r + 4])
            least[r : r + 4] = sohu.argmin(x[r : r + 4])
        down[...] = sohu.cumsum(x[...], axis=0, exclusive=True)
        low[...] = sohu.argmin(x[...], axis=-2, keepdims=True)

    x = np.random.default_rng(rows).integers(-9, 9, (rows, 6)).astype(np.float32)
    sums, down, least, low = run(along, x)
    same(sums, np.cumsum(x, axis=1))
    same(down, np.cumsum(x, axis=0) - x)
    assert np.array_equal(least, x.argmin(axis=1)) and np.array_equal(low, x.argmin(axis=0)[None])


def test_a_vector() -> None:
    @kernel
    def vector(x: In[f32, "C"], y: Out[f32, "C"], best: Out[f32, "3"], where: Out[i32, "3"], least: Out[i32, "1"]):
        y[...] = sohu.cumsum(x[...])
        best[...], where[...] = sohu.topk(x[...], 3)
        least[...] = sohu.argmin(x[...][None, :])

    x = np.array([3, 1, 4, 1, 5], np.float32)
    y, best, where, least = run(vector, x)
    same(y, np.cumsum(x))
    assert best.tolist() == [5, 4, 3] and where.tolist() == [4, 2, 0] and least.tolist() == [1]


def test_order_and_picking() -> None:
    @kernel
    def order(
        x: In[f32, "R C"], best: Out[f32, "R 3"], at: Out[i32, "R 3"], keys: Out[f32, "R C"], places: Out[i32, "R C"]
    ):
        t = x[...]
        _, positions = sohu.topk(t, 3)
        at[...] = positions
        best[...] = sohu.take_along_axis(t, positions)
        sorted_keys, payload = sohu.sort(t, sohu.arange((x.R, x.C)), descending=True)
        keys[...] = sorted_keys
        places[...] = payload

    x = np.array([[1, 5, 3, 5], [0, -1, 7, 2]], np.float32)
    best, at, keys, places = run(order, x)
    assert at.tolist() == [[1, 3, 2], [2, 3, 0]] and best.tolist() == [[5, 5, 3], [7, 2, 0]]
    assert places.tolist() == [[1, 3, 2, 0], [2, 3, 0, 1]] and keys.tolist() == [[5, 5, 3, 1], [7, 2, 0, -1]]


def test_the_columns_of_a_top_k() -> None:
    @kernel
    def columns(x: In[f32, "R C"], best: Out[f32, "2 C"]):
        best[...], _ = sohu.topk(x[...], 2, axis=0)

    x = rand(6, 4)
    same(run(columns, x), np.sort(x, axis=0)[::-1][:2])


def test_norms() -> None:
    @kernel
    def norms(
        x: In[F, "R C"], r: In[F, "R C"], w: In[f32, "C"], z: In[f32, "1"],
        layer: Out[f32, "R C"], rms: Out[f32, "R C"], total: Out[F, "R C"],
    ):  # fmt: skip
        layer[...] = sohu.layer_norm(x[...], w[...], z[...], dtype=f32)
        normed, added = sohu.add_rms_norm(r[...], x[...], w[...], 1e-3, dtype=f32)
        rms[...] = normed
        total[...] = added

    x, r, w, z = rand(4, 8), rand(4, 8, seed=1), rand(8, seed=2), np.zeros(1, np.float32)
    layer, rms, total = run(norms, x, r, w, z)
    same(layer, (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5) * w, 1e-5)
    same(rms, (x + r) / np.sqrt(((x + r) ** 2).mean(1, keepdims=True) + 1e-3) * w, 1e-5)
    same(total, x + r)


def test_a_router() -> None:
    @kernel
    def route(x: In[f32, "R E"], weights: Out[f32, "R 2"], experts: Out[i32, "R 2"]):
        weights[...], experts[...] = sohu.router(x[...], 2)

    x = rand(5, 8)
    weights, experts = run(route, x)
    order = np.argsort(-x, axis=1)[:, :2]
    e = np.exp(np.take_along_axis(x, order, 1))
    assert np.array_equal(experts, order)
    same(weights, e / e.sum(1, keepdims=True))


def test_random_numbers() -> None:
    @kernel
    def draw(y: Out[f32, "4 6"], key: Index):
        for r in sohu.range(0, 4, 2):
            y[r : r + 2] = sohu.uniform((2, 6), key, r * 2)

    y = run(draw, key=77)
    for r in (0, 2):
        want = (random_words(12, 77, 2 * r) >> 8).astype(np.float32) * np.float32(2**-24)
        assert np.array_equal(y[r : r + 2].reshape(-1), want)


def test_windows_and_trees() -> None:
    @kernel
    def attend(
        q: In[f32, "R D"], k: In[f32, "K D"], v: In[f32, "K D"], parents: In[i32, "N"],
        window: Out[f32, "R D"], tree: Out[f32, "R D"], first: Index,
    ):  # fmt: skip
        s = q[...] @ k[...].T
        m, total, o = sohu.full((q.R, 1), float("-inf")), sohu.zeros((q.R, 1)), sohu.zeros((q.R, q.D))
        p, _, l1, o1 = sohu.online_softmax(s, m, total, o, causal=True, qpos=first, window=3, sinks=1)
        window[...] = (o1 + p @ v[...]) / l1
        p, _, l1, o1 = sohu.tree_softmax(s, m, total, o, parents[...], qslot=first, kslot=0, start=first)
        tree[...] = (o1 + p @ v[...]) / l1

    q, k, v = rand(3, 4), rand(8, 4, seed=1), rand(8, 4, seed=2)
    parents = np.array([-1, 0, 0], np.int32)

    def attention(visible: Any) -> Any:
        z = np.where(visible, q @ k.T, -np.inf)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return (e @ v / e.sum(axis=1, keepdims=True)).astype(np.float32)

    window, tree = run(attend, q, k, v, parents, first=5)
    distance = 5 + np.arange(3)[:, None] - np.arange(8)
    same(window, attention((distance >= 0) & ((distance < 3) | (np.arange(8) < 1))), 1e-5)
    nodes = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 1]], bool)
    same(tree, attention(np.concatenate([np.ones((3, 5), bool), nodes], axis=1)), 1e-5)


def test_an_axis_that_has_no_rows() -> None:
    @kernel
    def wrong(x: In[f32, "A B C"], y: Out[f32, "A B C"]):
        y[...] = sohu.cumsum(x[...], axis=0)

    with pytest.raises(CompileError, match="axis 0 of a tile of rank 3"):
        wrong(rand(2, 3, 4))


def test_rope_takes_what_its_tables_have() -> None:
    @kernel
    def rotate(x: In[f32, "4 10"], f: In[f32, "3"], y: Out[f32, "4 10"], first: Index):
        cos, sin = sohu.rope_tables(sohu.arange((4,), first), f[...], 0.5)
        y[...] = sohu.rope(x[...], cos, sin)

    x, f = rand(4, 10), np.array([1.0, 0.3, 0.01], np.float32)
    y = run(rotate, x, f, first=1000)
    angle = (1000 + np.arange(4))[:, None] * f.astype(np.float64)
    cos, sin = 0.5 * np.cos(angle), 0.5 * np.sin(angle)
    a, b = x[:, :3], x[:, 3:6]
    same(y, np.concatenate([a * cos - b * sin, b * cos + a * sin, x[:, 6:]], axis=1).astype(np.float32))
    assert len(ops(rotate.compile(x, f, y, 0), "vrope.part")) == 1


def test_whole_numbers() -> None:
    @kernel
    def integers(x: In[i32, "R C"], y: In[i32, "C"], z: Out[i32, "9 R C"], n: Index):
        t, u = x[...], y[...]
        z[0] = t // 3
        z[1] = t % u
        z[2] = t & u
        z[3] = t | 5
        z[4] = t ^ n
        z[5] = t << 2
        z[6] = t >> n
        z[7] = 100 // (t | 1)
        z[8] = t % (n * 2)

    rng = np.random.default_rng(0)
    x, y, n = rng.integers(-99, 99, (4, 5)).astype(np.int32), rng.integers(1, 9, 5).astype(np.int32), 3
    want = [x // 3, x % y, x & y, x | 5, x ^ n, x << 2, x >> n, 100 // (x | 1), x % (n * 2)]
    assert np.array_equal(run(integers, x, y, n=n), np.stack(want))


WRONG = [("x[...] // 2.5", "whole numbers"), ("x[...].to(f32) % 2", "takes i32")]


@pytest.mark.parametrize(("expression", "says"), WRONG)
def test_whole_numbers_only(expression: str, says: str) -> None:
    head = "import sohu\nfrom sohu.dsl import In, Out, kernel\nfrom sohu.isa import f32, i32\n@kernel\n"
    wrong = build(f'{head}def k(x: In[i32, "C"], y: Out[i32, "C"]):\n    y[...] = {expression}\n', "wrong")
    with pytest.raises(CompileError, match=says):
        wrong(np.zeros(3, np.int32))
