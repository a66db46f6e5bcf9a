"""Every row of the table: random operands -> text -> assembler -> the same bits."""

import random

import pytest
from sohu.asm import assemble, disassemble, format_inst
from sohu.isa import INSTRUCTION_BYTES, ROWS, Inst, Row, decode, encode
from sohu.isa.sample import random_inst

COUNT = 60  # instructions per row


def words(text: bytes) -> list[int]:
    steps = range(0, len(text), INSTRUCTION_BYTES)
    return [int.from_bytes(text[i : i + INSTRUCTION_BYTES], "little") for i in steps]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mnemonic)
def test_text_assembles_to_the_same_bits(row: Row) -> None:
    rng = random.Random(row.opcode)
    insts = [random_inst(row, rng) for _ in range(COUNT)]
    source = "\n".join(format_inst(inst, pc=i * INSTRUCTION_BYTES) for i, inst in enumerate(insts))
    program = assemble(source)
    assert [decode(w) for w in words(program.text)] == insts
    assert words(program.text) == [encode(inst) for inst in insts]


def test_all_rows_in_one_program_survive_the_disassembler() -> None:
    rng = random.Random(1)
    insts = [random_inst(row, rng) for row in ROWS for _ in range(4)]
    rng.shuffle(insts)
    source = "\n".join(format_inst(inst, pc=i * INSTRUCTION_BYTES) for i, inst in enumerate(insts))
    program = assemble(source, "a.s")
    assert assemble(disassemble(program), "a.s") == program


def test_words_that_are_no_instruction_survive_too() -> None:
    rng = random.Random(2)
    known = [row.opcode for row in ROWS]
    raw = [rng.getrandbits(128) for _ in range(50)]
    raw += [rng.getrandbits(116) << 12 | rng.choice(known) for _ in range(200)]
    raw += [encode(random_inst(rng.choice(list(ROWS)), rng)) ^ 1 << rng.randrange(128) for _ in range(500)]
    source = "\n".join(f".inst {word:#x}" for word in raw)
    program = assemble(source, "a.s")
    assert words(program.text) == raw
    text = disassemble(program)
    assert text.count(".inst") < len(raw)  # some of them are instructions after all
    assert assemble(text, "a.s") == program


def test_a_default_is_not_printed() -> None:
    load = ROWS["dma.load"]
    assert format_inst(Inst(load, (1, 2, 0))) == "dma.load t1, t2"
    assert format_inst(Inst(load, (1, 2, 3))) == "dma.load t1, t2, q=3"
