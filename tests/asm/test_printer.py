"""Printing in columns: the same text as instruction by instruction."""

import random

import pytest
from sohu.asm import Names, assemble
from sohu.asm.printer import ColumnPrinter
from sohu.isa import INSTRUCTION_BYTES, ROWS, Inst, Row, Signal, Wait, encode
from sohu.isa.operands import Column, Kind, UImm
from sohu.isa.sample import random_inst
from sohu.isa.vector import decode_all

# Two kernels and code around them. Tiles and semaphores have other names in each, and labels are everywhere.
PROGRAM = assemble(
    """
before: nop
        dbg.mark "text"
        .kernel one
        .param a, in, f32, [R, 64], reg=t3
        .tile b, sram, f32, [8, 8], reg=t5
        .sem ready, reg=s7
l1:     nop
        .endkernel
        .kernel empty
        .endkernel
        .kernel two
        .tile c, sram, f32, [8, 8], reg=t3
        .sem done, reg=s7
        halt
l2:     .endkernel
        nop
        .rodata
bytes:  .byte 1, 2, 3
""",
    "a.s",
)


def one_by_one(insts: list[Inst], names: Names) -> list[str]:
    lines = []
    for i, inst in enumerate(insts):
        mnemonic, operands, sync = names.parts(inst, i * INSTRUCTION_BYTES)
        text = f"{mnemonic:<10} {operands}".rstrip()
        lines.append(f"{text:<40}  {sync}" if sync else text)
    return lines


def check(insts: list[Inst]) -> list[str]:
    names = Names(PROGRAM)
    code = b"".join(encode(inst).to_bytes(INSTRUCTION_BYTES, "little") for inst in insts)
    lines = ColumnPrinter(decode_all(code), names).lines()
    assert lines == one_by_one(insts, names)
    return lines


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mnemonic)
def test_each_instruction(row: Row) -> None:
    rng = random.Random(row.opcode)
    check([random_inst(row, rng) for _ in range(200)])


def test_names_are_those_of_the_place() -> None:
    count = len(PROGRAM)

    def operands(*lines: str) -> list[str]:
        return [" ".join(line.split()[1:]) for line in lines]

    semaphores = operands(*check([Inst(ROWS["semreset"], (7,))] * count))
    assert semaphores == ["s7"] * 2 + ["ready"] * 3 + ["done"] * 2 + ["s7"]
    tiles = operands(*check([Inst(ROWS["vmov"], (3, 5))] * count))
    assert tiles == ["t3, t5"] * 2 + ["a, b"] * 3 + ["c, t5"] * 2 + ["t3, t5"]
    waits = check([Inst(ROWS["vmov"], (0, 0), Wait(7, 0, 1), Signal(7, 2))] * count)
    assert waits[1:3] == [
        "vmov       t0, t0                         wait s7>=1  signal s7+=2",
        "vmov       t0, t0                         wait ready>=1  signal ready+=2",
    ]


def test_strings_and_labels() -> None:
    text = PROGRAM.rodata.index(b"text") + PROGRAM.rodata_address
    marks = [Inst(ROWS["dbg.mark"], (at,)) for at in (text, text + 2, 5)]
    jumps = [Inst(ROWS["j"], (by,)) for by in (-48, 0, 16, -(1 << 31))]
    assert check(marks + jumps) == [
        'dbg.mark   "text"',
        'dbg.mark   "xt"',
        "dbg.mark   5",
        "j          before",
        "j          l1",
        "j          .+16",
        "j          .-2147483648",
    ]


def test_words_that_are_no_instruction() -> None:
    nop = encode(Inst(ROWS["nop"], ()))
    code = b"".join(word.to_bytes(16, "little") for word in (nop | 1 << 127, nop, 0xFFF | 1 << 64))
    assert ColumnPrinter(decode_all(code), Names()).lines("  ") == [
        f"  .inst {nop | 1 << 127:#034x}",
        "  nop",
        f"  .inst {0xFFF | 1 << 64:#034x}",
    ]


def test_a_kind_with_its_own_text_is_printed_by_it() -> None:
    """And not by the vectorized form that it would inherit."""

    class Odd(type(UImm(3))):  # type: ignore[misc]
        def format(self, value: int) -> str:
            return f"odd{value}"

    kind = Odd(3, signed=False)
    column, _ = kind.decode_column(decode_all(bytes(16)).low)
    assert isinstance(column, Column) and kind.format_column(column) == ["odd0"]
    assert Odd.decode_column is not Kind.decode_column
