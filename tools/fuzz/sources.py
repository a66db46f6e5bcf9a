"""Mutated sources: the assembler says what is wrong, or makes a program that survives the round."""

from __future__ import annotations

import random
import re
import zlib
from functools import cache

from sohu.asm import AsmError, Lines, Program, assemble, disassemble, read_elf, write_elf
from sohu.asm.files import decode_source
from sohu.asm.options import Options

from tools.fuzz.corpus import sound, sources
from tools.fuzz.target import Target, expect

LINES = 40  # of a case, about
_OPTIONS = Options(max_expansion=20_000)  # lines; one that is wrong takes a while, and nothing is learned from many
_ODD = (
    *(".text", ".rodata", ".zero", ".align", ".inst", ".equ", ".kernel", ".endkernel", ".loc", ".file", ".tile"),
    *(".sem", ".param", ".globl", ".asciz", ".macro", ".endm", ".rept", ".endr", ".irp", ".if", ".else"),
    *(".endif", ".include", ".incbin", ".error", "1f", "1b", "(", ")", "[", "]", "{", "}", ",", ":", ";", "="),
    *("~", "-", "<<", ">>", "!", "&&", "||", "?", "@", "\\", "\\@", "\\a", "wait", "signal", "s1>=", "s1+="),
    *(".", "..", "#", "//", "$", "`", "'", "\"", "x99", "s64", "t64", "é", "0x", "1e999", "inf", "nan", "-0.0"),
    *("0x1p-3", "\0", "\ufeff", "\r", "\ud800"),
)  # fmt: skip
_NUMBERS = (
    *("0", "1", "-1", "16", "255", "65536", "2147483647", "2147483648", "-2147483649", "4294967296", "1e308"),
    *("9223372036854775808", "1" + "0" * 70, "0x" + "f" * 33, "0b" + "1" * 128),
)  # fmt: skip
_AROUND = (  # lines before and after some others
    (".rept 3", ".endr"),
    (".rept 1000000000", ".endr"),
    (".if 1", ".endif"),
    (".if 0", ".else"),
    (".irp i, 1, 2, 3", ".endr"),
    (".macro m a, b=1", ".endm\nm 1\nm 2, 3"),
    (".macro r\nr", ".endm\nr"),
    (".kernel k", ".endkernel"),
)


@cache
def _tokens() -> tuple[str, ...]:
    return (*{t for text in sources() for t in re.findall(r"[\w.]+|[^\w\s]", text)}, *_ODD)


def make(rng: random.Random) -> bytes:
    """A file of the repository, or a part of it, with some changes."""
    lines = rng.choice(rng.choice((sound, sources))()).split("\n")
    if len(lines) > 2 * LINES:
        at = rng.randrange(len(lines) - LINES)
        lines = lines[at : at + LINES]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _mutate(lines, rng)
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    if rng.random() < 0.02:
        at = rng.randrange(len(data) + 1)
        data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    return data


def _mutate(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    line = lines[at]
    cut = rng.randrange(len(line) + 1)
    change = rng.randrange(14)
    if change <= 2:
        lines[at] = line[:cut] + rng.choice(_tokens()) + line[cut:]
    elif change == 3:
        lines[at] = line[:cut] + line[cut + rng.choice((1, 1, 1, 4, 100)) :]
    elif change <= 5:
        words = re.split(r"(\W)", line)
        words[rng.randrange(len(words))] = rng.choice(_tokens())
        lines[at] = "".join(words)
    elif change == 6 and len(lines) > 1:
        del lines[at : at + rng.choice((1, 1, 1, 5))]
        lines[:] = lines or [""]
    elif change == 7:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], line
    elif change == 8:
        lines[at:at] = lines[at : at + rng.choice((1, 1, 4, 10))] * rng.choice((1, 1, 2, 20))
    elif change == 9:
        lines.insert(at, rng.choice(rng.choice(sources()).split("\n")))
    elif change == 10:
        numbers = list(re.finditer(r"(?<!\w)\d\w*", line))
        if numbers:
            start, end = rng.choice(numbers).span()
            lines[at] = line[:start] + rng.choice(_NUMBERS) + line[end:]
    elif change == 11:
        lines[at] = line[:cut] + rng.choice(("(", "-", "[", "~", '"', "\\", ".", "a", "(-", "x5,")) * 300 + line[cut:]
    elif change == 12:
        head, tail = rng.choice(_AROUND)
        end = at + rng.choice((1, 1, 5))
        lines[at:end] = [head, *lines[at:end], tail]
    else:
        lines[at] = line + rng.choice(("\\", ";", " # " + line, ", " + line, "\r", "\t" * 50, " " + line))


def check(data: bytes) -> None:
    """One report of what is wrong, or a program."""
    try:
        program = assemble(decode_source(data, "a.s"), "a.s", _OPTIONS)
    except AsmError as e:
        expect(bool(e.diagnostics) and all(d.message for d in e.diagnostics), "an error that says nothing")
        odd = {c for c in str(e) if not c.isprintable()} - {"\n"}
        expect(not odd, f"an error that would send {odd} to a terminal")
        return
    if zlib.crc32(data) % 4 == 0:
        survives(program)


def survives(program: Program) -> None:
    """Printed and assembled again, written and read again, it is the same program."""
    expect(read_elf(write_elf(program), "a.s") == program, "written and read, it is another program")
    again = assemble(disassemble(program), "a.s")
    if not program.lines:
        again.lines = Lines()  # without any .loc, they are those of the text
    expect(again == program, "disassembled and assembled, it is another program")


def split(data: bytes) -> list[bytes]:
    """Its lines."""
    return data.splitlines(keepends=True)


TARGET = Target(
    "sources", "mutated sources through the assembler", "files", 100_000, 50, ".s", make, check, parts=split
)
