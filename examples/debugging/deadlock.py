"""A missing signal: a tile may be overwritten when it has been stored, and nobody says that it has.

The compiler puts signals where they belong. Here one was lost when its assembly was edited by hand.
"""

import numpy as np
from planting import save, without

import sohu
from sohu import In, Out, f32


@sohu.kernel
def score(q: In[f32, "M D"], k: In[f32, "N D"], y: Out[f32, "M N"], *, rows: int = 32) -> None:
    """How much each query agrees with each key, as parts of the largest."""
    keys = k[...]
    for m in sohu.range(0, q.M, rows):
        s = q[m : m + rows] @ keys.T
        e = sohu.exp(s - s.max(axis=1, keepdims=True))
        y[m : m + rows] = e


def reference(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The same in NumPy."""
    s = q @ k.T
    return np.exp(s - s.max(axis=1, keepdims=True))


def main() -> None:
    """Write the binary and its arguments."""
    random = np.random.default_rng(0)
    q, k = (random.normal(size=size).astype(np.float32) for size in ((300, 48), (64, 48)))
    edited = without("signal", score.compile(q, k).asm, score, "y[m : m + rows] = e")
    save("deadlock", edited, q=q, k=k)


if __name__ == "__main__":
    main()
