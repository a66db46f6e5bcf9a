"""The fast path does what the grammar does: the same objects, or the same diagnostics, for whatever comes in."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import AsmError, disassemble, format_inst
from sohu.asm.assembler import Assembler, assemble, assemble_object
from sohu.asm.fast import FastPath
from sohu.asm.syntax import MAX_LINE
from sohu.isa import INSTRUCTION_BYTES, ROWS, Row
from sohu.isa.sample import random_inst

from benchmarks import sources

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("examples/**/*.s"), *ROOT.glob("tests/**/*.s")])


def outcome(source: str) -> object:
    """All that comes of a source: its object, its diagnostics, and what the assembler has in spite of them."""
    asm = Assembler(source, "f.s")
    found: object
    try:
        found = asm.run()
    except AsmError as e:
        found = e.diagnostics, e.more
    names = asm.labels, asm.numeric, list(asm.constants), asm.files
    return found, asm.text, asm.word_lines, asm.word_columns, asm.locations, asm.relocations, names


def by_grammar(source: str) -> object:
    """The outcome without the fast path."""
    with pytest.MonkeyPatch.context() as m:
        m.setattr(FastPath, "take", lambda self, lines, at, first: at)
        return outcome(source)


def by_both(source: str) -> float:
    """Check that both ways agree; which part of the lines the fast path took."""
    take: Callable[..., int] = FastPath.take
    taken = 0

    def counted(self: FastPath, lines: Sequence[str], at: int, first: int) -> int:
        nonlocal taken
        end = take(self, lines, at, first)
        taken += end - at
        return end

    with pytest.MonkeyPatch.context() as m:
        m.setattr(FastPath, "take", counted)
        found = outcome(source)
    assert found == by_grammar(source), source[:2000]
    return taken / (source.count("\n") + 1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mnemonic)
def test_every_row(row: Row) -> None:
    """Random instructions, as they are printed and with other blanks."""
    rng = random.Random(row.opcode)
    lines = []
    for i in range(40):
        text = format_inst(random_inst(row, rng), pc=i * INSTRUCTION_BYTES)
        lines.append(spaced(text, rng) if i % 2 else text)
    taken = by_both("\n".join(lines))
    has_text = any(o.kind.syntax == "string" for o in row.operands)
    assert has_text or taken > 0.9


def spaced(line: str, rng: random.Random) -> str:
    """The line with other blanks, and perhaps a comment."""
    blank = rng.choice((" ", "  ", "\t", " \t "))
    line = line.replace(", ", rng.choice((",", " , ", ",\t", ",   "))).replace(" ", blank)
    for sign in (">=", "+="):
        if sign in line and rng.random() < 0.5:
            line = line.replace(sign, f"{blank}{sign}{blank}")
    return rng.choice(("", blank)) + line + rng.choice(("", blank, f"{blank}# x, y", "// 1:", f"{blank}//#"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_source_of_the_repository(path: Path) -> None:
    by_both(path.read_text(encoding="utf-8"))


def test_generated_files() -> None:
    source = sources.sohu(1000)
    assert by_both(source) > 0.98
    assert by_both(disassemble(assemble(source))) > 0.9


HEAD = """
        .equ    N, 24
        .equ    M, N * 2 - 1
        .equ    F, 1.5
        .equ    late, after + 16
        .equ    unknown, nowhere
        .equ    both, 5
        .kernel k
        .param  x, in, bf16, [R, C]
        .param  n, i64
        .tile   block, sram, bf16, [128, 64]
        .sem    loaded
        .sem    both
1:      li      x5, 1
start:  add     x5, x5, N
"""
TAIL = """
1:      halt
after:  halt
        .endkernel
        .kernel k2
        .tile   other, sram, f32, [8]
        .sem    done
        vfill   other, 1.0    signal done
        halt
        .endkernel
        .rodata
data:   .quad   start, data
2:      .byte   1
"""
LABELS = """
start; after; data; k; k2; nowhere; N; block; x5; 1b; 1f; 2f; 9b; .+32; .-16; . + 16; .+7; start+16; late; .L1; é; .
wait; loaded; .+ N; after - start; 1 b; 01b; start:; .loc; .text
"""
NUMBERS = """
0; -1; 5; 007; 0x1f; 0X1F; 0b101; 1b; N; M; -N; N*16+4; (N - 5) << 4; ~N; - - 5; N/0; 1<<200; F; F*2; 1.5; -2e-3; .5; 5.
1e400; inf; -inf; nan; 0x1.8p3; late; unknown; 4294967296; -2147483649; 99999999999999999999; M%7^3|1&2; 2-3-4; 8>>1<<2
(((1))); (1; 1); ; (); x5; n; block; start; after-start; 1 2; x 5; 5x; 0x; 0b2; 1.5.2; ³; ٣; \u00a05; -
N N; N~1; 1e5; -0.0
N*(M-1; -(N); both; both+1; --N; 5-; +5; 2*-3; N&&1; N==24; 1e-50; 16777217
"""
REGISTERS = """
x5; x31; x32; zero; ra; t0; t63; t64; s0; s64; block; x; n; loaded; other; X5; x05; args; b:; 1; wait; sp
"""
SYNCS = """
wait s1>=5; signal s2; wait loaded>=x6+17; signal loaded+=3; wait s0 >= N; wait s0>=x0+1; wait s0>=x6+N; wait s0>=x6-1
wait s0>=40000; signal s0+=0; signal s1+=256; signal s1 += N; wait s1; signal; wait x>=1; wait loaded>=n; wait s0>=-5
wait s0>=1.5; wait s0>=x6<<1; signal s1+=x5; wait s0>=x6+3*2; wait s0>>=3; wait s1>=x5+
wait s0>=loaded; signal n; wait s0>=x0
"""
DEFINED = "; ; ; ; 1:; 5 :; start:; N:; .L1:; é: ; a: b: ; t5:; .loc:; addj: ; halt1: halt; 0x1:; n:; wait:"
OTHERS = """
.loc 1 5 5; .loc 1 3; .loc 1 0; .loc 2 1; .loc\t1 7 1; .loc 1 3 # c; .text; .file 1 "a.py"; .globl start; .rodata
.inst 0x5; .inst 0X0; .inst\t0x7  # c; .inst 5; .inst 0xg; .inst 0x5, 6; .inst
.kernel q; .endkernel; .sem late2; .equ P, 5; .weak start; .extern nowhere
dbg.mark "x # y"; .inst 5; # only: a comment; ; 1: 2: halt; x5: halt
"""
MUTATIONS = [*":,=( /\"'#\t\x0b\f\r\xa0\u2028", "//", "wait", "signal"]


def one_of(choices: str, rng: random.Random) -> str:
    """One of the pieces."""
    return rng.choice(pieces(choices))


def pieces(text: str) -> list[str]:
    """What stands between semicolons and ends of lines."""
    return [piece.strip(" ") for line in text.strip("\n").split("\n") for piece in line.split(";")]


def random_line(rng: random.Random) -> str:
    """A line that is mostly right."""
    if rng.random() < 0.2:
        return one_of(OTHERS, rng)
    often = ("blt", "j", "add", "vmuls", "li", "lf", "halt")
    row = rng.choice(list(ROWS)) if rng.random() < 0.7 else ROWS[rng.choice(often)]
    operands = []
    for o in row.operands:
        kinds = {"label": LABELS, "integer": NUMBERS, "float": NUMBERS, "queue number": NUMBERS}
        choices = kinds.get(o.kind.syntax, REGISTERS if rng.random() < 0.7 else NUMBERS)
        plain = rng.random() < 0.4 and o.kind.syntax != "label"
        text = o.kind.format(o.kind.decode(0)) if plain else one_of(choices, rng)
        if not o.keyword:
            operands.append(text)
        elif rng.random() < 0.4:
            operands.append(f"{o.name}={text}")
    if rng.random() < 0.05:
        rng.shuffle(operands)
    syncs = [one_of(SYNCS, rng) for _ in range(rng.choice((0, 1, 1, 2)))] if row.sync or rng.random() < 0.05 else []
    label = rng.choice((one_of(DEFINED, rng), f"l{rng.randrange(20)}: "))
    line = f"{label}{rng.choice((' ', '        ', ''))}{row.mnemonic} {', '.join(operands)} {' '.join(syncs)}"
    return spaced(line, rng) if rng.random() < 0.3 else line


def mutated(line: str, rng: random.Random) -> str:
    """The line with something put in, taken out or repeated."""
    at = rng.randrange(len(line) + 1)
    end = min(len(line), at + rng.choice((0, 0, 1, 1, 2, 8)))
    return line[:at] + rng.choice((*MUTATIONS, "", line[at:end] * 2)) + line[end:]


def test_every_operand() -> None:
    """Each of the operands above where it is right and where it is wrong."""
    numbers = [f"{head} {n}" for n in pieces(NUMBERS) for head in ("li x5,", "lf x5,", "add x5, x6,", "vmuls t1, t2,")]
    labels = [f"{head} {n}" for n in pieces(LABELS) for head in ("j", "blt x5, x6,", "li x7,")]
    registers = [
        head.format(n) for n in pieces(REGISTERS) for head in ("mv x5, {}", "vadd t1, {}, t2", "min x1, x2, {}")
    ]
    syncs = [f"{head} {n}" for n in pieces(SYNCS) for head in ("vmov t1, t2", "sync", "halt", "vpu.sync signal s1")]
    lines = [*numbers, *labels, *registers, *syncs, *pieces(OTHERS), *(f"{n} j .+32" for n in pieces(DEFINED))]
    for i in range(0, len(lines), 10):
        by_both("\n".join([HEAD, *lines[i : i + 10], TAIL]))


@given(seed=st.integers(0, 2**64), damage=st.sampled_from([0.0, 0.0, 0.2, 1.0]))
def test_random_lines(seed: int, damage: float) -> None:
    rng = random.Random(seed)
    for _ in range(4):
        lines = [random_line(rng) for _ in range(rng.choice((1, 5, 20)))]
        lines = [mutated(line, rng) if rng.random() < damage else line for line in lines]
        by_both(HEAD * (rng.random() < 0.9) + "\n".join(lines) + TAIL * (rng.random() < 0.9))


@pytest.mark.parametrize(
    "line",
    [
        "add x5, x5, 1" + " " * MAX_LINE,
        " " * (MAX_LINE + 1),
        "# " + "x" * MAX_LINE,
        "add x5, x5, " + "(" * 5000 + "1" + ")" * 5000,
        "add x5, x5, 1" + "+1" * 2000,
        "add x5, x5, " + "9" * 5000,
        "a:" * 300 + " halt",
        '.error "#"',
    ],
)
def test_long_lines(line: str) -> None:
    by_both(f"halt\n{line}\nhalt")


def test_names_are_forgotten() -> None:
    """A name's register is looked up anew in the next kernel."""
    first = """
        .kernel one
        .tile   a, sram, f32, [8]
        .tile   b, sram, f32, [8]
        vmov    a, b
        vmov    b, a
        vmov    a, b
        halt
    """
    second = first.replace("one", "two")
    by_both(first + second.replace(".tile   a", ".tile   b").replace(".tile   b, sram", ".tile   a, sram", 1))
    by_both(first + second.replace(".tile   a, sram, f32, [8]", ".tile   c, sram, f32, [8]"))
    lines = second.split("\n")
    by_both(first + "\n".join([*lines[:2], lines[3], lines[2], *lines[4:]]))
    gone = first + second.replace(".tile   a", ".tile   c")
    by_both(gone)
    assert ["'a'" in d.message for d in diagnostics(gone)] == [True] * 3


def diagnostics(source: str) -> Any:
    """What is wrong with a source."""
    with pytest.raises(AsmError) as e:
        assemble_object(source)
    return e.value.diagnostics


def test_many_errors_are_the_same_ones() -> None:
    lines = [f"j nowhere{i}" if i % 3 else f"j {i}b" for i in range(300)]
    by_both("\n".join(lines))
