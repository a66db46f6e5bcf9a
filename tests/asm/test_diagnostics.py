"""Mistakes in source: each is found, all in one run, at the right place, and says what to do."""

from dataclasses import dataclass

import pytest
from sohu.asm import AsmError, Diagnostic, assemble
from sohu.asm.codes import CODES
from sohu.asm.diagnostics import MAX_ERRORS
from sohu.asm.options import Options
from sohu.asm.warnings import WarningPolicy

KERNEL = ".kernel k\n.param x, in, f32, [R, C]\n.tile buf, sram, f32, [4, 4]\n.sem ready\n"


@dataclass
class Case:
    """`source` has one mistake: on its last line unless `line` says, with `marked` under the caret."""

    code: str
    source: str
    marked: str
    says: str
    help: str = ""
    line: int = 0


CASES = [
    Case("A001", "li x1, 1 " + "#" * (1 << 16), "l", "at most 65536"),
    Case("A002", "vadd t0 t1, t2", "t1", "expected ','"),
    Case("A002", "vadd t0,", "", "the line ends where an operand is expected"),
    Case("A002", "li x1, (1", "", "')' is expected"),
    Case("A002", ", t0", ",", "expected a name"),
    Case("A002", "li x1, 1 ; li x2, 2", ";", "unexpected character ';'", "comments begin with #"),
    Case("A002", "vmov t0, t1 wait", "", "a name is expected"),
    Case("A002", "vmov t0, t1 wait s1", "", "'>=' is expected"),
    Case("A002", ".loc 1", "", "a number is expected"),
    Case("A002", "li x1, \0", "\0", "unexpected character"),
    Case("A003", "li x1, 12ab", "12ab", "'12ab' is no number"),
    Case("A003", "li x1, 0x", "0x", "'0x' is no number"),
    Case("A003", "li x1, " + "9" * 5000, "9" * 5000, "5000 digits"),
    Case("A003", "lf x1, 1e999", "1e999", "larger than any double", "inf"),
    Case("A003", 'dbg.mark "abc', '"abc', "not closed"),
    Case("A003", 'dbg.mark "a\\q"', "\\q", "unknown escape \\q", "\\n"),
    Case("A003", 'dbg.mark "a\\x4"', "\\x", "two hexadecimal digits"),
    Case("A010", "vmuul t0, t1, t2", "vmuul", "unknown instruction 'vmuul'", "'vmul'"),
    Case("A010", "VADD t0, t1, t2", "VADD", "unknown instruction", "'vadd'"),
    Case("A011", ".tyle x", ".tyle", "unknown directive .tyle", "'.tile'"),
    Case("A012", "vadd t0", "", "'a' and 'b' missing", "vadd dst, a, b"),
    Case("A012", "halt x1", "x1", "halt takes no operands"),
    Case("A012", "vadd t0, t1, t2, t3, t4", "t3, t4", "takes dst, a, b"),
    Case("A013", "vadd t0, t1, x5", "x5", "operand b: expected tile, found scalar register x5"),
    Case("A013", "add x1, 5, x2", "5", "expected scalar register, found integer 5"),
    Case("A013", "add x1, x2, 1.5", "1.5", "expected scalar register or integer, found number 1.5"),
    Case("A013", "add x1, x2, [1]", "[1]", "found a list"),
    Case("A013", 'li x1, "a"', '"a"', "found a string"),
    Case("A013", "beq x1, x2, x3", "x3", "expected label, found scalar register x3"),
    Case("A013", "j 16", "16", "expected label, found integer 16", ".+16"),
    Case("A013", KERNEL + "li x1, buf", "buf", "found tile t1 (buf)"),
    Case("A013", KERNEL + "vadd buf, buf, ready", "ready", "found semaphore s0 (ready)"),
    Case("A013", "vmov t0, t1 wait s0>=1.5", "1.5", "expected an integer"),
    Case("A013", "j data\n.rodata\ndata: .i32 1", "data", "is data, no code", line=1),
    Case("A013", "li x1, half\n.equ half, 0.5", "half", "expected an integer, found 0.5", line=1),
    Case("A014", "add x1, x2, 1 << 31", "1 << 31", "does not fit 32 signed bits"),
    Case("A014", "dma.load t0, t1, q=4", "4", "operand q: immediate must be 0..3"),
    Case("A014", "vmov t0, t1 wait s0>=40000", "wait s0>=40000", "16 signed bits", "register"),
    Case("A014", "vmov t0, t1 signal s0+=256", "signal s0+=256", "1..255, not 256"),
    Case("A014", "j .+8", ".+8", "no multiple of 16"),
    Case("A014", "dbg.mark -1", "-1", "string offset"),
    Case("A014", 'dbg.mark "\\xff"', '"\\xff"', "no UTF-8"),
    Case("A014", 'dbg.mark "a\\0b"', '"a\\0b"', "a zero ends the string early"),
    Case("A014", ".rodata\n.i32 1, 1 << 32", "1 << 32", "does not fit 32 bits"),
    Case("A014", ".rodata\n.i32 1.5", "1.5", "1.5 is no integer"),
    Case("A014", "vadds t0, t1, 16777217", "16777217", "no float32 is exactly 16777217", "write 16777216.0"),
    Case("A014", "lf x1, -(1 << 100) - 1", "-(1 << 100) - 1", "no float32 is exactly -126765", "li (a register)"),
    Case("A014", "lf x1, big\n.equ big, 16777217", "big", "no float32 is exactly 16777217", line=1),
    Case("A014", ".rodata\n.u8 256", "256", "does not fit 8 bits: -128..255"),
    Case("A014", KERNEL + ".bound C, -1", "-1", "the size must be 0.."),
    Case("A015", "dma.load t0, t1, k=1", "k", "'k' is no operand of dma.load", "q=0"),
    Case("A015", "dma.load t0, t1, q=1, q=2", "q", "'q' is given twice"),
    Case("A015", KERNEL + ".tile y, sram, f32, [1], to=5", "to", ".tile takes no to="),
    Case("A015", KERNEL + ".tile y, sram, f32, [1], at=5, at=6", "at", "at is given twice"),
    Case("A016", "add x1, x2, x3 wait s0>=1", "wait s0>=1", "can neither wait nor signal", "sync wait"),
    Case("A016", "vmov t0, t1 wait s0>=1 wait s1>=1", "wait s1>=1", "at most one wait", "the same queue"),
    Case("A016", ".text signal s1", "signal s1", "can't signal"),
    Case("A020", "j nowhere", "nowhere", "'nowhere' is not defined"),
    Case("A020", "start: nop\nj stort", "stort", "'stort' is not defined", "'start'"),
    Case("A020", "vadd t0, t1, t64", "t64", "there is no t64: t0..t63"),
    Case("A020", "vmov t0, t1 wait s64>=1", "s64", "there is no s64: s0..s63"),
    Case("A020", KERNEL + "vmov buff, buf", "buff", "no tile is called 'buff'", "'buf'"),
    Case("A020", KERNEL + "vmov buf, buf wait redy>=1", "redy", "no semaphore is called", "'ready'"),
    Case("A020", "vmov acc, t1", "acc", "no tile is called 'acc'", "inside a .kernel"),
    Case("A020", ".globl mian\nmain: nop", "mian", "is not defined", "'main'", line=1),
    Case("A020", KERNEL + ".bound D, 4", "D", "no parameter above has a dimension 'D'"),
    Case("A020", ".rodata\n.i64 nowhere", "nowhere", "is not defined"),
    Case("A021", "a: nop\na: nop", "a", "'a' is defined twice"),
    Case("A021", ".equ a, 1\n.equ a, 2", "a", "'a' is defined twice"),
    Case("A021", ".kernel k\nhalt\n.kernel k\nhalt", "k", "'k' is defined twice", line=3),
    Case("A021", KERNEL + ".tile x, sram, f32, [1]", "x", "'x' is declared twice in kernel k"),
    Case("A022", "x5: nop", "x5", "'x5' is a word of the language"),
    Case("A022", ".equ sp, 5", "sp", "'sp' is a word of the language"),
    Case("A022", ".kernel k\n.tile t99, sram, f32, [1]", "t99", "'t99' is a word of the language"),
    Case("A022", ".kernel k\n.param x, in, f32, [s1]", "s1", "can't name a dimension"),
    Case("A023", "j 1b", "1b", "no label 1: before this line"),
    Case("A023", "1: j 1f", "1f", "no label 1: after this line"),
    Case("A024", ".rodata\n.zero end\nend:", "end", "'end' has no value yet here", line=2),
    Case("A024", ".rodata\nend: .zero end", "end", "not known yet"),
    Case("A024", ".rodata\n.zero .", ".", "not known yet"),
    Case("A024", "li x1, x2 + 1", "x2", "'x2' is a register"),
    Case("A024", ".equ a, b\n.equ b, a\nli x1, a", "a", "'a' is defined by itself", line=2),
    Case("A025", "li x1, 1 / 0", "1 / 0", "division by zero"),
    Case("A025", "li x1, a / b\n.equ a, 1\n.equ b, 0", "a / b", "division by zero", line=1),
    Case("A025", "li x1, 1 << 128", "1 << 128", "a shift by 128"),
    Case("A025", "li x1, ~1.5", "~1.5", "~ takes an integer"),
    Case("A025", "li x1, 1.5 | 1", "1.5 | 1", "| takes integers"),
    Case("A025", "li x1, (1 << 127) * 4", "1 << 127) * 4", "does not fit 128 bits"),
    Case("A025", "a: li x1, " + "+".join("a" * 102), "+".join("a" * 102), "100 operators deep"),
    Case("A025", "li x1, a0\n" + "".join(f".equ a{i}, a{i + 1}\n" for i in range(5000)), "a101", "100 deep", line=102),
    Case("A030", ".endkernel", ".endkernel", ".endkernel outside a kernel", ".kernel NAME"),
    Case("A030", ".tile buf, sram, f32, [4]", ".tile", "outside a kernel", ".kernel NAME"),
    Case("A031", KERNEL + "halt\n.param y, i64", ".param", "before the kernel's first instruction"),
    Case("A031", KERNEL + ".prologue\n.sem a", ".sem", "before the kernel's first instruction"),
    Case("A032", ".kernel k\n.tile a, sram, f33, [1]", "f33", "expected a dtype, found 'f33'", "'f32'"),
    Case("A032", ".kernel k\n.tile a, dram, f32, [1]", "dram", "expected a memory", "'sram'"),
    Case("A032", ".kernel k\n.param a, input, f32, [1]", "input", "expected a direction", "in"),
    Case("A033", ".kernel k\n.tile a, sram, f32, []", "[]", "1..4 dimensions, not 0"),
    Case("A033", ".kernel k\n.param a, in, f32, [A, B, C, D, E]", "[A, B, C, D, E]", "not 5"),
    Case("A033", ".kernel k\n.tile a, sram, f32, [4, 4], strides=[4]", "[4]", "2 strides"),
    Case("A033", ".kernel k\n.tile a, sram, f32, [-1]", "-1", "-1 is no dimension"),
    Case("A033", ".kernel k\n.tile a, sram, f32, [5<=6]", "5<=6", "between a scalar register and"),
    Case("A033", ".kernel k\n.tile a, sram, f32, [t5]", "t5", "a size or a scalar register"),
    Case("A034", KERNEL + ".tile a, acc, f32, [1], reg=t3\n.tile b, acc, f32, [1], reg=t3", "b", "t3 is taken by 'a'"),
    Case("A034", ".kernel k\n" + "".join(f".param p{i}, i64\n" for i in range(22)), "p21", "no scalar register"),
    Case("A035", ".kernel k\n.tile a, sram, f32, [4, x7]", "x7", "how much room", "x7<=4096"),
    Case("A035", ".kernel k\n.tile a, sram, f32, [4, x7], at=0", "x7", "how much room", "x7<=4096"),
    Case("A035", ".kernel k\n.tile a, sram, u8, [0, 1<<31, 1<<31, 1<<31]", "a", "its strides do not fit 64 bits"),
    Case("A035", ".kernel k\n.tile a, sram, u8, [1<<31, 1<<31, 1<<31]", "a", "outside the 64-bit address space"),
    Case("A035", ".kernel k\n.tile a, hbm, f32, [4, 4]", ".tile", "owns no HBM"),
    Case("A035", ".kernel k\n.tile a, sram, f32, [4, 4], at=2", "a", "no multiple of 4"),
    Case("A035", ".kernel k\n.tile a, sram, f32, [4], at=0, strides=[-1]", "a", "outside the 64-bit address space"),
    Case("A035", KERNEL + ".tile a, sram, f32, [x7], at=0", "buf", "can't be placed after 'a'", "at=", line=3),
    Case("A040", ".rodata\nhalt", "halt", "an instruction in .rodata", ".text"),
    Case("A040", ".rodata\n.inst 5", ".inst", "an instruction in .rodata", ".text"),
    Case("A040", ".rodata\n.kernel k", "k", "a kernel in .rodata", ".text"),
    Case("A040", ".i32 5", "5", "data in .text", ".rodata"),
    Case("A040", ".align 64", "64", "code is aligned to 16"),
    Case("A041", ".equ", "", "a name is missing", ".equ NAME, EXPRESSION"),
    Case("A041", ".equ a, 1, 2", "2", "this is too much", ".equ NAME, EXPRESSION"),
    Case("A041", '.equ a, "x"', '"x"', "expected an expression"),
    Case("A041", ".equ 5, 1", "5", "expected a name"),
    Case("A041", ".section .bss", ".bss", "expected a section", ".text"),
    Case("A041", ".rodata\n.align 3", "3", "no power of two"),
    Case("A041", '.rodata\n.zero "a"', '"a"', "expected the number of bytes"),
    Case("A041", ".rodata\n.zero 1.5", "1.5", "is an integer"),
    Case("A041", ".rodata\n.asciz 5", "5", "expected a string"),
    Case("A041", '.rodata\n.i32 "a"', '"a"', "expected a number"),
    Case("A041", '.file 1 ""', '""', "no path"),
    Case("A041", '.file 1 "\\xff"', '"\\xff"', "no UTF-8"),
    Case("A041", ".loc 1 5", "1", "no .file has the number 1"),
    Case("A041", '.file 1 "a"\n.loc 1 0', "0", "lines count from 1"),
    Case("A041", ".kernel k, noprolog", "noprolog", "expected noprologue", "'noprologue'"),
    Case("A041", ".kernel k\n.param x, in, f32, 4", "4", "expected dimensions in brackets"),
    Case("A041", ".kernel k\n.tile a, sram, f32, [4], reg=x5", "x5", "takes a register t0"),
    Case("A041", ".kernel k\n.param n, i64, reg=x0", "x0", "x0 can hold nothing"),
    Case("A041", ".kernel k\n.param n, i64, reg=args", "args", "the prologue itself needs x10"),
    Case("A041", ".kernel k\n.param n, f32, reg=x3", "x3", "the prologue itself needs x3"),
    Case("A055", '.error "no such chip"', '"no such chip"', "no such chip"),
    Case("A055", ".error", ".error", ".error stands here"),
    Case("A041", ".error 5", "5", "expected a string", '.error ["TEXT"]'),
    Case("W001", '.warning "slow"', '"slow"', "slow"),
    Case("A042", ".rodata\n.zero 1 << 30", ".zero", "larger than"),
]  # fmt: skip


def mistakes(source: str, *flags: str) -> list[Diagnostic]:
    with pytest.raises(AsmError) as raised:
        assemble(source, "bad.s", Options(warnings=WarningPolicy(flags)))
    return raised.value.diagnostics


@pytest.mark.parametrize("case", CASES, ids=[f"{c.code}-{c.says[:30]}" for c in CASES])
def test_a_mistake(case: Case) -> None:
    (found,) = mistakes(case.source, "error")
    lines = case.source.rstrip("\n").split("\n")
    line = case.line or len(lines)
    assert (found.code, found.line) == (case.code, line), found.render()
    assert case.says in found.message, found.render()
    assert case.help in found.help, found.render()
    marked = lines[line - 1][found.column - 1 :][: found.length]
    assert marked == case.marked, found.render()


def test_every_code_has_a_case() -> None:
    assert {case.code for case in CASES} == {code for code in CODES if code[0] != "L"}  # L: test_link.py


def test_all_mistakes_of_a_file_are_found_in_order() -> None:
    source = "\n".join(["vad t0, t1", "nop", "x5: nop", "lost: j 1f, ]", "j lost", "j nowhere", ".loc 9 9"])
    found = mistakes(source)
    assert [(d.line, d.code) for d in found] == [(1, "A010"), (3, "A022"), (4, "A002"), (6, "A020"), (7, "A041")]


def test_a_declaration_that_fails_does_not_make_its_uses_fail() -> None:
    source = ".kernel k\n.tile a, sram, f33, [4]\n.param n, i65\n.tile c, sram, f32, [4]\nvmov a, c\nhalt"
    assert [d.line for d in mistakes(source)] == [2, 3]


def test_declarations_without_a_kernel_are_one_mistake() -> None:
    source = ".tile a, sram, f32, [4]\n.tile b, sram, f32, [4]\nvmov a, b"
    assert [(d.line, d.code) for d in mistakes(source)] == [(1, "A030")]


def test_how_it_looks() -> None:
    with pytest.raises(AsmError) as raised:
        assemble("\n\tvadd\tt, t, s   # sum\n", "softmax.s")
    assert str(raised.value) == (
        "softmax.s:2:7: error[A020]: no tile is called 't'\n"
        "    2 |  vadd t, t, s   # sum\n"
        "      |       ^\n"
        "   help: tiles have names inside a .kernel only"
    )
    coloured = raised.value.render(colour=True)
    assert coloured.startswith("\033[1msoftmax.s:2:7:\033[0m \033[1;31merror[A020]:\033[0m ")


def test_a_note_says_where_the_other_one_is() -> None:
    (found,) = mistakes("a: nop\n\na: nop")
    assert found.render().endswith("   note: it was defined at bad.s:1")


def test_a_long_line_is_shown_in_part() -> None:
    (found,) = mistakes("li x1, 0 " + "+ 0 " * 1000 + "+ ( + 5 5)")
    shown, caret = found.render().split("\n")[1:3]
    assert len(shown) < 120
    assert shown[caret.index("^")] == "5"


def test_a_long_name_is_quoted_in_part() -> None:
    (found,) = mistakes("b" * 60_000 + " t0")
    assert len(found.render()) < 500
    assert found.message.startswith("unknown instruction 'bbb") and found.message.endswith("bbb'")


def test_control_characters_do_not_reach_the_terminal() -> None:
    (found,) = mistakes('dbg.mark "\x1b[31m", 5')
    assert "\x1b" not in found.render()
    (found,) = mistakes("li x1, 5 \ud800")
    assert found.render().encode()


def test_there_is_an_end_to_it() -> None:
    with pytest.raises(AsmError) as raised:
        assemble("bad\n" * 5000, "bad.s")
    assert len(raised.value.diagnostics) == MAX_ERRORS
    assert str(raised.value).endswith(f"bad.s: and {5000 - MAX_ERRORS} more errors")
    assert raised.value.message == "5000 errors in bad.s"
