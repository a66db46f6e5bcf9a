"""Source places as DWARF 5: the line table. The compile unit through which debuggers find it: dwarf_info.py.

Format: DWARF Debugging Information Format, Version 5 (2017), sections 6.2 and 7.5. The reader takes the
subset that the writer uses.
"""

from __future__ import annotations

import re
import struct
from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
from sohu.asm.lines import Ints, Lines
from sohu.isa import INSTRUCTION_BYTES

VERSION = 5
ADDRESS_SIZE = 8
_LINE_BASE, _LINE_RANGE, _OPCODE_BASE = -5, 14, 13
_OPERANDS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])  # of the standard opcodes 1..12
_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _SET_COLUMN = 1, 2, 3, 4, 5
_EXTENDED, _END_SEQUENCE, _SET_ADDRESS = 0, 1, 2
_LNCT_PATH, _LNCT_DIRECTORY = 1, 2
_FORM_STRING, _FORM_UDATA = 8, 15

# What precedes the directories and files; the reader wants exactly this.
_PARAMETERS = bytes([INSTRUCTION_BYTES, 1, 1, _LINE_BASE & 0xFF, _LINE_RANGE, _OPCODE_BASE, *_OPERANDS])
_PARAMETERS += bytes([1, _LNCT_PATH, _FORM_STRING])
_FILE_FORMAT = bytes([2, _LNCT_PATH, _FORM_STRING, _LNCT_DIRECTORY, _FORM_UDATA])
DIRECTORY = "."  # paths are stored as the source gives them


_STEPS_AT_ONCE = 1 << 16  # places; bounds the memory that the arrays take


class BadLineTable(ValueError):
    """A line table that the reader does not take; says why."""


def uleb(value: int) -> bytes:
    """A number that is not negative in LEB128."""
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if not value:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def string(text: str) -> bytes:
    """A text as DWARF has it."""
    return text.encode() + b"\0"


def line_section(lines: Lines, end: int) -> bytes:
    """.debug_line for a table that is not empty; `end` is the size of .text."""
    names = b"".join(string(f) + uleb(0) for f in lines.files)
    header = _PARAMETERS + uleb(1) + string(DIRECTORY) + _FILE_FORMAT + uleb(len(lines.files)) + names
    program = [bytes([_EXTENDED, 1 + ADDRESS_SIZE, _SET_ADDRESS]), int(lines.pc[0]).to_bytes(8, "little")]
    program += [_steps(lines, start) for start in range(0, len(lines), _STEPS_AT_ONCE)]
    if end > (last := int(lines.pc[-1])):
        program.append(bytes([_ADVANCE_PC]) + uleb((end - last) // INSTRUCTION_BYTES))
    program.append(bytes([_EXTENDED, 1, _END_SEQUENCE]))
    code = b"".join(program)
    body = struct.pack("<HBBI", VERSION, ADDRESS_SIZE, 0, len(header)) + header + code
    return struct.pack("<I", len(body)) + body


def _steps(lines: Lines, start: int) -> bytes:
    """The opcodes that append places `start`, `start + 1`, ...: columns of bytes, of which each place uses some."""

    def step(column: Ints, first: int) -> tuple[Ints, Ints]:
        here = column[start : start + _STEPS_AT_ONCE].astype(np.int64)
        return here, np.diff(here, prepend=np.int64(column[start - 1] if start else first))

    file, new_file = step(lines.file, 1)  # first: the state machine's initial registers
    column, new_column = step(lines.column, 0)
    _, down = step(lines.line, 1)
    _, bytes_on = step(lines.pc, int(lines.pc[0]))
    on = bytes_on // INSTRUCTION_BYTES
    opcode = down - _LINE_BASE + _LINE_RANGE * on + _OPCODE_BASE
    special = (down >= _LINE_BASE) & (down < _LINE_BASE + _LINE_RANGE) & (opcode <= 255)
    table = _ByteTable(len(file))
    table.add(_SET_FILE, _ulebs(file), new_file != 0)
    table.add(_SET_COLUMN, _ulebs(column), new_column != 0)
    table.add(_ADVANCE_LINE, _slebs(down), ~special & (down != 0))
    table.add(_ADVANCE_PC, _ulebs(on), ~special & (on != 0))
    table.add(np.where(special, opcode, _COPY), [], np.ones(len(file), bool))
    return table.join()


class _ByteTable:
    """Rows of bytes, of which some are left out."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.columns: list[tuple[int | Ints, np.ndarray[Any, np.dtype[np.bool_]]]] = []

    def add(self, opcode: int | Ints, operand: list[tuple[Ints, Any]], where: Any) -> None:
        """An opcode and its operand, in the rows for which `where` is true."""
        if where.any():
            self.columns.append((opcode, where))
            self.columns += [(byte, where & there) for byte, there in operand]

    def join(self) -> bytes:
        """The bytes that are there, row after row."""
        values = np.empty((self.rows, len(self.columns)), np.uint8)
        there = np.empty(values.shape, bool)
        for i, (byte, where) in enumerate(self.columns):
            values[:, i] = byte
            there[:, i] = where
        return values[there].tobytes()


def _ulebs(values: Ints) -> list[tuple[Ints, Any]]:
    """uleb of each value: per byte its values, and where it is there."""
    out: list[tuple[Ints, Any]] = []
    for shift in range(0, 63, 7):
        rest = values >> shift
        out.append((rest & 0x7F | (rest > 0x7F) << 7, (rest != 0) | (shift == 0)))
        if not (rest > 0x7F).any():
            break
    return out


def _slebs(values: Ints) -> list[tuple[Ints, Any]]:
    """_sleb of each value: per byte its values, and where it is there."""
    out: list[tuple[Ints, Any]] = []
    there: Any = np.ones(len(values), bool)
    for shift in range(0, 63, 7):
        rest = values >> shift
        more = there & ~((rest >= -0x40) & (rest < 0x40))
        out.append((rest & 0x7F | more << 7, there))
        there = more
        if not more.any():
            break
    return out


# -- reading -------------------------------------------------------------------------------------


@dataclass
class _Cursor:
    """Reads forward through bytes; raises BadLineTable at their end."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise BadLineTable("it ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "little")

    def uleb(self) -> int:
        value = 0
        for shift in range(0, 63, 7):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise BadLineTable("a number is longer than 63 bits")

    def sleb(self) -> int:
        start = self.at
        value = self.uleb()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def string(self) -> str:
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise BadLineTable("it ends within a string")
        try:
            text = self.take(end - self.at).decode()
        except UnicodeDecodeError:
            raise BadLineTable("a path is no UTF-8") from None
        self.at += 1
        return text

    def expect(self, wanted: bytes, what: str) -> None:
        if self.take(len(wanted)) != wanted:
            raise BadLineTable(f"{what} is not as this toolchain writes it")


class _Table:
    """The line program's state machine, and the places that it has appended."""

    def __init__(self, files: list[str], text_size: int) -> None:
        self.files = files
        self.text_size = text_size
        self.pc, self.file, self.line, self.column = 0, 1, 1, 0  # its registers
        self.pcs, self.file_numbers, self.lines, self.columns = array("q"), array("i"), array("i"), array("i")

    def append(self) -> None:
        """Append the place that the registers hold; raises BadLineTable."""
        if self.pc % INSTRUCTION_BYTES or self.pc >= self.text_size or (self.pcs and self.pc <= self.pcs[-1]):
            raise BadLineTable(f"address {self.pc:#x} is out of order, misaligned or outside .text")
        if self.file >= len(self.files) or not 1 <= self.line < 1 << 31 or self.column >= 1 << 31:
            raise BadLineTable(f"no such place: file {self.file}, line {self.line}, column {self.column}")
        self.pcs.append(self.pc)
        self.file_numbers.append(self.file)
        self.lines.append(self.line)
        self.columns.append(self.column)

    def special(self, op: int) -> None:
        """Execute a special opcode; raises BadLineTable."""
        steps, down = divmod(op - _OPCODE_BASE, _LINE_RANGE)
        self.pc += steps * INSTRUCTION_BYTES
        self.line += down + _LINE_BASE
        self.append()

    def run(self, code: bytes) -> None:
        """Execute special opcodes and settings of the column by one byte, all at once; raises BadLineTable."""
        byte = np.frombuffer(code, np.uint8)
        fives = byte == _SET_COLUMN
        begins = np.flatnonzero(fives & ~np.roll(fives, 1) | (np.arange(len(byte)) == 0))
        since = np.arange(len(byte)) - begins[np.searchsorted(begins, np.arange(len(byte)), "right") - 1]
        # of adjacent fives every other one is an opcode, and the byte after it its operand
        sets = fives & (since % 2 == 0)
        operand = np.roll(sets, 1)
        operand[0] = False
        specials = np.flatnonzero(~sets & ~operand)
        steps, down = np.divmod(byte[specials].astype(np.int64) - _OPCODE_BASE, _LINE_RANGE)
        pc = steps.cumsum() * INSTRUCTION_BYTES
        line = (down + _LINE_BASE).cumsum()
        operands = np.flatnonzero(operand)
        columns = np.concatenate(([self.column], byte[operands]))
        column = columns[np.searchsorted(operands, specials)]
        in_order = self.pc + int(pc[0]) > (self.pcs[-1] if self.pcs else -1) and (steps[1:] > 0).all()
        low, high = self.line + int(line.min()), self.line + int(line.max())
        if (
            not in_order
            or self.pc % INSTRUCTION_BYTES
            or self.pc + int(pc[-1]) >= self.text_size
            or self.file >= len(self.files)
            or not 1 <= low <= high < 1 << 31
        ):
            for op, self.column in zip(byte[specials].tolist(), column.tolist(), strict=True):
                self.special(op)  # one of them raises
        self.pcs.frombytes((pc + self.pc).tobytes())
        self.file_numbers.frombytes(np.full(len(pc), self.file, np.int32).tobytes())
        self.lines.frombytes((line + self.line).astype(np.int32).tobytes())
        self.columns.frombytes(column.astype(np.int32).tobytes())
        self.pc += int(pc[-1])
        self.line += int(line[-1])
        self.column = int(columns[-1])

    def table(self) -> Lines:
        """What it has appended."""
        return Lines(self.files, self.pcs, self.file_numbers, self.lines, self.columns)


# Special opcodes, most of them after a column; bounded, so that what they take in memory is.
_RUN = re.compile(rb"(?:(?:\x05[\x00-\x7f])?[\x0d-\xff]){16,65536}+")


def read_lines(data: bytes, text_size: int) -> Lines:
    """The places stored in .debug_line, sorted by pc; raises BadLineTable."""
    c = _Cursor(data)
    if c.number(4) != len(data) - 4:
        raise BadLineTable("its length is wrong")
    c.expect(struct.pack("<HBB", VERSION, ADDRESS_SIZE, 0), "its version")
    program = c.number(4) + c.at
    c.expect(_PARAMETERS, "its header")
    if c.uleb() != 1:
        raise BadLineTable("it has several directories")
    c.string()
    c.expect(_FILE_FORMAT, "its format of file names")
    files = []
    for _ in range(c.uleb()):
        files.append(c.string())
        if not files[-1] or c.uleb() != 0:
            raise BadLineTable("a file has no name, or is in another directory")
    if c.at != program:
        raise BadLineTable("its header's length is wrong")
    table = _Table(files, text_size)
    while not _step(c, table):
        if (run := _RUN.match(data, c.at)) is not None:
            c.at = run.end()
            table.run(run[0])
    if c.at != len(data):
        raise BadLineTable("something follows the line program")
    return table.table()


def _step(c: _Cursor, r: _Table) -> bool:
    """Execute one opcode; True after the last."""
    op = c.number(1)
    if op >= _OPCODE_BASE:
        r.special(op)
    elif op == _ADVANCE_PC:
        r.pc += c.uleb() * INSTRUCTION_BYTES
    elif op == _ADVANCE_LINE:
        r.line += c.sleb()
    elif op == _SET_FILE:
        r.file = c.uleb()
    elif op == _SET_COLUMN:
        r.column = c.uleb()
    elif op == _EXTENDED:
        size, op = c.uleb(), c.number(1)
        if (op, size) == (_END_SEQUENCE, 1):
            if r.pc != r.text_size:
                raise BadLineTable("it does not end with .text")
            return True
        if (op, size) != (_SET_ADDRESS, 1 + ADDRESS_SIZE) or r.pcs:
            raise BadLineTable(f"extended opcode {op} of {size} bytes")
        r.pc = c.number(ADDRESS_SIZE)
    elif op == _COPY:
        r.append()
    else:
        raise BadLineTable(f"opcode {op} is not one that this toolchain writes")
    return False
