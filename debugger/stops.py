"""Why the program stands still: one dataclass per reason, so that every face of the debugger says it its way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray
from sohu.emulator import MachineError

if TYPE_CHECKING:
    from sohu.debugger.points import Breakpoint, Catch, Watch


@dataclass(frozen=True)
class Stop:
    """Common to all: `pc` of the instruction that comes next, and instructions executed since the launch.

    reason: the kind of stop in a word, for programs.
    """

    pc: int
    instructions: int
    reason: ClassVar[str] = "stopped"


@dataclass(frozen=True)
class Started(Stop):
    """A launch: before the kernel's first instruction."""

    kernel: str
    reason: ClassVar[str] = "started"


@dataclass(frozen=True)
class BreakpointHit(Stop):
    """Before an instruction with breakpoints on it."""

    breakpoints: tuple[Breakpoint, ...]
    reason: ClassVar[str] = "breakpoint"


@dataclass(frozen=True)
class Change:
    """What an access did to something that is watched.

    pc: of the instruction that did it. count: how many elements changed, 0 for a mere access. index: of the first
    that did, () for a register. old, new: what it was and is (going back: what it was later, and before).
    """

    point: Watch
    pc: int
    count: int = 0
    index: tuple[int, ...] = ()
    old: Any = None
    new: Any = None


@dataclass(frozen=True)
class Watched(Stop):
    """After an instruction that accessed what is watched; going back, before it.

    breakpoints: those on the instruction that comes next, which count too.
    """

    changes: tuple[Change, ...]
    breakpoints: tuple[Breakpoint, ...] = ()
    reason: ClassVar[str] = "watchpoint"


@dataclass(frozen=True)
class Caught(Stop):
    """A checker found what `catch` asks for.

    Stands after the instruction at fault, which is error.pc, where it made what was caught; before it where it is
    about to use it, or cannot execute.
    """

    point: Catch
    error: MachineError
    alive: bool = True  # it can go on
    reason: ClassVar[str] = "catch"


@dataclass(frozen=True)
class Stepped(Stop):
    """A step came to its end."""

    reason: ClassVar[str] = "step"


@dataclass(frozen=True)
class Beginning(Stop):
    """Going back came to the first instruction of the launch."""

    reason: ClassVar[str] = "beginning"


@dataclass(frozen=True)
class Interrupted(Stop):
    """The user asked for it while the program ran."""

    reason: ClassVar[str] = "interrupted"


@dataclass(frozen=True)
class Exited(Stop):
    """The kernel ran to its end. `outputs`: copies of what it wrote, by parameter; `cycles` with timing."""

    kernel: str
    outputs: dict[str, NDArray[Any]] = field(compare=False)
    cycles: int | None = None
    reason: ClassVar[str] = "exited"


@dataclass(frozen=True)
class Faulted(Stop):
    """The machine stopped the program; it can be looked at and gone back from, and not go on."""

    error: MachineError
    reason: ClassVar[str] = "fault"
