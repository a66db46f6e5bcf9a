"""Values of expressions that hold addresses: known only up to where the linker puts a section or symbol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sohu.asm.diagnostics import Mistake
from sohu.asm.numbers import Number, Span, binary
from sohu.asm.objects import Section


@dataclass(frozen=True, slots=True)
class Address:
    """`offset` bytes from the beginning of a section, or from a symbol that is not settled in this file."""

    section: Section | None
    symbol: str
    offset: int

    def plus(self, distance: int) -> Address:
        """The address so many bytes further on."""
        return Address(self.section, self.symbol, self.offset + distance)


@dataclass(slots=True)
class Place:
    """Where a label is: an offset into what the source put in a section."""

    section: Literal["text", "rodata"]
    offset: int
    line: int


Value: TypeAlias = "Number | Address"


def operate(op: str, a: Value, b: Value | None, span: Span) -> Value:
    """`op a` (b None) or `a op b` where one is an address; raises Mistake for what no relocation can express.

    Address + integer and address - integer are addresses, the distance of two in one section is an integer.
    """
    if b is None and op == "+":
        return a
    if op == "+" and isinstance(a, int) and isinstance(b, Address):
        a, b = b, a
    if isinstance(a, Address) and isinstance(b, int) and op in ("+", "-"):
        return a.plus(b if op == "+" else -b)
    if isinstance(a, Address) and isinstance(b, Address):
        if (a.section, a.symbol) == (b.section, b.symbol):
            if op == "-" or op in ("==", "!=", "<", "<=", ">", ">="):
                return binary(op, a.offset, b.offset, span)
        elif op == "-":
            why = "the distance between places in different sections or files is not known before linking"
            raise Mistake("A024", why, span)
    help = "an address can have an integer added or taken away, and two of one section have a distance"
    raise Mistake("A024", f"{op} has no value for an address, which the linker decides", span, help=help)
