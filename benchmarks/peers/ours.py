"""The emulator (`ours emulator THREADS`), and plain NumPy as a good programmer would write it (`ours numpy`)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from sohu.dsl import Kernel
from sohu.dsl.kernels.attention import attention
from sohu.dsl.kernels.matmul import matmul
from sohu.dsl.kernels.softmax import softmax
from sohu.emulator import Device

from benchmarks.peers.serve import ATTENTION, LARGE, SMALL, SMALL_BF16, SOFTMAX, inputs, serve

F32 = NDArray[np.float32]
Run = Callable[[], Any]


def numpy_softmax() -> Run:
    """Each row's softmax."""
    (x,) = inputs(SOFTMAX)

    def run() -> F32:
        e: F32 = x - x.max(axis=1, keepdims=True)
        np.exp(e, out=e)
        e /= e.sum(axis=1, keepdims=True)
        return e

    return run


def numpy_matmul(work: str) -> Run:
    """a @ b in float32; bf16 operands converted once each, the result rounded to bf16."""
    a, b = inputs(work)
    if "bf16" not in work:
        return lambda: a @ b
    a16, b16 = a.astype(ml_dtypes.bfloat16), b.astype(ml_dtypes.bfloat16)
    return lambda: (a16.astype(np.float32) @ b16.astype(np.float32)).astype(ml_dtypes.bfloat16)


def numpy_attention() -> Run:
    """Causal attention, all scores at once."""
    q, k, v = inputs(ATTENTION)
    later = np.triu(np.full(q.shape[1:2] * 2, -np.inf, np.float32), 1)

    def run() -> F32:
        s = q @ k.swapaxes(1, 2)
        s *= np.float32(q.shape[-1] ** -0.5)
        s += later
        s -= s.max(axis=-1, keepdims=True)
        np.exp(s, out=s)
        s /= s.sum(axis=-1, keepdims=True)
        out: F32 = s @ v
        return out

    return run


def emulated(
    device: Device,
    kernel: Kernel,
    arrays: dict[str, Any],
    out: str,
    blocks: dict[str, Any] | None = None,
    **numbers: Any,
) -> Run:
    """A kernel of the library over tensors that lie in HBM.

    float32 inputs are read-only there, as weights are. Those of bf16 are not: the emulator would convert them once
    and for all, and NumPy does it each time.
    """
    compiled = kernel.compile(**arrays, **numbers, **(blocks or {}))
    loaded = device.load(compiled.program)
    tensors = {n: device.tensor(a, writable=n == out or a.dtype != np.float32) for n, a in arrays.items()}

    def run() -> Any:
        device.launch(loaded, kernel.name, {**tensors, **numbers})
        return tensors[out].view()

    return run


def emulated_matmul(device: Device, work: str) -> Run:
    """The library's matmul."""
    a, b = inputs(work)
    if "bf16" in work:
        a, b = a.astype(ml_dtypes.bfloat16), b.astype(ml_dtypes.bfloat16)
    blocks = {"bm": 4096, "bn": 1024} if work == LARGE else {}  # each operand is converted as seldom as can be
    return emulated(device, matmul, {"a": a, "b": b, "c": np.zeros_like(a)}, "c", blocks)


def emulated_softmax(device: Device) -> Run:
    """The library's softmax."""
    (x,) = inputs(SOFTMAX)
    return emulated(device, softmax, {"x": x, "y": np.zeros_like(x)}, "y")


def emulated_attention(device: Device) -> Run:
    """The library's attention: 8 key/value heads of one query head each; its layout has tokens first."""
    q, k, v = inputs(ATTENTION)
    tokens = np.ascontiguousarray(q.transpose(1, 0, 2)[:, :, None])
    arrays = {"q": tokens, "k": k, "v": v, "out": np.zeros_like(tokens)}
    run = emulated(device, attention, arrays, "out", pos=0, scale=q.shape[-1] ** -0.5)

    def heads_first() -> Any:
        return run()[:, :, 0].transpose(1, 0, 2)

    return heads_first


def main() -> None:
    """Serve as one of the two."""
    if sys.argv[1] == "numpy":
        works: dict[str, Callable[[], Run]] = {
            SOFTMAX: numpy_softmax,
            ATTENTION: numpy_attention,
            **{w: lambda w=w: numpy_matmul(w) for w in (SMALL, SMALL_BF16, LARGE)},  # type: ignore[misc]
        }
        serve(f"NumPy {np.__version__}", works)
        return
    device = Device(workers=int(sys.argv[2]))
    works = {
        SOFTMAX: lambda: emulated_softmax(device),
        ATTENTION: lambda: emulated_attention(device),
        **{w: lambda w=w: emulated_matmul(device, w) for w in (SMALL, SMALL_BF16, LARGE)},  # type: ignore[misc]
    }
    serve("the emulator", works)


if __name__ == "__main__":
    main()
