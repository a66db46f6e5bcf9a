"""Numbers that stand for frames and variables until the program moves."""

from __future__ import annotations

from typing import Generic, TypeVar

from sohu.debugger.dap.typed import BadRequest

T = TypeVar("T")


class References(Generic[T]):
    """Things by number. A number is never used twice: one from before the last movement is refused, not mistaken."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._things: dict[int, T] = {}
        self._next = 1

    def add(self, thing: T) -> int:
        """A new number for a thing."""
        number = self._next
        self._next += 1
        self._things[number] = thing
        return number

    def get(self, number: int) -> T:
        """Raises BadRequest for a number that means nothing (any more)."""
        try:
            return self._things[number]
        except KeyError:
            raise BadRequest(f"{self.what} {number} is not there, or not any more") from None

    def clear(self) -> None:
        """The program has moved: none is valid now."""
        self._things.clear()
