"""What a fuzz target is."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

HITS = 20  # of each cell


class Wrong(Exception):
    """A case whose result is not what it must be."""


@dataclass(frozen=True)
class Target:
    """A kind of cases. A case is some bytes; `check` returns, or raises Wrong or whatever went wrong in it.

    Where there are `cells`, `check` gives how often it has hit each, and a full run goes on until all have had `HITS`.
    """

    name: str
    about: str  # one line
    unit: str  # what is counted
    goal: int  # units of a full run
    cases: int  # in a batch
    suffix: str  # of a file that holds a case
    make: Callable[[random.Random], bytes]
    check: Callable[[bytes], Mapping[str, int] | None]
    units: Callable[[bytes], int] = lambda data: 1
    parts: Callable[[bytes], list[bytes]] = lambda data: [data]  # what can be left out to make a case smaller
    cells: Callable[[], Sequence[str]] = lambda: ()  # what there is to cover; the first word of each groups them
    kind: Callable[[str], str] = lambda why: ""  # of a failure; one made smaller is still of the same


def expect(good: bool, what: str) -> None:
    """Raise Wrong unless `good`."""
    if not good:
        raise Wrong(what)
