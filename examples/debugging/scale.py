"""A wrong scale: int8 is scaled by the largest element of a row, not by the one of largest magnitude.

Rows whose largest magnitude is negative saturate. The result has the right shape, dtype and order of magnitude.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import sohu
from sohu import In, Out, f32, i8


@sohu.kernel
def linear(x: In[f32, "M K"], w: In[f32, "N K"], y: Out[f32, "M N"], *, rows: int = 32) -> None:
    """x @ w.T in int8, with a scale for each row of either."""
    weights, columns = sohu.quantize(w[...], i8)
    for m in sohu.range(0, x.M, rows):
        t = x[m : m + rows]
        scale = t.max(axis=1, keepdims=True) / 127
        q = sohu.quantize(t, i8, scale=scale)
        y[m : m + rows] = sohu.epilogue(q @ weights.T, rows=scale, cols=columns.T)


def reference(x: NDArray[np.float32], w: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in NumPy, without int8."""
    return x @ w.T


def main(folder: Path) -> None:
    """Write the binary and its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    x, w = (random.normal(size=size).astype(np.float32) for size in ((300, 48), (64, 48)))
    (folder / "scale.elf").write_bytes(linear.compile(x, w).elf)
    for name, array in (("x", x), ("w", w)):
        np.save(folder / f"scale.{name}.npy", array)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
