# mypy: ignore-errors
"""Triton kernels in its interpreter."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ["TRITON_INTERPRET"] = "1"  # it looks when the kernels are defined

import torch
import triton
import triton.language as tl
from serve import ATTENTION, SMALL, SMALL_BF16, SOFTMAX, inputs, serve


@triton.jit
def _softmax_kernel(x, y, C: tl.constexpr):
    at = tl.program_id(0) * C + tl.arange(0, C)
    t = tl.load(x + at)
    e = tl.exp(t - tl.max(t, axis=0))
    tl.store(y + at, e / tl.sum(e, axis=0))


@triton.jit
def _matmul_kernel(a, b, c, N: tl.constexpr, B: tl.constexpr):
    row = tl.program_id(0) * B + tl.arange(0, B)
    column = tl.program_id(1) * B + tl.arange(0, B)
    acc = tl.zeros((B, B), dtype=tl.float32)
    for k in range(0, N, B):
        inner = k + tl.arange(0, B)
        x = tl.load(a + row[:, None] * N + inner[None, :])
        w = tl.load(b + inner[:, None] * N + column[None, :])
        acc = tl.dot(x, w, acc)
    tl.store(c + row[:, None] * N + column[None, :], acc.to(c.dtype.element_ty))


@triton.jit
def _attention_kernel(q, k, v, o, scale, N: tl.constexpr, D: tl.constexpr, B: tl.constexpr):
    base = tl.program_id(0) * N * D
    row = tl.program_id(1) * B + tl.arange(0, B)
    wide = tl.arange(0, D)
    x = tl.load(q + base + row[:, None] * D + wide[None, :])
    m = tl.full((B,), float("-inf"), dtype=tl.float32)
    total = tl.zeros((B,), dtype=tl.float32)
    acc = tl.zeros((B, D), dtype=tl.float32)
    for j in range(0, N, B):
        key = j + tl.arange(0, B)
        z = tl.dot(x, tl.trans(tl.load(k + base + key[:, None] * D + wide[None, :]))) * scale
        z = tl.where(key[None, :] > row[:, None], float("-inf"), z)
        new = tl.maximum(m, tl.max(z, axis=1))
        p = tl.exp(z - new[:, None])
        alpha = tl.exp(m - new)
        total = total * alpha + tl.sum(p, axis=1)
        acc = acc * alpha[:, None] + tl.dot(p, tl.load(v + base + key[:, None] * D + wide[None, :]))
        m = new
    tl.store(o + base + row[:, None] * D + wide[None, :], acc / total[:, None])


def _softmax() -> Callable[[], Any]:
    x = torch.from_numpy(inputs(SOFTMAX)[0])
    y = torch.empty_like(x)

    def run() -> Any:
        _softmax_kernel[(x.shape[0],)](x, y, x.shape[1])
        return y

    return run


def _matmul(work: str) -> Callable[[], Any]:
    dtype = torch.bfloat16 if "bf16" in work else torch.float32
    a, b = (torch.from_numpy(x).to(dtype) for x in inputs(work))
    c, block = torch.empty_like(a), 64

    def run() -> Any:
        _matmul_kernel[(a.shape[0] // block,) * 2](a, b, c, a.shape[0], block)
        return c.float()

    return run


def _attention() -> Callable[[], Any]:
    q, k, v = (torch.from_numpy(x) for x in inputs(ATTENTION))
    heads, n, width = q.shape
    o, block = torch.empty_like(q), 64

    def run() -> Any:
        _attention_kernel[(heads, n // block)](q, k, v, o, width**-0.5, n, width, block)
        return o

    return run


if __name__ == "__main__":
    serve(
        f"Triton {triton.__version__}, interpreter",
        {SOFTMAX: _softmax, ATTENTION: _attention, **{w: lambda w=w: _matmul(w) for w in (SMALL, SMALL_BF16)}},
    )
