"""Collectives on one chip, one element at a time."""

from __future__ import annotations

from tests.emulator.reference.plain import BLOCK, Case, each, same

CASES: dict[str, list[Case]] = {
    "cce.allreduce": [Case(BLOCK, each(same, "src"))],
}
