"""Checkpoints that the user makes."""

from __future__ import annotations

from dataclasses import dataclass

from sohu.debugger.stops import Stop
from sohu.emulator.snapshot import Snapshot


@dataclass(frozen=True)
class Mark:
    """A checkpoint that the user made."""

    number: int
    snapshot: Snapshot
    stop: Stop | None

    @property
    def pc(self) -> int:
        """Of the instruction that comes next."""
        return self.snapshot.pc

    @property
    def instructions(self) -> int:
        """How many had executed or issued."""
        return self.snapshot.instructions
