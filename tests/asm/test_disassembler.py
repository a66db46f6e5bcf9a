"""Disassembly: text that a person can read, and that assembles to the same program."""

import pytest
from sohu.asm import Line, Lines, Names, Program, assemble, disassemble, format_inst, read_elf, write_elf
from sohu.isa import INSTRUCTION_BYTES, ROWS, Inst, Signal, Wait, decode, encode

SOURCE = """\
        .kernel softmax
        .param  x, in, bf16, [R, C]
        .tile   t, sram, f32, [128, n<=4096]
        .param  n, i64
        .sem    loaded
        li      x5, 0
1:      dma.load t, x, q=1       signal loaded
        vadd    t, t, t5         wait loaded>=x5+1
        dbg.print "x5 = ", x5
        blt     x5, n, 1b
        beq     x5, 0, done
        j       softmax
done:   halt
"""

GOLDEN = """\
        .file 1 "softmax.s"

        .kernel softmax
        .loc 1 1
        .param x, in, bf16, [R, C], reg=t0
        .param n, i64, reg=x11
        .tile t, sram, f32, [128, x11<=4096], at=0x0, reg=t1
        .sem loaded, reg=s0
        .prologue
        .loc 1 6 9
        li         x5, 0
.L1:
        .loc 1 7 9
        dma.load   t, x, q=1                      signal loaded
        .loc 1 8 9
        vadd       t, t, t5                       wait loaded>=x5+1
        .loc 1 9 9
        dbg.print  "x5 = ", x5
        .loc 1 10 9
        blt        x5, x11, .L1
        .loc 1 11 9
        beq        x5, 0, done
        .loc 1 12 9
        j          softmax
done:
        .loc 1 13 9
        halt
        .endkernel
"""


def round_trip(source: str) -> str:
    """Disassembly of a source, checked to assemble to the same program, through an ELF file too."""
    program = assemble(source, "a.s")
    text = disassemble(program)
    assert assemble(text, "a.s") == program
    assert disassemble(read_elf(write_elf(program), "a.s")) == text
    assert disassemble(assemble(text, "a.s")) == text
    return text


def test_how_it_looks() -> None:
    assert disassemble(assemble(SOURCE, "softmax.s")) == GOLDEN


@pytest.mark.parametrize(
    "source",
    [
        SOURCE,
        "",
        "nop",
        "end:",
        ".kernel k",
        ".kernel a\n.kernel b\nhalt",
        "x: y: .kernel a\nhalt\n.endkernel\nz: nop\n.kernel b\nhalt\nw:",
        ".kernel k\n.param x, in, f32, [R]\nhalt",
        ".kernel k\n.param x, in, f32, [R]",
        ".kernel k\n.param x, in, f32, [R]\nagain: j again",
        ".kernel k, noprologue\n.param x, in, f32, [R]\n.tile a, sram, f32, [4]\nhalt",
        ".kernel k, noprologue\n.param x, in, f32, [R]\n.tile a, sram, f32, [4]",
        ".kernel k\n.param x, in, f32, [R]\n.param y, out, f32, [R]\nj k + 16",  # into the prologue
        ".kernel a\n.tile t, sram, f32, [4]\nvmov t, t\n.kernel b\n.tile t, acc, f32, [4]\nvmov t, t",
        ".kernel k\n.tile a, sram, f32, [x7, 4], at=64\n.tile b, acc, f32, [4, x8], at=0, strides=[9, 1]\nhalt",
        ".kernel k\n.tile a, hbm, u8, [4, 4], at=0xffffffffffffff00, strides=[0, -1]\nhalt",
        ".kernel k\n.sem s\nsemreset s\n.endkernel\nsemreset s0",
        "j .+1600\nj .-16\nloop 5, end\nnop\nend: nop",
        'dbg.mark "a"\ndbg.mark "b"\ndbg.mark "a"',
        'dbg.mark own\ndbg.mark "b"\n.rodata\nown: .asciz "b"',
        'dbg.mark ""\ndbg.mark "\\n\\t\\"\\\\é\\x01"',
        "dbg.mark 5\ndbg.mark 0xffffffff",
        'dbg.mark "abc"\ndbg.mark 4098',  # into another string
        ".rodata\n.asciz \"text\"\n.byte 1\n.zero 100\n.i64 5\nlast:",
        ".rodata\na: b: .asciz \"text\"\nc: .zero 20\nd: .byte 255, 0\n.globl c",
        '.file 7 "dir/a \\" b.py"\n.file 3 "b"\n.loc 3 1\nnop\n.loc 7 2 3\nnop\n.loc 3 1\nnop',
        '.file 1 "a"\nnop\n.loc 1 5\n.kernel k\n.param n, i64\nnop\n.loc 1 6\nnop',
        '.file 1 "a"\nnop\n.kernel k\n.param n, i64\n.prologue\n.loc 1 5\nnop',
        '.file 1 "a"\n.kernel k\n.param n, i64\n.loc 1 5\n.prologue\n.loc 1 6\nnop',
    ],
)  # fmt: skip
def test_it_assembles_to_the_same(source: str) -> None:
    round_trip(source)


def test_the_prologue_is_not_spelled_out() -> None:
    text = round_trip(SOURCE)
    assert "tld" not in text and "noprologue" not in text
    program = assemble(SOURCE, "a.s")
    program.text = program.text[:16] + encode(Inst(ROWS["nop"], ())).to_bytes(16, "little") + program.text[32:]
    text = disassemble(program)
    assert ".kernel softmax, noprologue" in text and "tld" in text
    assert assemble(text, "a.s") == program


def test_tiles_whose_descriptors_are_elsewhere_are_left_out() -> None:
    program = assemble(SOURCE, "a.s")
    program.rodata = bytes(64) + program.rodata  # as no assembler lays it out
    again = assemble(disassemble(program), "a.s")
    assert (again.text, again.rodata) == (program.text, program.rodata)


def test_one_instruction() -> None:
    program = assemble(SOURCE, "a.s")
    texts = []
    names = Names(program)
    for pc in range(0, len(program.text), INSTRUCTION_BYTES):
        inst = decode(int.from_bytes(program.text[pc : pc + INSTRUCTION_BYTES], "little"))
        texts.append(format_inst(inst, pc, program))
        assert format_inst(inst, pc, names) == texts[-1]
    assert texts == [
        "tld x, x10, 0",
        "ld x11, x10, 64",
        f"tld t, x3, {program.rodata_address}",
        "li x5, 0",
        "dma.load t, x, q=1  signal loaded",
        "vadd t, t, t5  wait loaded>=x5+1",
        'dbg.print "x5 = ", x5',
        "blt x5, x11, .-48",
        "beq x5, 0, done",
        "j softmax",
        "halt",
    ]


def test_one_instruction_without_a_program() -> None:
    inst = Inst(ROWS["dma.load"], (1, 2, 0), Wait(3, 4, -1), Signal(5, 6))
    assert format_inst(inst, 0, None) == "dma.load t1, t2  wait s3>=x4-1  signal s5+=6"
    assert format_inst(Inst(ROWS["dbg.mark"], (4096,))) == "dbg.mark 4096"
    assert format_inst(Inst(ROWS["j"], (32,))) == "j .+32"
    assert format_inst(Inst(ROWS["halt"], ()), 0, Program(b"")) == "halt"


def test_a_file_assembles_to_the_same_file() -> None:
    """Byte for byte, whatever the assembly files are called."""
    for source in (".kernel k\n .param x, in, f32, [N]\n nop\nend: halt", '.file 1 "a.py"\n.loc 1 3 5\n nop\n halt'):
        elf = write_elf(assemble(source, "first.s"))
        again = disassemble(read_elf(elf, "second.elf"))
        assert write_elf(assemble(again, "third.s")) == elf


def test_only_the_last_place_of_a_pc_is_shown() -> None:
    program = assemble("nop\nhalt")
    program.lines = Lines.of([Line(0, "a", 1), Line(0, "a", 2), Line(8, "a", 3), Line(16, "a", 4), Line(32, "a", 5)])
    text = disassemble(program)
    assert [line.split()[2] for line in text.splitlines() if ".loc" in line] == ["2", "4"]
