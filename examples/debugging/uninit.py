"""A wrong bound: the last rows are never computed, and the second pass reads them all the same.

In memory that happens to hold zeros the result looks plausible.
"""

import numpy as np
from planting import save

import sohu
from sohu import In, Out, f32


@sohu.kernel
def mlp(
    x: In[f32, "M K"], up: In[f32, "H K"], down: In[f32, "N H"], hidden: Out[f32, "M H"], y: Out[f32, "M N"],
    *, rows: int = 32,
) -> None:  # fmt: skip
    """Two layers; `hidden` holds what the first leaves for the second."""
    first, second = up[...], down[...]
    for m in sohu.range(0, x.M // rows * rows, rows):
        hidden[m : m + rows] = sohu.silu(x[m : m + rows] @ first.T)
    for m in sohu.range(0, x.M, rows):
        h = hidden[m : m + rows]
        y[m : m + rows] = h @ second.T


def reference(x: np.ndarray, up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """The same in NumPy."""
    h = x @ up.T
    return h / (1 + np.exp(-h)) @ down.T


def main() -> None:
    """Write the binary and its arguments."""
    random = np.random.default_rng(0)
    x, up, down = (random.normal(size=size).astype(np.float32) for size in ((300, 48), (64, 48), (40, 64)))
    save("uninit", mlp.compile(x, up, down).asm, x=x, up=up, down=down)


if __name__ == "__main__":
    main()
