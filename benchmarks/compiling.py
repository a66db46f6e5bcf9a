"""Seconds from a kernel's Python to its binary, for every kernel of the library and of the Llama."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sohu.dsl import Kernel
from sohu.dsl.kernels import attention, lookup, matmul, mlp, norm, rotary, softmax
from sohu.isa import bf16, f32, i32
from sohu.models import kernels as llama

from benchmarks.measure import Table, interleaved


def _like(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.float32)


# SmolLM2-135M
_LLAMA = (i32, *[bf16] * 9, f32, f32, bf16, bf16)
_SIZES = {"C": 576, "V": 49152, "L": 30, "Q": 960, "O": 576, "U": 3072, "M": 1536, "P": 2048, "E": 32}
_SIZES |= {"H": 3, "S": 2048, "D": 64}

# kernel -> arguments, and options of `compile`
KERNELS: list[tuple[Kernel, tuple[Any, ...], dict[str, Any]]] = [
    (matmul.matmul, (_like(300, 700), _like(700, 500)), {}),
    (matmul.linear, (_like(64, 576), _like(1536, 576)), {}),
    (softmax.softmax, (_like(300, 700),), {}),
    (norm.rmsnorm, (_like(64, 576), _like(576)), {}),
    (rotary.rope, (_like(64, 9, 64), _like(512, 32), _like(512, 32)), {}),
    (attention.cache_append, (_like(64, 3, 64), _like(3, 512, 64)), {}),
    (attention.attention, (_like(64, 3, 3, 64), _like(3, 512, 64), _like(3, 512, 64)), {}),
    (mlp.gated_mlp, (_like(64, 576), *[_like(1536, 576)] * 3), {}),
    (lookup.embedding, (np.zeros(64, np.int32), _like(1000, 576)), {}),
    (lookup.argmax, (_like(4, 49152),), {}),
    (llama.next_token, _LLAMA, {"sizes": _SIZES | {"N": 1}, "rows": 1, "bk": 2048}),
    (llama.logits, _LLAMA, {"sizes": _SIZES}),
]


def run(*, quick: bool) -> Iterator[Table]:
    """One table: a row for each kernel."""
    table = Table("compiling a kernel: Python -> IR -> assembly -> ELF", ["ms", "instructions"])

    def compiling(kernel: Kernel, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        def once() -> int:
            kernel.compiled.clear()
            compiled = kernel.compile(*args, **options)
            lengths[kernel.name] = len(compiled.program)
            return len(compiled.elf)

        return once

    lengths: dict[str, int] = {}
    entries = KERNELS[:2] if quick else KERNELS
    seconds = interleaved({k.name: compiling(k, args, options) for k, args, options in entries}, 1 if quick else 5)
    for name, median in seconds.items():
        table.add(name, median * 1e3, lengths[name])
    yield table
