"""Libraries of objects: archives in the format of GNU ar, which lists, extracts and makes them too.

Format: the System V variant as binutils describes it (bfd/archive.c): a header of 60 characters before each
member, member `/` with an index of symbols (numbers big-endian), member `//` with names longer than 15 characters.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from sohu.asm.elf_object import is_elf, read_object
from sohu.isa import Fault

MAGIC = b"!<arch>\n"
_THIN = b"!<thin>\n"
_HEADER = struct.Struct("16s12s6s6s8s10s2s")  # name, time, user, group, mode, size, end
_END = b"`\n"
_SHORT = 15  # characters of a name that stands in the header itself
_SPECIAL = {"/", "//", "/SYM64/"}
_PAD = b"\n"  # members begin at even offsets


@dataclass(frozen=True)
class Member:
    """A file in an archive."""

    name: str
    data: bytes


def is_archive(data: bytes) -> bool:
    """True for the beginning of an archive, also of one that can't be read."""
    return data[: len(MAGIC)] in (MAGIC, _THIN)


def read_archive(data: bytes, name: str = "<archive>") -> list[Member]:
    """The files in an archive, without its index. Raises Fault (loader), one line that begins with `name`."""

    def bad(why: str, help: str = "") -> Fault:
        return Fault("loader", f"{name}: {why}", help=help)

    if data[: len(_THIN)] == _THIN:
        raise bad("a thin archive, which holds only names", help="make it without ar's option T")
    if data[: len(MAGIC)] != MAGIC:
        raise bad("not an archive")
    members: list[Member] = []
    long_names = b""
    at = len(MAGIC)
    while at < len(data):
        if at + _HEADER.size > len(data):
            raise bad(f"a member's header at {at:#x} reaches beyond the end of the file")
        raw_name, _, _, _, _, raw_size, end = _HEADER.unpack_from(data, at)
        digits = raw_size.rstrip(b" ")
        if end != _END or not digits.isdigit():
            raise bad(f"the member's header at {at:#x} is damaged")
        at += _HEADER.size
        size = int(digits)
        if size > len(data) - at:
            raise bad(f"the member at {at:#x} reaches beyond the end of the file")
        contents = data[at : at + size]
        at += size + size % 2
        own = raw_name.rstrip(b" ")
        if own == b"//":
            long_names = contents
        elif own.decode("latin-1") not in _SPECIAL:
            found = _name(own, long_names)
            if found is None:
                raise bad(f"the name of the member at {at - size:#x} is damaged")
            members.append(Member(found, contents))
    return members


def _name(raw: bytes, long_names: bytes) -> str | None:
    if raw[:1] == b"/":
        if not raw[1:].isdigit() or int(raw[1:]) >= len(long_names):
            return None
        raw = long_names[int(raw[1:]) :].partition(b"\n")[0]
    try:
        name = raw.removesuffix(b"/").decode()
    except UnicodeDecodeError:
        return None
    return name if _can_be_a_file(name) else None


def _can_be_a_file(name: str) -> bool:
    """True for names that a member can have: those of files in the folder at hand."""
    return name not in ("", ".", "..") and not any(c in name for c in "/\0\n")


def write_archive(members: Sequence[Member]) -> bytes:
    """An archive of these files, with an index of what the objects among them define.

    The same files give the same bytes: times and owners are zero, as with ar's option D. Raises Fault (loader)
    for a damaged object and ValueError for a name that no member can have.
    """
    long_names = bytearray()
    names = []
    for m in members:
        if not _can_be_a_file(m.name):
            raise ValueError(f"{m.name!r} can't be the name of a member")
        raw = m.name.encode() + b"/"
        if len(raw) > _SHORT + 1:
            names.append(b"/%d" % len(long_names))
            long_names += raw + b"\n"
        else:
            names.append(raw)
    symbols = [(i, name.encode()) for i, m in enumerate(members) for name in _defines(m)]
    index_size = 4 + 4 * len(symbols) + sum(len(name) + 1 for _, name in symbols)
    at = len(MAGIC)
    if symbols:
        at += _HEADER.size + index_size + index_size % 2
    if long_names:
        at += _HEADER.size + len(long_names) + len(long_names) % 2
    offsets = []
    for m in members:
        offsets.append(at)
        at += _HEADER.size + len(m.data) + len(m.data) % 2
    out = [MAGIC]
    if symbols:
        index = struct.pack(f">I{len(symbols)}I", len(symbols), *(offsets[i] for i, _ in symbols))
        out.append(_member(b"/", index + b"".join(name + b"\0" for _, name in symbols), mode=0))
    if long_names:
        out.append(_member(b"//", bytes(long_names), mode=None))
    out += [_member(name, m.data, 0o644) for name, m in zip(names, members, strict=True)]
    return b"".join(out)


def _member(name: bytes, data: bytes, mode: int | None) -> bytes:
    zero, octal = (b"", b"") if mode is None else (b"0", b"%o" % mode)
    fields = [
        name.ljust(16),
        zero.ljust(12),
        zero.ljust(6),
        zero.ljust(6),
        octal.ljust(8),
        (b"%d" % len(data)).ljust(10),
    ]
    return b"".join((*fields, _END, data, _PAD[: len(data) % 2]))


def _defines(m: Member) -> list[str]:
    """Names that a member gives to others."""
    if not is_elf(m.data):
        return []
    o = read_object(m.data, m.name)
    return [s.name for s in o.symbols.values() if s.is_defined and s.binding != "local"]
