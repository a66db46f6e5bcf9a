# mypy: ignore-errors
"""PyTorch on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from serve import ATTENTION, LARGE, SMALL, SMALL_BF16, SOFTMAX, inputs, serve


def _matmul(work: str) -> Callable[[], Any]:
    dtype = torch.bfloat16 if "bf16" in work else torch.float32
    a, b = (torch.from_numpy(x).to(dtype) for x in inputs(work))
    return lambda: (a @ b).float()


def _softmax() -> Callable[[], Any]:
    x = torch.from_numpy(inputs(SOFTMAX)[0])
    return lambda: torch.softmax(x, 1)


def _attention() -> Callable[[], Any]:
    q, k, v = (torch.from_numpy(x)[None] for x in inputs(ATTENTION))
    return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)[0]


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    torch.set_grad_enabled(False)
    serve(
        f"PyTorch {torch.__version__}",
        {SOFTMAX: _softmax, ATTENTION: _attention, **{w: lambda w=w: _matmul(w) for w in (SMALL, SMALL_BF16, LARGE)}},
    )
