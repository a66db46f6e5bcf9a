"""An overflow: exp of what is large, before the largest is subtracted; the NaN comes up much later, elsewhere."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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


def reference(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in NumPy."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y: NDArray[np.float32] = e / e.sum(axis=1, keepdims=True)
    return y


def main(folder: Path) -> None:
    """Write the binary and its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    x = random.normal(size=(1200, 48)).astype(np.float32)
    x[37, 11] = 90.0  # e ** 90 is beyond float32
    (folder / "nan.elf").write_bytes(softmax.compile(x).elf)
    np.save(folder / "nan.x.npy", x)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
