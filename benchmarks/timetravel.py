"""Time travel: what recording costs beside the bare emulator, and how long it takes to go back."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from sohu.asm import assemble
from sohu.dsl.kernels.matmul import matmul
from sohu.emulator import Arguments, Device, Loaded, Result
from sohu.emulator.checks import hooks
from sohu.emulator.timeline import Timeline
from sohu.isa import INSTRUCTION_BYTES
from sohu.isa.dtypes import f32
from sohu.models import load
from sohu.models.image import image
from sohu.models.llama import LlamaOnChip

from benchmarks.measure import Table
from benchmarks.peers.llama import small

ROUNDS = 15
STEPS = 8  # tokens
POSITIONS = 512
SIDE = 1024
STEPS_BACK = 60
WAYS = ("bare", "attached", "recording", "catching")
CHECKERS = ("uninitialized", "bounds", "only-nan")  # of catch uninit, oob and nan
MILLION = """
 .kernel k
 li x5, 0
 li x6, {}
1: add x5, x5, 1
 xor x7, x7, x5
 add x8, x8, x7
 blt x5, x6, 1b
 halt
"""


class Recorded(Device):
    """A device whose launches are run bare, through a timeline that records nothing, recorded, or with checkers."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.timeline = Timeline(self)
        self.way = "bare"
        self.plain, self.catching = (hooks(self.machine, spec) for spec in (None, CHECKERS))

    def launch(self, program: Loaded | Any, kernel: str, args: Arguments = ()) -> Result:
        """As that of any device."""
        if self.way == "bare":
            return super().launch(program, kernel, args)
        self.machine.hooks = self.catching if self.way == "catching" else self.plain  # compiled once
        self.start(program, kernel, args)
        self.timeline.recording = self.way == "recording"
        self.timeline.begin()
        self.timeline.run()
        self.machine.hooks = self.plain
        return self.finish()


def run(*, quick: bool) -> Iterator[Table]:
    """Two tables: ratios of recording, and milliseconds of going back."""
    columns = ["bare ms", "attached x", "recording x", "uninit, oob, nan x", "recording, CPU x", "MB held"]
    table = Table("a debugger beside the bare emulator", columns)
    for name, device, work in (_decode(quick), _matmul(quick)):
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        spent: dict[str, list[float]] = {way: [] for way in WAYS}  # by all threads
        for device.way in WAYS:
            work()
        for number in range(1 if quick else ROUNDS):
            for device.way in (*WAYS[1:], WAYS[0]) if number % 2 else WAYS:
                began, used = time.perf_counter(), time.process_time()
                work()
                seconds[device.way].append(time.perf_counter() - began)
                spent[device.way].append(time.process_time() - used)
        table.add(
            name,
            statistics.median(seconds["bare"]) * 1e3,
            *(_ratio(seconds[way], seconds["bare"]) for way in WAYS[1:]),
            _ratio(spent["recording"], spent["bare"]),
            device.timeline.nbytes / 1e6,
        )
    yield table
    yield _back(quick)


def _decode(quick: bool) -> tuple[str, Recorded, Callable[[], object]]:
    device = Recorded(workers=int(os.environ["OPENBLAS_NUM_THREADS"]))
    weights = small() if quick else image(load("smollm2").source, f32)
    model = LlamaOnChip(weights, device, f32, min(POSITIONS, weights.config.max_positions))
    model.next(list(range(64)))

    def decode() -> None:
        model.position = 64
        for token in range(STEPS):
            model.next([token])

    return f"{'a small Llama' if quick else 'SmolLM2-135M'}: {STEPS} tokens", device, decode


def _matmul(quick: bool) -> tuple[str, Recorded, Callable[[], object]]:
    side = 64 if quick else SIDE
    device = Recorded(workers=int(os.environ["OPENBLAS_NUM_THREADS"]))
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal((side, side), dtype=np.float32) for name in "abc"}
    loaded = device.load(matmul.compile(arrays["a"], arrays["b"], arrays["c"]).program)
    tensors = {name: device.tensor(a, writable=name == "c") for name, a in arrays.items()}
    return f"matmul {side}^3", device, lambda: device.launch(loaded, matmul.name, tensors)


def _back(quick: bool) -> Table:
    """From the end, from the middle, and in one go to the beginning."""
    table = Table(
        "going back in a loop of scalars, ms",
        ["forward", "one back, p95", "to the middle", "then back, first", "p95", "reverse-continue x"],
    )
    for count in (10_000,) if quick else (1_000_000, 40_000_000):
        table.add(f"{count:,} instructions", *_of(count))
    return table


def _of(count: int) -> list[float]:
    device = Device()
    device.start(assemble(MILLION.format(count // 4), "k.s"), "k")
    timeline = Timeline(device)
    timeline.begin()

    def backwards(start: int) -> list[float]:
        """Seconds of steps back, one after the other."""
        return [_seconds(partial(timeline.goto, start - i)) * 1e3 for i in range(1, STEPS_BACK)]

    forward = _seconds(timeline.run) * 1e3
    there = timeline.position
    back = backwards(there)
    jump = _seconds(partial(timeline.goto, count // 2)) * 1e3
    first, *steps = backwards(count // 2)
    timeline.goto(there)

    def reverse() -> None:
        """To a place that is only at the beginning."""
        found = timeline.last_hit(there, frozenset({INSTRUCTION_BYTES}))
        assert found is not None
        timeline.goto(found[0])

    reversed_ = _seconds(reverse)
    device.start(device.machine.program, "k")
    bare = _seconds(device.machine.run)
    return [forward, _p95(back), jump, first, _p95(steps), reversed_ / bare]


def _ratio(these: list[float], those: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(these, those, strict=True))


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
