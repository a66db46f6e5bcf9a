"""Object files: GNU readelf and pyelftools read them, they link as what they were made of, damage is refused."""

import io
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from sohu.asm import LinkError, Object, assemble, assemble_object, link, read_elf, read_object, write_elf, write_object
from sohu.asm.elf_file import EM_SOHU, RELA
from sohu.asm.objects import RELOCATIONS
from sohu.asm.options import Options
from sohu.isa import Fault

SOURCE = """
        .globl  helper
        .weak   maybe
        .kernel attend
        .param  x, in, bf16, [R, 64]
        .tile   block, sram, bf16, [128, 64]
        .tile   other, sram, bf16, [128, 64]
        .sem    ready
loop:   call    outside
        dbg.print "möbius ", x5
        li      x6, table + 8
        bne     x5, 0, loop
        halt
        .endkernel
helper: li      x7, far - 4
        call    maybe
        ret
        .rodata
table:  .quad   loop, far, helper + 16
        .byte   1, 2, 3
"""


def made(source: str = SOURCE) -> Object:
    return assemble_object(source, "a.o", Options(externals=True))


@pytest.fixture(scope="module")
def elf() -> bytes:
    return write_object(made())


def refused(data: bytes) -> str:
    with pytest.raises(Fault) as raised:
        read_object(data, "x.o")
    assert raised.value.category == "loader"
    assert "\n" not in raised.value.message and raised.value.message.startswith("x.o: ")
    return str(raised.value)


@pytest.mark.parametrize("source", [SOURCE, "", "nop", ".rodata\n.byte 1", ".kernel k", 'dbg.mark "x"', "j a"])
def test_it_reads_back_as_it_was(source: str) -> None:
    o = made(source)
    again = read_object(write_object(o), "a.o")
    assert again == o
    assert write_object(again) == write_object(o)


def test_files_link_like_the_objects_in_memory() -> None:
    sources = [SOURCE, ".globl outside, far\noutside: ret\n.rodata\nfar: .quad 7", ".globl maybe\nmaybe: ret"]
    in_memory = [made(s) for s in sources]
    files = [read_object(write_object(o), "a.o") for o in in_memory]
    assert link(files) == link(in_memory)
    assert read_elf(write_elf(link(files)), "a.o") == link(in_memory)


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs GNU readelf")
@pytest.mark.parametrize("source", [SOURCE, "", "nop"], ids=["kernel", "empty", "code"])
def test_readelf_reads_all_of_it(source: str, tmp_path: Path) -> None:
    path = tmp_path / "a.o"
    path.write_bytes(write_object(made(source)))
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    command = ["readelf", "-hSsr", "-W", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == "" and "Warning" not in done.stdout and "<corrupt" not in done.stdout
    said = " ".join(done.stdout.split())
    assert f"Machine: <unknown>: {EM_SOHU:#x}" in said and "Type: REL (Relocatable file)" in said
    if source == SOURCE:
        assert "FUNC GLOBAL DEFAULT 1 attend" in said
        assert "NOTYPE WEAK DEFAULT UND maybe" in said
        assert "NOTYPE GLOBAL DEFAULT UND far" in said
        assert "NOTYPE LOCAL DEFAULT 3 table" in said
        assert "outside + 0" in said and "far - 4" in said and ".sohu.tiles + 40" in said
    command = ["readelf", "-w", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""


def test_pyelftools_reads_its_relocations(elf: bytes) -> None:
    file = ELFFile(io.BytesIO(elf))
    symbols = file.get_section_by_name(".symtab")
    o = made()
    for name, relocations in ((".rela.text", o.text_relocations), (".rela.rodata", o.rodata_relocations)):
        section = file.get_section_by_name(name)
        found = []
        for r in section.iter_relocations():
            symbol = symbols.get_symbol(r["r_info_sym"])
            target = symbol.name or file.get_section(symbol["st_shndx"]).name
            found.append((r["r_offset"], r["r_info_type"], target, r["r_addend"]))
        sections = {"text": ".text", "tiles": ".sohu.tiles", "rodata": ".rodata", "strings": ".rodata.str"}
        assert found == [(r.offset, r.type, r.symbol or sections[str(r.section)], r.addend) for r in relocations]
        assert {kind for _, kind, _, _ in found} <= set(RELOCATIONS)
    (unit,) = file.get_dwarf_info().iter_CUs()
    assert unit.get_top_DIE().attributes["DW_AT_high_pc"].value == len(o.text)


def test_programs_and_objects_are_told_apart(elf: bytes) -> None:
    assert "a program, which can't be linked again" in refused(write_elf(assemble("nop")))
    with pytest.raises(Fault, match="an object file, no program"):
        read_elf(elf, "x.o")


def test_what_no_object_is(elf: bytes) -> None:
    assert "the file is empty" in refused(b"")
    assert "not an ELF file" in refused(b"nop\n")

    def changed(section: str, at: int, data: bytes) -> str:
        found = ELFFile(io.BytesIO(elf)).get_section_by_name(section)
        start = found["sh_offset"] + at
        return refused(elf[:start] + data + elf[start + len(data) :])

    o = made()
    assert "does not end with a zero" in changed(".rodata.str", len(o.strings) - 1, b"x")
    assert "relocation type 99 does not belong there" in changed(".rela.text", 8, b"\x63")
    assert "relocation type 1 does not belong there" in changed(".rela.text", 8, b"\x01")
    assert "no relocation can be at 0x8" in changed(".rela.text", 0, b"\x08")
    assert "no relocation can be at 0xff" in changed(".rela.rodata", 0, b"\xff")
    assert "there is no symbol 200" in changed(".rela.text", 12, b"\xc8")
    assert "there is no symbol 0" in changed(".rela.text", 12, b"\x00")
    assert "there is no string at 0x100" in changed(".rela.text", 2 * RELA.size + 17, b"\x01")
    assert "symbol 1 does not stand for section 1" in changed(".symtab", 24 + 6, b"\x02")
    assert ".rodata.str does not end" in changed(".rodata.str", len(o.strings) - 1, b"\xff")


def test_every_truncation_is_refused(elf: bytes) -> None:
    for size in range(len(elf)):
        refused(elf[:size])


def test_damage_is_refused_or_links_or_fails_to_link(elf: bytes) -> None:
    rng = random.Random(5)
    other = made(".globl outside, far, maybe\noutside: ret\nmaybe: ret\n.rodata\nfar: .quad 7")
    outcomes = {"refused": 0, "linked": 0, "not linked": 0}
    for _ in range(3000):
        data = bytearray(elf)
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(len(data))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        try:
            o = read_object(bytes(data), "x.o")
        except Fault as e:
            assert e.category == "loader" and "\n" not in e.message
            outcomes["refused"] += 1
            continue
        try:
            program = link([o, other])
        except LinkError:
            outcomes["not linked"] += 1
            continue
        assert read_elf(write_elf(program), "x.o").text == program.text
        outcomes["linked"] += 1
    assert min(outcomes.values()) > 20, outcomes


def test_a_relocation_of_a_word_that_is_no_instruction() -> None:
    o = made("call f")
    data = bytearray(write_object(o))
    at = data.index(bytes(o.text))
    data[at : at + 2] = b"\xff\xff"
    with pytest.raises(LinkError, match="L004"):
        link([read_object(bytes(data)), made(".globl f\nf: ret")])


def test_sections_that_lie_on_one_another(elf: bytes) -> None:
    """A file of 16 MB with 200 of them would take 3 GB."""
    out = bytearray(elf)
    table = int.from_bytes(elf[40:48], "little")
    for i in range(1, 6):
        out[table + 64 * i + 24 : table + 64 * i + 40] = bytes(8) + (len(elf) // 2).to_bytes(8, "little")
    assert "its sections overlap" in refused(bytes(out))
