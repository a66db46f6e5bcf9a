"""Errors of the emulator: what the host gave wrongly, and what the program did wrongly."""

from __future__ import annotations

import linecache
import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sohu.asm import Line
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.isa import Tile

_LARGEST_SOURCE = 16 << 20  # bytes


class ArgumentError(SohuError):
    """A kernel was launched with arguments that its declaration does not allow."""


class Place(NamedTuple):
    """One side of an error: what happened at an instruction; or, without a pc, a sentence of its own."""

    text: str
    pc: int | None = None
    instruction: str = ""
    line: Line | None = None


class MachineError(SohuError):
    """A program was stopped by the machine.

    `category` is one of sohu.isa.CATEGORIES; `pc` the byte offset in .text of the instruction at fault,
    `line` its source place (None without debug information), `instruction` its text, `operand` the name
    of the operand at fault ("" when none is), `element` a tile and the index in it at which something is wrong (None
    when nothing is known), `notes` the sides of an error that has more than one, `core` the core file that was written
    ("" when none was), `chip` its number in a group (None without one).
    """

    exit_code = 3

    def __init__(
        self,
        category: str,
        message: str,
        *,
        pc: int,
        line: Line | None = None,
        instruction: str = "",
        operand: str = "",
        help: str = "",
        chip: int | None = None,
        notes: Sequence[Place] = (),
        element: tuple[Tile, tuple[int, ...]] | None = None,
    ) -> None:
        super().__init__(message, help=help)
        self.category = category
        self.pc = pc
        self.place(line)
        self.core = ""
        self.instruction = instruction
        self.operand = operand
        self.chip = chip
        self.notes = tuple(notes)
        self.element = element

    def place(self, line: Line | None) -> None:
        """Say where the instruction comes from."""
        self.line = line
        self.where = f"{line.file}:{line.line}" if line else f"pc {self.pc:#06x}"

    def __str__(self) -> str:
        operand = f"operand {self.operand}: " if self.operand else ""
        out = [f"{self.where}: error[{self.category}]: {operand}{self.message}"]
        if self.line and (source := _source(self.line).rstrip()):
            number = str(self.line.line).rjust(5)
            out.append(f"{number} | {source}")
            if self.line.column:
                # tabs stay tabs, so that the caret stands under its column
                lead = "".join(c if c == "\t" else " " for c in source[: self.line.column - 1])
                out.append(f"{' ' * len(number)} | {lead}^")
        chip = "" if self.chip is None else f"chip {self.chip}, "
        if any(n.pc is not None for n in self.notes):  # they tell of this instruction too
            out += _sides(self.notes)
        elif self.instruction or self.line:  # without a line, the first one names the pc
            out.append(f"  {chip}pc {self.pc:#06x}: {self.instruction or 'no instruction'}")
            out += [f"  {n.text}" for n in self.notes]
        if self.help:
            out.append(f"  help: {self.help}")
        if self.core:
            out.append(f"  core: {self.core} (sohu-dbg --core opens it)")
        return "\n".join(out)


def _sides(notes: Sequence[Place]) -> list[str]:
    """The lines of notes, in columns: what, pc, instruction, source place and source."""
    places = [n for n in notes if n.pc is not None]
    words = max(len(n.text) for n in places)
    width = max(len(n.instruction) for n in places)
    out = []
    for n in notes:
        if n.pc is None:
            out.append(f"  {n.text}")
            continue
        text = f"  {n.text.ljust(words)}  {n.pc:#06x}  {n.instruction.ljust(width)}"
        if n.line is not None:
            text += f"  {n.line.file}:{n.line.line}"
            if source := _source(n.line).strip():
                text += f"   {source}"
        out.append(text.rstrip())
    return out


def _source(line: Line) -> str:
    """The text of a source line; "" when it cannot be read. A program can name any file: no device, nothing huge."""
    try:
        info = os.stat(line.file)
    except (OSError, ValueError):
        pass  # typed at a prompt, perhaps, which linecache remembers
    else:
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST_SOURCE:
            return ""
    return linecache.getline(line.file, line.line)
