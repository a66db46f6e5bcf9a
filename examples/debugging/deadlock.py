"""A missing signal: a tile may be overwritten when it has been stored, and nobody says that it has.

The compiler puts signals where they belong. Here one was lost when its assembly was edited by hand.
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
def score(q: In[f32, "M D"], k: In[f32, "N D"], y: Out[f32, "M N"], *, rows: int = 32) -> None:
    """How much each query agrees with each key, as parts of the largest."""
    keys = k[...]
    for m in sohu.range(0, q.M, rows):
        s = q[m : m + rows] @ keys.T
        e = sohu.exp(s - s.max(axis=1, keepdims=True))
        y[m : m + rows] = e


def reference(q: NDArray[np.float32], k: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same in NumPy."""
    s = q @ k.T
    y: NDArray[np.float32] = np.exp(s - s.max(axis=1, keepdims=True))
    return y


def edited(asm: str) -> str:
    """The assembly of `score`, without the signal of the store."""
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = 1 + next(i for i, text in enumerate(source) if "y[m : m + rows] = e" in text)
    return re.sub(rf"(\.loc +1 {line} (?:(?!\.loc).)*?) *\bsignal \S+", r"\1", asm, count=1, flags=re.DOTALL)


def main(folder: Path) -> None:
    """Write the binary and its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    q, k = (random.normal(size=size).astype(np.float32) for size in ((300, 48), (64, 48)))
    program = sohu.assemble(edited(score.compile(q, k).asm), "edited.s")
    (folder / "deadlock.elf").write_bytes(write_elf(program))
    for name, array in (("q", q), ("k", k)):
        np.save(folder / f"deadlock.{name}.npy", array)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
