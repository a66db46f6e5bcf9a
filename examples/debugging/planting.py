"""What the five share: files to debug, and bugs that no compiler makes."""

import inspect
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sohu.asm import write_elf

import sohu


def save(name: str, asm: str, **arrays: np.ndarray[Any, Any]) -> None:
    """Write NAME.elf, and each array to NAME.ARRAY.npy, into the folder that the command line names, or this one."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.elf").write_bytes(write_elf(sohu.assemble(asm, f"{name}.s")))
    for array, values in arrays.items():
        np.save(folder / f"{name}.{array}.npy", values)
    print(f"{name}.elf, for", " ".join(f"--arg {array}={name}.{array}.npy" for array in arrays))


def without(what: str, asm: str, kernel: sohu.Kernel, statement: str) -> str:
    """A kernel's assembly in which a statement of it has lost its first `wait` or `signal`."""
    lines, first = inspect.getsourcelines(inspect.unwrap(kernel))
    line = next(first + i for i, text in enumerate(lines) if text.strip() == statement)
    out, here = asm.splitlines(keepends=True), 0
    for i, text in enumerate(out):
        if loc := re.match(r"\s*\.loc\s+1\s+(\d+)", text):
            here = int(loc[1])
        found = re.search(rf" *\b{what} \S+", text)
        if here == line and found:
            out[i] = text[: found.start()] + text[found.end() :]
            return "".join(out)
    raise ValueError(f"{statement!r} has no {what}")
