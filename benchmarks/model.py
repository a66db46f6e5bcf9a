"""Tokens a second of SmolLM2 on the emulator, beside PyTorch and plain NumPy; and what memory it takes."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from itertools import product

from sohu.isa.dtypes import DTYPES
from sohu.models import load

from benchmarks.contenders import PEERS, Contender, excuses, python_of, started, take_turns
from benchmarks.measure import Table
from benchmarks.peers.llama import PROMPT, STEPS, small

ROUNDS = 5
OURS = "benchmarks.peers.llama"
WORKS = {"prefill": PROMPT, "decode": STEPS}


def run(*, quick: bool) -> Iterator[Table]:
    """Speeds, with as many threads as BLAS has here, then memory and what is executed for one token."""
    threads = int(os.environ["OPENBLAS_NUM_THREADS"])
    model, title = ("small", "a small random Llama") if quick else ("smollm2", "SmolLM2-135M")
    config = small().config if quick else load(model).config
    torch = "" if quick else python_of("torch", "TORCH")
    commands: dict[str, list[str]] = {"NumPy": [sys.executable, "-m", OURS, "numpy", "f32", model]}
    for dtype in ("f32", "bf16"):
        commands[dtype] = [sys.executable, "-m", OURS, "emulator", dtype, model]
        commands[f"{dtype} low"] = [*commands[dtype], "low"]
        commands[f"PyTorch {dtype}"] = [
            torch, str(PEERS / "llama_torch.py"), str(threads), dtype, str(PROMPT), str(STEPS)
        ]  # fmt: skip
    with started(commands, threads) as contenders:
        take_turns(contenders, list(WORKS), 1 if quick else ROUNDS)
    by_name = {c.name: c for c in contenders}
    yield _speeds(title, threads, by_name)
    yield _costs(title, sum(math.prod(shape) for _, shape in config.shapes()), by_name)


def _speeds(title: str, threads: int, by_name: dict[str, Contender]) -> Table:
    table = Table(
        f"{title}, {threads} thread{'s' * (threads > 1)}, tokens/s: prefill of {PROMPT}, decode after it",
        ["emulator", "low memory", "PyTorch", "NumPy f32", "x PyTorch", "low x PyTorch", "x NumPy"],
    )

    def speed(name: str, work: str) -> float | None:
        seconds = by_name[name].median(work)
        return seconds and WORKS[work] / seconds

    for dtype, work in product(("f32", "bf16"), WORKS):
        ours, low, torch, numpy = by_name[dtype], by_name[f"{dtype} low"], by_name[f"PyTorch {dtype}"], by_name["NumPy"]
        speeds = [speed(c.name, work) for c in (ours, low, torch, numpy)]
        table.add(
            f"{work} {dtype}", *speeds, torch.ratio(work, ours), torch.ratio(work, low), numpy.ratio(work, ours)
        )  # fmt: skip
    about = "; ".join(c.about for c in by_name.values() if c.about.startswith("PyTorch"))
    table.note = "; ".join(x for x in (about, excuses(list(by_name.values()))) if x)
    return table


def _costs(title: str, weights: int, by_name: dict[str, Contender]) -> Table:
    """weights: how many numbers."""
    table = Table(
        f"{title}: peak memory of the process, and what one decoded token executes",
        ["MB", "x weights", "launches", "instructions"],
    )
    for dtype, low in product(("f32", "bf16"), ("", " low")):
        c = by_name[dtype + low]
        _, launches, instructions = c.probes.get("decode", (None, None, None))
        nbytes = weights * DTYPES[dtype].itemsize
        table.add(f"{dtype}{' in low memory' if low else ''}", c.peak / 1e6, c.peak / nbytes, launches, instructions)
    return table
