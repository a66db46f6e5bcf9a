"""The compile unit of some code as DWARF 5: its kernels, and the calls that were inlined in them.

Format: DWARF Debugging Information Format, Version 5 (2017), sections 2.17.3, 3.3.8 and 7.5. A kernel is a
subprogram with a range of pcs; a function that was inlined is one without, to which each inlined call refers.
Nothing here reads it: what a debugger of this toolchain needs is in .sohu.debug (elf_debug.py).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from sohu.asm.debuginfo import KernelDebug, Run
from sohu.asm.dwarf import ADDRESS_SIZE, DIRECTORY, VERSION, string, uleb
from sohu.isa import INSTRUCTION_BYTES

_FORM_ADDR, _FORM_DATA1, _FORM_DATA2, _FORM_DATA8, _FORM_STRING = 0x01, 0x0B, 0x05, 0x07, 0x08
_FORM_UDATA, _FORM_REF4, _FORM_SEC_OFFSET = 0x0F, 0x13, 0x17
_UT_COMPILE, _LANG_ASSEMBLER, _INL_INLINED = 1, 0x8001, 1
_TAG_COMPILE_UNIT, _TAG_INLINED_SUBROUTINE, _TAG_SUBPROGRAM = 0x11, 0x1D, 0x2E
_AT_NAME, _AT_STMT_LIST, _AT_LOW_PC, _AT_HIGH_PC, _AT_LANGUAGE, _AT_COMP_DIR = 0x03, 0x10, 0x11, 0x12, 0x13, 0x1B
_AT_INLINE, _AT_PRODUCER, _AT_ABSTRACT_ORIGIN = 0x20, 0x25, 0x31
_AT_DECL_FILE, _AT_DECL_LINE, _AT_RANGES = 0x3A, 0x3B, 0x55
_AT_CALL_COLUMN, _AT_CALL_FILE, _AT_CALL_LINE = 0x57, 0x58, 0x59
_RLE_END_OF_LIST, _RLE_START_LENGTH = 0x00, 0x07

_UNIT_HEADER = struct.Struct("<IHBBI")  # length, version, type, size of an address, where the abbreviations are
_LISTS_HEADER = struct.Struct("<IHBBI")  # length, version, sizes of an address and a segment, number of offsets

# Kinds of entries: (tag, has children, (attribute, form)...)
_UNIT_FORM = (
    (_AT_PRODUCER, _FORM_STRING),
    (_AT_LANGUAGE, _FORM_DATA2),
    (_AT_NAME, _FORM_STRING),
    (_AT_COMP_DIR, _FORM_STRING),
    (_AT_STMT_LIST, _FORM_SEC_OFFSET),
    (_AT_LOW_PC, _FORM_ADDR),
    (_AT_HIGH_PC, _FORM_DATA8),
)
_DECLARED = ((_AT_NAME, _FORM_STRING), (_AT_DECL_FILE, _FORM_UDATA), (_AT_DECL_LINE, _FORM_UDATA))
_UNIT, _ABSTRACT, _KERNEL, _INLINED = 1, 2, 3, 4
_LEAF = 2  # added to the last two where no call is inlined within
_FORMS = {
    _ABSTRACT: (_TAG_SUBPROGRAM, False, (*_DECLARED, (_AT_INLINE, _FORM_DATA1))),
    _KERNEL: (_TAG_SUBPROGRAM, True, (*_DECLARED, (_AT_LOW_PC, _FORM_ADDR), (_AT_HIGH_PC, _FORM_DATA8))),
    _INLINED: (
        _TAG_INLINED_SUBROUTINE,
        True,
        (
            (_AT_ABSTRACT_ORIGIN, _FORM_REF4),
            (_AT_RANGES, _FORM_SEC_OFFSET),
            (_AT_CALL_FILE, _FORM_UDATA),
            (_AT_CALL_LINE, _FORM_UDATA),
            (_AT_CALL_COLUMN, _FORM_UDATA),
        ),
    ),
}


@dataclass
class InfoSections:
    """Contents of .debug_info, .debug_abbrev and .debug_rnglists (empty where there is none)."""

    info: bytes
    abbrev: bytes
    rnglists: bytes


def files_of(kernels: Sequence[KernelDebug]) -> list[str]:
    """The source files that descriptions name, each once."""
    names = (f for k in kernels for s in k.scopes for f in (s.file, s.call[0]) if f)
    return list(dict.fromkeys(names))


def info_sections(
    name: str, producer: str, low: int, high: int, kernels: Sequence[KernelDebug], files: Sequence[str]
) -> InfoSections:
    """One compile unit for the code in [low, high). files: those of the line table, in its order."""
    made = _Unit({f: i for i, f in enumerate(files)})
    attributes = [
        string(producer),
        struct.pack("<H", _LANG_ASSEMBLER),
        string(name),
        string(DIRECTORY),
        struct.pack("<I", 0),
        struct.pack("<Q", low),
        struct.pack("<Q", high - low),
    ]
    made.out += uleb(_UNIT) + b"".join(attributes)
    abbrev = _abbreviation(_UNIT, _TAG_COMPILE_UNIT, bool(kernels), _UNIT_FORM)
    if kernels:
        made.functions(kernels)
        for k in kernels:
            made.kernel(k)
        made.out += b"\0"
        for number, (tag, children, form) in _FORMS.items():
            abbrev += _abbreviation(number, tag, children, form)
            if children:
                abbrev += _abbreviation(number + _LEAF, tag, False, form)
    size = len(made.out) - 4
    head = _UNIT_HEADER.pack(size, VERSION, _UT_COMPILE, ADDRESS_SIZE, 0)
    lists = b""
    if len(made.lists) > _LISTS_HEADER.size:
        lists = _LISTS_HEADER.pack(len(made.lists) - 4, VERSION, ADDRESS_SIZE, 0, 0) + made.lists[_LISTS_HEADER.size :]
    return InfoSections(head + made.out[_UNIT_HEADER.size :], abbrev + b"\0", lists)


def _abbreviation(number: int, tag: int, children: bool, form: Sequence[tuple[int, int]]) -> bytes:
    body = b"".join(uleb(attribute) + uleb(kind) for attribute, kind in form)
    return uleb(number) + uleb(tag) + bytes([children]) + body + b"\0\0"


@dataclass
class _Unit:
    """The entries of a unit, and the lists of ranges they refer to, each behind room for its header."""

    files: dict[str, int]
    out: bytearray = field(default_factory=lambda: bytearray(_UNIT_HEADER.size))
    lists: bytearray = field(default_factory=lambda: bytearray(_LISTS_HEADER.size))
    abstract: dict[tuple[str, str, int], int] = field(default_factory=dict)  # where in the unit each function is

    def declared(self, function: str, file: str, line: int) -> bytes:
        return string(function) + uleb(self.files[file]) + uleb(line)

    def functions(self, kernels: Sequence[KernelDebug]) -> None:
        """The functions that were inlined somewhere, each once."""
        for s in (s for k in kernels for s in k.scopes[1:]):
            key = (s.function, s.file, s.line)
            if key not in self.abstract:
                self.abstract[key] = len(self.out)
                self.out += uleb(_ABSTRACT) + self.declared(*key) + bytes([_INL_INLINED])

    def kernel(self, k: KernelDebug) -> None:
        """A kernel, and the calls that were inlined in it, in one another."""
        inner: dict[int, list[int]] = {}
        for i, s in enumerate(k.scopes):
            inner.setdefault(s.parent, []).append(i)
        covers: list[list[Run]] = [[] for _ in k.scopes]
        for r in k.scope_runs:
            scope = r.of
            while scope > 0:  # what an inner call covers, the outer ones do
                covers[scope].append(r)
                scope = k.scopes[scope].parent
        own = k.scopes[0]
        within = {i: [j for j in inner.get(i, ()) if covers[j]] for i in range(len(k.scopes))}
        self.out += uleb(_KERNEL if within[0] else _KERNEL + _LEAF) + self.declared(own.function, own.file, own.line)
        self.out += struct.pack("<QQ", k.entry, k.size * INSTRUCTION_BYTES)
        todo = [iter(within[0])] if within[0] else []
        while todo:
            scope = next(todo[-1], -1)
            if scope < 0:
                todo.pop()
                self.out += b"\0"
            else:
                self.call(k, scope, covers[scope], _INLINED if within[scope] else _INLINED + _LEAF)
                if within[scope]:
                    todo.append(iter(within[scope]))

    def call(self, k: KernelDebug, scope: int, covers: list[Run], kind: int) -> None:
        """An inlined call, up to its children."""
        s = k.scopes[scope]
        file, line, column = s.call
        self.out += uleb(kind)
        self.out += struct.pack("<II", self.abstract[s.function, s.file, s.line], len(self.lists))
        self.out += uleb(self.files[file]) + uleb(line) + uleb(column)
        start = end = -1
        for r in [*covers, Run(-1, -1, 0)]:
            if r.start == end:
                end = r.end
                continue
            if start >= 0:
                at, length = (n * INSTRUCTION_BYTES for n in (start, end - start))
                self.lists += struct.pack("<BQ", _RLE_START_LENGTH, k.entry + at) + uleb(length)
            start, end = r.start, r.end
        self.lists.append(_RLE_END_OF_LIST)
