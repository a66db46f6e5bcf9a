"""Medians of rounds that take turns, and the tables they are shown in."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


def interleaved(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each contender; in each round every one of them runs once."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            began = time.perf_counter()
            contender()
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


@dataclass
class Table:
    """A titled table: the first column is text, the others are numbers (None: there is none)."""

    title: str
    columns: Sequence[str]
    rows: list[tuple[str, list[float | None]]] = field(default_factory=list)
    note: str = ""

    def add(self, name: str, *values: float | None) -> None:
        """Append a row."""
        self.rows.append((name, list(values)))

    def record(self) -> dict[str, object]:
        """The table for JSON."""
        rows = [{"name": name} | dict(zip(self.columns, values, strict=True)) for name, values in self.rows]
        return {"title": self.title, "rows": rows}

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.rows), default=0)
        widths = [max(len(column), 10) for column in self.columns]
        head = "  ".join(column.rjust(w) for column, w in zip(self.columns, widths, strict=True))
        lines = [self.title, f"  {'':{width}}  {head}"]
        for name, values in self.rows:
            cells = "  ".join(_number(v).rjust(w) for v, w in zip(values, widths, strict=True))
            lines.append(f"  {name:{width}}  {cells}")
        return "\n".join([*lines, *([f"  {self.note}"] if self.note else [])])


def _number(value: float | None) -> str:
    """Three digits, or whole."""
    if value is None:
        return "-"
    if value == 0 or abs(value) >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"
