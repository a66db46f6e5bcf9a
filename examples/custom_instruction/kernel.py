"""The instruction in a kernel, beside the same computation in instructions that every chip has."""

import numpy as np

import sohu
from sohu import In, Out, f32


@sohu.kernel
def fused(x: In[f32, "R C"], z: In[f32, "R C"], w: In[f32, "C"], y: Out[f32, "R C"], *, rows: int = 64) -> None:
    weight = w[:]
    for r in sohu.range(0, x.R, rows):
        y[r : r + rows] = sohu.isa_op("vgnorm", x[r : r + rows], z[r : r + rows], weight, 1e-6)


@sohu.kernel
def plain(x: In[f32, "R C"], z: In[f32, "R C"], w: In[f32, "C"], y: Out[f32, "R C"], *, rows: int = 64) -> None:
    weight = w[:]
    for r in sohu.range(0, x.R, rows):
        y[r : r + rows] = sohu.swiglu(z[r : r + rows], sohu.rms_norm(x[r : r + rows], weight, eps=1e-6))


def main() -> None:
    """Both on the same arrays: results, and the cycles each takes."""
    random = np.random.default_rng(0)
    x, z = (random.normal(size=(4096, 2048)).astype(np.float32) for _ in range(2))
    w = random.normal(size=2048).astype(np.float32)
    want = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-6) * w * z / (1 + np.exp(-z))
    chip = sohu.Device("sohu", timing=True)
    for kernel in (fused, plain):
        program = kernel.compile(x, z, w).program
        result = chip.launch(program, kernel.name, [x, z, w])
        error = np.abs(result.outputs["y"].numpy() - want).max()
        busy = result.stats["busy.VPU"]
        print(f"{kernel.name:6} {result.cycles:,} cycles, the VPU busy for {busy:,.0f} of them; {error:.1e} off")


if __name__ == "__main__":
    main()
