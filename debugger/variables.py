"""Variables of compiled kernels: where they are now, or why they are nowhere.

A variable is where the compiler says (sohu.asm.debuginfo), as long as nothing else has been put there. Names mean
those of the selected frame (sohu.debugger.frames), then those of the functions that it is inlined in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.asm.debuginfo import KernelDebug, LiveRange, Location
from sohu.debugger.frames import Frame
from sohu.isa import INSTRUCTION_BYTES

if TYPE_CHECKING:
    from sohu.debugger.session import Session

_SHOWN = 4  # ranges that are named
_REMEMBERED = 1000  # places of which it is remembered what is there


@dataclass(frozen=True)
class Local:
    """A variable of a frame. `location` is None where it holds no value."""

    name: str
    location: Location | None


class Variables:
    """The variables of a session's program, as the selected frame sees them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._all: dict[int, frozenset[str]] = {}  # names of all variables of a kernel, by its entry
        self._known: dict[tuple[int, int], dict[str, Location | None]] = {}  # by pc and depth

    @property
    def frame(self) -> Frame | None:
        """The selected frame; None where there is none, or no description of its code."""
        if not self.session.running or not self.session.program.debug:
            return None
        every = self.session.backtrace()
        return every[min(self.session.level, len(every) - 1)]

    def here(self) -> dict[str, Location | None]:
        """What the selected frame calls by name, its own variables first: where it is, None for nowhere now."""
        at = self.frame
        if at is None:
            return {}
        key = at.pc, at.depth
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found: dict[str, Location | None] = {}
            for depth in self._depths(at):
                found = {local.name: local.location for local in self._of(at.pc, depth)} | found
            self._known[key] = found
        return self._known[key]

    def _depths(self, at: Frame) -> range:
        """Levels of the inlined calls that the frame sees, its own first."""
        return range(at.depth, max(len(self.session.program.debug.stack(at.pc)), at.depth + 1))

    def _of(self, pc: int, depth: int) -> list[Local]:
        debug = self.session.program.debug
        live = debug.variables(pc, depth)
        return [Local(n, live.get(n)) for n in debug.known(pc, depth)]

    def locate(self, name: str) -> Location | None:
        """Where a variable is now."""
        return self.here().get(name)

    def knows(self, name: str) -> bool:
        """Whether a name means a variable here, be it one without a value."""
        return name in self.here()

    def names(self) -> list[str]:
        """All names that mean a variable here."""
        return list(self.here())

    def locals(self, at: Frame) -> list[Local]:
        """The variables of one frame."""
        return self._of(at.pc, at.depth)

    def registers(self) -> dict[tuple[str, int], list[tuple[str, Location]]]:
        """What is in the registers here: variables by register file and number."""
        out: dict[tuple[str, int], list[tuple[str, Location]]] = {}
        for name, at in self.here().items():
            if at is not None and at.kind in ("tile", "register"):
                out.setdefault(("t" if at.kind == "tile" else "x", at.reg), []).append((name, at))
        return out

    def why_nowhere(self, name: str) -> tuple[str, str]:
        """Why a variable holds no value here, and where it does: a message and help for it."""
        at = self.frame
        assert at is not None
        debug = self.session.program.debug
        depth = next((d for d in self._depths(at) if name in debug.known(at.pc, d)), at.depth)
        ranges = debug.ranges(name, at.pc, depth)
        if not ranges:
            return (
                f"{name} was optimized away: nothing holds its value anywhere",
                "to stop in a later round of a loop: ignore NUMBER COUNT",
            )
        if at.pc < ranges[0].start:
            return f"{name} has no value yet here", f"it has one at {self.describe(ranges)}"
        return f"{name} is dead here: its place holds something else by now", f"it lives at {self.describe(ranges)}"

    def _names_of(self, kernel: KernelDebug) -> frozenset[str]:
        if kernel.entry not in self._all:
            self._all[kernel.entry] = frozenset(v.name for v in kernel.variables)
        return self._all[kernel.entry]

    def elsewhere(self, name: str) -> str:
        """Where a variable of the kernel at hand lives that no function here has; "" for no variable."""
        debug, at = self.session.program.debug, self.frame
        found = None if at is None else debug.at(at.pc)
        if found is None or name not in self._names_of(found[0]):
            return ""
        kernel, _ = found
        owners = {kernel.scopes[v.scope].function for v in kernel.variables if v.name == name}
        end = kernel.entry + kernel.size * INSTRUCTION_BYTES
        ranges = [r for r in debug.ranges(name) if kernel.entry <= r.start < end]
        where = f": it lives at {self.describe(ranges)}" if ranges else ""
        return f"{', '.join(sorted(owners))} has one{where}"

    def describe(self, ranges: list[LiveRange]) -> str:
        """`softmax.py:17-19 (0x01a0..0x0290 in t2), ...`"""
        out = []
        for r in ranges[:_SHOWN]:
            out.append(f"{self._lines(r)}{r.start:#06x}..{r.end:#06x} in {place_text(r.location)}")
        more = len(ranges) - _SHOWN
        return ", ".join(out) + (f", and {more} more" if more > 0 else "")

    def _lines(self, r: LiveRange) -> str:
        lines = [self.session.symbols.line_at(pc) for pc in range(r.start, r.end, INSTRUCTION_BYTES)]
        files = {line.file for line in lines if line is not None}
        if len(files) != 1:
            return ""
        numbers = [line.line for line in lines if line is not None]
        low, high = min(numbers), max(numbers)
        span = f"{low}-{high}" if high > low else str(low)
        return f"{files.pop().rpartition('/')[2]}:{span}, "


def place_text(at: Location) -> str:
    """`t5`, `x7`, `hbm [x2-8]`, `a constant`"""
    if at.kind == "constant":
        return "a constant"
    return f"hbm {at}" if at.kind == "memory" else str(at)
