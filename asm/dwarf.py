"""Source places as DWARF 5: the line table, and the compile unit through which debuggers find it.

Format: DWARF Debugging Information Format, Version 5 (2017), sections 6.2 and 7.5. The reader takes the
subset that the writer uses.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from sohu.asm.program import Line
from sohu.isa import INSTRUCTION_BYTES

_VERSION = 5
_ADDRESS_SIZE = 8
_LINE_BASE, _LINE_RANGE, _OPCODE_BASE = -5, 14, 13
_OPERANDS = bytes([0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1])  # of the standard opcodes 1..12
_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _SET_COLUMN = 1, 2, 3, 4, 5
_EXTENDED, _END_SEQUENCE, _SET_ADDRESS = 0, 1, 2
_LNCT_PATH, _LNCT_DIRECTORY = 1, 2
_FORM_ADDR, _FORM_DATA2, _FORM_DATA8, _FORM_STRING, _FORM_UDATA, _FORM_SEC_OFFSET = 1, 5, 7, 8, 15, 23
_TAG_COMPILE_UNIT, _UT_COMPILE, _LANG_ASSEMBLER = 0x11, 1, 0x8001
_AT_NAME, _AT_STMT_LIST, _AT_LOW_PC, _AT_HIGH_PC = 0x03, 0x10, 0x11, 0x12
_AT_LANGUAGE, _AT_COMP_DIR, _AT_PRODUCER = 0x13, 0x1B, 0x25

# What precedes the directories and files; the reader wants exactly this.
_PARAMETERS = bytes([INSTRUCTION_BYTES, 1, 1, _LINE_BASE & 0xFF, _LINE_RANGE, _OPCODE_BASE, *_OPERANDS])
_PARAMETERS += bytes([1, _LNCT_PATH, _FORM_STRING])
_FILE_FORMAT = bytes([2, _LNCT_PATH, _FORM_STRING, _LNCT_DIRECTORY, _FORM_UDATA])
_DIRECTORY = "."  # paths are stored as the source gives them


class BadLineTable(ValueError):
    """A line table that the reader does not take; says why."""


def _uleb(value: int) -> bytes:
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if not value:
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def _sleb(value: int) -> bytes:
    out = bytearray()
    while True:
        byte = value & 0x7F
        value >>= 7
        if value == -(byte >> 6 & 1):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def _string(text: str) -> bytes:
    return text.encode() + b"\0"


def line_section(lines: list[Line], end: int) -> bytes:
    """.debug_line for places sorted by pc; `end` is the size of .text."""
    files = list(dict.fromkeys(entry.file for entry in lines))
    names = b"".join(_string(f) + _uleb(0) for f in files)
    header = _PARAMETERS + _uleb(1) + _string(_DIRECTORY) + _FILE_FORMAT + _uleb(len(files)) + names
    body = struct.pack("<HBBI", _VERSION, _ADDRESS_SIZE, 0, len(header)) + header + _program(lines, files, end)
    return struct.pack("<I", len(body)) + body


def _program(lines: list[Line], files: list[str], end: int) -> bytes:
    out = bytearray([_EXTENDED, 1 + _ADDRESS_SIZE, _SET_ADDRESS]) + lines[0].pc.to_bytes(8, "little")
    index = {name: i for i, name in enumerate(files)}
    pc, file, line, column = lines[0].pc, 1, 1, 0  # the state machine's initial registers
    for entry in lines:
        if index[entry.file] != file:
            file = index[entry.file]
            out += bytes([_SET_FILE]) + _uleb(file)
        if entry.column != column:
            column = entry.column
            out += bytes([_SET_COLUMN]) + _uleb(column)
        steps, down = (entry.pc - pc) // INSTRUCTION_BYTES, entry.line - line
        special = down - _LINE_BASE + _LINE_RANGE * steps + _OPCODE_BASE
        if _LINE_BASE <= down < _LINE_BASE + _LINE_RANGE and special <= 255:
            out.append(special)
        else:
            if down:
                out += bytes([_ADVANCE_LINE]) + _sleb(down)
            if steps:
                out += bytes([_ADVANCE_PC]) + _uleb(steps)
            out.append(_COPY)
        pc, line = entry.pc, entry.line
    if end > pc:
        out += bytes([_ADVANCE_PC]) + _uleb((end - pc) // INSTRUCTION_BYTES)
    return bytes(out + bytes([_EXTENDED, 1, _END_SEQUENCE]))


def info_sections(name: str, producer: str, low: int, high: int) -> tuple[bytes, bytes]:
    """.debug_info and .debug_abbrev: one compile unit for the code in [low, high)."""
    attributes = [
        (_AT_PRODUCER, _FORM_STRING, _string(producer)),
        (_AT_LANGUAGE, _FORM_DATA2, struct.pack("<H", _LANG_ASSEMBLER)),
        (_AT_NAME, _FORM_STRING, _string(name)),
        (_AT_COMP_DIR, _FORM_STRING, _string(_DIRECTORY)),
        (_AT_STMT_LIST, _FORM_SEC_OFFSET, struct.pack("<I", 0)),
        (_AT_LOW_PC, _FORM_ADDR, struct.pack("<Q", low)),
        (_AT_HIGH_PC, _FORM_DATA8, struct.pack("<Q", high - low)),
    ]
    abbrev = _uleb(1) + _uleb(_TAG_COMPILE_UNIT) + b"\0"  # no children
    abbrev += b"".join(_uleb(attribute) + _uleb(form) for attribute, form, _ in attributes) + b"\0\0" + b"\0"
    entry = _uleb(1) + b"".join(value for _, _, value in attributes)
    body = struct.pack("<HBBI", _VERSION, _UT_COMPILE, _ADDRESS_SIZE, 0) + entry
    return struct.pack("<I", len(body)) + body, abbrev


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


@dataclass
class _Registers:
    """The line program's state machine."""

    pc: int = 0
    file: int = 1
    line: int = 1
    column: int = 0
    rows: list[Line] = field(default_factory=list)


def read_lines(data: bytes, text_size: int) -> list[Line]:
    """The places stored in .debug_line, sorted by pc; raises BadLineTable."""
    c = _Cursor(data)
    if c.number(4) != len(data) - 4:
        raise BadLineTable("its length is wrong")
    c.expect(struct.pack("<HBB", _VERSION, _ADDRESS_SIZE, 0), "its version")
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
    r = _Registers()
    while not _step(c, r, files, text_size):
        pass
    if c.at != len(data):
        raise BadLineTable("something follows the line program")
    return r.rows


def _step(c: _Cursor, r: _Registers, files: list[str], text_size: int) -> bool:
    """Execute one opcode; True after the last."""
    op = c.number(1)
    if op >= _OPCODE_BASE:
        steps, down = divmod(op - _OPCODE_BASE, _LINE_RANGE)
        r.pc += steps * INSTRUCTION_BYTES
        r.line += down + _LINE_BASE
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
            if r.pc != text_size:
                raise BadLineTable("it does not end with .text")
            return True
        if (op, size) != (_SET_ADDRESS, 1 + _ADDRESS_SIZE) or r.rows:
            raise BadLineTable(f"extended opcode {op} of {size} bytes")
        r.pc = c.number(_ADDRESS_SIZE)
    elif op != _COPY:
        raise BadLineTable(f"opcode {op} is not one that this toolchain writes")
    if op == _COPY or op >= _OPCODE_BASE:
        _row(r, files, text_size)
    return False


def _row(r: _Registers, files: list[str], text_size: int) -> None:
    if r.pc % INSTRUCTION_BYTES or r.pc >= text_size or (r.rows and r.pc <= r.rows[-1].pc):
        raise BadLineTable(f"address {r.pc:#x} is out of order, misaligned or outside .text")
    if r.file >= len(files) or not 1 <= r.line < 1 << 31 or r.column >= 1 << 31:
        raise BadLineTable(f"no such place: file {r.file}, line {r.line}, column {r.column}")
    r.rows.append(Line(r.pc, files[r.file], r.line, r.column))
