"""A wrong scale: int8 is scaled by the largest element of a row, not by the one of largest magnitude.

Rows whose largest magnitude is negative saturate. The result has the right shape, dtype and order of magnitude.
"""

import numpy as np
from planting import save

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


def reference(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The same in NumPy, without int8."""
    return x @ w.T


def main() -> None:
    """Write the binary and its arguments."""
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 48)).astype(np.float32)
    w = random.normal(size=(64, 48)).astype(np.float32)
    save("scale", linear.compile(x, w).asm, x=x, w=w)


if __name__ == "__main__":
    main()
