"""An overflow: exp of what is large, before the largest is subtracted; the NaN comes up much later, elsewhere."""

import numpy as np
from planting import save

import sohu
from sohu import In, Out, f32


@sohu.kernel
def softmax(x: In[f32, "R C"], e: Out[f32, "R C"], y: Out[f32, "R C"], *, rows: int = 4) -> None:
    """Rows of sum 1, in two passes; `e` holds what the first leaves for the second."""
    for r in sohu.range(0, x.R, rows):
        e[r : r + rows] = sohu.exp(x[r : r + rows])
    for r in sohu.range(0, x.R, rows):
        t = e[r : r + rows]
        y[r : r + rows] = t / t.sum(axis=1, keepdims=True)


def reference(x: np.ndarray) -> np.ndarray:
    """The same in NumPy."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def main() -> None:
    """Write the binary and its argument."""
    x = np.random.default_rng(0).normal(size=(1200, 48)).astype(np.float32)
    x[37, 11] = 90.0  # e ** 90 is beyond float32
    save("nan", softmax.compile(x).asm, x=x)


if __name__ == "__main__":
    main()
