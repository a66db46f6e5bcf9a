# mypy: ignore-errors
"""tt-lang kernels in its simulator."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from ttl.sim.ttlang_sim import setup_simulator_imports

setup_simulator_imports()  # which gives the modules below

import torch  # noqa: E402
import ttl  # noqa: E402
import ttnn  # noqa: E402
from serve import SMALL, SMALL_BF16, inputs, serve  # noqa: E402

TILE, BLOCK = 32, 4  # tiles of 32 x 32, blocks of 4 x 4 tiles


@ttl.operation(grid=(1, 1))
def _product(a, b, y):
    n = a.shape[0] // TILE // BLOCK
    a_buffer = ttl.make_dataflow_buffer_like(a, shape=(BLOCK, BLOCK), block_count=2)
    b_buffer = ttl.make_dataflow_buffer_like(b, shape=(BLOCK, BLOCK), block_count=2)
    sums = ttl.make_dataflow_buffer_like(y, shape=(BLOCK, BLOCK), block_count=2)
    results = ttl.make_dataflow_buffer_like(y, shape=(BLOCK, BLOCK), block_count=2)

    def part(i):
        return slice(i * BLOCK, (i + 1) * BLOCK)

    @ttl.datamovement()
    def read():
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    with a_buffer.reserve() as x, b_buffer.reserve() as w:
                        first = ttl.copy(a[part(i), part(k)], x)
                        second = ttl.copy(b[part(k), part(j)], w)
                        first.wait()
                        second.wait()

    @ttl.compute()
    def compute():
        for _ in range(n * n):
            with sums.reserve() as start:
                start.store(ttl.block.fill(0, shape=start.shape))
            for _ in range(n):
                with a_buffer.wait() as x, b_buffer.wait() as w, sums.wait() as before, sums.reserve() as after:
                    after.store(before + x @ w)
            with sums.wait() as total, results.reserve() as out:
                out.store(total)

    @ttl.datamovement()
    def write():
        for i in range(n):
            for j in range(n):
                with results.wait() as out:
                    ttl.copy(out, y[part(i), part(j)]).wait()


def _matmul(work: str) -> Callable[[], Any]:
    torch_type, kind = (torch.bfloat16, ttnn.bfloat16) if "bf16" in work else (torch.float32, ttnn.float32)
    device = ttnn.open_device(device_id=0)

    def tensor(x: Any) -> Any:
        return ttnn.from_torch(
            x, dtype=kind, layout=ttnn.TILE_LAYOUT, device=device, memory_config=ttnn.DRAM_MEMORY_CONFIG
        )

    a, b = (tensor(torch.from_numpy(x).to(torch_type)) for x in inputs(work))
    y = tensor(torch.zeros(a.shape, dtype=torch_type))

    def run() -> Any:
        _product(a, b, y)
        return ttnn.to_torch(y).float()

    return run


if __name__ == "__main__":
    serve(f"tt-lang-sim {version('tt-lang-sim')}", {w: lambda w=w: _matmul(w) for w in (SMALL, SMALL_BF16)})
