"""Libraries of mutated objects: the linker says what is wrong, or makes a program that loads again."""

from __future__ import annotations

import random

from sohu.asm import AsmError, link, read_elf, write_elf
from sohu.asm.archive import Member, write_archive
from sohu.asm.libraries import needed, read_library
from sohu.asm.tools.objdump import dump
from sohu.isa import SohuError

from tools.fuzz import elfs
from tools.fuzz.corpus import objects
from tools.fuzz.target import Target, expect

_NAMES = ("a.o", "b.o", "a_name_that_does_not_fit_its_field.o", "é.o")


def make(rng: random.Random) -> bytes:
    """An archive of some objects, most of them changed, or an archive that is itself damaged."""
    members = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(objects())
        members.append(Member(rng.choice(_NAMES), elfs.changed(data, rng) if rng.random() < 0.7 else data))
    try:
        archive = bytearray(write_archive(members))
    except SohuError:  # its index wants to know what each object defines
        archive = bytearray(write_archive([Member(m.name, b"") for m in members]))
        for m in members:
            archive += archive[8:68].replace(b"0         `", f"{len(m.data):<10}`".encode()) + m.data
            archive += bytes(len(m.data) % 2)
    if rng.random() < 0.3:
        for _ in range(rng.choice((1, 3))):
            archive[rng.randrange(len(archive))] = rng.choice((0, 10, 32, 47, 48, 57, 96, rng.randrange(256)))
    return bytes(archive)


def check(data: bytes) -> None:
    """It is refused, does not link, or gives a program that reads back as it was; and it can be printed."""
    try:
        found = read_library(data, "a.a")
    except SohuError as e:
        expect("\n" not in e.message, f"the message has several lines: {e.message!r}")
        return
    for o in found:
        for _ in dump(o):
            pass
    needed(found[:1], [found])
    try:
        program = link(found, "a.s")
    except AsmError as e:
        expect(bool(e.diagnostics) and all("\n" not in d.message for d in e.diagnostics), "an error without a message")
        return
    expect(read_elf(write_elf(program), "a.s") == program, "written and read, it is another program")


TARGET = Target("links", "mutated libraries, linked", "libraries", 200_000, 100, ".a", make, check)
