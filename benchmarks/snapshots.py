"""Snapshots of a machine as large as one that decodes SmolLM2-135M: 270 MB of weights, a cache of 2,048 positions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from sohu.emulator import Device, SnapshotFile
from sohu.isa import bf16

from benchmarks.measure import Table, interleaved

WEIGHTS = 135_000_000
CACHE = (30, 2, 3, 2048 * 64)  # layers, keys and values, heads, positions of 64
ON_CHIP = 16 << 20  # bytes of SRAM in use
CHANGED = 4 << 20  # of them, from one snapshot to the next


def run(*, quick: bool) -> Iterator[Table]:
    """One table: milliseconds of taking one, putting it back, and of a file."""
    share = 32 if quick else 1
    rng = np.random.default_rng(0)

    def noise(count: int) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
        return rng.integers(0, 1 << 14, count, np.uint16)

    device = Device()
    weights = device.tensor(noise(WEIGHTS // share).view(bf16.np), writable=False)
    layers, both, heads, size = CACHE
    cache = device.tensor(noise(layers * both * heads * size // share).view(bf16.np).reshape(layers, -1))
    sram = device.memories.sram
    sram[: ON_CHIP // share] = noise(ON_CHIP // share // 2).view(np.uint8)
    first = device.snapshot()

    def step() -> None:
        """What a token changes: a row of the cache in each layer, and a part of SRAM."""
        cache.view().view(np.uint16)[:, :64] ^= 1
        sram[: CHANGED // share] ^= 1

    def stepped() -> None:
        step()
        device.snapshot(first)

    folder = Path(tempfile.mkdtemp(prefix="sohu-bench-"))
    path = folder / "snapshot"
    contenders: dict[str, Callable[[], object]] = {
        "the first one": device.snapshot,
        "one more, nothing has changed": partial(device.snapshot, first),
        "one more, a token later": stepped,
        "  of which the token": step,
        "put back": partial(device.restore, first),
        "written to a file": partial(device.save, path),
        "opened from a file": lambda: SnapshotFile(path).device(),
    }
    seconds = interleaved(contenders, 1 if quick else 7)
    mb = (first.nbytes + weights.nbytes) / 1e6
    table = Table(f"snapshots of {mb:,.0f} MB, {first.nbytes / 1e6:,.0f} of them of what programs may write", ["ms"])
    for name, median in seconds.items():
        table.add(name, median * 1e3)
    yield table
    path.unlink()
    folder.rmdir()
