"""The table of what a target has covered: a line for each group of cells, and what is not covered yet."""

from __future__ import annotations

from tools.fuzz.run import Counts
from tools.fuzz.target import HITS, Target

_SHOWN = 40  # cells that are missing


def table(target: Target, counts: Counts) -> list[str]:
    """Lines; none for a target without cells."""
    groups: dict[str, list[int]] = {}
    for cell in target.cells():
        groups.setdefault(cell.partition(" ")[0], []).append(counts.cells.get(cell, 0))
    if not groups:
        return []
    out = [f"  {'row':20}{'cells':>7}{'fewest hits':>13}{'hits':>11}"]
    for name, hits in groups.items():
        out.append(f"  {name:20}{len(hits):>7}{min(hits):>13,}{sum(hits):>11,}")
    missing = counts.missing(target)
    out.append(f"  {len(target.cells()):,} cells, {len(missing):,} of them hit less than {HITS} times")
    out += [f"    {c}: {counts.cells.get(c, 0)}" for c in missing[:_SHOWN]]
    if len(missing) > _SHOWN:
        out.append(f"    and {len(missing) - _SHOWN} more")
    return out
