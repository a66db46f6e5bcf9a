"""Assembly files of any length for the benchmark of the assembler: Sohu's, and RISC-V's for llvm-mc, much alike.

What a compiler that unrolls its loops writes: kernels, in them blocks, each with a label, instructions that
differ in their registers and numbers, expressions of constants, jumps to and fro, comments. In RISC-V the same,
instruction by instruction, with what that machine has instead.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

BLOCKS = 50  # of a kernel
BLOCK_LINES = 15
OTHER_LINES = 70  # of a kernel: its declarations, and what sets its registers

Kernel = Callable[[int, int, random.Random], Iterator[str]]


def sohu(lines: int, seed: int = 0) -> str:
    """So many lines of Sohu assembly."""
    return _file(lines, seed, _sohu_kernel)


def riscv(lines: int, seed: int = 0) -> str:
    """So many lines of RISC-V assembly."""
    return _file(lines, seed, _riscv_kernel)


def distinct(source: str) -> float:
    """Which part of the lines that are not empty occurs once only when repetitions are dropped."""
    lines = [line.strip() for line in source.split("\n") if line.strip()]
    return len(set(lines)) / len(lines)


def _file(lines: int, seed: int, kernel: Kernel) -> str:
    rng = random.Random(seed)
    out: list[str] = []
    number = 0
    while (blocks := min(BLOCKS, (lines - len(out) - OTHER_LINES) // BLOCK_LINES)) > 0:
        out += kernel(number, blocks, rng)
        number += 1
    out += ["        # the end"] * (lines - len(out))
    return "\n".join(out) + "\n"


def _label(number: int, block: int) -> str:
    """Every other label is local to the file."""
    return f"{'.L' if block % 2 else 'at'}{number}_{block}"


def _sohu_kernel(number: int, blocks: int, rng: random.Random) -> Iterator[str]:
    def x() -> int:
        return rng.randint(12, 31)

    def t() -> int:
        return rng.randint(24, 63)  # slices of `big`; those of x and y are in the eight before

    def imm() -> int:
        return rng.randint(-(1 << 31), (1 << 31) - 1)

    k = f"kernel{number}"
    yield f"        .kernel {k}"
    yield "        .param  x, in,  bf16, [R, C]"
    yield "        .param  y, out, bf16, [R, C]"
    yield f"        .equ    STEP{number}, {rng.randint(1, 512) * 16}"
    yield "        .tile   big, sram, bf16, [4096, 128]"
    yield "        .tile   sums, acc, f32, [128, 128]"
    yield "        .sem    loaded"
    yield "        .sem    computed"
    yield "        tget    x9, x, 0"
    for i in range(24, 64):
        yield f"        tslice  t{i}, big, 0, {rng.randint(0, 3968)}, 128"
    for i in range(12, 32):
        yield f"        li      x{i}, {imm()}"
    for block in range(blocks):
        target = min(block ^ 1, blocks - 1)  # a loop of two blocks, and a way past the rest of the first
        yield f"{_label(number, block)}:                         # block {block} of {k}"
        yield f"        tslice  t{t()}, big, 0, {rng.randint(0, 3968)}, 128"
        yield f"        tslice  t8, x, 0, {rng.randint(1, 1 << 30)}, x9"
        yield f"        dma.load  t{t()}, t8, q={rng.randint(1, 3)}      signal loaded+={rng.randint(2, 255)}"
        yield f"        vmuls   t{t()}, t{t()}, {rng.uniform(-8, 8):.4f}    wait loaded>={rng.randint(1, 30000)}"
        yield f"        vadd    t{t()}, t{t()}, t{t()}    signal loaded+={rng.randint(2, 255)}"
        yield f"        mm      sums, t{t()}, t{t()}     signal computed+={rng.randint(2, 255)}"
        yield f"        tslice  t16, y, 0, {rng.randint(1, 1 << 30)}, x9"
        yield f"        dma.store t16, t{t()}    wait computed>=x{x()}+{rng.randint(1, 30000)}"
        yield f"        add     x{x()}, x{x()}, STEP{number}*{rng.randint(2, 9999)}+{rng.randint(1, 99)}"
        yield f"        li      x{x()}, {rng.getrandbits(62):#x}"
        yield f"        mul     x{x()}, x{x()}, {imm()}"
        yield f"        and     x{x()}, x{x()}, {imm()}   # {rng.randint(0, 9999)}"
        yield f"        sub     x{x()}, x{x()}, (STEP{number} - {rng.randint(1, 9999)}) << 4"
        yield f"        blt     x{x()}, {imm()}, {_label(number, target)}"
    yield "        halt"


def _riscv_kernel(number: int, blocks: int, rng: random.Random) -> Iterator[str]:
    def x() -> int:
        return rng.randint(5, 31)

    def imm() -> int:
        return rng.randint(-2048, 2047)

    k = f"kernel{number}"
    yield f"        .globl  {k}"
    yield f"        .type   {k}, @function"
    yield f"        .equ    STEP{number}, {rng.randint(1, 4) * 16}"
    yield f"{k}:"
    for i in range(OTHER_LINES - 5):
        yield f"        lui     x{5 + i % 27}, {rng.getrandbits(20):#x}"
    for block in range(blocks):
        target = min(block ^ 1, blocks - 1)  # a loop of two blocks, and a way past the rest of the first
        yield f"{_label(number, block)}:                         # block {block} of {k}"
        yield f"        addi    x{x()}, x{x()}, {imm()}"
        yield f"        andi    x{x()}, x{x()}, {imm()}"
        yield f"        lw      x{x()}, {imm()}(x{x()})"
        yield f"        xori    x{x()}, x{x()}, {imm()}"
        yield f"        add     x{x()}, x{x()}, x{x()}"
        yield f"        sltiu   x{x()}, x{x()}, {imm()}"
        yield f"        sd      x{x()}, {imm()}(x{x()})"
        yield f"        addi    x{x()}, x{x()}, STEP{number}*{rng.randint(2, 15)}+{rng.randint(1, 99)}"
        yield f"        lui     x{x()}, {rng.getrandbits(20):#x}"
        yield f"        sw      x{x()}, {imm()}(x{x()})"
        yield f"        ori     x{x()}, x{x()}, {imm()}   # {rng.randint(0, 9999)}"
        yield f"        slti    x{x()}, x{x()}, (STEP{number} - {rng.randint(1, 99)}) << 2"
        yield f"        ld      x{x()}, {imm()}(x{x()})"
        yield f"        blt     x{x()}, x{x()}, {_label(number, target)}"
    yield "        ret"
