"""Attention made of its instructions, against plain softmax: windows, sinks, trees, learned sinks, tails."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device
from sohu.isa import ROWS

from tests.emulator.support import Array, after_prologue, kernel, named, random_floats, run, stopped

D = 8
SCALE = 0.3


def softmax_attention(q: Array, k: Array, v: Array, visible: Array, sink: float | None = None) -> Array:
    """Rows of softmax(q k' * SCALE) v over what is visible; `sink` is one more logit, without a value."""
    z = np.where(visible, q.astype(np.float64) @ k.T.astype(np.float64) * SCALE, -np.inf)
    extra = np.full((len(q), 1), -np.inf if sink is None else sink)
    top = np.maximum(z.max(axis=1, keepdims=True, initial=-np.inf), extra)
    e = np.exp(z - top)
    return np.asarray(e @ v / (e.sum(axis=1, keepdims=True) + np.exp(extra - top)))


def attention(
    q: Array, k: Array, v: Array, step: str, scalars: str = "", sink: float | None = None, **extra: Any
) -> Array:
    """The same by blocks of 4 keys, the last one short; `step` is the instruction, x6 the first key of the block."""
    rows, keys = len(q), len(k)
    tiles = "\n".join(f".tile {n}, sram, i32, [{len(x)}]" for n, x in extra.items())
    declarations = f"""
        .tile q, sram, f32, [{rows}, {D}]
        .tile k, sram, f32, [{keys}, {D}]
        .tile v, sram, f32, [{keys}, {D}]
        .tile s, acc, f32, [{rows}, 4]
        .tile p, sram, f32, [{rows}, 4]
        .tile o, acc, f32, [{rows}, {D}]
        .tile m, sram, f32, [{rows}, 1]
        .tile l, sram, f32, [{rows}, 1]
        .tile out, sram, f32, [{rows}, {D}]
        {tiles}
    """
    body = f"""
        vfill o, 0.0
        vfill m, {"-inf" if sink is None else sink}
        vfill l, {0.0 if sink is None else 1.0}
        {scalars}
        lf x5, {SCALE}
        li x6, 0
        li x9, 0
        loop {-(-keys // 4)}, done
        tslice t40, k, 0, x6, 4
        tslice t41, v, 0, x6, 4
        tget x7, t40, 0
        tset t42, s, 1, x7
        tset t43, p, 1, x7
        tswap t40, t40, 0, 1
        add x9, x9, 1
        mm t42, q, t40                wait s1>=x9-1  signal s0
        {step}                        wait s0>=x9    signal s2
        mma o, t43, t41               wait s2>=x9    signal s1
        add x6, x6, 4
    done:
        drain
        vdiv out, o, l
    """
    device = Device("small")
    after_prologue(device, kernel(body, declarations))
    for name, x in {"q": q, "k": k, "v": v, **extra}.items():
        named(device.machine, name)[...] = x
    device.machine.run()
    return named(device.machine, "out").copy()


def some(rows: int, keys: int) -> tuple[Array, Array, Array]:
    return random_floats((rows, D), 1), random_floats((keys, D), 2), random_floats((keys, D), 3)


WINDOW = "vosm.window t43, t42, m, l, o, x5, x8, x6, x11, x12, causal=1"


@pytest.mark.parametrize(("window", "sinks"), [(0, 0), (1, 0), (3, 0), (3, 2), (20, 0), (2, 20)])
def test_a_window_and_sinks(window: int, sinks: int) -> None:
    q, k, v = some(6, 11)
    positions, keys = 5 + np.arange(6)[:, None], np.arange(11)
    visible = (keys <= positions) & ((positions - keys < window) | (keys < sinks) | (window == 0))
    got = attention(q, k, v, WINDOW, f"li x8, 5\n li x11, {window}\n li x12, {sinks}")
    np.testing.assert_allclose(got, softmax_attention(q, k, v, visible), rtol=1e-5, atol=1e-6)


def test_a_learned_sink_is_where_the_state_begins() -> None:
    q, k, v = some(3, 7)
    step = "vosm t43, t42, m, l, o, x5, x8, x6, causal=1"
    visible = np.arange(7) <= 4 + np.arange(3)[:, None]
    got = attention(q, k, v, step, "li x8, 4", sink=1.25)
    np.testing.assert_allclose(got, softmax_attention(q, k, v, visible, 1.25), rtol=1e-5, atol=1e-6)


def test_a_tree_of_drafts() -> None:
    parents = np.array([-1, 0, 0, 1, -1, 4])
    q, k, v = some(6, 5 + 6)  # five slots of context before the tree
    visible = np.zeros((6, 11), bool)
    visible[:, :5] = True
    for node, path in enumerate([[0], [0, 1], [0, 2], [0, 1, 3], [4], [4, 5]]):
        visible[node, [5 + n for n in path]] = True
    got = attention(q, k, v, "vosm.tree t43, t42, m, l, o, parents, x5, x8, x6, x8, x0", "li x8, 5", parents=parents)
    np.testing.assert_allclose(got, softmax_attention(q, k, v, visible), rtol=1e-5, atol=1e-6)


def test_a_chain_of_drafts_is_causal_attention() -> None:
    q, k, v = some(4, 9)
    chain = np.arange(4) - 1
    tree = attention(
        q, k, v, "vosm.tree t43, t42, m, l, o, chain, x5, x8, x6, x8, x11", "li x8, 5\n li x11, 3", chain=chain
    )
    plain = attention(q, k, v, WINDOW, "li x8, 5\n li x11, 3\n li x12, 0")
    assert np.array_equal(tree, plain)


def test_a_soft_cap_before_the_step() -> None:
    q, k, v = some(3, 7)
    q *= 10
    step = f"""vmuls t42, t42, {SCALE} wait s0>=x9
        vsoftcap t42, t42, 5.0
        vosm t43, t42, m, l, o, x8, x0, x0"""
    got = attention(q, k, v, step, "lf x8, 1.0")
    z = np.tanh(q.astype(np.float64) @ k.T * SCALE / 5) * 5
    e = np.exp(z)
    np.testing.assert_allclose(got, e @ v / e.sum(axis=1, keepdims=True), rtol=2e-5, atol=1e-6)


def test_linear_biases_are_a_row_of_key_positions() -> None:
    q, k, v = some(3, 7)
    step = f"""viota t43, x6          wait s0>=x9
        vmuls t43, t43, 0.5
        vmuls t42, t42, {SCALE}
        vadd t42, t42, t43
        vosm t43, t42, m, l, o, x13, x8, x6, causal=1"""
    got = attention(q, k, v, step, "li x8, 4\n lf x13, 1.0")
    distance = 4 + np.arange(3)[:, None] - np.arange(7)
    z = np.where(distance >= 0, q.astype(np.float64) @ k.T * SCALE - 0.5 * distance, -np.inf)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    np.testing.assert_allclose(got, e @ v / e.sum(axis=1, keepdims=True), rtol=1e-5, atol=1e-6)


def test_a_tree_takes_no_more_memory_than_its_scores() -> None:
    """Parents that fill SRAM: a mask of all nodes by all nodes would take 16 GB."""
    nodes = 1 << 17
    tiles = f""".tile parents, sram, i32, [{nodes}]
        .tile p, acc, f32, [2, 4]
        .tile m, acc, f32, [2, 1]
        .tile l, acc, f32, [2, 1]
        .tile o, acc, f32, [2, 3]"""
    fills = "\n".join(f"vfill {tile}, 0.0" for tile in ("p", "m", "l", "o"))
    body = f"viota parents, -1\n{fills}\n li x5, {nodes - 2}\n li x6, 3"
    device, _ = run(f"{body}\n vosm.tree p, p, m, l, o, parents, x0, x5, x5, x0, x6", tiles)
    assert named(device.machine, "p").tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]


TREE = """
    .tile p, sram, f32, [2, 4]
    .tile m, sram, f32, [2, 1]
    .tile l, sram, f32, [2, 1]
    .tile o, sram, f32, [2, 3]
    .tile parents, sram, i32, [2]
"""


@pytest.mark.parametrize(
    ("setup", "operands", "says"),
    [
        ("viota parents, 0", "x0, x0, x0, x0", "parents[0] is 0, and a parent comes before its node"),
        ("viota parents, -1\n li x6, 3", "x6, x0, x6, x0", ""),
        ("viota parents, -1\n li x6, 3\n li x7, 4", "x7, x0, x6, x0", "row 1 lies behind a tree of 2 nodes"),
        ("viota parents, -1\n li x6, -1", "x6, x0, x0, x0", "no cache has the slots -1, 0 and 0"),
    ],
)
def test_trees_that_are_none(setup: str, operands: str, says: str) -> None:
    fills = "\n".join(f"vfill {tile}, 0.0" for tile in ("p", "m", "l", "o"))
    body = f"{setup}\n{fills}\n vosm.tree p, p, m, l, o, parents, x0, {operands}"
    if says:
        e = stopped(body, TREE)
        assert e.category == "operand" and e.message == says
    else:
        run(body, TREE)


def seen(mnemonic: str, rows: int, cols: int, *operands: Any) -> Array:
    """Which scores an instruction does not mask, by its weights when all scores are 0."""
    p, s = np.empty((rows, cols), np.float32), np.zeros((rows, cols), np.float32)
    m, total, o = np.zeros((rows, 1), np.float32), np.zeros((rows, 1), np.float32), np.zeros((rows, 2), np.float32)
    ROWS[mnemonic].semantics(p, s, m, total, o, *operands)
    assert set(np.unique(p)) <= {0.0, 1.0} and np.array_equal(total[:, 0], p.sum(axis=1))
    return p == 1


def test_random_windows() -> None:
    rng = random.Random(1)
    for _ in range(400):
        rows, cols = rng.randint(1, 6), rng.randint(1, 6)
        qpos, kpos, window, sinks = (rng.randint(-3, 9) for _ in range(4))
        causal = rng.randint(0, 1)
        got = seen("vosm.window", rows, cols, 1.0, qpos, kpos, window, sinks, causal)
        for r, c in np.ndindex(rows, cols):
            distance = qpos + r - (kpos + c)
            near = window <= 0 or abs(distance) < window or kpos + c < sinks
            assert got[r, c] == (near and not (causal and distance < 0)), (qpos, kpos, window, sinks, causal, r, c)


def test_random_trees() -> None:
    rng = random.Random(2)
    for _ in range(400):
        nodes, start = rng.randint(0, 7), rng.randint(0, 5)
        parents = [rng.randint(-2, n - 1) for n in range(nodes)]
        rows, cols = rng.randint(1, start + nodes or 1), rng.randint(1, 8)
        if start + nodes < rows:
            continue
        qslot, kslot, window = rng.randint(0, start + nodes - rows), rng.randint(0, 6), rng.randint(-1, 4)
        got = seen("vosm.tree", rows, cols, np.array(parents, np.int32), 1.0, qslot, kslot, start, window)
        paths: list[list[int]] = []  # of each node, from itself to the context
        for n, parent in enumerate(parents):
            paths.append([n, *(paths[parent] if parent >= 0 else [])])
        for r, c in np.ndindex(rows, cols):
            q, k = qslot + r - start, kslot + c - start
            visible = k <= q if q < 0 else k < 0 or k in paths[q]
            if visible and window > 0:
                depth = [len(path) - 1 for path in paths]
                visible = (q if q < 0 else depth[q]) - (k if k < 0 else depth[k]) < window
            assert got[r, c] == visible, (parents, start, qslot, kslot, window, r, c)
