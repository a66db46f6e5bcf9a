"""Objects and the linker: several files give the program that one file would."""

import random

import numpy as np
import pytest
from sohu.asm import LinkError, Object, Program, assemble, assemble_object, disassemble, link, read_elf, write_elf
from sohu.asm.objects import R_BRANCH, R_DATA, R_OPERAND, Relocation, takes_address
from sohu.asm.options import Options
from sohu.emulator import Device
from sohu.isa import INSTRUCTION_BYTES, ROWS, Row, decode
from sohu.isa.sample import random_inst

MAIN = """
        .kernel main
        .param  x, in, f32, [N]
        .tile   buf, sram, f32, [64]
again:  call    helper
        dbg.print "n = ", x5
        li      x6, table + 8
        li      x7, own
        bne     x5, 0, again
        halt
        .endkernel
        .rodata
own:    .quad   table, own, again, helper + 16
        .i32    table
"""
HELPER = """
        .globl  helper, table
        .kernel second
        .tile   acc, acc, f32, [8, 8]
again:  dbg.mark "n = "
        dbg.mark "other"
        j       again
        .endkernel
helper: ret
        .rodata
        .byte   1
table:  .quad   1, 2
"""


def objects(*sources: str) -> list[Object]:
    several = Options(externals=True)
    return [assemble_object(text, f"{chr(97 + i)}.s", several) for i, text in enumerate(sources)]


def errors(*sources: str) -> list[tuple[str, str, str, int]]:
    with pytest.raises(LinkError) as raised:
        link(objects(*sources))
    return [(d.code, d.message, d.file, d.line) for d in raised.value.diagnostics]


def operand(program: Program, pc: int, name: str) -> object:
    inst = decode(int.from_bytes(program.text[pc : pc + INSTRUCTION_BYTES], "little"))
    return next(v for o, v in zip(inst.row.operands, inst.values, strict=True) if o.name == name)


def test_two_files_in_one_program() -> None:
    program = link(objects(MAIN, HELPER))
    symbols = program.symbols
    start = program.rodata_address
    assert list(program.kernels) == ["main", "second"]
    main, second = program.kernels.values()
    assert (main.tiles[0].address, second.tiles[0].address) == (start, start + 64)
    assert program.rodata[:64] == main.tiles[0].tile.pack() and program.rodata[64:128] == second.tiles[0].tile.pack()
    assert operand(program, 16, "offset") == start and operand(program, second.entry, "offset") == start + 64
    # data: each file's at a multiple of 64
    assert symbols["own"].address == start + 128 and symbols["table"].address == start + 192 + 1
    table = symbols["table"].address
    call = symbols["again"].address
    assert operand(program, call, "target") == symbols["helper"].address - call
    assert operand(program, call + 32, "value") == table + 8
    assert operand(program, call + 48, "value") == symbols["own"].address
    data = program.rodata[128:164]
    values = [int.from_bytes(data[i : i + 8], "little") for i in range(0, 32, 8)]
    assert values == [table, symbols["own"].address, call, symbols["helper"].address + 16]
    assert int.from_bytes(data[32:36], "little") == table
    # strings: each once
    assert program.rodata.count(b"n = \0") == 1 and program.rodata.endswith(b"n = \0other\0")
    other = symbols["again.1"]  # a local name that the other file has too
    assert not other.is_global and operand(program, other.address, "text") == operand(program, call + 16, "text")
    assert operand(program, other.address + 32, "target") == -32
    assert {(line.file, line.line) for line in program.lines} == {
        *(("a.s", n) for n in (2, 5, 6, 7, 8, 9, 10)),
        *(("b.s", n) for n in (3, 5, 6, 7, 9)),
    }
    assert read_elf(write_elf(program), "a.s") == program
    assert assemble(disassemble(program), "a.s").text == program.text


def test_the_link_of_one_is_what_assemble_gives() -> None:
    source = MAIN + ".text\n" + HELPER.replace("again", "more")
    assert link([assemble_object(source, "a.s")]) == assemble(source, "a.s")


def test_relocations() -> None:
    a, _ = objects(MAIN, HELPER)
    assert a.text_relocations == [
        Relocation(16, R_OPERAND + 2, "tiles", "", 0),
        Relocation(48, R_OPERAND, "strings", "", 0),
        Relocation(32, R_BRANCH, None, "helper", 0),
        Relocation(64, R_OPERAND + 1, None, "table", 8),
        Relocation(80, R_OPERAND + 1, "rodata", "", 0),
    ]
    assert a.rodata_relocations == [
        Relocation(0, R_DATA[8], None, "table", 0),
        Relocation(8, R_DATA[8], "rodata", "", 0),
        Relocation(16, R_DATA[8], "text", "", 32),
        Relocation(24, R_DATA[8], None, "helper", 16),
        Relocation(32, R_DATA[4], None, "table", 0),
    ]
    assert not a.symbols["helper"].is_defined and a.symbols["helper"].binding == "global"
    assert a.symbols["again"].binding == "local" and a.symbols["main"].binding == "global"


def test_what_is_near_needs_no_relocation() -> None:
    source = "a: j b\nnop\nb: j a\nli x1, b - a\nli x2, . - a\n.rodata\nc: .quad d - c\nd: .byte d - c"
    (found,) = objects(source)
    assert found.text_relocations == found.rodata_relocations == []
    assert found.rodata == b"\x08" + bytes(7) + b"\x08"


def test_weak_symbols() -> None:
    weak = ".weak f\nf: li x1, 1\nret\n"
    strong = ".globl f\nf: li x1, 2\nret\n"
    call = "call f\nhalt\n"
    for sources, value in ([call, weak], 1), ([call, weak, strong], 2), ([call, strong, weak], 2), ([weak + call], 1):
        program = link(objects(*sources))
        at = next(pc for pc in range(0, len(program.text), 16) if operand_name(program, pc) == "call")
        target = at + int(str(operand(program, at, "target")))
        assert operand(program, target, "value") == value
        assert program.symbols["f"].address == target
    # the file's own weak label gives way to another file's
    program = link(objects(weak + call, strong))
    assert operand(program, 32, "target") == 64 - 32
    # a weak name that nobody defines is 0, and can't be called
    assert operand(assemble(".weak g\nnop\nli x1, g"), 16, "value") == 0
    assert [e[0] for e in errors(".weak g\ncall g")] == ["L001"]


def operand_name(program: Program, pc: int) -> str:
    return decode(int.from_bytes(program.text[pc : pc + INSTRUCTION_BYTES], "little")).row.mnemonic


def test_names_that_are_not_defined() -> None:
    found = errors("nop\ncall halper\n.rodata\n.quad gone\n", HELPER, "call halper")
    assert found == [
        ("L001", "'halper' is not defined in any file", "a.s", 2),
        ("L001", "'gone' is not defined in any file", "a.s", 0),
    ]
    with pytest.raises(LinkError) as raised:
        link(objects("call halper", HELPER, "call halper"))
    (d,) = raised.value.diagnostics
    assert d.help == "did you mean 'helper'?" and [n.message for n in d.notes] == ["it is used at c.s:1 too"]
    with pytest.raises(LinkError) as raised:
        link(objects("call f", "f: ret"))
    assert "b.s:1 has a label of this name: make it visible with .globl f" in str(raised.value)


def test_very_many_errors_are_counted() -> None:
    with pytest.raises(LinkError) as raised:
        link(objects("\n".join(f"call f{i}" for i in range(300))))
    assert len(raised.value.diagnostics) == 200 and raised.value.more == 100


def test_names_that_are_defined_twice() -> None:
    assert errors(".globl f\nf: ret", "nop\n.globl f\nf: ret") == [("L002", "symbol 'f' is defined twice", "b.s", 3)]
    assert errors(".kernel k\nhalt", ".kernel k\nhalt") == [("L002", "kernel 'k' is defined twice", "b.s", 2)]


def test_what_does_not_fit() -> None:
    assert errors("j d", ".globl d\n.rodata\nd: .byte 1") == [("L003", "j: 'd' is data, no code", "a.s", 1)]
    assert errors("j d + 8", ".globl d\nd: nop") == [
        ("L003", "j: operand target: branch displacement 24 is no multiple of 16", "a.s", 1)
    ]
    (found,) = errors("nop\n.rodata\nd: .byte d")
    assert found[:2] == ("L003", ".rodata+0x0 (after 'd'): the address 4096 does not fit 8 bits: -128..255")


def test_nothing_at_all() -> None:
    assert len(link([])) == 0 and link(objects("", "")).text == b""


def test_kernels_of_several_files_run() -> None:
    def source(name: str, code: str, more: str = "") -> str:
        return f"""
        .kernel {name}
        .param  x, in, f32, [N]
        .param  y, out, f32, [N]
        .tile   part, sram, f32, [64]
        .sem    done
loop:   dma.load  part, x       signal done
        call    {code}
        dma.store y, part       wait done>=2
        dbg.print "{name} ", x5
        halt
        .endkernel
{more}"""

    double = ".globl double\ndouble: vmuls t2, t2, 2.0 wait s0>=1 signal s0\nret\n"
    negate = "negate: vneg t2, t2 wait s0>=1 signal s0\nret\n"
    program = link(objects(source("twice", "double"), source("minus", "negate", negate), double))
    x = np.arange(64, dtype=np.float32)
    for seed in (None, 1, 2):
        said: list[str] = []
        device = Device("small", schedule=seed, output=said.append)
        for name, expected in (("twice", 2 * x), ("minus", -x), ("twice", 2 * x)):
            result = device.launch(program, name, {"x": x})
            assert np.array_equal(result.outputs["y"].numpy(), expected)
        assert [line.strip() for line in said] == ["twice 0", "minus 0", "twice 0"]


PLACES = [(row, i) for row in ROWS for i in range(len(row.operands)) if takes_address(row, i)]


@pytest.mark.parametrize(("row", "position"), PLACES, ids=[f"{r.mnemonic}-{r.operands[i].name}" for r, i in PLACES])
def test_every_operand_that_can_hold_an_address_is_filled_in(row: Row, position: int) -> None:
    inst = random_inst(row, random.Random(row.opcode + position))
    texts = [o.kind.format(v) for o, v in zip(row.operands, inst.values, strict=True)]
    texts[position] = "place + 24"
    operands = [f"{o.name}={t}" if o.keyword else t for o, t in zip(row.operands, texts, strict=True)]
    code, data = f"{row.mnemonic} {', '.join(operands)}", ".globl place\n.rodata\n.zero 40\nplace: .zero 40"
    expected = list(inst.values)
    expected[position] = 4096 + 40 + 24
    for program in (assemble(f"{code}\n{data}"), link(objects(code, data))):
        found = decode(int.from_bytes(program.text[:INSTRUCTION_BYTES], "little"))
        # by text, so that NaN is NaN
        assert [o.kind.format(v) for o, v in zip(row.operands, found.values, strict=True)] == [
            o.kind.format(v) for o, v in zip(row.operands, expected, strict=True)
        ]


@pytest.mark.parametrize("row", [r for r in ROWS if r.label_operand is not None], ids=lambda r: str(r.mnemonic))
def test_every_jump_reaches_another_file(row: Row) -> None:
    inst = random_inst(row, random.Random(row.opcode))
    texts = [o.kind.format(v) for o, v in zip(row.operands, inst.values, strict=True)]
    assert row.label_operand is not None
    texts[row.label_operand] = "place - 16"
    program = link(objects("nop", f"{row.mnemonic} {', '.join(texts)}", "nop\nnop", ".globl place\nplace: nop"))
    found = decode(int.from_bytes(program.text[INSTRUCTION_BYTES : 2 * INSTRUCTION_BYTES], "little"))
    assert found.values[row.label_operand] == 16 * (4 - 1 - 1)
