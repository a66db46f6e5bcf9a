"""Mutated ELF files: a loader says in one line what is wrong, or loads a program that survives the round."""

from __future__ import annotations

import json
import random
import struct
import zlib
from functools import cache
from typing import Any

from sohu.asm import read_elf, read_object, write_object
from sohu.asm.elf_file import HEADER, NOTE, RELA, SECTION, SHT_NOTE, SHT_RELA, SHT_SYMTAB, SYMBOL
from sohu.asm.requirements import version_needed
from sohu.isa import SohuError

from tools.fuzz.corpus import elfs
from tools.fuzz.sources import survives
from tools.fuzz.target import Target, expect

_NUMBERS = (0, 1, 2, 3, 15, 16, 64, 127, 128, 255, 4095, 4096, 65535, 1 << 31, (1 << 32) - 1, 1 << 63, (1 << 64) - 1)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1 << 64,
    10**400,
    0.5,
    "",
    "é\0\n",
    "x5",
    [],
    {},
    [[]] * 3,
    {"name": 1},
    "f32",
    "in",
)
_MORE = {SHT_SYMTAB: SYMBOL, SHT_RELA: RELA, SHT_NOTE: NOTE}  # sections that are tables, and their entries
_SHARE_SURVIVING = 20  # of that many files that load, one goes the whole round


@cache
def _sections(data: bytes) -> tuple[tuple[int, int, int, int], ...]:
    """Of a file that is in order: where each section's header is, its type, offset and size."""
    table, count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    out = []
    for i in range(count):
        at = table + i * SECTION.size
        _, kind, _, _, offset, size, *_ = SECTION.unpack_from(data, at)
        out.append((at, kind, offset, size))
    return tuple(out)


def make(rng: random.Random) -> bytes:
    """A program or object with some changes."""
    return changed(rng.choice(elfs()), rng)


def changed(seed: bytes, rng: random.Random) -> bytes:
    """A file with some changes; each but the last knows the format."""
    out = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        change = rng.random()
        at, kind, offset, size = rng.choice(_sections(seed)[1:])
        if change < 0.1:
            _edit(out, 0, HEADER, rng)
        elif change < 0.3:
            _edit(out, at, SECTION, rng)
        elif change < 0.5 and 0 < size <= len(out) - offset:
            entry = _MORE.get(kind)
            if entry is None:
                out[offset + rng.randrange(size)] ^= 1 << rng.randrange(8)
            else:
                _edit(out, offset + rng.randrange(max(1, size // entry.size)) * entry.size, entry, rng)
        elif change < 0.6:
            _replace(out, at, _other_contents(seed, offset, size, rng))
        elif change < 0.7 and seed[offset : offset + 1] == b"{":
            _replace(out, at, _other_json(seed[offset : offset + size], rng))
        else:
            _damage(out, rng)
    return bytes(out)


def _number(limit: int, size: int, rng: random.Random) -> int:
    value = rng.choice(
        (rng.choice(_NUMBERS), rng.randrange(limit + 1), limit, limit - 1, limit + 1, rng.getrandbits(64))
    )
    return value & (1 << 8 * size) - 1


def _edit(out: bytearray, at: int, entry: struct.Struct, rng: random.Random) -> None:
    """Change one field of a record."""
    if at + entry.size > len(out):
        return
    codes = entry.format.lstrip("<")
    fields = list(entry.unpack_from(out, at))
    codes = "".join(c for c in codes if not c.isdigit())  # "16s" counts as one field
    i = rng.randrange(len(fields))
    if codes[i] == "s":
        text = bytearray(fields[i])
        text[rng.randrange(len(text))] ^= 1 << rng.randrange(8)
        fields[i] = bytes(text)
    else:
        size = struct.calcsize("<" + codes[i])
        value = rng.choice((_number(len(out), size, rng), (fields[i] + rng.choice((-16, -1, 1, 16))) % (1 << 8 * size)))
        fields[i] = value - (1 << 8 * size) if codes[i].islower() and value >> (8 * size - 1) else value
    entry.pack_into(out, at, *fields)


def _replace(out: bytearray, header: int, contents: bytes) -> None:
    """Give a section other contents, at the end of the file."""
    if header + SECTION.size <= len(out):
        struct.pack_into("<QQ", out, header + 24, len(out), len(contents))
        out += contents


def _other_contents(seed: bytes, offset: int, size: int, rng: random.Random) -> bytes:
    own = seed[offset : offset + size]
    cut = rng.randrange(size + 1)
    if rng.random() < 0.5:  # another section's, of any file
        other = rng.choice(elfs())
        _, _, offset, size = rng.choice(_sections(other)[1:])
        piece = other[offset : offset + size]
        return rng.choice((piece, own[:cut] + piece, own + piece))
    return rng.choice((own[:cut], own[cut:], own + own, own[:cut] + rng.randbytes(rng.randrange(40)) + own[cut:], b""))


def _other_json(data: bytes, rng: random.Random) -> bytes:
    """The description of kernels, with a value or a key of it changed; or its text."""
    if rng.random() < 0.1:
        return rng.choice(
            (b"[" * 100_000, data[:-1], data.replace(b"1", b"1" + b"0" * 5000, 1), b'{"a":1,"a":1}', b"\xff")
        )
    top: Any = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in items:
            places.append((value, key))
            walk(inner)

    walk(top)
    holder, key = rng.choice(places)
    change = rng.random()
    if change < 0.6:
        holder[key] = rng.choice(_VALUES)
    elif change < 0.75:
        holder[key] = rng.choice(places)[0]  # may hold itself: json then refuses
    elif change < 0.9:
        del holder[key]
    elif isinstance(holder, list):
        holder.extend(holder * rng.choice((1, 50)))
    else:
        holder[rng.choice(("name", "reg", "x", ""))] = rng.choice(_VALUES)
    try:
        return json.dumps(top).encode()
    except ValueError:
        return data[: rng.randrange(len(data))]


def _damage(out: bytearray, rng: random.Random) -> None:
    """Change bytes anywhere, or the length."""
    at = rng.randrange(len(out))
    change = rng.random()
    if change < 0.4:
        out[at] ^= 1 << rng.randrange(8)
    elif change < 0.6:
        out[at] = rng.choice((0, 255, 0x7F, 0x80, rng.randrange(256)))
    elif change < 0.7:
        out[at : at + 8] = struct.pack("<Q", _number(len(out), 8, rng))
    elif change < 0.8:
        del out[at : at + rng.choice((1, 8, 64))]
    elif change < 0.85:
        del out[at:]
    elif change < 0.9:
        out[at:at] = rng.randbytes(rng.choice((1, 8, 64)))
    else:
        other = rng.choice(elfs())
        start = rng.randrange(len(other))
        length = rng.choice((4, 16, 64, 1000))
        out[at : at + length] = other[start : start + length]
    if not out:
        out += b"\0"


def check(data: bytes) -> None:
    """Both loaders say what is wrong with it, or load it."""
    chosen = zlib.crc32(data) % _SHARE_SURVIVING == 0
    try:
        program = read_elf(data, "a.s")
    except SohuError as e:
        _one_line(e)
    else:
        if chosen:
            program.isa_version = version_needed(program.text, program.kernels.values())  # not what the file claims
            survives(program)
    try:
        loaded = read_object(data, "a.s")
    except SohuError as e:
        _one_line(e)
    else:
        if chosen:
            expect(read_object(write_object(loaded), "a.s") == loaded, "written and read, it is another object")


def _one_line(e: SohuError) -> None:
    expect(bool(e.message) and "\n" not in e.message, f"a message of several lines: {e.message!r}")


TARGET = Target("elfs", "mutated ELF files through the loaders", "files", 1_000_000, 500, ".elf", make, check)
