# mypy: ignore-errors
"""JAX Pallas kernels in its two interpreters: `pallas.py interpret`, and `pallas.py tpu`, which emulates a TPU."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu
from serve import ATTENTION, LARGE, SMALL, SMALL_BF16, SOFTMAX, inputs, serve

MODE: Any = pltpu.InterpretParams() if sys.argv[1] == "tpu" else True


def _softmax_kernel(x: Any, y: Any) -> None:
    t = x[...]
    e = jnp.exp(t - t.max(axis=1, keepdims=True))
    y[...] = e / e.sum(axis=1, keepdims=True)


def _softmax() -> Callable[[], Any]:
    x = jnp.asarray(inputs(SOFTMAX)[0])
    block = pl.BlockSpec((128, x.shape[1]), lambda i: (i, 0))
    call = pl.pallas_call(
        _softmax_kernel, out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype), grid=(x.shape[0] // 128,),
        in_specs=[block], out_specs=block, interpret=MODE,
    )  # fmt: skip
    run = jax.jit(call)
    return lambda: run(x).block_until_ready()


def _matmul_kernel(a: Any, b: Any, c: Any) -> None:
    c[...] = jnp.dot(a[...], b[...], preferred_element_type=jnp.float32).astype(c.dtype)


def _matmul(work: str) -> Callable[[], Any]:
    dtype = jnp.bfloat16 if "bf16" in work else jnp.float32
    a, b = (jnp.asarray(x, dtype) for x in inputs(work))
    n = a.shape[0]
    bm = bn = min(n, 512)
    call = pl.pallas_call(
        _matmul_kernel, out_shape=jax.ShapeDtypeStruct((n, n), dtype), grid=(n // bm, n // bn),
        in_specs=[pl.BlockSpec((bm, n), lambda i, j: (i, 0)), pl.BlockSpec((n, bn), lambda i, j: (0, j))],
        out_specs=pl.BlockSpec((bm, bn), lambda i, j: (i, j)), interpret=MODE,
    )  # fmt: skip
    run = jax.jit(call)
    return lambda: run(a, b).block_until_ready()


def _attention_kernel(q: Any, k: Any, v: Any, o: Any, *, rows: int) -> None:
    s = jnp.dot(q[0], k[0].T, preferred_element_type=jnp.float32) * (q.shape[-1] ** -0.5)
    at = pl.program_id(1) * rows
    later = jnp.arange(s.shape[1])[None, :] > at + jnp.arange(rows)[:, None]
    s = jnp.where(later, -jnp.inf, s)
    e = jnp.exp(s - s.max(axis=-1, keepdims=True))
    o[0] = jnp.dot(e / e.sum(axis=-1, keepdims=True), v[0], preferred_element_type=jnp.float32)


def _attention() -> Callable[[], Any]:
    q, k, v = (jnp.asarray(x) for x in inputs(ATTENTION))
    heads, n, width = q.shape
    rows = 128
    part = pl.BlockSpec((1, rows, width), lambda h, i: (h, i, 0))
    whole = pl.BlockSpec((1, n, width), lambda h, i: (h, 0, 0))
    call = pl.pallas_call(
        functools.partial(_attention_kernel, rows=rows), out_shape=jax.ShapeDtypeStruct(q.shape, q.dtype),
        grid=(heads, n // rows), in_specs=[part, whole, whole], out_specs=part, interpret=MODE,
    )  # fmt: skip
    run = jax.jit(call)
    return lambda: run(q, k, v).block_until_ready()


if __name__ == "__main__":
    works = {SOFTMAX: _softmax, ATTENTION: _attention, **{w: lambda w=w: _matmul(w) for w in (SMALL, SMALL_BF16)}}
    if sys.argv[1] != "tpu":
        works[LARGE] = lambda: _matmul(LARGE)
    serve(f"JAX {jax.__version__} Pallas, {sys.argv[1]}", works)
