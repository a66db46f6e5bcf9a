"""Checkers: what watches a running program for bugs that its results may hide.

One file per checker; `@check` gives it its name, the category of its errors and a line of documentation. They are
switched on by name (Device(checks=...), `sohu run --check`). Each finding is a hard error. What costs nothing to
find is no checker and always on: the memory's bounds, writes to read-only memory, semaphores, deadlocks.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from sohu.emulator.checks import bounds, nonfinite, overflow, overlap, race, tolerance, uninitialized
from sohu.emulator.checks.registry import CHECKS, Check, Declaration, Hooks, category_of, check, chosen, make, sides

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine

__all__ = ["CHECKS", "Check", "Declaration", "Hooks", "category_of", "check", "chosen", "hooks", "make", "sides"]

# Importing a checker registers it. Hooks are called in this order, those of other modules last.
_ORDER = [m.__name__ for m in (bounds, uninitialized, race, overlap, overflow, nonfinite, tolerance)]


def _place(name: str) -> int:
    module = CHECKS[name.partition(">")[0]].make.__module__
    return _ORDER.index(module) if module in _ORDER else len(_ORDER)


def hooks(machine: Machine, spec: str | Collection[str] | None) -> Hooks:
    """The hooks of fresh checkers for a machine; raises SohuError for an unknown name."""
    return Hooks([make(machine, name) for name in sorted(chosen(spec), key=_place)])
