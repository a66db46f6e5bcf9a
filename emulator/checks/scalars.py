"""The scalar operands of an instruction as it issued: what its semantics gets beside tiles."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from sohu.emulator.bind import constant
from sohu.isa import Data

if TYPE_CHECKING:
    from sohu.emulator.translate import Issued, Op

Held = dict[str, Any]


class Scalars:
    """Keeps those of parked instructions, whose registers may have changed when they execute."""

    __slots__ = ("parked",)

    def __init__(self) -> None:
        self.parked: dict[int, deque[Held]] = {}  # by queue

    def clear(self) -> None:
        """Nothing is parked."""
        self.parked.clear()

    def save(self) -> dict[int, tuple[Held, ...]]:
        """What is parked, for `load`."""
        return {queue: tuple(held) for queue, held in self.parked.items()}

    def load(self, state: dict[int, tuple[Held, ...]]) -> None:
        """Have parked what was."""
        self.parked = {queue: deque(held) for queue, held in state.items()}

    def park(self, issued: Issued) -> None:
        """An instruction waits in its queue."""
        if issued.op.scalars:
            names = [name for name, _ in issued.op.scalars]
            held = dict(zip(names, getattr(issued.run, "args", ()), strict=False))
            self.parked.setdefault(id(issued.op.queue), deque()).append(held)

    def take(self, op: Op) -> Held | None:
        """What was kept of the instruction that executes next; None when it executes as it issues."""
        held = self.parked.get(id(op.queue))
        return held.popleft() if held and op.scalars else None


def operands(op: Op, held: Held | None) -> Held:
    """All operands but tiles, as the semantics gets them."""
    assert op.inst is not None
    pairs = zip(op.inst.row.operands, op.inst.values, strict=True)
    out = {o.name: constant(o.kind, v) for o, v in pairs if not isinstance(o.kind, Data)}
    return out | (held if held is not None else {name: read() for name, read in op.scalars})
