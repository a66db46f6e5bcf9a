"""A missing wait: the matrix engine begins to read a tile that is still being loaded.

The compiler puts waits where they belong. Here somebody has "tuned" its assembly by hand, and thrown one out that
seemed to do nothing: in program order the result stays right.
"""

import numpy as np
from planting import save, without

import sohu
from sohu import In, Out, f32


@sohu.kernel
def gate(x: In[f32, "M K"], w: In[f32, "N K"], v: In[f32, "N K"], y: Out[f32, "M N"], *, rows: int = 32) -> None:
    """The gated half of a transformer's MLP."""
    left = w[...]
    right = v[...]
    for m in sohu.range(0, x.M, rows):
        t = x[m : m + rows]
        a = t @ left.T
        b = t @ right.T
        y[m : m + rows] = sohu.silu(a) * b


def reference(x: np.ndarray, w: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The same in NumPy."""
    a, b = x @ w.T, x @ v.T
    return a / (1 + np.exp(-a)) * b


def main() -> None:
    """Write the binary and its arguments."""
    random = np.random.default_rng(0)
    x, w, v = (random.normal(size=size).astype(np.float32) for size in ((300, 48), (64, 48), (64, 48)))
    tuned = without("wait", gate.compile(x, w, v).asm, gate, "a = t @ left.T")
    save("race", tuned, x=x, w=w, v=v)


if __name__ == "__main__":
    main()
