"""A missing wait: the matrix engine begins to read a tile that is still being loaded.

The compiler puts waits where they belong. Here somebody has "tuned" its assembly by hand, and thrown one out that
seemed to do nothing: in program order the result stays right.
"""

import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sohu.asm import write_elf

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


def reference(x: NDArray[np.float32], w: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in NumPy."""
    a, b = x @ w.T, x @ v.T
    y: NDArray[np.float32] = a / (1 + np.exp(-a)) * b
    return y


def tuned(asm: str) -> str:
    """The assembly of `gate`, without the wait of the first product."""
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = 1 + next(i for i, text in enumerate(source) if "a = t @ left.T" in text)
    return re.sub(rf"(\.loc +1 {line} (?:(?!\.loc).)*?) *\bwait \S+", r"\1", asm, count=1, flags=re.DOTALL)


def main(folder: Path) -> None:
    """Write the binary and its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    x, w, v = (random.normal(size=size).astype(np.float32) for size in ((300, 48), (64, 48), (64, 48)))
    program = sohu.assemble(tuned(gate.compile(x, w, v).asm), "tuned.s")
    (folder / "race.elf").write_bytes(write_elf(program))
    for name, array in (("x", x), ("w", w), ("v", v)):
        np.save(folder / f"race.{name}.npy", array)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
