"""Who called: the frames of a backtrace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sohu.asm import Line
from sohu.isa import INSTRUCTION_BYTES, Flow
from sohu.isa.machine import RA

if TYPE_CHECKING:
    from sohu.debugger.session import Session


@dataclass(frozen=True)
class Frame:
    """One level of the backtrace. `line` is None without debug information."""

    pc: int
    line: Line | None


def return_address(session: Session) -> int | None:
    """The pc of the call of the code at hand, while ra tells.

    ra (x1) is believed when a call to the code at hand stands right before the place it names. There is no unwinding
    further up: a function that calls another saves ra where it likes.
    """
    if not session.running:
        return None
    call = session.machine.x[RA] - INSTRUCTION_BYTES
    inst = session.symbols.inst(call)
    if inst is None or inst.row.flow is not Flow.CALL:
        return None
    at = inst.row.label_operand
    assert at is not None
    here, callee = session.symbols.place(session.pc), session.symbols.place(call + inst.values[at])
    return call if here is not None and callee is not None and here[0] == callee[0] else None


def frames(session: Session) -> list[Frame]:
    """Where it stands, and who called while ra tells: innermost first."""
    out = [Frame(session.pc, session.line)]
    if (call := return_address(session)) is not None:
        out.append(Frame(call, session.symbols.line_at(call)))
    return out
