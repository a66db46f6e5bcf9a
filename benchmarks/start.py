"""From the bytes of a large binary to its first instruction: reading, loading, translating, launching."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from itertools import pairwise

from sohu.asm import assemble, read_elf, write_elf
from sohu.emulator import Device
from sohu.isa import INSTRUCTION_BYTES, f32

from benchmarks.measure import Table

INSTRUCTIONS = 100_000
STEPS = ("read the ELF file", "load", "start", "first instruction")


def binary(instructions: int) -> bytes:
    """A kernel as compilers unroll them: tiles, waits and signals, a line and a column for each instruction."""
    body = """\
 dma.load a, x                        signal s1
 add x20, x20, 1
 vadd c, a, b         wait s1>=x20
 tslice t40, a, 0, x21, 4
 vexp c, c                            signal s2
 bne x20, x21, @next
@next: mul x22, x20, 8
 mm acc, c, b         wait s2>=x20
 vmuls c, acc, 0.5                    signal s3
 dma.store y, c       wait s3>=x20
"""
    rounds = instructions // body.count("\n")
    source = [
        ".kernel k\n.param x, in, f32, [8, 8]\n.param y, out, f32, [8, 8]\n",
        *[f".tile {name}, sram, f32, [8, 8]\n" for name in "abc"],
        ".tile acc, acc, f32, [8, 8]\n",
        *[body.replace("@next", f"l{i}") for i in range(rounds)],
        "halt\n.endkernel\n",
    ]
    return write_elf(assemble("".join(source), "large.s"))


def once(data: bytes) -> list[float]:
    """Seconds of each step, on a new device."""
    device = Device()
    x, y = (device.zeros((8, 8), f32) for _ in range(2))
    times = [time.perf_counter()]
    program = read_elf(data, "large.elf")
    times.append(time.perf_counter())
    loaded = device.load(program)
    times.append(time.perf_counter())
    device.start(loaded, "k", [x, y])
    times.append(time.perf_counter())
    device.machine.run({INSTRUCTION_BYTES})
    times.append(time.perf_counter())
    return [b - a for a, b in pairwise(times)]


def run(*, quick: bool) -> Iterator[Table]:
    """One table: milliseconds of each step, and of all."""
    count = 2_000 if quick else INSTRUCTIONS
    data = binary(count)
    rounds = [once(data) for _ in range(2 if quick else 11)]
    table = Table(f"from a binary of {count:,} instructions ({len(data) / 1e6:.1f} MB) to the first one", ["ms"])
    for name, times in zip(STEPS, zip(*rounds, strict=True), strict=True):
        table.add(name, statistics.median(times) * 1e3)
    table.add("all", statistics.median(map(sum, rounds)) * 1e3)
    yield table
