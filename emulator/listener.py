"""What watches a machine from outside: debuggers, tracers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sohu.emulator.machine import Machine
    from sohu.emulator.translate import Issued, Op


class Listener:
    """What a debugger or tracer overrides. It may look at everything, and must change nothing."""

    def will_issue(self, machine: Machine, op: Op) -> None:
        """The sequencer is about to execute `op`, or to hand it to its queue."""

    def did_issue(self, machine: Machine, op: Op) -> None:
        """It has done so; machine.pc is the next instruction."""

    def will_execute(self, machine: Machine, issued: Issued) -> None:
        """An engine is about to execute an instruction: its tiles are in issued.bound.tiles."""

    def did_execute(self, machine: Machine, issued: Issued) -> None:
        """It has done so; its signal has not been sent yet."""
