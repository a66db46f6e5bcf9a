"""What the emulator adds to the NumPy call that an instruction makes, and how many instructions it runs a second."""

from __future__ import annotations

import itertools
import timeit
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sohu.asm import Program, assemble
from sohu.emulator import Device

from benchmarks.measure import Table, interleaved

UNROLLED = 32  # instructions of a loop's body, so that the loop's own cost does not show


@dataclass(frozen=True)
class Case:
    """One instruction repeated, and the NumPy statement that it comes down to ("" for scalars).

    scalars: how many instructions it is, where it is more than one. sizes: how many numbers of rows take turns, from a
    register (0: the rows are fixed); NEW: no number comes twice.
    """

    name: str
    instruction: str
    numpy: str
    rows: int = 1
    columns: int = 1
    repeat: int = 20_000
    scalars: int = 1
    sizes: int = 0


NEW = 1 << 20
SIZED = "\n".join([*(f"tset t4{i}, {name}, 0, x8" for i, name in enumerate("abc")), "vadd t42, t40, t41"])


CASES = [
    Case("add (scalar)", "add x6, x6, 1", "", repeat=100_000),
    Case("add, and, branch", "add x6, x6, 3\nand x7, x6, 1\nbeq x7, x6, done", "", repeat=100_000, scalars=3),
    Case("vadd f32[8, 8]", "vadd c, a, b", "np.add(a, b, out=c)", 8, 8),
    Case("vadd f32[64, 64]", "vadd c, a, b", "np.add(a, b, out=c)", 64, 64),
    Case("vadd f32[128, 512]", "vadd c, a, b", "np.add(a, b, out=c)", 128, 512, 2_000),
    Case("vexp f32[64, 64]", "vexp c, a", "np.exp(a, out=c)", 64, 64),
    Case("mm f32[64, 64, 64]", "mm acc, a, b", "np.matmul(a, b, out=c)", 64, 64),
    Case("dma.load f32[64, 64]", "dma.load c, x", "np.copyto(c, a)", 64, 64),
    Case("3 tset, vadd f32[n, 16], 8 sizes", SIZED, "np.add(a, b, out=c)", 64, 16, sizes=8),
    Case("3 tset, vadd f32[n, 16], new sizes", SIZED, "np.add(a, b, out=c)", 64, 16, 2_000, sizes=NEW),
]
ROOM = 8192  # rows of tiles whose size comes from a register


def program(case: Case, rounds: int) -> Program:
    """A kernel that executes the case's instruction rounds * UNROLLED times.

    The tiles are written first: pages of the host that nobody wrote are all one page, and quick to read.
    """
    shape = f"[{ROOM if case.sizes else case.rows}, {case.columns}]"
    tiles = "\n".join(f".tile {name}, sram, f32, {shape}" for name in "abc")
    body = "\n".join([case.instruction] * UNROLLED)
    return assemble(
        f"""
        .kernel bench
        .param x, in, f32, {shape}
        .param first, i64, reg=x9
        {tiles}
        .tile acc, acc, f32, {shape}
        vfill a, 1.0
        vfill b, 1.0
        li x5, {rounds}
        li x10, 0
        loop x5, done
        and x8, x10, {case.sizes - 1 if case.sizes else 0}
        add x8, x8, x9
        add x10, x10, 1
        {body}
done:   drain
        halt
        .endkernel
        """,
        case.name,
    )


def arrays(rows: int, columns: int) -> list[np.ndarray[Any, Any]]:
    """Three arrays that lie as tiles do in SRAM: in one large block (so in large pages), on 64 bytes. It matters."""
    size = -(-rows * columns // 16) * 16
    raw = np.zeros(1 << 25, np.float32)  # as large as the SRAM; pages that are not touched cost nothing
    first = -raw.ctypes.data % 64 // 4
    raw[first : first + 3 * size] = 1
    return [raw[first + i * size :][: rows * columns].reshape(rows, columns) for i in range(3)]


def run(*, quick: bool) -> Iterator[Table]:
    """One table: nanoseconds an instruction, of which the NumPy call takes so many."""
    table = Table(
        "one instruction on the emulator, beside the NumPy call it makes (ns)",
        ["emulator", "NumPy", "overhead", "million/s"],
    )
    for case in CASES[:2] if quick else CASES:
        rounds = max(1, (100 if quick else case.repeat) // UNROLLED)
        count = rounds * UNROLLED
        device = Device()
        loaded = device.load(program(case, rounds))
        x = device.tensor(np.ones((ROOM if case.sizes else case.rows, case.columns), np.float32))
        first = itertools.count(
            case.rows - case.sizes // 2 if case.sizes < NEW else 1, 0 if case.sizes < NEW else rounds
        )

        def emulated() -> None:
            device.launch(loaded, "bench", [x, next(first)])  # noqa: B023 (called in this round only)

        contenders: dict[str, Callable[[], object]] = {"emulator": emulated}
        if case.numpy:
            names = dict(zip("abc", arrays(case.rows, case.columns), strict=True))
            timer = timeit.Timer("\n".join([case.numpy] * UNROLLED), globals={"np": np, **names})
            contenders["numpy"] = partial(timer.timeit, rounds)
        emulated()  # translated once
        seconds = interleaved(contenders, 1 if quick else 7)
        ours = seconds["emulator"] / count * 1e9
        theirs = seconds["numpy"] / count * 1e9 if case.numpy else None
        table.add(case.name, ours, theirs, ours - (theirs or 0), 1e3 / ours * case.scalars)
    yield table
