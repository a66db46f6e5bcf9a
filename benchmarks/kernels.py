"""Kernels of the library on the emulator, beside NumPy, PyTorch, and the interpreters of other kernel languages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from benchmarks.contenders import PEERS, excuses, python_of, started, take_turns
from benchmarks.measure import Table
from benchmarks.peers.serve import LARGE, SHAPES

ROUNDS = 15
OURS = "benchmarks.peers.ours"


def run(*, quick: bool) -> Iterator[Table]:
    """A table for one thread and one for all: milliseconds, and times NumPy's for everybody."""
    for threads in (1,) if quick else sorted({1, len(os.sched_getaffinity(0))}):
        yield _table(threads, quick)


def _table(threads: int, quick: bool) -> Table:
    def peer(package: str, variable: str, script: str, *args: str) -> list[str]:
        return [python_of(package, variable), str(PEERS / script), *args]

    commands = {
        "NumPy": [sys.executable, "-m", OURS, "numpy"],
        "emulator": [sys.executable, "-m", OURS, "emulator", str(threads)],
    }
    if not quick:
        commands |= {
            "PyTorch": peer("torch", "TORCH", "torch_cpu.py", str(threads)),
            "Pallas": peer("jax", "PALLAS", "pallas.py", "interpret"),
            "Pallas TPU": peer("jax", "PALLAS", "pallas.py", "tpu"),
            "Triton": peer("triton", "TRITON", "triton_interpreter.py"),
            "tt-lang": peer("ttl", "TTLANG", "tt_lang.py"),
        }
    works = [w for w in SHAPES if not quick or w != LARGE]
    with started(commands, threads) as contenders:
        take_turns(contenders, works, 1 if quick else ROUNDS)
    numpy, emulator, *peers = contenders
    for c in (emulator, *peers):
        for work in works:
            c.compare(work, numpy)
    table = Table(
        f"kernels, {threads} thread{'s' * (threads > 1)}: milliseconds, and how many times NumPy's each takes",
        ["NumPy ms", "emulator ms", *(f"{c.name} x" for c in (emulator, *peers))],
    )
    for work in works:
        ours = [c.median(work) for c in (numpy, emulator)]
        table.add(work, *(s and s * 1e3 for s in ours), *(c.ratio(work, numpy) for c in (emulator, *peers)))
    about = ", ".join(c.about for c in contenders if c.about and c is not emulator)
    table.note = "; ".join(x for x in (about, excuses(contenders)) if x)
    return table
