"""What the emulator adds to the NumPy call that an instruction makes, and how many instructions it runs a second."""

from __future__ import annotations

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
    """One instruction repeated, and the NumPy statement that it comes down to ("" for scalars)."""

    name: str
    instruction: str
    numpy: str
    rows: int = 1
    columns: int = 1
    repeat: int = 20_000


CASES = [
    Case("add (scalar)", "add x6, x6, 1", "", repeat=100_000),
    Case("vadd f32[8, 8]", "vadd c, a, b", "np.add(a, b, out=c)", 8, 8),
    Case("vadd f32[64, 64]", "vadd c, a, b", "np.add(a, b, out=c)", 64, 64),
    Case("vadd f32[128, 512]", "vadd c, a, b", "np.add(a, b, out=c)", 128, 512, 2_000),
    Case("vexp f32[64, 64]", "vexp c, a", "np.exp(a, out=c)", 64, 64),
    Case("mm f32[64, 64, 64]", "mm acc, a, b", "np.matmul(a, b, out=c)", 64, 64),
    Case("dma.load f32[64, 64]", "dma.load c, x", "np.copyto(c, a)", 64, 64),
]


def program(case: Case, rounds: int) -> Program:
    """A kernel that executes the case's instruction rounds * UNROLLED times.

    The tiles are written first: pages of the host that nobody wrote are all one page, and quick to read.
    """
    shape = f"[{case.rows}, {case.columns}]"
    tiles = "\n".join(f".tile {name}, sram, f32, {shape}" for name in "abc")
    body = "\n".join([case.instruction] * UNROLLED)
    return assemble(
        f"""
        .kernel bench
        .param x, in, f32, {shape}
        {tiles}
        .tile acc, acc, f32, {shape}
        dma.load a, x
        dma.load b, x
        li x5, {rounds}
        loop x5, done
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
        x = device.tensor(np.ones((case.rows, case.columns), np.float32))

        emulated = partial(device.launch, loaded, "bench", [x])
        contenders: dict[str, Callable[[], object]] = {"emulator": emulated}
        if case.numpy:
            names = dict(zip("abc", arrays(case.rows, case.columns), strict=True))
            timer = timeit.Timer("\n".join([case.numpy] * UNROLLED), globals={"np": np, **names})
            contenders["numpy"] = partial(timer.timeit, rounds)
        emulated()  # translated once
        seconds = interleaved(contenders, 1 if quick else 7)
        ours = seconds["emulator"] / count * 1e9
        theirs = seconds["numpy"] / count * 1e9 if case.numpy else None
        table.add(case.name, ours, theirs, ours - (theirs or 0), 1e3 / ours)
    yield table
