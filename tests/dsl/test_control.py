"""Loops, compile time, functions: against NumPy, on the chip, in program order and in random legal orders."""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.dsl import DTypeVar, In, Index, Out, Scalar, bf16, f16, f32, i32, kernel

import sohu
from tests.dsl.support import rand, run, same

F = DTypeVar("F", f32, bf16, f16)
G = DTypeVar("G")
BF16 = np.dtype(ml_dtypes.bfloat16)
BLOCK = 8


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
