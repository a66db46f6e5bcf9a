"""Checkers: what watches a running program for bugs that its results may hide.

One file per checker; `@check` gives it its name, the category of its errors and a line of documentation. They are
switched on by name (Device(checks=...), `sohu run --check`). Each finding is a hard error. What costs nothing to
find is no checker and always on: the memory's bounds, writes to read-only memory, semaphores, deadlocks.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sohu.emulator.checks import bounds, nonfinite, overflow, overlap, race, uninitialized
from sohu.emulator.checks.registry import CHECKS, Check, Declaration, Hooks, check, chosen

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine

__all__ = ["CHECKS", "Check", "Declaration", "Hooks", "check", "chosen", "hooks"]

# Importing a checker registers it; a hook of all of them is called in this order.
_MODULES = (bounds, uninitialized, race, overlap, overflow, nonfinite)


def hooks(machine: Machine, spec: str | Collection[str] | None) -> Hooks:
    """The hooks of fresh checkers for a machine; raises SohuError for an unknown name."""
    return Hooks([CHECKS[name].make(machine) for name in chosen(spec)])
