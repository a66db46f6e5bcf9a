"""What the compiler tells debuggers of variables, against plain Python that runs the same lines, and the machine."""

from __future__ import annotations

import importlib
import linecache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble, read_elf, write_elf
from sohu.asm.assembler import assemble_object
from sohu.asm.disassembler import disassemble
from sohu.asm.elf_object import read_object, write_object
from sohu.asm.formatter import format_source
from sohu.asm.link import link
from sohu.debugger import Exited, Session
from sohu.debugger.forward import Level
from sohu.dsl import CompiledKernel, Kernel, parse_function
from sohu.dsl.debug import Describer
from sohu.dsl.ir import MemType, Value, walk
from sohu.dsl.kernels.attention import attention, cache_append
from sohu.dsl.kernels.lookup import argmax, embedding
from sohu.dsl.kernels.matmul import linear, matmul
from sohu.dsl.kernels.mlp import gated_mlp
from sohu.dsl.kernels.norm import rmsnorm
from sohu.dsl.kernels.rotary import rope
from sohu.dsl.kernels.softmax import softmax
from sohu.dsl.lower import lower
from sohu.dsl.memory import place_buffers
from sohu.dsl.regalloc import allocate
from sohu.dsl.sync import Synchronizer
from sohu.emulator import Device
from sohu.isa import INSTRUCTION_BYTES, decode
from sohu.models.kernels import next_token

from sohu import In, Index, Out, Scalar, exp, f32, kernel, minimum
from sohu import range as range_
from tests.dsl.eager import moments
from tests.dsl.support import SMALL, rand

kernel_module = importlib.import_module("sohu.dsl.kernel")
build = kernel_module.build

# -- kernels with what is hard -------------------------------------------------------------------------


def centred(t: Any, by: Any) -> Any:
    m = t.max(axis=1, keepdims=True)
    t = t - m
    return t * by


def twice(t: Any, by: Any) -> Any:
    a = centred(t, by)
    b = centred(a, by)
    return a + b


@kernel
def inlined(x: In[f32, "R C"], y: Out[f32, "R C"], s: Scalar, *, rows: int = 4) -> None:
    for r in range_(0, x.R, rows):
        t = x[r : r + rows]
        u = twice(t, s)
        t = u + t
        y[r : r + rows] = t


@kernel
def swapped(x: In[f32, "R 8"], y: Out[f32, "R 8"], n: Index) -> None:
    a = x[0:4].to(f32)
    b = x[4:8].to(f32)
    count = 0
    for i in range_(0, n):
        a, b = b, a
        a = a + b
        count = count + i
    y[0:4] = a
    y[count : count + 4] = b


@kernel
def views(x: In[f32, "8 8"], y: Out[f32, "8 8"]) -> None:
    t = x[0:8] * x[0:8]
    top = t[0:4]
    back = t[4:8]
    flat = t.reshape(4, 16)
    e = exp(flat).reshape(8, 8)
    y[0:4] = top + e[0:4]
    y[4:8] = back + e[4:8]


@kernel
def crowded(x: In[f32, "R 256"], y: Out[f32, "R 256"]) -> None:
    a = x[0:128] + x[0:128]
    b = exp(a)
    c = b * b
    d = a + c
    e = exp(d)
    f = d + e
    for _ in range_(0, 2):
        g = f + a
        h = g * g
        f = h + b
    y[0:128] = f


@kernel
def many_scalars(x: In[f32, "R 8"], y: Out[f32, "R 8"], p: Index, q: Index, unused: Index, unread: Index) -> None:
    a0 = p + q
    a1 = a0 * q
    a2 = a1 + p
    a3 = a2 * 3
    a4 = a3 + q
    a5 = a4 - p
    a6 = a5 + a1
    a7 = a6 + a2
    a8 = a7 + a3
    a9 = a8 + a4
    b0 = a9 + 1
    b1 = b0 + a0
    b2 = b1 + a5
    b3 = b2 + a6
    b4 = b3 + a7
    b5 = b4 + a8
    b6 = b5 + b0
    b7 = b6 + b1
    b8 = b7 + b2
    b9 = b8 + b3
    t = x[0:4]
    total = 0
    for i in range_(0, 2):
        c = i + a0
        d = c * a1 + a2 * c + a3 * c + a4 * c + a5 * c + a6 * c + a7 * c + a8 * c + a9 * c
        e = d + b0 * c + b1 * c + b2 * c + b3 * c + b4 * c + b5 * c + b6 * c + b7 * c + b8 * c + b9 * c
        total = total + e
        for _ in range_(0, minimum(total, 1)):
            y[4 * i : 4 * i + 4] = t * 2
    k = minimum(total, 1)
    y[k : k + 1] = x[7:8] * 1


CASES: list[tuple[Kernel, dict[str, Any], dict[str, int], set[str]]] = [
    (softmax, {"x": rand(13, 9), "y": np.zeros((13, 9), np.float32)}, {"rows": 4}, {"r", "t", "e", "rows", "x"}),
    (
        matmul,
        {"a": rand(9, 20), "b": rand(20, 7, seed=1), "c": np.zeros((9, 7), np.float32)},
        {"bm": 4, "bn": 4, "bk": 8},
        {"acc", "i", "j", "k", "a", "b"},
    ),
    (
        linear,
        {"x": rand(9, 8), "w": rand(10, 8, seed=1), "y": np.zeros((9, 10), np.float32)},
        {"bm": 4, "bn": 4},
        {"block", "i", "j"},
    ),
    (rmsnorm, {"x": rand(9, 8), "w": rand(8, seed=1), "y": np.zeros((9, 8), np.float32)}, {"rows": 4}, {"weight", "r"}),
    (
        attention,
        {
            "q": rand(6, 2, 2, 8),
            "k": rand(2, 16, 8, seed=1),
            "v": rand(2, 16, 8, seed=2),
            "out": np.zeros((6, 2, 2, 8), np.float32),
            "pos": 3,
            "scale": 0.5,
        },
        {"bq": 4, "bk": 4},
        {"qb", "m", "l", "o", "s", "p", "n", "j", "rows", "end", "scale", "pos"},
    ),
    (
        inlined,
        {"x": rand(9, 8), "y": np.zeros((9, 8), np.float32), "s": 1.5},
        {},
        {"r", "t", "u", "a", "b", "m", "by", "s"},
    ),
    (swapped, {"x": rand(8, 8), "y": np.zeros((8, 8), np.float32), "n": 3}, {}, {"a", "b", "i", "count"}),
    (views, {"x": rand(8, 8), "y": np.zeros((8, 8), np.float32)}, {}, {"t", "top", "back", "flat", "e"}),
    (
        crowded,
        {"x": rand(128, 256) / 16, "y": np.zeros((128, 256), np.float32)},
        {},
        {"a", "b", "c", "d", "e", "f", "g", "h"},
    ),
    (
        many_scalars,
        {"x": rand(8, 8), "y": np.zeros((8, 8), np.float32), "p": 3, "q": 5, "unused": 7, "unread": 8},
        {},
        {f"{letter}{n}" for letter in "ab" for n in range(10)} | {"c", "d", "e", "i", "p", "q", "total", "k"},
    ),
]
IDS = [k.name for k, *_ in CASES]


def zeros_of(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


LLAMA: dict[str, Any] = {
    "embed": rand(16, 24),
    "attn_norm": rand(2, 16, seed=1),
    "wqkv": rand(2, 16, 32, seed=2),
    "wo": rand(2, 16, 16, seed=3),
    "mlp_norm": rand(2, 16, seed=4),
    "gate_up": rand(2, 16, 32, seed=5),
    "down": rand(2, 16, 16, seed=6),
    "final_norm": rand(16, seed=7),
    "head": rand(16, 24, seed=8),
    "cos": rand(16, 4, seed=9),
    "sin": rand(16, 4, seed=10),
    "keys": zeros_of(2, 1, 16, 8),
    "values": zeros_of(2, 1, 16, 8),
    "token": np.zeros(1, np.int32),
    "scale": 0.35,
}

SIZES = {"C": 16, "V": 24, "L": 2, "Q": 32, "O": 16, "U": 32, "M": 16, "P": 16, "E": 4, "H": 1, "S": 16, "D": 8}

# kernels that plain Python over NumPy does not run as they are
OTHERS: list[tuple[Kernel, dict[str, Any], dict[str, Any], set[str]]] = [
    (
        rope,
        {"x": rand(5, 2, 8), "cos": rand(9, 4, seed=1), "sin": rand(9, 4, seed=2), "y": zeros_of(5, 2, 8), "pos": 2},
        {"rows": 2},
        {"t", "at", "c", "s"},
    ),
    (cache_append, {"x": rand(5, 2, 8), "cache": zeros_of(2, 9, 8), "pos": 2}, {"rows": 2}, {"t", "at"}),
    (
        gated_mlp,
        {
            "x": rand(5, 8),
            **{n: rand(12, 8, seed=i) for i, n in enumerate(("gate", "up", "down"))},
            "y": zeros_of(5, 8),
        },
        {"bm": 2, "bn": 4},
        {"xb", "acc", "g", "u", "h"},
    ),
    (
        embedding,
        {"ids": np.arange(5, dtype=np.int32), "table": rand(9, 8), "y": zeros_of(5, 8)},
        {"rows": 2},
        {"n"},
    ),
    (
        argmax,
        {"x": rand(5, 9), "y": np.zeros(5, np.int32)},
        {"rows": 2, "bv": 4},
        {"best", "at", "t", "top", "here", "better"},
    ),
    (
        next_token,
        LLAMA | {"ids": np.array([3], np.int32), "pos": 5},
        {"rows": 1, "bk": 16, "sizes": SIZES | {"N": 1}},
        {"x", "t", "mixed", "e", "z"},
    ),
    (
        next_token,
        LLAMA | {"ids": np.array([3, 7, 1], np.int32), "pos": 2},
        {"rows": 2, "bk": 4, "bc": 8, "bm": 8, "bv": 8, "sizes": SIZES},
        {"x", "y", "t", "mixed", "out", "m", "l", "o", "best", "which"},
    ),
]
OTHER_IDS = ["rope", "cache_append", "gated_mlp", "embedding", "argmax", "decode", "prefill"]


def compiled(k: Kernel, args: dict[str, Any], constants: dict[str, Any]) -> CompiledKernel:
    return k.compile(**args, **constants, chip=SMALL)


def session(c: CompiledKernel, args: dict[str, Any]) -> Session:
    made = Session(c.program, c.name, args, device=Device("small"), record=False)
    made.begin()
    return made


def held(s: Session, name: str, at: Any) -> Any:
    """What is at a place, as a number or an array."""
    value = s.names.at(at, name)
    if isinstance(value.data, np.ndarray):
        return np.array(value.data, np.float32)
    if value.is_float_bits and isinstance(value.data, int):
        return float(np.uint32(value.data & 0xFFFFFFFF).view(np.float32))
    return value.data


def agrees(shown: Any, python: Any) -> bool:
    if isinstance(python, np.ndarray):
        return (
            isinstance(shown, np.ndarray)
            and shown.shape == python.shape
            and np.allclose(shown, python, rtol=1e-5, atol=1e-6)
        )
    return not isinstance(shown, np.ndarray) and bool(np.isclose(shown, python, rtol=1e-6))


def case(name: str) -> CompiledKernel:
    k, args, constants, _ = next(c for c in CASES if c[0].name == name)
    return compiled(k, args, constants)


def kinds(c: CompiledKernel) -> set[str]:
    return {p.location.kind for d in c.program.debug.kernels for v in d.variables for p in v.places}


def test_the_cases_have_what_is_hard() -> None:
    assert "memory" in kinds(case("many_scalars")), "scalars that found no register"
    tiles = [t.tile for t in case("crowded").program.kernels["crowded"].tiles]
    extents = sorted(t.extent() for t in tiles)
    assert any(low < end for (_, end), (low, _) in pairwise(extents)), "tiles that share bytes"
    assert len(case("inlined").program.debug.kernels[0].scopes) == 4, "calls inlined in calls"


@pytest.mark.parametrize(("k", "args", "constants", "wanted"), CASES, ids=IDS)
def test_variables_hold_what_python_has(
    k: Kernel, args: dict[str, Any], constants: dict[str, Any], wanted: set[str]
) -> None:
    """At the first instruction of each line that is reached, every variable is as before that line in Python."""
    c = compiled(k, args, constants)
    python = moments(k, {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in args.items()} | constants)
    s = session(c, args)
    debug = c.program.debug
    compared: set[str] = set()
    outputs = {p.name for p in c.function.params if p.direction in ("out", "inout")}
    while not isinstance(s.stop, Exited):
        stack = debug.stack(s.pc)
        assert stack and stack[-1].function == k.name
        live = {n: held(s, n, at) for n, at in debug.variables(s.pc, 0).items() if n not in outputs}
        alike = [m for m in python if (m.function, m.line) == (stack[0].function, stack[0].line)]
        numbers = {n: v for n, v in live.items() if not isinstance(v, np.ndarray)}
        fits = [m for m in alike if all(n in m.names and agrees(v, m.names[n]) for n, v in numbers.items())]
        if stack[0].line != k.__sohu_function__.__code__.co_firstlineno + 1 and alike:
            assert fits, (stack[0], numbers, [{n: m.names.get(n) for n in numbers} for m in alike])
            wrong = [[n for n, v in live.items() if not agrees(v, m.names.get(n))] for m in fits]
            assert [] in wrong, (stack[0], hex(s.pc), wrong)
            compared |= live.keys()
        s.step(level=Level.LINE)
    assert wanted <= compared, wanted - compared


@pytest.mark.parametrize(
    ("k", "args", "constants", "wanted"), [*CASES, *OTHERS], ids=[*IDS, *(o[0].name for o in OTHERS)]
)
def test_a_value_stays_as_it_is_where_it_is_said_to_live(
    k: Kernel, args: dict[str, Any], constants: dict[str, Any], wanted: set[str]
) -> None:
    """Whatever is executed meanwhile: nothing else is written where a value lives."""
    c = compiled(k, args, constants)
    described = {v.name for d in c.program.debug.kernels for v in d.variables if v.places}
    assert wanted <= described, wanted - described
    machine = lower(c.function)
    place_buffers(machine, c.chip)
    Synchronizer(machine).run()
    d = Describer(c.function, machine, allocate(machine))
    assert d.run(0) == c.program.debug.kernels[0]
    values = [v for op in walk(c.function.body) for v in (*op.results, *(op.body.args if op.body else ()))]
    begins: dict[int, list[tuple[Value, int, Any]]] = {}
    for v in values:
        if not isinstance(v.type, MemType):
            for place in d.located(v):
                begins.setdefault(place.start, []).append((v, place.end, place.location))
    assert sum(map(len, begins.values())) >= len(values) // 2
    s = session(c, args)
    alive: list[tuple[Value, int, int, Any, Any]] = []
    while not isinstance(s.stop, Exited):
        at = s.pc // INSTRUCTION_BYTES
        alive = [a for a in alive if a[1] < at < a[2]]
        for v, start, end, where, before in alive:
            now = held(s, v.hint, where)
            assert np.array_equal(np.asarray(now), np.asarray(before), equal_nan=True), (
                v.hint,
                at,
                start,
                end,
                str(where),
            )
        for v, end, where in begins.get(at, ()):
            alive.append((v, at, end, where, held(s, v.hint, where)))
        s.stepi()


def first_pc(c: CompiledKernel, line: str) -> int:
    """Where the code of the source line begins that has this text."""
    lines = c.function.loc.file if c.function.loc is not None else ""
    number = next(i for i, t in enumerate(linecache.getlines(lines), 1) if line in t and i > c.function.loc.line)  # type: ignore[union-attr]
    return next(x.pc for x in c.program.lines if x.line == number)


def test_what_a_loop_has_carried_is_there_after_it() -> None:
    c = case("matmul")
    assert {"acc", "i", "j"} <= c.program.debug.variables(first_pc(c, "c[i : i + bm, j : j + bn] = acc")).keys()


def test_inner_names_mean_nothing_outside() -> None:
    c = case("inlined")
    debug = c.program.debug
    inside, outside = first_pc(c, "y[r : r + rows] = t"), debug.ranges("m")
    assert debug.variables(inside, 0).keys() >= {"r", "t"} and not {"m", "by"} & debug.variables(inside).keys()
    assert len({(r.start, r.end) for r in outside}) == 2  # it was called twice
    for r in outside:
        assert all(
            "centred" in [f.function for f in debug.stack(pc)] for pc in range(r.start, r.end, INSTRUCTION_BYTES)
        )


def test_the_stack_of_inlined_calls() -> None:
    c = case("inlined")
    stacks = {tuple(f.function for f in c.program.debug.stack(x.pc)) for x in c.program.lines}
    assert stacks == {("inlined",), ("twice", "inlined"), ("centred", "twice", "inlined")}
    deep = next(s for x in c.program.lines if len(s := c.program.debug.stack(x.pc)) == 3)
    texts = [linecache.getline(f.file, f.line).strip() for f in deep]
    assert texts[1:] == ["a = centred(t, by)", "u = twice(t, s)"]
    assert [f.column for f in deep[1:]] == [9, 13]


def test_operations_are_lines_of_the_ir() -> None:
    for k, args, constants, _ in CASES:
        c = compiled(k, args, constants)
        lines = c.ir.splitlines()
        for d in c.program.debug.kernels:
            assert d.ops and all(op.text == lines[op.number - 1].strip().removesuffix(" {") for op in d.ops)
        for at, inst in enumerate(c.program.text[i : i + 16] for i in range(0, len(c.program.text), 16)):
            op, decoded = c.program.debug.op(16 * at), decode(int.from_bytes(inst, "little"))
            if decoded.row.engine.is_async and not decoded.row.mnemonic.endswith(".sync"):
                assert op is not None and f" {decoded.row.mnemonic} " in f" {op.text} ", (at, op, decoded)


@pytest.mark.parametrize(("k", "args", "constants", "wanted"), CASES, ids=IDS)
def test_the_text_says_it_all(k: Kernel, args: dict[str, Any], constants: dict[str, Any], wanted: set[str]) -> None:
    """The assembly, what is disassembled, an object that is linked: all give the file that the compiler gives."""
    c = compiled(k, args, constants)
    assert c.program.debug
    again = assemble(c.asm, f"{c.name}.s")
    assert again.debug == c.program.debug and write_elf(again) == c.elf
    loaded = read_elf(c.elf)
    assert loaded.debug == c.program.debug and write_elf(loaded) == c.elf
    assert write_elf(assemble(disassemble(loaded))) == c.elf
    made = write_object(assemble_object(c.asm, f"{c.name}.s"))
    assert write_object(read_object(made)) == made
    assert write_elf(link([read_object(made)])) == c.elf
    assert format_source(c.asm).count(".var") == c.asm.count(".var")
    assert write_elf(assemble(format_source(c.asm), f"{c.name}.s")) == c.elf


def test_nothing_is_described_before_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling costs no more for it."""
    asked = []
    real = kernel_module.describe
    monkeypatch.setattr(kernel_module, "describe", lambda *a: asked.append(1) or real(*a))
    softmax.compiled.clear()
    k, args, constants, _ = CASES[0]
    c = compiled(k, args, constants)
    k(*(a.copy() for a in args.values() if isinstance(a, np.ndarray)), **constants, device=Device("small"))
    assert not asked
    assert c.program.debug.kernels and asked == [1]


def test_ir_without_a_source_is_described_too() -> None:
    """Its operations have numbers, and its code belongs to one function."""
    c = build(parse_function(case("softmax").ir), SMALL)
    assert assemble(c.asm, f"{c.name}.s").debug == c.program.debug == read_elf(c.elf).debug
    (d,) = c.program.debug.kernels
    assert [s.function for s in d.scopes] == ["softmax"] and d.ops and not d.variables


def half(t: Any) -> Any:
    return t * 0.5


half.__name__ = "not\na name"


@kernel
def renamed(x: In[f32, "8"], y: Out[f32, "8"]) -> None:
    y[:] = half(x[:])


def test_functions_can_be_called_anything() -> None:
    c = renamed.compile(rand(8), chip=SMALL)
    assert [s.function for s in read_elf(c.elf).debug.kernels[0].scopes] == ["renamed", "<function>"]
