"""Errors every room shares: a category, one clear sentence, and where it happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from sohu.isa.tile import Tile


class SohuError(Exception):
    """A mistake that a person can mend: printed as it is, never as a traceback.

    `help` says what to do; `where` says where (file:line, pc, operand), both optional.
    """

    exit_code = 1

    def __init__(self, message: str, *, help: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.where = where

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  help: {self.help}" if self.help else head


class DefinitionError(SohuError):
    """A bad row of the instruction table (raised when the module that holds it is imported)."""


class EncodingError(SohuError):
    """An operand value that does not fit its field, or a word that is no instruction.

    `operand` names the operand at fault ("wait" and "signal" for those), where there is one.
    """

    def __init__(self, message: str, *, operand: str = "", help: str = "") -> None:
        super().__init__(message, help=help)
        self.operand = operand


class Note(NamedTuple):
    """One line below an error: a place in the program and what happened there, or (pc None) a sentence."""

    text: str
    pc: int | None = None


class Fault(SohuError):
    """Raised by instruction semantics and operand resolution; the emulator adds pc, line and operand.

    `category` is one of CATEGORIES; `notes` are for errors that have more than one side; `pc` is that of the
    instruction at fault where it is another one than is at work; `element` a tile, and the index in it at which
    something is wrong.
    """

    def __init__(
        self,
        category: str,
        message: str,
        *,
        operand: str = "",
        help: str = "",
        notes: Sequence[Note] = (),
        pc: int | None = None,
        element: tuple[Tile, tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__(message, help=help)
        assert category in CATEGORIES, category
        self.category = category
        self.operand = operand
        self.notes = tuple(notes)
        self.pc = pc
        self.element = element


CATEGORIES = {
    "out-of-bounds": "an address or index outside the memory or tensor it names",
    "misaligned": "an address that is no multiple of its element's size",
    "illegal-instruction": "an opcode that no row defines",
    "reserved-bits": "a bit set that the encoding reserves",
    "operand": "a tile whose space, dtype or shape the instruction does not take",
    "read-only": "a write into memory that the program may only read",
    "deadlock": "nothing can run and something still waits",
    "collective": "chips of a group that came to different collectives, or one that never came",
    "semaphore": "a semaphore misused: overflow, or reset without drain",
    "uninitialized": "a use of elements that nothing has written",
    "race": "two accesses to the same bytes, one of them a write, that nothing orders",
    "overlap": "elements of one tile overwritten through another before they were read",
    "nan": "a NaN or an infinity that comes out of numbers without one",
    "tolerance": "a result farther from what float64 gives than was allowed",
    "overflow": "a number too large for the dtype it is converted to",
    "trap": "the program stopped itself",
    "assert": "an assertion of the program failed",
    "limit": "a limit set by the user was reached",
    "loader": "a file that is not a loadable Sohu program",
}
