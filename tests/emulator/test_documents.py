"""docs/abi.md and docs/machine.md say what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from sohu.emulator.device import PARAMETER_BYTES, STACK_BYTES
from sohu.isa import Chip, load_chip

DOCS = Path(__file__).parents[2] / "docs"
MACHINE = (DOCS / "machine.md").read_text(encoding="utf-8")
ABI = (DOCS / "abi.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [f.name for f in fields(Chip) if f.name != "name"])
def test_every_figure_is_marked_as_fact_or_assumption(name: str) -> None:
    rows = [r for r in MACHINE.splitlines() if r.startswith("|") and f"`{name}`" in r.split("|")[1]]
    assert len(rows) == 1, f"docs/machine.md: the table has {len(rows)} rows for {name}"
    assert re.search(r"\| (fact|assumption|derived)\b", rows[0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sram_bytes", "128 MiB"),
        ("acc_bytes", "32 MiB"),
        ("hbm_bytes", "144 GB"),
        ("clock_hz", "1.2 GHz"),
        ("hbm_bytes_per_cycle", "5120 ("),
        ("hbm_latency", "480 cycles"),
        ("mxu_arrays", "256"),
        ("vpu_lanes", "16,384"),
        ("vpu_latency", "24 cycles"),
        ("link_bytes_per_cycle", "750 ("),
        ("link_latency", "1200 cycles"),
        ("queue_depth", "16"),
        ("dma_queue_bytes_per_cycle", "5120"),
    ],
)
def test_the_table_has_the_figures_of_the_chip(name: str, text: str) -> None:
    units = {"MiB": 1 << 20, "GB": 10**9, "GHz": 10**9}
    number, _, unit = text.rstrip(" (").partition(" ")
    assert getattr(load_chip("sohu"), name) == float(number.replace(",", "")) * units.get(unit, 1)
    row = next(r for r in MACHINE.splitlines() if r.startswith("|") and f"`{name}`" in r.split("|")[1])
    assert row.split("|")[2].strip().startswith(text)


def test_limits_are_those_of_the_code() -> None:
    assert f"the stack: {STACK_BYTES >> 10} KiB" in ABI and f"at most {PARAMETER_BYTES // 64} parameters" in ABI
