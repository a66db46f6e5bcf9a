"""Synchronization: every wait that the compiler writes is needed, and no other one is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sohu.asm import Program, assemble
from sohu.dsl import In, Index, InOut, Kernel, Out, Scalar, f32, i32, kernel
from sohu.dsl.kernels import attention, lookup, matmul, mlp, norm, rotary, softmax
from sohu.emulator import Device, MachineError
from sohu.emulator.schedules import RandomOrder

import sohu
from tests.dsl.support import SMALL, rand, run, same

NEVER = 1e-9


def orders(device: Device) -> Iterator[list[float]]:
    """Odds of every queue and, last, of the sequencer: each alone far behind all others, each alone far ahead."""
    n = len(device.machine.queues) + 1
    for i in range(n):
        yield [NEVER if j == i else 1.0 for j in range(n)]
        yield [1.0 if j == i else NEVER for j in range(n)]


def outcomes(program: Program, name: str, given: dict[str, Any], device: Device) -> Iterator[bytes]:
    """What a kernel leaves in all its tensors, under each of these orders."""
    for weights in orders(device):
        copies = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in given.items()}
        device.start(program, name, copies)
        assert isinstance(device.machine.order, RandomOrder)
        device.machine.order.weights = weights
        try:
            device.machine.run()
        except MachineError as e:
            yield str(e).encode()
            continue
        result = device.finish()
        kept = [t.numpy().tobytes() for t in result.outputs.values()]
        for t in result.outputs.values():
            t.free()
        yield b"".join(kept + [v.tobytes() for v in copies.values() if isinstance(v, np.ndarray)])


def needless(k: Kernel, given: dict[str, Any], **constants: Any) -> tuple[int, list[str]]:
    """How many waits a kernel has, and those without which its results are the same in all orders."""
    c = k.compile(chip=SMALL, **given, **constants)
    device = Device(SMALL, schedule=1)
    whole = set(outcomes(c.program, k.name, given, device))
    assert len(whole) == 1, "not the same in all orders"
    lines = c.asm.splitlines()
    waits = [i for i, line in enumerate(lines) if " wait " in line]
    found = []
    for i in waits:
        without = re.sub(r"\s+wait s\d+>=[\w+-]+", "  ", lines[i])
        program = assemble("\n".join([*lines[:i], without, *lines[i + 1 :]]) + "\n", "without.s")
        if all(o in whole for o in outcomes(program, k.name, given, device)):
            found.append(lines[i].strip())
    return len(waits), found


def library() -> list[Any]:
    """(kernel, arguments, constants, how many of its waits are needed only for what the compiler can't tell apart)."""
    rising = np.cumsum(np.abs(rand(40, 50)), axis=1, dtype=np.float32)
    cos, sin = rotary.rope_tables(64, 8, 1e4)
    q, cache = rand(40, 2, 3, 8), rand(2, 60, 8)
    weights = {n: rand(40, 16, seed=i) / 4 for i, n in enumerate(("gate", "up", "down"))}
    cases = [
        # The first block of the left factor waits for its last product, which the store of the result implies.
        (matmul.matmul, {"a": rand(40, 30), "b": rand(30, 40)}, {"bm": 8, "bn": 8, "bk": 8}, 1),
        (matmul.linear, {"x": rand(40, 30), "w": rand(40, 30)}, {"bm": 8, "bn": 8}, 0),
        (softmax.softmax, {"x": rand(40, 30)}, {"rows": 4}, 0),
        (norm.rmsnorm, {"x": rand(40, 30), "w": rand(30)}, {"rows": 4}, 0),
        (rotary.rope, {"x": rand(40, 2, 8), "cos": cos, "sin": sin, "pos": 3}, {"rows": 4}, 0),
        (attention.cache_append, {"x": rand(40, 2, 8), "cache": cache, "pos": 7}, {"rows": 4}, 0),
        # The first block of keys waits for the last one of the queries before, which the tiles made in between imply.
        (attention.attention, {"q": q, "k": cache, "v": cache, "pos": 5, "scale": 0.5}, {"bq": 8, "bk": 8}, 1),
        (mlp.gated_mlp, {"x": rand(40, 16)} | weights, {"bm": 8, "bn": 8}, 1),
        (lookup.embedding, {"ids": np.arange(40, dtype=np.int32)[::-1].copy(), "table": rand(50, 6)}, {"rows": 4}, 0),
        (lookup.argmax, {"x": rising}, {"rows": 4, "bv": 8}, 0),
    ]  # fmt: skip
    return [pytest.param(*case, id=case[0].name) for case in cases]


@pytest.mark.parametrize(("k", "given", "constants", "allowed"), library())
def test_no_wait_can_be_left_out(k: Kernel, given: dict[str, Any], constants: dict[str, Any], allowed: int) -> None:
    _, found = needless(k, given, **constants)
    assert len(found) == allowed, "\n".join(found)


def test_loops_without_a_turn_between_writer_and_reader() -> None:
    @kernel
    def between(x: In[f32, "N"], y: Out[f32, "2 N"], z: InOut[f32, "N"], a: Index, b: Index):
        t = x[:] * 2
        for _ in sohu.range(a):
            for _ in sohu.range(b):
                t = t + z[:]
                z[:] = t
        y[0] = t
        for _ in sohu.range(b):
            for _ in sohu.range(a):
                z[:] = z[:] * 2
                t = z[:]
        y[1] = t

    x, z = rand(5), rand(5, seed=1)
    for a, b in ((0, 0), (0, 2), (2, 0), (1, 1), (2, 3)):
        t, w = x * 2, z.copy()
        for _ in range(a * b):
            t = w = t + w
        first = t
        for _ in range(a * b):
            t = w = w * 2
        same(run(between, x, z, a, b, seeds=range(12)), np.array([first, t]), 1e-5)


def test_one_tensor_read_and_written_by_several_queues() -> None:
    @kernel
    def shuffle(x: InOut[f32, "N C"], ids: In[i32, "N"], s: Scalar, turns: Index):
        for _ in sohu.range(turns):
            t = x[ids[:]]
            x[1:] = t[1:] * s
            sohu.isa_op("dma.scatter", x, x[...] + 1, ids[:])

    x, ids = rand(6, 3), np.array([3, 1, 5, 0, 2, 4], np.int32)
    want = x.copy()
    for _ in range(4):
        t = want[ids]
        want[1:] = t[1:] * np.float32(0.5)
        want[ids] = want + 1
    same(run(shuffle, x, ids, s=0.5, turns=4, seeds=range(12))[0], want, 1e-5)


def test_a_scalar_waits_for_its_tile_and_later_writes_do_not_overtake_it() -> None:
    @kernel
    def chase(next_: In[i32, "N"], path: Out[i32, "N"], turns: Index):
        at = 0
        for i in sohu.range(turns):
            at = next_[at : at + 1].item()
            path[i : i + 1] = sohu.arange((1,), at)

    next_ = np.array([3, 0, 1, 4, 2], np.int32)
    want, at = [], 0
    for _ in range(5):
        at = int(next_[at])
        want.append(at)
    assert run(chase, next_, turns=5, seeds=range(12)).tolist() == want


def test_more_signals_than_an_immediate_counts() -> None:
    @kernel
    def long(x: In[f32, "4"], y: Out[f32, "4"], turns: Index):
        t = x[:]
        for _ in sohu.range(turns):
            t = t + x[:]
        y[:] = t

    x = np.ones(4, np.float32)
    assert (long(x, turns=40_000, device=Device(SMALL)) == 40_001).all()
