"""ELF files: GNU readelf and pyelftools read them whole; what is no program is refused in one line."""

import io
import json
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from sohu.asm import Program, assemble, read_elf, write_elf
from sohu.asm.elf_file import EM_SOHU
from sohu.isa import Fault

SOURCE = """
        .file 1 "attention.py"
        .file 2 "lib/möbius.py"
        .kernel softmax
        .loc 1 10 3
        .param  x, in, bf16, [R, 64]
        .param  n, i64
        .bound  R, 4096
        .tile   raw, sram, bf16, [128, n<=4096]
        .sem    loaded
        .prologue
        .loc 1 11 5
again:  dma.load raw, x                  signal loaded
        dbg.print "n = ", n              # a string, by itself in .rodata
        .loc 2 300
        vmov    raw, raw                 wait loaded>=x7+1
        bne     n, 0, again
        .loc 1 12
        halt
        .endkernel
        .globl  helper
helper: ret
        .kernel second
        .loc 1 90 1
        .tile   acc, acc, f32, [8, 8]
        halt
        .rodata
table:  .f32 1.5, -2
        .asciz "text"
"""


@pytest.fixture(scope="module")
def program() -> Program:
    return assemble(SOURCE, "softmax.s")


@pytest.fixture(scope="module")
def elf(program: Program) -> bytes:
    return write_elf(program)


def refused(data: bytes) -> str:
    with pytest.raises(Fault) as raised:
        read_elf(data, "x.elf")
    assert raised.value.category == "loader"
    assert "\n" not in raised.value.message and raised.value.message.startswith("x.elf: ")
    return str(raised.value)


# -- what is written -----------------------------------------------------------------------------


def test_it_reads_back_as_it_was(program: Program, elf: bytes) -> None:
    assert read_elf(elf, "softmax.s") == program
    assert write_elf(read_elf(elf, "softmax.s")) == elf


@pytest.mark.parametrize("source", ["", "nop", ".rodata\n.byte 1", ".kernel k", 'dbg.mark "x"'])
def test_small_programs_read_back(source: str) -> None:
    program = assemble(source, "a.s")
    assert read_elf(write_elf(program), "a.s") == program


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs GNU readelf")
@pytest.mark.parametrize("source", [SOURCE, "", "nop", ".rodata\n.byte 1"], ids=["kernels", "empty", "code", "data"])
def test_readelf_reads_all_of_it(source: str, tmp_path: Path) -> None:
    path = tmp_path / "a.elf"
    path.write_bytes(write_elf(assemble(source, "softmax.s")))
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(
        ["readelf", "-a", "-w", str(path)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert done.stderr == ""
    assert "Warning" not in done.stdout and "<corrupt" not in done.stdout
    if source == SOURCE:
        said = " ".join(done.stdout.split())
        size = assemble(source).symbols["softmax"].size
        assert f"Machine: <unknown>: {EM_SOHU:#x}" in said
        assert "Type: DYN" in said
        assert f"{size} FUNC GLOBAL DEFAULT 1 softmax" in said
        assert "0 NOTYPE LOCAL DEFAULT 1 again" in said
        assert "0 NOTYPE GLOBAL DEFAULT 1 helper" in said
        assert "0 NOTYPE LOCAL DEFAULT 2 table" in said
        assert "description data: 01 00 00 00 00 00 00 00" in said
        assert "DW_AT_name : attention.py" in said
        assert "lib/möbius.py" in said


def test_pyelftools_maps_code_to_source(program: Program, elf: bytes) -> None:
    file = ELFFile(io.BytesIO(elf))
    assert file["e_machine"] == EM_SOHU
    assert file.get_section_by_name(".text").data() == program.text
    assert file.get_section_by_name(".rodata").data() == program.rodata
    assert file.get_section_by_name(".rodata")["sh_addr"] == program.rodata_address
    loads = [s for s in file.iter_segments() if s["p_type"] == "PT_LOAD"]
    assert [(s["p_vaddr"], s.data()) for s in loads] == [(0, program.text), (program.rodata_address, program.rodata)]
    symbols = {s.name: s for s in file.get_section_by_name(".symtab").iter_symbols()}
    for k in program.kernels.values():
        assert (symbols[k.name]["st_value"], symbols[k.name]["st_size"]) == (k.entry, k.end - k.entry)
        assert symbols[k.name]["st_info"]["type"] == "STT_FUNC"
    rows: dict[int, tuple[str, int, int]] = {}
    place, at = ("", 0, 0), None
    (unit,) = file.get_dwarf_info().iter_CUs()
    assert unit.get_top_DIE().attributes["DW_AT_high_pc"].value == len(program.text)
    table = file.get_dwarf_info().line_program_for_CU(unit)
    for entry in table.get_entries():
        if (state := entry.state) is not None:
            if at is not None:
                rows |= dict.fromkeys(range(at, state.address, 16), place)
            name = table["file_entry"][state.file].name.decode()
            place, at = (name, state.line, state.column), state.address
            assert state.end_sequence == (state.address == len(program.text))
    assert sorted(rows) == list(range(0, len(program.text), 16))
    for pc, found in rows.items():
        line = program.line_at(pc)
        assert line is not None and found == (line.file, line.line, line.column), pc
    assert rows[64] == ("attention.py", 11, 5)
    assert rows[96] == ("lib/möbius.py", 300, 0)


def test_line_tables_survive_long_strides() -> None:
    rng = random.Random(3)
    source = ['.file 1 "a"', '.file 2 "b"']
    for _ in range(300):
        line = rng.choice([rng.randint(1, 50), rng.randint(1, (1 << 31) - 1)])
        source.append(f".loc {rng.choice([1, 1, 2])} {line} {rng.choice(['', rng.randrange(1000)])}")
        source += ["nop"] * rng.choice([0, 1, 1, 2, 30])
    program = assemble("\n".join(source), "a.s")
    assert read_elf(write_elf(program), "a.s").lines == program.lines


# -- what is refused -----------------------------------------------------------------------------


def test_what_is_no_program() -> None:
    assert "the file is empty" in refused(b"")
    assert "not an ELF file" in refused(b"#!/bin/sh\n")
    assert "not an ELF file" in refused(b"\x7fEL")
    assert "ELF header reaches beyond the end" in refused(b"\x7fELF")


def test_another_machine(elf: bytes) -> None:
    other = bytearray(elf)
    struct.pack_into("<H", other, 18, 62)
    assert "for another machine (0x3e)" in refused(bytes(other))


def versioned(program: Program, major: int, minor: int) -> bytes:
    return write_elf(replace(program, isa_version=(major, minor)))


def test_isa_versions(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sohu.asm.elf_file.ISA_VERSION", (3, 5))
    assert read_elf(versioned(program, 3, 5)).isa_version == (3, 5)
    assert read_elf(versioned(program, 3, 0)).isa_version == (3, 0)
    said = refused(versioned(program, 3, 6))
    assert "made for ISA version 3.6; this is 3.5" in said and "use a newer toolchain" in said
    assert "use a newer toolchain" in refused(versioned(program, 4, 0))
    assert "assemble it again" in refused(versioned(program, 2, 9))


def rewritten(elf: bytes, change: Callable[[object], object]) -> bytes:
    """The file with other JSON in .sohu.kernels, appended to it."""
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".sohu.kernels")
    data = change(json.loads(section.data()))
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    out = bytearray(elf)
    at = bytes(struct.pack("<QQ", section["sh_offset"], section["sh_size"]))
    out[out.rindex(at) :][:16] = b""
    index = elf.rindex(at)
    out[index : index + 16] = struct.pack("<QQ", len(elf), len(raw))
    return bytes(out) + raw


def test_kernels_that_are_not_as_they_should_be(elf: bytes) -> None:
    def said(path: list[object], value: object) -> str:
        def change(data: object) -> object:
            at = data
            for key in path[:-1]:
                at = at[key]  # type: ignore[index]
            at[path[-1]] = value  # type: ignore[index]
            return data

        return refused(rewritten(elf, change))

    first: list[object] = ["kernels", 0]
    assert "format 2" in said(["format"], 2)
    assert "kernels of the description of kernels is no list" in said(["kernels"], {})
    assert "'nobody' has no global symbol" in said([*first, "name"], "nobody")
    assert "overlaps another" in said(["kernels", 1, "name"], "softmax")
    assert "reg of a parameter" in said([*first, "params", 0, "reg"], "5")
    assert "'x' in t64 is no declaration" in said([*first, "params", 0, "reg"], 64)
    assert "declared twice" in said([*first, "params", 1, "name"], "x")
    assert "declared twice" in said([*first, "tiles", 0, "reg"], 0)
    assert "is no declaration" in said([*first, "params", 0, "name"], "t5")
    assert "direction 'i64'" in said([*first, "params", 0, "direction"], "i64")
    assert "dtype 'f99'" in said([*first, "params", 0, "dtype"], "f99")
    assert "dimensions [-1]" in said([*first, "params", 0, "dims"], [-1])
    assert "dimensions []" in said([*first, "params", 0, "dims"], [])
    assert "dimensions [True]" in said([*first, "params", 0, "dims"], [True])
    assert "is not where it belongs" in said([*first, "tiles", 0, "address"], 1 << 70)
    assert "the bound 'C'" in said([*first, "bounds"], {"C": 5})
    assert "the bound 'R'" in said([*first, "bounds"], {"R": 1.5})
    assert "'loaded' in s64" in said([*first, "semaphores"], {"loaded": 64})
    assert "wants name, params" in said([*first, "more"], 1)
    for text in (b"", b"[" * 100_000, b'{"format": 1, "format": 1}', b"\xff", b"9" * 10_000):
        assert "is no JSON" in refused(rewritten(elf, lambda _, text=text: text))  # type: ignore[misc]


def test_every_truncation_is_refused(elf: bytes) -> None:
    for size in range(len(elf)):
        refused(elf[:size])


def test_what_a_file_says_is_quoted_in_messages() -> None:
    elf = write_elf(assemble(".kernel k\n.sem done, reg=s7\nhalt", "a.s"))
    assert b'"done": 7' in elf
    with pytest.raises(Fault) as e:
        read_elf(elf.replace(b'"done": 7', b'"d": "\\n"'), "a.s")
    assert "\n" not in e.value.message and "is no declaration" in e.value.message
