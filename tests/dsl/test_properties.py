"""Random kernels against the same function evaluated by NumPy; what is known of indices against all they can be."""

from __future__ import annotations

import itertools
import linecache
import random
import re
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sohu.dsl import Kernel, parse_function, print_function
from sohu.dsl.builder import Builder
from sohu.dsl.ir import INDEX, Value
from sohu.dsl.ranges import Index, Ranges
from sohu.dsl.verify import verify
from sohu.emulator import Device

from tests.dsl.support import SMALL, assembly, without_places

# -- random kernels --------------------------------------------------------------------------------
#
# A kernel is made as text in which `xp` stands for sohu in the kernel and for this class in the reference, and
# R, C, K are sizes: both sides run the same lines.


class Numpy:
    """The functions of the language that the random kernels use, over float32 arrays."""

    maximum, minimum = staticmethod(np.maximum), staticmethod(np.minimum)
    tanh, sigmoid = staticmethod(np.tanh), staticmethod(lambda x: 1 / (1 + np.exp(-x)))
    range = staticmethod(range)
    f32 = np.float32

    @staticmethod
    def where(cond: Any, x: Any, y: Any) -> Any:
        return np.where(np.asarray(cond) != 0, np.float32(x), np.float32(y))

    @staticmethod
    def zeros(shape: tuple[int, ...]) -> Any:
        return np.zeros(shape, np.float32)

    @staticmethod
    def full(shape: tuple[int, ...], value: float) -> Any:
        return np.full(shape, value, np.float32)


class Writer:
    """Writes statements over names of [rows, C] tiles. Drawn by a seed, not choice by choice: programs stay rich."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.loops = 0

    def pick(self, *options: str) -> str:
        return self.rng.choice(options)

    def number(self) -> str:
        return self.pick("0.5", "-1.0", "2.0", "0.25", "-0.75", "3")

    def tile(self, names: list[str], depth: int = 2) -> str:
        """An expression with values of moderate size."""
        if depth == 0 or self.rng.random() < 0.1:
            return self.pick(*names)
        a, b, n = self.tile(names, depth - 1), self.pick(*names), self.number()
        form = self.pick(
            "({a} + {c})",
            "({a} - {c})",
            "({a} * xp.tanh({c}))",
            "({a} + {n})",
            "({n} - {a})",
            "({a} * {n})",
            "({a} / 2)",
            "(-{a})",
            "abs({a})",
            "xp.tanh({a})",
            "xp.sigmoid({a})",
            "xp.maximum({a}, {b})",
            "xp.minimum({a}, 0.5)",
            "xp.where({a} < {b}, {a}, {n})",
            "xp.where({a} != {b}, {n}, {a})",
            "xp.where({a} >= {n}, {b}, {a})",
            "({a} - xp.tanh({b}).sum(axis=-1, keepdims=True))",
            "({a} + xp.tanh({b}).max(axis=1, keepdims=True))",
            "({a} * xp.tanh({b}).min(axis=1, keepdims=True))",
            "(xp.tanh({a}) @ w[0:C, 0:C])",
            "({b} + xp.tanh({a}) @ w[:, :])",
            "({a} + {b}[:, 0:1])",
            "({a} * w[0][None, :])",
            "({a} - w[-1])",
            "(({a}).T.T)",
            "({b} @ (w[...] * 0.25)).T.T",
        )
        return form.format(a=a, b=b, n=n, c=self.tile(names, depth - 1))

    def line(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def statements(self, names: list[str], indent: int, loops: int) -> None:
        """A few statements that give values to names, and loops of such."""
        for _ in range(self.rng.randint(2, 4)):
            a, b, *rest = self.rng.sample(names, len(names))
            c = rest[0] if rest else a
            match self.pick("assign", "swap", "alias", "update", "accumulate", "peek", "store"):
                case "swap":
                    new = f"{a}, {b} = {b}, {self.tile([a, b], 1)}"
                    self.line(indent, self.pick(f"{a}, {b} = {b}, {a}", new, f"{a}, {b}, {c} = {b}, {c}, {a}"))
                case "alias":
                    self.line(indent, self.pick(f"{a} = {b}", f"{a} = {b}.T.T", f"{a} = x[i : i + B]"))
                case "update":
                    self.line(indent, f"{a} += {self.tile(names, 1)} * 0.5")
                case "accumulate":
                    self.line(indent, self.pick(f"{a} += xp.tanh({b}) @ w[...]", f"{a} = {b} + xp.tanh({c}) @ w[...]"))
                case "peek":
                    self.line(indent, f"{a} = xp.tanh(v) + {b}")
                case "store":
                    self.line(indent, f"z[i : i + B] = xp.tanh({self.tile(names, 1)})")
                case _:
                    self.line(indent, f"{a} = {self.tile(names)}")
            if loops and self.rng.random() < 0.5:
                self.loops += 1
                self.line(indent, f"for k{self.loops} in xp.range({self.pick('0', '1', '2', 'n', 'n - 1', 'n')}):")
                self.statements(names, indent + 1, loops - 1)
                if self.rng.random() < 0.5:
                    self.line(indent + 1, f"{a} = xp.tanh({a})")


def body(seed: int) -> list[str]:
    """The body of a kernel over x [R, C], w [C, C], z [R, C] inout, y [R, C] out, n; in blocks of B rows."""
    w = Writer(seed)
    names = ["a", "b", "c", "d"][: w.rng.randint(2, 4)]
    across = w.rng.random() < 0.5
    if across:  # a tile carried over all blocks
        w.line(0, f"s = {w.pick('xp.zeros((1, C))', 'xp.full((1, C), 0.5)')}")
    w.line(0, "for i in xp.range(0, R, B):")
    w.line(1, "v = z[i : i + B]")
    for name in names:
        w.line(1, f"{name} = {w.pick('x[i : i + B]', 'x[i : i + B] + 1', 'xp.tanh(z[i : i + B])', 'v * 1.0')}")
    w.statements(names, 1, loops=2)
    if across:
        w.line(1, f"s = xp.tanh(s + {w.pick(*names)}.sum(axis=0, keepdims=True))")
        w.line(1, f"{w.pick(*names)} = {w.pick(*names)} + s")
    w.line(1, f"y[i : i + B] = {w.tile(names, 1)}")
    return w.lines


HEAD = 'def k(x: In[f32, "R C"], w: In[f32, "C C"], z: InOut[f32, "R C"], y: Out[f32, "R C"], n: Index, *, B: int = 4):'
NUMBER = itertools.count()


def build(lines: list[str]) -> tuple[Kernel, Any]:
    """The kernel of a body, and the function that does the same with NumPy."""
    inside = ["    R, C = x.R, x.C", *("    " + line for line in lines)]
    imports = ["import sohu as xp", "from sohu.dsl import In, Index, InOut, Out, f32, kernel"]
    text = "\n".join([*imports, "", "@kernel", HEAD, *inside, ""])
    file = f"<random kernel {next(NUMBER)}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope: dict[str, Any] = {}
    exec(compile(text, file, "exec"), scope)  # noqa: S102  # this test's own text
    # tiles are values: `+=` makes a new one, where an array would change under all its names
    fresh = [re.sub(r"^( *)(\w+) \+= (.*)$", r"\1\2 = \2 + (\3)", line) for line in inside[1:]]
    plain = "\n".join(["def k(x, w, z, y, n, B=4):", "    R, C = x.shape", *fresh, ""])
    reference: dict[str, Any] = {"xp": Numpy}
    exec(compile(plain, file, "exec"), reference)  # noqa: S102  # this test's own text
    return scope["k"], reference["k"]


EXAMPLES = settings().max_examples  # of the profile
SEEDS = st.integers(0, (1 << 48) - 1)


@settings(max_examples=EXAMPLES // 2)  # they are large
@given(SEEDS, st.sampled_from([0, 1, 3, 4, 5, 9]), st.integers(1, 6), st.integers(0, 3))
def test_random_kernels(seed: int, rows: int, columns: int, n: int) -> None:
    lines = body(seed)
    kernel, reference = build(lines)
    rng = np.random.default_rng(seed)
    x, z = (rng.standard_normal((rows, columns), dtype=np.float32) for _ in range(2))
    w = rng.standard_normal((columns, columns), dtype=np.float32)
    want, want_z = np.zeros_like(x), z.copy()
    with np.errstate(all="ignore"):
        reference(x.copy(), w, want_z, want, n)
    outcomes = []
    for schedule in (None, seed, seed + 1):
        kept = z.copy()
        outcomes.append((kernel(x, w, kept, n, device=Device(SMALL, schedule=schedule)), kept))
    y, kept = outcomes[0]
    text = "\n".join(lines)
    assert all(a.tobytes() == y.tobytes() and b.tobytes() == kept.tobytes() for a, b in outcomes), text
    if not (np.isfinite(want).all() and np.isfinite(want_z).all()):
        return  # sums grew in loops until they overflowed
    for got, wanted in ((y, want), (kept, want_z)):
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        assert (np.abs(got - wanted) <= 1e-3 * scale).all(), text


@settings(max_examples=EXAMPLES // 10)
@given(SEEDS)
def test_text_of_random_kernels_goes_around(seed: int) -> None:
    kernel, _ = build(body(seed))
    compiled = kernel.compile(chip=SMALL, bounds={"R": 9, "C": 5})
    again = parse_function(compiled.ir)
    verify(again, "parsing")
    assert print_function(again) == compiled.ir
    assert without_places(assembly(again)) == without_places(compiled.asm)


# -- ranges of indices -----------------------------------------------------------------------------

SIZES = (0, 1, 3)  # of the named dimension, whose bound is 3
Made = tuple[Index, Any]  # an index, and the function of (dimension, loop index) that it is


@st.composite
def indices(draw: Any) -> tuple[Ranges, Made, tuple[int, int, int]]:
    """An index made of a dimension, a loop's index and constants; the loop's (start, stop, step)."""
    ranges = Ranges(lambda _: max(SIZES))
    b = Builder(ranges)
    dim, i = Value(INDEX), Value(INDEX)
    ranges.dims[dim] = "N"
    loop = draw(st.tuples(st.integers(-3, 3), st.integers(-3, 6), st.integers(1, 3)))
    ranges.loops[i] = loop
    pool: list[Made] = [(dim, lambda d, _: d), (i, lambda _, k: k)]
    for _ in range(draw(st.integers(0, 6))):
        n = draw(st.integers(-4, 4))
        pool.append((n, lambda _d, _k, n=n: n))
        name = draw(st.sampled_from(["add", "sub", "mul", "min", "max", "div", "rem"]))
        (x, f), (y, g) = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
        if name in ("div", "rem"):
            n = draw(st.sampled_from([-2, 1, 2, 3]))
            y, g = n, lambda _d, _k, n=n: n
        compute = {
            "add": lambda p, q: p + q,
            "sub": lambda p, q: p - q,
            "mul": lambda p, q: p * q,
            "min": min,
            "max": max,
            "div": lambda p, q: p // q,
            "rem": lambda p, q: p % q,
        }[name]
        pool.append((b.scalar(name, x, y), lambda d, k, f=f, g=g, c=compute: c(f(d, k), g(d, k))))
    return ranges, pool[-1], loop


@given(indices())
def test_what_is_known_of_an_index_holds(drawn: tuple[Ranges, Made, tuple[int, int, int]]) -> None:
    ranges, (index, function), loop = drawn
    values = [function(d, k) for d in SIZES for k in range(*loop)]
    upper, lower = ranges.upper(index), ranges.lower(index)
    assert all((upper is None or v <= upper) and (lower is None or v >= lower) for v in values)
    if isinstance(index, int):
        assert all(v == index for v in values)
    if ranges.at_most(index, 2):
        assert all(v <= 2 for v in values)
    assert ranges.bounded(index) == (upper is not None)
