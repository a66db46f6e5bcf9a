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
        if dtype == "bf16":
            commands[f"{dtype} native"] = [*commands[dtype], "native"]
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
        ["emulator", "low memory", "native", "PyTorch", "NumPy f32", "x PyTorch", "low x", "native x", "x NumPy"],
    )

    def speed(contender: Contender | None, work: str) -> float | None:
        seconds = None if contender is None else contender.median(work)
        return None if seconds is None else WORKS[work] / seconds

    for dtype, work in product(("f32", "bf16"), WORKS):
        ours, low, native = (by_name.get(dtype + kind) for kind in ("", " low", " native"))
        torch, numpy = by_name[f"PyTorch {dtype}"], by_name["NumPy"]
        speeds = [speed(c, work) for c in (ours, low, native, torch, numpy)]
        ratios = [None if c is None else torch.ratio(work, c) for c in (ours, low, native)]
        table.add(f"{work} {dtype}", *speeds, *ratios, None if ours is None else numpy.ratio(work, ours))
    about = "; ".join(c.about for c in by_name.values() if c.about.startswith("PyTorch"))
    table.note = "; ".join(x for x in (about, excuses(list(by_name.values()))) if x)
    return table


def _costs(title: str, weights: int, by_name: dict[str, Contender]) -> Table:
    """weights: how many numbers."""
    table = Table(
        f"{title}: peak memory of the process, and what one decoded token executes",
        ["MB", "x weights", "launches", "instructions"],
    )
    for dtype, kind in product(("f32", "bf16"), ("", " low", " native")):
        if dtype + kind not in by_name:
            continue
        c = by_name[dtype + kind]
        _, launches, instructions = c.probes.get("decode", (None, None, None))
        nbytes = weights * DTYPES[dtype].itemsize
        table.add(
            f"{dtype}{kind.replace('low', 'in low memory')}", c.peak / 1e6, c.peak / nbytes, launches, instructions
        )
    return table
