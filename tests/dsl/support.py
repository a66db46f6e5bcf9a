"""What the compiler's tests share: running a kernel in several orders, plain text of what is compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.dsl import CompiledKernel, Kernel
from sohu.dsl.emit import emit
from sohu.dsl.ir import Function, Op, walk
from sohu.dsl.lower import lower
from sohu.dsl.memory import place_buffers
from sohu.dsl.regalloc import allocate
from sohu.dsl.sync import Synchronizer
from sohu.emulator import Device
from sohu.emulator.schedules import Spec
from sohu.isa import load_chip

SMALL = load_chip("small")
SEEDS = range(4)


def run(kernel: Kernel, *args: Any, seeds: range = SEEDS, checks: str = "all", **kw: Any) -> Any:
    """What a kernel gives on the small chip: in program order, watched by all checkers, and the same bits in timed and
    random legal orders.
    """

    def once(schedule: Spec) -> tuple[Any, list[bytes]]:
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
        out = kernel(
            *copies, device=Device("small", schedule=schedule, checks=checks if schedule is None else None), **kw
        )
        outs = out if isinstance(out, tuple) else (out,)
        arrays = [a for a in (*copies, *outs) if isinstance(a, np.ndarray)]
        return (out if out is not None else copies), [a.tobytes() for a in arrays]

    result, bits = once(None)
    for seed in ("timed", *seeds):
        assert once(seed)[1] == bits, f"not the same under schedule {seed}"
    return result


def same(got: Any, want: Any, tolerance: float = 1e-6) -> None:
    """Same shape and dtype, and within a relative tolerance of the largest value."""
    want = np.asarray(want)
    assert got.shape == want.shape and got.dtype == want.dtype, (got.shape, got.dtype, want.shape, want.dtype)
    a, b = got.astype(np.float64), want.astype(np.float64)
    scale = max(1.0, float(np.abs(b[np.isfinite(b)]).max(initial=0)))
    np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * scale)


def rand(*shape: int, seed: int = 0, dtype: Any = np.float32) -> NDArray[Any]:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32).astype(dtype)


def ops(f: Function | CompiledKernel, name: str) -> list[Op]:
    """All ops of a name, in order."""
    function = f.function if isinstance(f, CompiledKernel) else f
    return [op for op in walk(function.body) if op.name == name]


def without_places(text: str) -> str:
    """IR or assembly without what says where it comes from."""
    return "".join(
        line for line in text.splitlines(True) if not re.match(r"\s*\.(loc|file|debug|inlined|op|var)\b", line)
    )


def assembly(f: Function, chip: Any = SMALL) -> str:
    """A function that has been through all passes, as assembly."""
    machine = lower(f)
    place_buffers(machine, chip)
    Synchronizer(machine).run()
    return emit(f, machine, allocate(machine))


def library() -> Iterator[tuple[str, Kernel, dict[str, Any]]]:
    """Every kernel of the library: its name, itself, and blocks small enough for the small chip."""
    from sohu.dsl.kernels import attention, lookup, matmul, mlp, norm, rotary, softmax

    for module in (attention, lookup, matmul, mlp, norm, rotary, softmax):
        for name, k in vars(module).items():
            if isinstance(k, Kernel) and k.__module__ == module.__name__:
                yield name, k, {n: 8 for n in k.constants if n in ("rows", "bm", "bn", "bk", "bq", "bv")}
