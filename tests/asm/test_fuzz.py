"""Damage: whatever comes in, the result is one clear error or a program that survives the whole round.

`make test` tries the same few thousand cases each time, `make fuzz` new ones for as long as it likes.
"""

import random
import struct

from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import AsmError, Lines, Program, assemble, disassemble, format_inst, read_elf, write_elf
from sohu.isa import INSTRUCTION_BYTES, ROWS, SohuError
from sohu.isa.sample import random_inst

BATCH = 20  # cases per example: hypothesis takes longer to choose than they take to run

SOURCE = """
        .file 1 "attention.py"
        .file 2 "lib/möbius.py"
        .kernel softmax
        .loc 1 10 3
        .param  x, in, bf16, [R, 64]
        .param  n, i64
        .bound  R, 4096
        .tile   raw, sram, bf16, [128, n<=4096]
        .sem    loaded
        .prologue
        .loc 1 11 5
1: again: dma.load raw, x, q=1           signal loaded
        dbg.print "n = ", n              # a string, by itself in .rodata
        .loc 2 300
        vmov    raw, raw                 wait loaded>=x7+1
        bne     n, 0, 1b
        vfill   raw, -1.5e-3
        .loc 1 12
        .equ    K, 4 * 2 + again
        li      x5, K
        dbg.mark "end"
        halt
        .endkernel
        .globl  helper
helper: ret
        .kernel second
        .loc 1 90 1
        .tile   acc, acc, f32, [8, 8], at=0x100, strides=[16, 1]
        dbg.mark table
        halt
        .rodata
table:  .f32 1.5, -2
        .asciz "text"
"""
ELF = write_elf(assemble(SOURCE, "a.s"))
ODD = [".text", ".zero", ".align", ".inst", "1f", "0x", '"', "[", "]", "(", ")", "x99", "s64", ",", ":", "é"]
WORDS = [*SOURCE.split(), *ODD, "~", "-", "<<", "1e999", "\\", "\0", "\ud800"]


def survives(program: Program) -> None:
    """Printed and assembled again, written and read again, it is the same program."""
    assert read_elf(write_elf(program), "a.s") == program
    again = assemble(disassemble(program), "a.s")
    if not program.lines:
        again.lines = Lines()  # without any .loc, they are those of the text
    assert again == program


@given(st.sampled_from(list(ROWS)), st.integers(0, 2**64))
def test_instructions(row, seed):  # type: ignore[no-untyped-def]
    rng = random.Random(seed)
    insts = [random_inst(row, rng) for _ in range(BATCH)]
    program = assemble("\n".join(format_inst(inst, i * INSTRUCTION_BYTES) for i, inst in enumerate(insts)), "a.s")
    survives(program)


@given(st.integers(0, 2**64))
def test_words(seed: int) -> None:
    rng = random.Random(seed)
    opcodes = [row.opcode for row in ROWS]
    words = [rng.getrandbits(128) >> 12 << 12 | rng.choice(opcodes) for _ in range(BATCH // 2)]
    for word in words[:]:
        words.append(word & ~ROWS.by_opcode[word & 0xFFF].reserved_mask)
    survives(assemble("\n".join(f".inst {word:#x}" for word in words), "a.s"))


def damaged_file(rng: random.Random) -> bytes:
    out = bytearray(ELF)
    for _ in range(rng.choice([1, 1, 1, 2, 6])):
        at = rng.randrange(len(out) - 8)
        change = rng.random()
        if change < 0.5:
            out[at] = rng.randrange(256)
        elif change < 0.8:
            out[at] ^= 1 << rng.randrange(8)
        else:
            number = rng.choice([0, (1 << 64) - 1, 1 << 63, rng.randrange(4096), rng.getrandbits(64)])
            out[at : at + 8] = struct.pack("<Q", number)
    return bytes(out)


@given(st.integers(0, 2**64))
def test_files(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH):
        try:
            program = read_elf(damaged_file(rng), "a.s")
        except SohuError as e:
            assert e.message and "\n" not in e.message
        else:
            if rng.random() < 0.3:
                survives(program)


def damaged_source(rng: random.Random) -> str:
    lines = SOURCE.split("\n")
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(lines))
        cut = rng.randrange(len(lines[at]) + 1)
        change = rng.choice(["insert", "insert", "delete", "swap", "drop", "word", "double"])
        if change == "insert":
            lines[at] = lines[at][:cut] + rng.choice(WORDS) + lines[at][cut:]
        elif change == "delete":
            lines[at] = lines[at][:cut] + lines[at][cut + 1 :]
        elif change == "word":
            old = lines[at].split(" ")
            old[rng.randrange(len(old))] = rng.choice(WORDS)
            lines[at] = " ".join(old)
        elif change == "drop":
            del lines[at]
        else:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[other if change == "double" else at]
    return "\n".join(lines)


@given(st.integers(0, 2**64))
def test_sources(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(BATCH // 10):
        try:
            program = assemble(damaged_source(rng), "a.s")
        except AsmError as e:
            assert str(e)
        else:
            survives(program)


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=100))
def test_any_text(text: str) -> None:
    try:
        assemble(text)
    except AsmError as e:
        assert str(e)


@given(st.binary(max_size=200), st.integers(0, 64))
def test_any_bytes(data: bytes, kept: int) -> None:
    try:
        read_elf(ELF[:kept] + data)
    except SohuError as e:
        assert "\n" not in e.message


def test_damage_is_neither_always_fatal_nor_never() -> None:
    """The tests above go both ways."""
    rng = random.Random(0)
    good = {"file": 0, "source": 0}
    for _ in range(100):
        try:
            read_elf(damaged_file(rng))
            good["file"] += 1
        except SohuError:
            pass
        try:
            assemble(damaged_source(rng))
            good["source"] += 1
        except AsmError:
            pass
    assert 10 < good["file"] < 90 and 10 < good["source"] < 90
