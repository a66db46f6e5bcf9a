"""What source means: labels, sections, expressions, data, kernels and their prologue, source places."""

import struct

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import Kernel, Line, Param, Program, Symbol, TileSymbol, assemble
from sohu.isa import (
    DTYPES,
    INSTRUCTION_BYTES,
    ROWS,
    TILE_BYTES,
    Inst,
    Reg,
    Signal,
    SohuError,
    Space,
    Tile,
    Wait,
    bf16,
    decode,
    e8m0,
    encode,
    f32,
)


def insts(program: Program) -> list[Inst]:
    steps = range(0, len(program.text), INSTRUCTION_BYTES)
    return [decode(int.from_bytes(program.text[i : i + INSTRUCTION_BYTES], "little")) for i in steps]


def one(source: str) -> Inst:
    (inst,) = insts(assemble(source))
    return inst


def value(expression: str) -> int | float:
    """An expression's value, by way of .equ, a forward reference and an instruction."""
    inst, _ = insts(assemble(f"start: li x1, a\n lf x2, 0\n.equ a, {expression}\n"))
    result = inst.values[1]
    assert isinstance(result, (int, float))
    return result


INF = float("inf")


# -- operands ------------------------------------------------------------------------------------


def test_operands() -> None:
    assert one("add x1, x2, x3") == Inst(ROWS["add"], (1, 2, Reg(3)))
    assert one("add sp, zero, -5") == Inst(ROWS["add"], (2, 0, -5))
    assert one("vfill t63, 1") == Inst(ROWS["vfill"], (63, 1.0))
    assert one("vfill t0, x31") == Inst(ROWS["vfill"], (0, Reg(31)))
    assert one("lf x1, -inf") == Inst(ROWS["lf"], (1, float("-inf")))
    assert one("lf x1, 0x1.8p-1") == Inst(ROWS["lf"], (1, 0.75))
    assert one("lf x1, 16777217.0") == Inst(ROWS["lf"], (1, 2.0**24))
    assert one("vadds t0, t1, -2147483648") == Inst(ROWS["vadds"], (0, 1, -(2.0**31)))
    assert one("semreset s63") == Inst(ROWS["semreset"], (63,))
    assert one("  dma.load t1, t2, q=1+1  # comment") == Inst(ROWS["dma.load"], (1, 2, 2))
    assert one("vosm t0,t1,t2,t3,t4,x1,x2,x3,causal=1").values[-1] == 1
    assert one("vosm t0,t1,t2,t3,t4,x1,x2,x3").values[-1] == 0


def test_nan_is_a_number() -> None:
    assert np.isnan(one("lf x1, nan").values[1])


def test_wait_and_signal() -> None:
    assert one("vmov t0, t1 wait s1>=5").wait == Wait(1, 0, 5)
    assert one("vmov t0, t1  signal s2").signal == Signal(2, 1)
    both = one("vmov t0, t1  signal s2+=3 wait s1>=x20+4*2-1")
    assert (both.wait, both.signal) == (Wait(1, 20, 7), Signal(2, 3))
    assert one("sync wait s0>=x5-1").wait == Wait(0, 5, -1)
    assert insts(assemble(".equ K, 3\n vpu.sync wait s0 >= sp + K"))[0].wait == Wait(0, 2, 3)
    assert insts(assemble(".equ K, 3\n vpu.sync wait s0 >= K"))[0].wait == Wait(0, 0, 3)


def test_comments_and_strings_do_not_disturb_each_other() -> None:
    program = assemble('dbg.mark "a # b // c" // real # one\n# whole line\n // another')
    assert program.rodata == b"a # b // c\0"


def test_strings_are_kept_once() -> None:
    program = assemble('dbg.mark "one"\ndbg.mark "two"\ndbg.print "one", x5\ndbg.mark "\\x41é\\n"')
    assert program.rodata == b"one\0two\0A\xc3\xa9\n\0"
    offsets = [i.values[0] - program.rodata_address for i in insts(program)]
    assert offsets == [0, 4, 0, 8]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_newlines(newline: str) -> None:
    program = assemble(newline.join(["nop", "", "a: nop", 'dbg.mark "x"']))
    assert [line.line for line in program.lines] == [1, 3, 4]
    assert program.rodata == b"x\0"


# -- expressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 4 - 3", 3),
        ("1 << 2 + 1", 8),
        ("0xF0 | 1 ^ 3 & 2", 0xF3),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7 / -2", -3),
        ("~0 & 0xff", 255),
        ("- - 5", 5),
        ("+5", 5),
        ("0b101", 5),
        ("1 << 63 >> 60", 8),
        ("-(1 << 63)", -(1 << 63)),
        ("2*b+1\n.equ b, c-1\n.equ c, 10", 19),
        ("start", 0),
        (". + 1", 2 * INSTRUCTION_BYTES + 1),
    ],
)
def test_integer_expressions(expression: str, result: int) -> None:
    assert value(expression) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1.5 * 2", 3.0),
        ("3 / 2.0", 1.5),
        ("1 - .5", 0.5),
        ("1e2", 100.0),
        ("0x1p4", 16.0),
        ("2.", 2.0),
        ("-inf", -np.inf),
    ],
)
def test_float_expressions(text: str, result: float) -> None:
    assert one(f"lf x1, {text}").values[1] == result


def test_precedence_with_names_is_the_same_as_without() -> None:
    for text in ("a + b * a", "a - b - a", "a << b + a", "a | b ^ a & b", "-a * b", "(a + b) * a / b % a"):
        plain = text.replace("a", "5").replace("b", "2")
        program = assemble(f"li x1, {text}\nli x1, {plain}\n.equ a, 5\n.equ b, 2")
        assert insts(program)[0] == insts(program)[1], text


def test_constants_are_computed_once() -> None:
    doubling = "\n".join(f".equ a{i}, (a{i + 1} + a{i + 1}) / 2" for i in range(30))
    (inst,) = insts(assemble(f"li x1, a0\n{doubling}\n.equ a30, 7"))
    assert inst.values[1] == 7


def test_data_labels_are_offsets_of_the_image() -> None:
    program = assemble("li x1, b - a\nli x2, b\nhalt\n.rodata\na: .zero 3\nb: .i64 b, main\n.text\nmain: halt")
    b = program.rodata_address + 3
    assert [i.values[1] for i in insts(program)[:2]] == [3, b]
    assert program.rodata == bytes(3) + struct.pack("<qq", b, 48)


# -- labels --------------------------------------------------------------------------------------


def test_labels_are_distances() -> None:
    program = assemble("a: j b\nb: j a\nj b + 16\nj .\nj .-16")
    assert [i.values[0] for i in insts(program)] == [16, -16, 0, 0, -16]


def test_numeric_labels_mean_the_nearest() -> None:
    program = assemble("1: j 1f\n1: j 1b\nj 1f\n1: 2: j 1b\nj 2b")
    assert [i.values[0] for i in insts(program)] == [16, 0, 16, 0, -16]


def test_the_symbol_table() -> None:
    program = assemble("f: nop\n.Lhidden: 3: g: nop\n.globl g\n.rodata\n.byte 1\nd: .byte 2")
    assert program.symbols == {
        "f": Symbol("f", 0, "text"),
        "g": Symbol("g", 16, "text", is_global=True),
        "d": Symbol("d", 4097, "rodata"),
    }


def test_names_can_be_any_letters() -> None:
    assert "größe.1" in assemble("größe.1: nop").symbols


# -- data ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [d for d in DTYPES.values() if d.numbers == 1], ids=str)
def test_data_of_every_dtype(dtype: object) -> None:
    d = DTYPES[str(dtype)]
    numbers = [1, 2, 100] + ([0.1, 1e-7, float("nan")] if d.is_float else [17, 99])
    numbers += [] if d is e8m0 else [0, -1.5 if d.is_float else -100]
    numbers += [float("inf")] if d.is_float and d.itemsize > 1 else []
    with np.errstate(over="ignore"):
        expected = np.array(numbers, dtype=np.float64 if d.is_float else np.int64).astype(d.np).tobytes()
    assert assemble(f".rodata\n.{d} {', '.join(map(str, numbers))}").rodata == expected


def test_floats_are_rounded_once() -> None:
    tie_but_for_a_little = "0x1.01000000001p0"  # rounded to float32 first, this would be a tie, and go to 1.0
    data = assemble(f".rodata\n.bf16 {tie_but_for_a_little}\n.f16 0x1.0020000000001p0").rodata
    assert float(np.frombuffer(data[:2], ml_dtypes.bfloat16)[0]) == 1.0078125
    assert float(np.frombuffer(data[2:], np.float16)[0]) == 1.0009765625


def test_bytes_and_text() -> None:
    data = assemble('.rodata\n.byte -1, 255, 0x41\n.ascii "ab", "c"\n.asciz "é"\n.align 16\n.quad -2').rodata
    assert data == b"\xff\xffAabc\xc3\xa9\0" + bytes(7) + struct.pack("<q", -2)


def test_raw_words() -> None:
    word = encode(Inst(ROWS["halt"], ()))
    assert assemble(f".inst {word:#x}\n.inst 0x{(1 << 128) - 1:x}").text == word.to_bytes(16, "little") + b"\xff" * 16


# -- kernels -------------------------------------------------------------------------------------

SOURCE = """
        nop
        .kernel scale
        .param  x, in, bf16, [R, C]
        .param  y, inout, f32, [R, 64], reg=t9
        .param  n, i64
        .param  eps, f32, reg=x5
        .bound  C, 4096
        .tile   a, sram, bf16, [128, n<=4096]
        .tile   b, sram, f32, [4, 3], at=0x1000
        .tile   c, acc, f32, [2, 2], at=0, reg=t0
        .tile   d, acc, f32, [x9, 8], at=0x8000, strides=[-8, 1]
        .sem    loaded
        .sem    ready, reg=s0
        vmov    a, b      wait loaded>=n    signal ready
        halt
        .endkernel
after:  nop
        .kernel other
        .tile   a, acc, f32, [1]
        halt
"""


def test_a_kernel() -> None:
    program = assemble(SOURCE, "scale.s")
    rodata = program.rodata_address
    a = Tile(Space.SRAM, bf16, 0x1040, (128, 4096), dimregs=(0, 11))
    b = Tile(Space.SRAM, f32, 0x1000, (4, 3))
    c = Tile(Space.ACC, f32, 0, (2, 2))
    d = Tile(Space.ACC, f32, 0x8000, (0, 8), (-8, 1), dimregs=(9, 0))
    assert program.kernels["scale"] == Kernel(
        "scale",
        entry=16,
        end=16 + 10 * 16,
        params=(
            Param("x", "in", bf16, ("R", "C"), 1),
            Param("y", "inout", f32, ("R", 64), 9),
            Param("n", "i64", reg=11),
            Param("eps", "f32", reg=5),
        ),
        tiles=(
            TileSymbol("a", 2, a, rodata),
            TileSymbol("b", 3, b, rodata + 64),
            TileSymbol("c", 0, c, rodata + 128),
            TileSymbol("d", 4, d, rodata + 192),
        ),
        bounds={"C": 4096},
        semaphores={"loaded": 1, "ready": 0},
    )
    assert program.rodata[: 4 * TILE_BYTES] == b"".join(t.pack() for t in (a, b, c, d))
    assert [repr(i) for i in insts(program)[1:11]] == [
        repr(Inst(ROWS["tld"], (1, 10, 0))),
        repr(Inst(ROWS["tld"], (9, 10, 64))),
        repr(Inst(ROWS["ld"], (11, 10, 128))),
        repr(Inst(ROWS["ld"], (5, 10, 192))),
        repr(Inst(ROWS["tld"], (2, 3, rodata))),
        repr(Inst(ROWS["tld"], (3, 3, rodata + 64))),
        repr(Inst(ROWS["tld"], (0, 3, rodata + 128))),
        repr(Inst(ROWS["tld"], (4, 3, rodata + 192))),
        repr(Inst(ROWS["vmov"], (2, 3), Wait(1, 11, 0), Signal(0, 1))),
        repr(Inst(ROWS["halt"], ())),
    ]
    assert program.symbols["scale"] == Symbol("scale", 16, "text", 160, is_global=True)
    assert program.symbols["after"] == Symbol("after", 176, "text")
    assert program.kernels["other"].tiles[0].address == rodata + 256
    assert [program.kernel_at(pc) and program.kernel_at(pc).name for pc in (0, 16, 160, 176, 192, 224)] == [  # type: ignore[union-attr]
        None, "scale", "scale", None, "other", None,
    ]  # fmt: skip
    assert (program.kernels["scale"].sram_bytes, program.kernels["scale"].acc_bytes) == (
        0x1040 + 128 * 4096 * 2,
        0x8000,
    )


def test_tiles_are_placed_after_the_highest_of_their_memory() -> None:
    source = """.kernel k
        .tile a, sram, u8, [5]
        .tile b, sram, f32, [4, 4], strides=[-4, 1]
        .tile c, acc, f32, [1]
        .tile d, sram, u8, [10], at=100
        .tile e, sram, f32, [1]
    """
    tiles = {t.name: t.tile for t in assemble(source).kernels["k"].tiles}
    assert {n: t.base for n, t in tiles.items()} == {"a": 128, "b": 192 + 48, "c": 0, "d": 100, "e": 256}
    assert tiles["b"].extent() == (192, 256)


def test_noprologue_declares_only() -> None:
    source = ".kernel k, noprologue\n.param x, in, f32, [R]\n.tile a, sram, f32, [4]\nvmov x, a\nhalt"
    program = assemble(source)
    assert [i.row.mnemonic for i in insts(program)] == ["vmov", "halt"]
    assert program.kernels["k"].tiles[0].tile == Tile.unpack(program.rodata)


def test_a_label_before_the_first_instruction_comes_after_the_prologue() -> None:
    program = assemble(".kernel k\n.param x, in, f32, [R]\nagain: j again")
    assert program.symbols["again"].address == 16
    assert program.symbols["k"].address == 0


def test_names_end_with_their_kernel() -> None:
    program = assemble(".kernel a\n.sem s, reg=s5\nsemreset s\n.kernel b\n.sem s, reg=s6\nsemreset s")
    assert [i.values for i in insts(program)] == [(5,), (6,)]


def test_a_dimension_can_be_a_constant() -> None:
    program = assemble(".equ D, 64\nR: nop\n.kernel k\n.param x, in, f32, [R, D * 2, D]")
    assert program.kernels["k"].params[0].dims == ("R", 128, 64)


# -- source places -------------------------------------------------------------------------------


def test_places_in_the_source_itself() -> None:
    program = assemble("\n  nop\n\n.kernel k\n.param x, in, f32, [R]\nnop", "a.s")
    assert program.lines == [Line(0, "a.s", 2, 3), Line(16, "a.s", 4), Line(32, "a.s", 6, 1)]


def test_places_by_loc() -> None:
    source = """
        .file 1 "a.py"
        .file 2 "dir/b.py"
        nop
        .loc 1 10 5
        nop
        nop
        .loc 2 3
        .loc 2 4
        nop
        .kernel k
        .loc 1 20
        .param x, in, f32, [R]
        .prologue
        .loc 1 21
        halt
    """
    program = assemble(source, "a.s")
    assert program.lines == [
        Line(16, "a.py", 10, 5),
        Line(48, "dir/b.py", 4),
        Line(64, "a.py", 20),
        Line(80, "a.py", 21),
    ]
    assert program.line_at(0) is None
    assert program.line_at(32) == Line(16, "a.py", 10, 5)
    assert program.line_at(1000) == Line(80, "a.py", 21)


def test_nothing_is_a_program_too() -> None:
    program = assemble("")
    assert (program.text, program.rodata, len(program), program.image_bytes) == (b"", b"", 0, 0)


def test_narrow_data_is_rounded_once() -> None:
    data = assemble(
        ".rodata\n"
        ".fp8e4m3 448, -0.5, 0x1.2000000000001p0, 0x1.1ffffffffffffp0, 463.9, nan\n"
        ".fp8e5m2 57344, inf, 1e9, 0x1.2000000000001p0\n"
        ".e8m0 1, 0x1p-127, 3, 2.9, 0x1.8000000000001p0\n"
        ".i8 -128, 127, 255\n"
        ".fp4x2 0.5, 1, -6, 2.5, 0x1.4000000000001p1, -0.0\n"
    ).rodata
    e4 = np.array([448, -0.5, 1.125, 1.125, 448, np.nan], ml_dtypes.float8_e4m3fn).tobytes()
    e5 = np.array([57344, np.inf, np.inf, 1.25], ml_dtypes.float8_e5m2).tobytes()
    e8 = bytes([127, 0, 129, 128, 128])
    assert data == e4 + e5 + e8 + bytes([0x80, 0x7F, 0xFF]) + bytes([0x21, 0x4F, 0x85])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (".fp8e4m3 480", "480 does not fit fp8e4m3: -448..448"),
        (".fp8e4m3 -inf", "-inf does not fit fp8e4m3: -448..448"),
        (".e8m0 0", "0 does not fit e8m0: 2^-127..2^127"),
        (".e8m0 -2", "-2 does not fit e8m0"),
        (".i8 256", "256 does not fit 8 bits: -128..255"),
        (".fp4x2 1, 2, 3", "3 numbers do not fill elements of 2"),
        (".fp4x2 1, 6.5", "6.5 does not fit fp4x2: -6..6"),
        (".fp4x2 1, nan", "nan does not fit fp4x2: -6..6"),
    ],
)
def test_narrow_data_that_does_not_fit(line: str, says: str) -> None:
    with pytest.raises(SohuError) as raised:
        assemble(f".rodata\n{line}\n")
    assert says in str(raised.value)
