"""A kernel called on NumPy arrays, its IR and its assembly."""

import numpy as np

import sohu
from sohu import In, Out, bf16, f32


@sohu.kernel
def softmax(x: In[bf16, "R C"], y: Out[bf16, "R C"], *, rows: int = 128) -> None:
    for r in sohu.range(0, x.R, rows):  # the last block may be short: nothing to write for that
        t = x[r : r + rows].to(f32)
        e = sohu.exp(t - t.max(axis=1, keepdims=True))
        y[r : r + rows] = e / e.sum(axis=1, keepdims=True)


def main() -> None:
    """Run it, and show what it became."""
    x = np.random.default_rng(0).normal(size=(300, 70)).astype(bf16.np)
    y = softmax(x)
    print("rows sum to", y.astype(np.float32).sum(axis=1).mean())

    compiled = softmax.compile(x)
    print(compiled.ir)
    print(compiled.asm)
    print(len(compiled.elf), "bytes of ELF, made in", round(compiled.seconds * 1e3), "ms")


if __name__ == "__main__":
    main()
