"""Tokens a second of SmolLM2 on the emulator, beside the plain NumPy reference with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from sohu.isa import bf16, f32
from sohu.models import Checkpoint, LlamaConfig, load, reference
from sohu.models.llama import LlamaOnChip, Stats
from sohu.models.weights import assemble

from benchmarks.measure import Table, interleaved

PREFILL = 64  # tokens of the prompt
DECODE = 8  # tokens timed together, after it


def run(*, quick: bool) -> Iterator[Table]:
    """Speeds of reading a prompt and of decoding after it, and what the emulator executes for them."""
    checkpoint, name = (_small(), "a small random Llama") if quick else (load("smollm2").checkpoint, "SmolLM2-135M")
    tokens = list(np.random.default_rng(0).integers(0, checkpoint.config.vocab_size, PREFILL))
    positions = PREFILL + DECODE
    chips = {f"emulator, {t}": LlamaOnChip(checkpoint, dtype=t, max_positions=positions) for t in (f32, bf16)}
    caches = {"now": reference.KVCache(checkpoint.config, positions)}

    def numpy_prefill() -> None:
        caches["now"] = reference.KVCache(checkpoint.config, positions)
        reference.forward(checkpoint, tokens, caches["now"], last=True)

    def numpy_decode() -> None:
        for token in tokens[:DECODE]:
            reference.forward(checkpoint, [token], caches["now"], last=True)

    def chip_prefill(chip: LlamaOnChip) -> Callable[[], None]:
        def once() -> None:
            chip.reset()
            chip.next(tokens)

        return once

    def chip_decode(chip: LlamaOnChip) -> Callable[[], None]:
        def once() -> None:
            for token in tokens[:DECODE]:
                chip.next([token])

        return once

    # Every round of decoding needs a cache with the prompt, so prefill and decode take turns too.
    contenders: dict[str, Callable[[], object]] = {
        "prefill NumPy": numpy_prefill,
        "decode NumPy": numpy_decode,
    }
    for title, chip in chips.items():
        contenders |= {f"prefill {title}": chip_prefill(chip), f"decode {title}": chip_decode(chip)}
    interleaved(contenders, 1)  # touches all weights
    seconds = interleaved(contenders, 1 if quick else 5)

    table = Table(
        f"{name}, tokens/s (float32 weights in NumPy; prefill of {PREFILL}, decode after it)",
        ["emulator", "NumPy", "ratio"],
    )
    for work, count in (("prefill", PREFILL), ("decode", DECODE)):
        theirs = count / seconds[f"{work} NumPy"]
        for title in chips:
            ours = count / seconds[f"{work} {title}"]
            table.add(f"{work} {title.partition(', ')[2]}", ours, theirs, ours / theirs)
    yield table

    executed = Table(f"{name}, executed for one decoded token", ["launches", "instructions", "µs each"])
    for title, chip in chips.items():
        chip_prefill(chip)()
        chip.stats = Stats()
        chip_decode(chip)()
        each = seconds[f"decode {title}"] / chip.stats.instructions * 1e6
        executed.add(title, chip.stats.launches / DECODE, chip.stats.instructions / DECODE, each)
    yield executed


def _small() -> Checkpoint:
    """Random weights in the shape of a very small Llama."""
    config = LlamaConfig(
        dim=64, n_layers=2, n_heads=4, n_kv_heads=2, head_dim=16, ffn_dim=128, vocab_size=512, max_positions=128,
        rope_theta=1e4, norm_eps=1e-5, tied=True,
    )  # fmt: skip
    random = np.random.default_rng(0)
    tensors = {name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in config.shapes()}
    return assemble(config, tensors.__getitem__, where="random weights")
