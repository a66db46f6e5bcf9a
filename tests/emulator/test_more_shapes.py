"""Instructions against NumPy in double precision, in many shapes: tails, broadcasts, in place, and empty ones.

The plain reference (tests/emulator/reference) has one or two shapes for each row; here the conformance kit makes more.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device, MachineError
from sohu.emulator.conformance import Reference, check
from sohu.isa import ROWS, Data, Fault, Row, Space
from sohu.isa.operands import XF, XFI, XI, Sem, X

from tests.emulator.support import Array, kernel

ERF = np.vectorize(math.erf, otypes=[float])
ERFC = np.vectorize(math.erfc, otypes=[float])


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def gelu(x: Array) -> Array:
    return np.asarray(x / 2 * ERFC(-x / math.sqrt(2)))


def gelu_tanh(x: Array) -> Array:
    return np.asarray(x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def rms(x: Array, weight: Array, eps: float) -> Array:
    return np.asarray(x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight)


def layer_norm(src: Array, weight: Array, bias: Array, eps: float) -> Array:
    centered = src - src.mean(axis=-1, keepdims=True)
    return np.asarray(centered / np.sqrt((centered**2).mean(axis=-1, keepdims=True) + eps) * weight + bias)


def largest(x: Array, k: int) -> tuple[Array, Array]:
    order = np.argsort(-x, axis=-1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, axis=-1), order


def sort(src: Array, src_payload: Array, descending: int) -> dict[str, Array]:
    order = np.argsort(-src if descending else src, axis=-1, kind="stable")
    return {"keys": np.take_along_axis(src, order, -1), "payload": np.take_along_axis(src_payload, order, -1)}


def clamped(gate: Array, up: Array, alpha: float, limit: float) -> Array:
    g = np.minimum(gate, limit)
    return np.asarray(g / (1 + np.exp(-alpha * g)) * (np.clip(up, -limit, limit) + 1))


def rotate(src: Array, cos: Array, sin: Array, interleaved: int) -> Array:
    out, half = src.copy(), cos.shape[-1]
    pairs = (slice(0, 2 * half, 2), slice(1, 2 * half, 2)) if interleaved else (slice(0, half), slice(half, 2 * half))
    a, b = src[..., pairs[0]], src[..., pairs[1]]
    out[..., pairs[0]], out[..., pairs[1]] = a * cos - b * sin, b * cos + a * sin
    return out


def table(position: Array, frequency: Array, scale: float) -> dict[str, Array]:
    angle = position[:, None] * frequency
    return {"cos": scale * np.cos(angle), "sin": scale * np.sin(angle)}


def positive(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(1, 50, shape)


INTEGERS: dict[str, Reference] = {
    "vand": lambda a, b: a & b,
    "vor": lambda a, b: a | b,
    "vxor": lambda a, b: a ^ b,
    "vsll": lambda a, b: (a << (b & 31)).astype(np.int32),
    "vsra": lambda a, b: a >> (b & 31),
    "vsrl": lambda a, b: ((a & 0xFFFFFFFF) >> (b & 31)).astype(np.int32),
}
FLOATS: dict[str, tuple[Reference, dict[str, Any]]] = {
    "verf": (lambda src: ERF(src), {}),
    "vsin": (lambda src: np.sin(src), {}),
    "vcos": (lambda src: np.cos(src), {}),
    "vexp2": (lambda src: np.exp2(src), {}),
    "vround": (lambda src: np.rint(src), {}),
    "vfloor": (lambda src: np.floor(src), {}),
    "vceil": (lambda src: np.ceil(src), {}),
    "vclamp": (lambda src, low, high: np.clip(src, low, high), {"scalars": {"low": [-1.0, -0.5], "high": 0.75}}),
    "vfma": (lambda a, b, c: a * b + c, {}),
    "vidiv": (lambda a, b: a // b, {"inputs": {"b": positive}}),
    "virem": (lambda a, b: a % b, {"inputs": {"b": positive}}),
    "vargmin.row": (lambda src: src.argmin(axis=-1, keepdims=True), {}),
    "vcumsum.row": (
        lambda src, exclusive: np.cumsum(src, axis=-1) - (src if exclusive else 0),
        {"slack": 1e-4},
    ),
    "vsort.row": (sort, {}),
    "vsoftcap": (lambda src, cap: cap * np.tanh(src / cap), {"scalars": {"cap": [0.5, 30.0]}}),
    "vsilu": (lambda src: silu(src), {}),
    "vgelu": (lambda src: gelu_tanh(src), {"slack": 1e-5}),
    "vgelu.erf": (lambda src: gelu(src), {}),
    "vrelu2": (lambda src: np.maximum(src, 0) ** 2, {}),
    "vgeglu": (lambda gate, up: gelu_tanh(gate) * up, {"slack": 1e-4}),
    "vgeglu.erf": (lambda gate, up: gelu(gate) * up, {}),
    "vswiglu.clamp": (clamped, {"scalars": {"alpha": 1.702, "limit": [7.0, 1.0]}, "ulps": 16}),
    "vln": (layer_norm, {"slack": 1e-4}),
    "vrms.add": (
        lambda residual, src, weight, eps: {"dst": rms(residual + src, weight, eps), "residual": residual + src},
        {"ulps": 16},
    ),
    "vrope.table": (table, {"slack": 1e-6}),
}


@pytest.mark.parametrize("mnemonic", FLOATS)
def test_in_many_shapes(mnemonic: str) -> None:
    reference, options = FLOATS[mnemonic]
    assert check(ROWS[mnemonic], reference, **options).runs >= 8


@pytest.mark.parametrize("mnemonic", INTEGERS)
def test_integers_in_many_shapes(mnemonic: str) -> None:
    assert check(ROWS[mnemonic], INTEGERS[mnemonic]).runs >= 4


@pytest.mark.parametrize(("k", "c"), [(1, 1), (1, 9), (9, 9), (3, 40)])
def test_the_largest_in_many_shapes(k: int, c: int) -> None:
    shapes = [{"K": k, "C": c, "E": c, "R": 1}, {"K": k, "C": c, "E": c, "R": 5, "...": 2}]

    def topk(src: Array) -> dict[str, Array]:
        values, order = largest(src, k)
        return {"values": values, "indices": order}

    def route(logits: Array) -> dict[str, Array]:
        values, order = largest(logits, k)
        e = np.exp(values - values[..., :1])
        return {"weights": e / e.sum(axis=-1, keepdims=True), "experts": order}

    def index(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return rng.integers(0, c, shape)

    # with tails, the tile of results is narrower than what is asked of it: its own width counts
    assert check(ROWS["vtopk.row"], topk, shapes).runs >= 8
    assert check(ROWS["vroute"], route, shapes, ulps=16).runs >= 8
    take: Callable[..., Array] = lambda src, index: np.take_along_axis(src, index, axis=-1)  # noqa: E731
    assert check(ROWS["vtake.row"], take, shapes, inputs={"index": index}).runs >= 8


@pytest.mark.parametrize(("h", "d"), [(1, 2), (3, 6), (3, 7), (2, 40)])
def test_rotations_in_many_shapes(h: int, d: int) -> None:
    shapes = [{"T": 1, "D": d, "H": h}, {"T": 5, "D": d, "H": h, "...": 2}]
    assert check(ROWS["vrope.part"], rotate, shapes, slack=1e-5).runs >= 8


# -- empty tiles -----------------------------------------------------------------------------------------


def _empty_cases() -> list[Any]:
    """Every row over tiles with each named dimension 0 in turn, and with an empty leading dimension."""
    out = []
    for row in ROWS:
        if not row.data or not row.engine.is_async:
            continue
        names = list(dict.fromkeys(d.name for _, _, k in row.data for d in k.pattern.dims if d.name != "1"))
        if any(k.pattern.leading for _, _, k in row.data):
            names.append("...")
        out += [pytest.param(row, name, id=f"{row.mnemonic}-{name}") for name in names]
    return out


@pytest.mark.parametrize(("row", "name"), _empty_cases())
def test_empty_tiles(row: Row, name: str) -> None:
    """They are nothing to do, or an error of ours: never one of NumPy's."""
    step = {d.name: 1 for _, _, k in row.data for d in k.pattern.dims}
    for _, _, k in row.data:
        for d in k.pattern.dims:
            step[d.name] = math.lcm(step[d.name], d.divisor)
    sizes = {n: 2 * s for n, s in step.items()} | {"1": 1} | ({name: 0} if name != "..." else {})
    declarations, operands = [], []
    args = {}
    for o in row.operands:
        kind = o.kind
        if isinstance(kind, Data):
            shape = [sizes[d.name] // d.divisor for d in kind.pattern.dims]
            if kind.pattern.leading and (name == "..." or not shape):
                shape = [0 if name == "..." else 2, *shape]
            dtype = min(kind.dtypes, key=lambda d: d.code)
            space = next(s for s in (Space.ACC, Space.SRAM, Space.HBM) if s in row.spaces(kind))
            if space is Space.HBM:
                declarations.insert(0, f".param {o.name}_, inout, {dtype}, [{', '.join(map(str, shape))}]")
                args[f"{o.name}_"] = np.zeros(shape, dtype.np)
            else:
                declarations.append(f".tile {o.name}_, {space}, {dtype}, [{', '.join(map(str, shape))}]")
            operands.append(f"{o.name}_")
        elif not o.keyword:
            assert isinstance(kind, (X, XF, XI, XFI)) and not isinstance(kind, Sem)
            operands.append("0" if isinstance(kind, (XI, XFI)) else "x0")
    body = f"{row.mnemonic} {', '.join(operands)}"
    try:
        Device("small").launch(kernel(body, "\n".join(declarations)), "k", args)
    except MachineError as e:
        assert isinstance(e.__cause__, (Fault, type(None))), e
        assert e.category in ("operand", "out-of-bounds"), e
