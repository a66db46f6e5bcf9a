"""SmolLM2-135M, or a small random Llama, of the repository: `llama emulator|numpy DTYPE MODEL [low]`.

Works: "prefill", a prompt of PROMPT tokens, and "decode", STEPS tokens after one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from sohu.emulator import Device
from sohu.isa.dtypes import DTYPES
from sohu.models import Checkpoint, LlamaConfig, load, reference
from sohu.models.image import image
from sohu.models.llama import LlamaOnChip
from sohu.models.weights import Source, assemble

from benchmarks.peers.serve import serve

PROMPT, STEPS = 256, 8
POSITIONS = PROMPT + STEPS


def tokens(vocabulary: int) -> list[int]:
    """The prompt."""
    return [int(t) for t in np.random.default_rng(0).integers(0, vocabulary, PROMPT)]


def small() -> Checkpoint:
    """Random weights in the shape of a very small Llama."""
    config = LlamaConfig(
        dim=64, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=16, ffn_dim=128, vocab_size=512, max_positions=POSITIONS,
        rope_theta=1e4, norm_eps=1e-5, tied=True,
    )  # fmt: skip
    random = np.random.default_rng(0)
    tensors = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in config.shapes()}
    return assemble(config, tensors.__getitem__, where="random weights")


def emulated(weights: Any, dtype: str, kind: str) -> dict[str, Callable[[], Callable[[], Any]]]:
    """On the chip: mapped from the image when there is a file."""
    made = image(weights, DTYPES[dtype]) if isinstance(weights, Source) else weights
    device = Device(workers=int(os.environ["OPENBLAS_NUM_THREADS"]), low_memory=kind == "low", native=kind == "native")
    model = LlamaOnChip(made, device, DTYPES[dtype], POSITIONS)
    prompt = tokens(model.config.vocab_size)
    cost: list[float] = []

    def prefill() -> list[float]:
        model.reset()
        return [model.next(prompt)]

    def decode() -> list[float]:
        model.position = PROMPT
        before = model.stats.launches, model.stats.instructions
        for token in prompt[:STEPS]:
            last = model.next([token])
        cost[:] = [(model.stats.launches - before[0]) / STEPS, (model.stats.instructions - before[1]) / STEPS]
        return [last, *cost]

    def after_prompt() -> Callable[[], Any]:
        prefill()
        return decode

    return {"prefill": lambda: prefill, "decode": after_prompt}


def plain(checkpoint: Checkpoint) -> dict[str, Callable[[], Callable[[], Any]]]:
    """The NumPy reference, in float32."""
    prompt = tokens(checkpoint.config.vocab_size)
    cache = reference.KVCache(checkpoint.config, POSITIONS)

    def prefill() -> list[float]:
        cache.length = 0
        return [float(reference.forward(checkpoint, prompt, cache, last=True)[0].argmax())]

    def decode() -> list[float]:
        cache.length = PROMPT
        for token in prompt[:STEPS]:
            last = reference.forward(checkpoint, [token], cache, last=True)
        return [float(last[0].argmax())]

    def after_prompt() -> Callable[[], Any]:
        prefill()
        return decode

    return {"prefill": lambda: prefill, "decode": after_prompt}


def main() -> None:
    """Serve as what the arguments say."""
    who, dtype, name, *kind = sys.argv[1:]
    if name == "small":
        weights: Any = small()
    else:
        weights = load(name).source
    if who == "numpy":
        serve("NumPy", plain(weights.checkpoint() if isinstance(weights, Source) else weights))
    else:
        serve(f"emulator, {dtype}", emulated(weights, dtype, "".join(kind)))


if __name__ == "__main__":
    main()
