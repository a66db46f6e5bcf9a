"""The instruction against a plain reference: encoding, text, example, dtypes, shapes with tails, in place."""

import math
from typing import Any

import numpy as np
from sohu.emulator.conformance import check_package


def gated_norm(src: Any, gate: Any, weight: Any, eps: float) -> Any:
    """One element at a time, in double precision; shares nothing with the instruction's own code."""
    out = np.empty(src.shape)
    for *row, c in np.ndindex(src.shape):
        line, g = src[tuple(row)], gate[(*row, c)]
        mean = math.fsum(v * v for v in line) / len(line)
        out[(*row, c)] = line[c] / math.sqrt(mean + eps) * weight[c] * g / (1 + math.exp(-g))
    return out


def main() -> None:
    """Print what has been checked; a ConformanceError shows the case that is wrong."""
    for report in check_package("gated_norm", {"vgnorm": gated_norm}):
        print(report)


if __name__ == "__main__":
    main()
