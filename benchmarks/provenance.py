"""What the float64 shadow costs, and how long it takes to say where a value comes from."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from sohu.debugger import Session
from sohu.debugger.why import element_of, provenance
from sohu.dsl.kernels.matmul import matmul
from sohu.emulator import Arguments, Device, Loaded, Result
from sohu.isa.dtypes import DTYPES
from sohu.models import load
from sohu.models.image import image
from sohu.models.llama import LlamaOnChip

from benchmarks.measure import Table
from benchmarks.peers.llama import small

ROUNDS = 9
STEPS = 4  # tokens
POSITIONS = 512
PROMPT = 64
SIDE = 1024
LIMIT = "error>1"  # which nothing reaches: what is measured goes to its end
DTYPES_OF = ("f32", "bf16")


class Noted(Device):
    """A device that remembers what it launched last."""

    last: tuple[Loaded, Any]

    def launch(self, program: Loaded | Any, kernel: str, args: Arguments = ()) -> Result:
        """As that of any device."""
        self.last = program, args
        return super().launch(program, kernel, args)


def run(*, quick: bool) -> Iterator[Table]:
    """Two tables: how many times as long with the shadow, and milliseconds of `why`."""
    shadow = Table("a float64 shadow of the data (catch error>LIMIT)", ["bare ms", "shadow x", "CPU x"])
    for dtype in DTYPES_OF:
        for name, device, work in (_decode(dtype, quick), _matmul(dtype, quick)):
            shadow.add(name, *_ratios(device, work, 1 if quick else ROUNDS))
    yield shadow
    why = Table("where a value comes from (why), ms", ["bare run", "first, cold", "first", "chain", "steps"])
    for dtype in DTYPES_OF:
        why.add(f"decoded token, {dtype}", *_why(*_decoding(dtype, quick), "token[0]", quick))
        why.add(f"matmul, {dtype}", *_why(*_multiplying(dtype, quick), "c[3, 17]", quick))
    yield why


def _ratios(device: Device, work: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds without, and the medians of the rounds' ratios with: of the clock, and of CPU time."""
    seconds: dict[str, list[tuple[float, float]]] = {"none": [], LIMIT: []}
    for spec in seconds:
        device.machine.check(spec)
        work()
    for _ in range(rounds):
        for spec, times in seconds.items():
            device.machine.check(spec)
            work()  # a checker has forgotten what it knew of each binding
            began = time.perf_counter(), time.process_time()
            work()
            times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    device.machine.check("none")
    pairs = list(zip(seconds[LIMIT], seconds["none"], strict=True))
    bare = statistics.median(t for t, _ in seconds["none"]) * 1e3
    return [bare, *(statistics.median(a[i] / b[i] for a, b in pairs) for i in (0, 1))]


def _model(dtype: str, quick: bool) -> tuple[Noted, LlamaOnChip]:
    device = Noted(workers=int(os.environ["OPENBLAS_NUM_THREADS"]))
    weights: Any = small() if quick else image(load("smollm2").source, DTYPES[dtype])
    model = LlamaOnChip(weights, device, DTYPES[dtype], min(POSITIONS, weights.config.max_positions))
    model.next(list(range(PROMPT)))
    return device, model


def _decode(dtype: str, quick: bool) -> tuple[str, Device, Callable[[], object]]:
    device, model = _model(dtype, quick)

    def decode() -> None:
        model.position = PROMPT
        for token in range(STEPS):
            model.next([token])

    return f"{'a small Llama' if quick else 'SmolLM2-135M'}, {dtype}: {STEPS} tokens", device, decode


def _arrays(dtype: str, quick: bool) -> dict[str, Any]:
    side = 64 if quick else SIDE
    rng = np.random.default_rng(0)
    return {n: rng.standard_normal((side, side), dtype=np.float32).astype(DTYPES[dtype].np) for n in "ab"}


def _matmul(dtype: str, quick: bool) -> tuple[str, Device, Callable[[], object]]:
    device = Device(workers=int(os.environ["OPENBLAS_NUM_THREADS"]))
    arrays = _arrays(dtype, quick)
    loaded = device.load(matmul.compile(**arrays).program)
    tensors = {n: device.tensor(a, writable=False) for n, a in arrays.items()} | {"c": device.tensor(arrays["a"])}
    side = arrays["a"].shape[0]
    return f"matmul {side}^3, {dtype}", device, lambda: device.launch(loaded, matmul.name, tensors)


def _decoding(dtype: str, quick: bool) -> tuple[Device, Any, Mapping[str, Any]]:
    device, model = _model(dtype, quick)
    model.next([7])
    loaded, arguments = device.last
    return device, loaded.program, arguments


def _multiplying(dtype: str, quick: bool) -> tuple[Device, Any, Mapping[str, Any]]:
    device = Device(workers=int(os.environ["OPENBLAS_NUM_THREADS"]))
    arrays = _arrays(dtype, quick)
    tensors = {n: device.tensor(a, writable=False) for n, a in arrays.items()} | {"c": device.tensor(arrays["a"])}
    return device, matmul.compile(**arrays).program, tensors


def _why(device: Device, program: Any, arguments: Mapping[str, Any], text: str, quick: bool) -> list[float]:
    """The kernel's run, the first step of the first question and of others, and a chain to its end or limit."""
    session = Session(program, args=dict(arguments), device=device)
    for _ in range(3):
        began = time.perf_counter()
        session.run()
        bare = time.perf_counter() - began
    tile, index = element_of(session, text)

    def ask(**more: int) -> tuple[float, int]:
        began = time.perf_counter()
        found = len(provenance(session, tile, index, **more))
        return (time.perf_counter() - began) * 1e3, found

    cold, _ = ask(steps=1)
    rounds = 1 if quick else ROUNDS
    first = statistics.median(ask(steps=1)[0] for _ in range(rounds))
    chains = [ask() for _ in range(rounds)]
    return [bare * 1e3, cold, first, statistics.median(t for t, _ in chains), chains[0][1]]
