"""A wrong bound: the last rows are never computed, and the second pass reads them all the same.

In memory that happens to hold zeros the result looks plausible.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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


def reference(x: NDArray[np.float32], up: NDArray[np.float32], down: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in NumPy."""
    h = x @ up.T
    y: NDArray[np.float32] = h / (1 + np.exp(-h)) @ down.T
    return y


def main(folder: Path) -> None:
    """Write the binary and its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    x, up, down = (random.normal(size=size).astype(np.float32) for size in ((300, 48), (64, 48), (40, 64)))
    (folder / "uninit.elf").write_bytes(mlp.compile(x, up, down).elf)
    for name, array in (("x", x), ("up", up), ("down", down)):
        np.save(folder / f"uninit.{name}.npy", array)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
