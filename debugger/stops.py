"""Why the program stands still: one dataclass per reason, so that every face of the debugger says it its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from sohu.emulator import MachineError

if TYPE_CHECKING:
    from sohu.debugger.breakpoints import Breakpoint


@dataclass(frozen=True)
class Stop:
    """Common to all: `pc` of the instruction that comes next, and instructions executed since the launch."""

    pc: int
    instructions: int


@dataclass(frozen=True)
class Started(Stop):
    """A launch: before the kernel's first instruction."""

    kernel: str


@dataclass(frozen=True)
class BreakpointHit(Stop):
    """Before an instruction with breakpoints on it."""

    breakpoints: tuple[Breakpoint, ...]


@dataclass(frozen=True)
class Stepped(Stop):
    """A step came to its end."""


@dataclass(frozen=True)
class Interrupted(Stop):
    """The user asked for it while the program ran."""


@dataclass(frozen=True)
class Exited(Stop):
    """The kernel ran to its end. `outputs`: copies of what it wrote, by parameter; `cycles` with timing."""

    kernel: str
    outputs: dict[str, NDArray[Any]] = field(compare=False)
    cycles: int | None = None


@dataclass(frozen=True)
class Faulted(Stop):
    """The machine stopped the program; it can be looked at, and not go on."""

    error: MachineError
