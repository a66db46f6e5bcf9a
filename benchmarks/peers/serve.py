"""What every contender speaks: a line with the name of a work comes in, it runs once, a line with the seconds goes out.

So all of them wait in their own processes, and rounds take turns between them. The first time a work is asked for, it
is made and run without being timed. The line also has a few elements of the result, for the benchmark to compare.

This file and those that import it run with other Pythons than the repository's own: they need NumPy only.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Work = Callable[[], Callable[[], Any]]
"""Makes its inputs, and gives the function that is timed, which gives its result as something np.asarray takes."""

SHAPES: dict[str, tuple[int, ...]] = {
    "softmax 1024x1024 f32": (1024, 1024),
    "matmul 512^3 f32": (512, 512),
    "matmul 512^3 bf16": (512, 512),
    "attention 8 heads x 512 x 64 f32": (8, 512, 64),
    "matmul 4096^3 bf16": (4096, 4096),
}
SOFTMAX, SMALL, SMALL_BF16, ATTENTION, LARGE = SHAPES


def inputs(work: str) -> list[np.ndarray[Any, Any]]:
    """The float32 inputs of a work, the same for every contender; those of bf16 works are rounded to sixteenths."""
    random = np.random.default_rng(0)
    count = {SOFTMAX: 1, ATTENTION: 3}.get(work, 2)
    made = [random.standard_normal(SHAPES[work], dtype=np.float32) for _ in range(count)]
    return [np.round(x * 16) / 16 for x in made] if "bf16" in work else made


def probe(result: Any) -> list[float]:
    """Some elements of a result."""
    flat = np.asarray(result).astype(np.float32).reshape(-1)
    return [float(x) for x in flat[:: max(1, flat.size // 16)][:16]]


QUICK = 0.05  # seconds


def serve(about: str, works: Mapping[str, Work]) -> None:
    """Say what this is, and run what is asked for until stdin ends."""
    print(json.dumps({"about": about, "works": list(works)}), flush=True)
    ready: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        name = line.strip()
        try:
            if name not in ready:
                ready[name] = works[name]()
                ready[name]()
            for _ in range(2):  # a quick one again, with its threads awake and its data in the caches
                began = time.perf_counter()
                result = ready[name]()
                seconds = time.perf_counter() - began
                if seconds > QUICK:
                    break
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            answer: dict[str, Any] = {"seconds": seconds, "probe": probe(result), "peak": peak}
        except (
            ArithmeticError,
            ImportError,
            LookupError,
            NotImplementedError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as e:
            answer = {"error": f"{type(e).__name__}: {e}".splitlines()[0][:200]}
        print(json.dumps(answer), flush=True)
