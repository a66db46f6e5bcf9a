"""A program says which version and which extensions it needs; an old one runs, a newer one is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
from sohu.asm import assemble, read_elf, write_elf
from sohu.asm.requirements import extensions_used, version_needed
from sohu.emulator import Device
from sohu.isa import DTYPES, ISA_VERSION, ROWS, DefinitionError, Engine, Fault, Table, instruction
from sohu.isa.costs import per_element
from sohu.isa.dtypes import Float
from sohu.isa.operands import In, Out, UImm

HERE = Path(__file__).parent
OLD = HERE / "data" / "isa-1.0.elf"
FROZEN = HERE / "data" / "isa-1.0.txt"


@pytest.mark.parametrize(
    ("source", "version"),
    [
        ("nop", (1, 0)),
        ("", (1, 0)),
        (".inst 0xffe", (1, 0)),  # no instruction of any version
        ("nop\nverf t0, t1", (1, 1)),
        ("cce.allreduce t0, t1", (1, 0)),
        ("cce.allreduce t0, t1, group=1", (1, 1)),
        (".kernel k\n.param x, in, bf16, [2]\nhalt", (1, 0)),
        (".kernel k\n.param x, in, i8, [2]\nhalt", (1, 1)),
        (".kernel k\n.tile a, sram, fp8e4m3, [2]\nhalt", (1, 1)),
    ],
)
def test_the_lowest_version_that_has_all_of_it(source: str, version: tuple[int, int]) -> None:
    program = assemble(source)
    assert program.isa_version == version == version_needed(program.text, program.kernels.values())
    assert read_elf(write_elf(program)).isa_version == version
    assert extensions_used(program.text) == []


def test_a_program_of_version_1_0_runs() -> None:
    """The file was written by the toolchain of that version, from examples/by_hand.s as it then was."""
    program = read_elf(OLD.read_bytes(), OLD.name)
    assert program.isa_version == (1, 0) < ISA_VERSION
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(331, 33)).astype(np.float32) for _ in range(2))
    want = 2 * x + y
    Device("small").launch(program, "axpy", {"x": x, "y": y})
    np.testing.assert_array_equal(y, want)


def test_a_newer_program_is_refused() -> None:
    data = bytearray(OLD.read_bytes())
    at = data.index(b"Sohu\0\0\0\0" + struct.pack("<II", 1, 0)) + 8
    struct.pack_into("<II", data, at, 1, ISA_VERSION[1] + 1)
    with pytest.raises(Fault, match=rf"k.elf: made for ISA version 1.{ISA_VERSION[1] + 1}; this is ") as e:
        read_elf(bytes(data), "k.elf")
    assert e.value.help == "use a newer toolchain"


def test_what_version_1_0_had_is_as_it_was() -> None:
    """Opcodes and fields; what was added to an instruction is a keyword of a later version."""
    known = set()
    for line in FROZEN.read_text(encoding="utf-8").splitlines():
        opcode, mnemonic, *fields = line.split()
        row = ROWS[mnemonic]
        known.add(mnemonic)
        now = [f"{o.name}:{o.low}+{o.kind.bits}" for o in row.operands]
        assert row.opcode == int(opcode, 16) and now[: len(fields)] == fields and row.since == (1, 0), mnemonic
        assert all(o.since > (1, 0) for o in row.operands[len(fields) :]), mnemonic
    later = {r.mnemonic for r in ROWS if r.since > (1, 0)}
    assert {r.mnemonic for r in ROWS if r.package == "sohu"} == known | later and not known & later
    assert {d.name for d in DTYPES.values() if d.since == (1, 0)} == {"f32", "bf16", "f16", "i32", "u8"}
    assert max(r.since for r in ROWS) == ISA_VERSION


def test_an_operand_that_is_added_says_nothing_when_left_out() -> None:
    def later(dst, src, times=1):  # type: ignore[no-untyped-def]
        """Does something some times."""

    later.__annotations__ = {"dst": Out(Float), "src": In(Float), "times": UImm(3)}
    with pytest.raises(DefinitionError, match="operand times of a later version wants a default that is encoded as"):
        instruction("later", 1, Engine.VPU, cost=per_element(1), added={"times": (1, 1)}, table=Table())(later)
    later.__defaults__ = (0,)
    row = instruction("later", 1, Engine.VPU, cost=per_element(1), added={"times": (1, 1)}, table=Table())(later)
    assert [o.since for o in row.operands] == [(1, 0), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    "notes",
    [b"", b"\5\0\0\0", struct.pack("<III8sII", 5, 8, 3, b"Sohu", 1, 0), struct.pack("<III8sI", 5, 4, 1, b"Sohu", 1)]
    + [
        struct.pack("<III8s", 5, n, 2, b"Sohu") + t
        for n, t in ((4, b"\xff\xff\xff\xff"), (8, b"zz a b  "), (999, b"0x1 a b "))
    ],
)
def test_notes_that_are_damaged(notes: bytes) -> None:
    elf = bytearray(write_elf(assemble("nop")))
    at = elf.index(b"\5\0\0\0\x08\0\0\0\1\0\0\0Sohu")
    place = struct.pack("<QQ", at, 28)
    i = elf.rindex(place)
    elf[i : i + 16] = struct.pack("<QQ", len(elf), len(notes))
    with pytest.raises(Fault, match=r"\.note\.sohu is damaged"):
        read_elf(bytes(elf) + notes)
