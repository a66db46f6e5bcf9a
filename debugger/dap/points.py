"""The client's breakpoints, of all kinds, and the session's points that stand for them.

A client always sends all breakpoints of a kind. Those that were there stay as they are, with their number and their
count of hits; the others go.
"""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sohu.debugger.errors import CommandError
from sohu.debugger.points import Point
from sohu.debugger.session import Session
from sohu.debugger.stops import BreakpointHit, Caught, Stop, Watched
from sohu.debugger.style import clean
from sohu.debugger.views import scalar, statistics
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.debugger.dap.adapter import Adapter

MAX_POINTS = 10_000  # of one kind

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "": operator.eq,
    "=": operator.eq,
    "==": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "%": lambda hits, n: hits % n == 0,
}


@dataclass
class Entry:
    """One breakpoint as the client has it. spec: equal for equal ones; make: sets it in a session."""

    spec: Hashable
    make: Callable[[Session], Point]
    hit: str = ""
    log: str = ""
    id: int = 0
    point: Point | None = None
    error: str = ""
    told: bool = False  # the client has been told that it has a place


def hit_condition(text: str) -> tuple[Callable[[int, int], bool], int]:
    """`5` (the fifth hit), `>= 5`, `% 5` (each fifth). Raises CommandError for anything else."""
    m = re.fullmatch(r"\s*(==?|>=?|<=?|%|)\s*(\d{1,9})\s*", text)
    if m is None or (m[1] == "%" and int(m[2]) == 0):
        raise CommandError(f"{text!r} is no count of hits", help="such as 5, >= 5, or % 5 for each fifth")
    return _COMPARE[m[1]], int(m[2])


class Points:
    """All of a client's breakpoints, by kind: a source file's, and one kind each for the others."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.kinds: dict[str, list[Entry]] = {}
        self._ids = 0

    def replace(self, kind: str, wanted: Sequence[Entry]) -> list[Entry]:
        """These, and no others, are the breakpoints of a kind from now on; returns those that stand for them."""
        if len(wanted) > MAX_POINTS:
            raise CommandError(f"{len(wanted):,} breakpoints of one kind; at most {MAX_POINTS:,}")
        old = {e.spec: e for e in self.kinds.get(kind, [])}
        out = [old.pop(e.spec, e) for e in wanted]
        for entry in old.values():
            self._remove(entry)
        for entry in out:
            if entry.point is None:
                self._place(entry)
        self.kinds[kind] = out
        return out

    def _remove(self, entry: Entry) -> None:
        if entry.point is not None and entry.point.number in self.adapter.session.breakpoints:
            self.adapter.session.delete_breakpoint(entry.point.number)
        entry.point = None

    def _place(self, entry: Entry) -> None:
        if not entry.id:
            self._ids += 1
            entry.id = self._ids
        entry.error = ""
        try:
            if self.adapter.options.no_debug:
                raise CommandError("the program runs without being debugged")
            if entry.hit:
                hit_condition(entry.hit)
            entry.point = entry.make(self.adapter.session)
            if entry.hit or entry.log:
                entry.point.stays = lambda: self._stays(entry)
            entry.told = self._verified(entry)
        except SohuError as e:
            entry.point, entry.error = None, str(e)

    def place_again(self) -> None:
        """Set all of them in a new session, and tell the client where they are in it."""
        for entries in self.kinds.values():
            for entry in entries:
                entry.point = None
                self._place(entry)
                self.adapter.event("breakpoint", reason="changed", breakpoint=self.body(entry))

    def body(self, entry: Entry) -> dict[str, Any]:
        """The protocol's Breakpoint."""
        out: dict[str, Any] = {"id": entry.id, "verified": self._verified(entry)}
        if entry.point is None:
            out |= {"message": clean(entry.error), "reason": "failed"}
        elif entry.point.pending:
            out |= {"message": clean(entry.point.pending), "reason": "pending"}
        pcs = () if entry.point is None else entry.point.pcs
        if pcs:
            line = self.adapter.session.symbols.line_at(pcs[0])
            out["instructionReference"] = f"{pcs[0]:#06x}"
            if line is not None:
                places = self.adapter.places
                out |= {"source": places.source(line.file), "line": places.line_to_client(line.line)}
        return out

    def ids(self, stop: Stop) -> list[int]:
        """The numbers, as the client knows them, of those that a stop is because of."""
        return [e.id for e in self._hit(stop)]

    def _hit(self, stop: Stop) -> list[Entry]:
        points: list[Point] = []
        if isinstance(stop, BreakpointHit):
            points = list(stop.breakpoints)
        elif isinstance(stop, Watched):
            points = [c.point for c in stop.changes]
        elif isinstance(stop, Caught):
            points = [stop.point]
        return [e for e in self.entries() if any(e.point is p for p in points)]

    def entries(self) -> Iterator[Entry]:
        """Those of all kinds."""
        for entries in self.kinds.values():
            yield from entries

    def _stays(self, entry: Entry) -> bool:
        """Whether the program stops at a hit of a point with a count of hits or a message; says the message."""
        assert entry.point is not None
        if entry.hit:
            compare, n = hit_condition(entry.hit)
            if not compare(entry.point.hits, n):
                return False
        if entry.log:
            self.adapter.output(interpolate(self.adapter.session, entry.log) + "\n")
        return not entry.log

    @contextlib.contextmanager
    def without_messages(self) -> Iterator[None]:
        """Going back, nothing is said, and what only says something does not stop the program."""
        off = [e.point for e in self.entries() if e.log and e.point is not None and e.point.enabled]
        for point in off:
            point.enabled = False
        try:
            yield
        finally:
            for point in off:
                point.enabled = True

    def tell_changes(self) -> None:
        """Tell the client of points that have got a place, or lost it."""
        for entry in self.entries():
            if entry.point is not None and entry.told != self._verified(entry):
                entry.told = self._verified(entry)
                self.adapter.event("breakpoint", reason="changed", breakpoint=self.body(entry))

    @staticmethod
    def _verified(entry: Entry) -> bool:
        return entry.point is not None and not entry.point.pending


def interpolate(session: Session, text: str) -> str:
    """A log message with its {expressions} replaced by what they give."""

    def value(m: re.Match[str]) -> str:
        try:
            found = session.evaluate(m[1])
        except CommandError as e:
            return f"<{str(e).splitlines()[0]}>"
        data = found.data
        if isinstance(data, (int, float)):
            return scalar(found)
        return str(data[()]) if data.ndim == 0 else statistics(data)

    return re.sub(r"\{([^{}]+)\}", value, text)
