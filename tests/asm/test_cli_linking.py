"""sohu-asm with several files: objects, libraries, formats, maps."""

import io
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from sohu.asm import assemble, disassemble, read_elf, read_object
from sohu.asm.archive import Member, write_archive
from sohu.asm.cli import main
from sohu.asm.formats import image

MAIN = """
        .kernel main
        .tile   buf, sram, f32, [64]
        call    helper
        dbg.print "main ", x5
        li      x6, table
        halt
        .endkernel
        .rodata
        .quad   table
"""
HELPER = ".globl helper, table\nhelper: ret\n.rodata\ntable: .quad 5, 6\n"
UNUSED = ".globl unused\nunused: ret\n"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("main.s").write_text(MAIN)
    Path("helper.s").write_text(HELPER)
    Path("unused.s").write_text(UNUSED)


def made(*arguments: str) -> bytes:
    assert main([*arguments, "-o", "out"]) == 0
    return Path("out").read_bytes()


def test_objects_libraries_and_sources_give_the_same_program() -> None:
    assert main(["-c", "main.s", "helper.s", "unused.s"]) == 0
    assert read_object(Path("main.o").read_bytes()).kernels.keys() == {"main"}
    files = ("helper.o", "unused.o")
    Path("lib.a").write_bytes(write_archive([Member(f, Path(f).read_bytes()) for f in files]))
    expected = read_elf(made("main.s", "helper.s"), "p")
    for files in (("main.o", "helper.o"), ("main.s", "helper.o"), ("main.o", "lib.a"), ("lib.a", "main.o")):
        assert read_elf(made(*files), "p") == expected, files
    assert "unused" in read_elf(made("main.o", "lib.a", "-u", "unused")).symbols
    assert "unused" in read_elf(made("main.o", "lib.a", "--whole-archive")).symbols
    assert main(["main.o", "helper.o"]) == 0
    assert read_elf(Path("main.elf").read_bytes(), "p").text == expected.text


@pytest.mark.skipif(shutil.which("readelf") is None, reason="needs GNU readelf")
def test_readelf_reads_all_of_a_linked_program() -> None:
    made("main.s", "helper.s", "unused.s")
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(["readelf", "-a", "-w", "out"], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == "" and "helper.s" in done.stdout and "unused.s" in done.stdout


def test_pyelftools_maps_linked_code_to_its_files() -> None:
    program = read_elf(made("main.s", "helper.s", "unused.s"))
    file = ELFFile(io.BytesIO(Path("out").read_bytes()))
    dwarf = file.get_dwarf_info()
    (unit,) = dwarf.iter_CUs()
    assert unit.get_top_DIE().attributes["DW_AT_high_pc"].value == len(program.text)
    table = dwarf.line_program_for_CU(unit)
    places = {}
    for entry in table.get_entries():
        if entry.state is not None and not entry.state.end_sequence:
            name = table["file_entry"][entry.state.file].name.decode()
            places[entry.state.address] = (name, entry.state.line, entry.state.column)
    assert places == {line.pc: (line.file, line.line, line.column) for line in program.lines}
    assert {name for name, _, _ in places.values()} == {"main.s", "helper.s", "unused.s"}
    symbols = {s.name: s["st_value"] for s in file.get_section_by_name(".symtab").iter_symbols() if s.name}
    assert symbols == {s.name: s.address for s in program.symbols.values()}


def test_an_undefined_name_is_shown_where_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["main.s", "unused.s", "-o", "out"]) == 1
    err = capsys.readouterr().err
    assert "main.s:4:17: error[L001]: 'helper' is not defined in any file" in err
    assert "    4 |         call    helper\n      |                 ^~~~~~\n" in err
    assert "main.s:6:21: error[L001]: 'table'" in err
    assert not Path("out").exists()
    # a file by itself is told so when it is read
    assert main(["main.s"]) == 1
    assert "main.s:4:17: error[A020]: 'helper' is not defined" in capsys.readouterr().err


def test_places_of_linker_errors_in_reports(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.s").write_text("nop\n.rodata\nhere: .byte here\n")  # data has no lines in objects
    assert main(["small.s", "main.s", "-w", "--diagnostics", "sarif", "-o", "out"]) == 1
    (run,) = json.loads(capsys.readouterr().err)["runs"]
    places = {r["ruleId"]: r["locations"][0]["physicalLocation"] for r in run["results"]}
    assert places["L003"] == {"artifactLocation": {"uri": "small.s"}}
    region = {"startLine": 6, "startColumn": 21, "endColumn": 26}
    assert places["L001"] == {"artifactLocation": {"uri": "main.s"}, "region": region}


def test_mistakes_of_all_sources_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.s").write_text("vad t0\n")
    Path("worse.s").write_text("nop x1\n")
    assert main(["bad.s", "main.s", "worse.s", "-o", "out"]) == 1
    err = capsys.readouterr().err
    assert "bad.s:1:1: error[A010]" in err and "worse.s:1:5: error[A012]" in err


def test_the_bare_image() -> None:
    program = read_elf(made("main.s", "helper.s"))
    data = made("main.s", "helper.s", "-O", "binary")
    assert data == image(program) == made("main.s", "helper.s", "-O", "raw")
    assert data[: len(program.text)] == program.text and data[program.rodata_address :] == program.rodata
    Path("code.s").write_text("nop\n")
    assert made("code.s", "-O", "binary") == assemble("nop").text


@pytest.mark.skipif(shutil.which("objcopy") is None, reason="needs GNU objcopy")
def test_gnu_objcopy_reads_intel_hex() -> None:
    Path("long.s").write_text("nop\n" * 5000 + '.rodata\n.asciz "0123456789"\n')
    data = made("long.s", "-O", "binary")
    hexadecimal = made("long.s", "-O", "ihex")
    assert len(data) > 1 << 16 and max(map(len, hexadecimal.split())) == 11 + 32
    subprocess.run(["objcopy", "-I", "ihex", "-O", "binary", "out", "back"], check=True)
    assert Path("back").read_bytes() == data
    assert main(["main.s", "helper.s", "-O", "hex"]) == 0 and Path("main.hex").exists()


def test_the_map() -> None:
    program = read_elf(made("main.s", "helper.s", "--map", "m", "--symbols", "s"))
    lines = [line.split() for line in Path("m").read_text().splitlines() if line]
    assert ["0x0", "0x50", ".text", "main.s"] in lines
    assert ["0x50", "0x10", ".text", "helper.s"] in lines
    assert ["0x1000", "0x40", ".rodata", "main.s:", "descriptors", "of", "tiles"] in lines
    assert [f"{program.symbols['table'].address:#x}", "table"] in lines
    assert ["0x0", "0x50", "main"] in lines
    described = json.loads(Path("s").read_text())
    assert {s["name"]: s["address"] for s in described["symbols"]} == {
        s.name: s.address for s in program.symbols.values()
    }
    assert next(s for s in described["symbols"] if s["name"] == "main") == {
        "name": "main", "address": 0, "section": ".text", "size": 80, "binding": "global", "kernel": True,
    }  # fmt: skip


def test_what_can_not_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "main.s"]) == 0
    for arguments, says in (
        (["-c", "main.o", "-o", "x.o"], "main.o is no source"),
        (["-d", "main.o"], "an object file, no program"),
        (["main.s", "helper.s", "-o", "helper.s"], "helper.s is an input itself"),
        (["main.s", "gone.a"], "cannot read gone.a"),
    ):
        assert main(arguments) == 1
        assert says in capsys.readouterr().err
    made("main.s", "helper.s")
    assert main(["out", "helper.s", "-o", "again"]) == 1
    assert "a program, which can't be linked again" in capsys.readouterr().err
    for define in ("x5=1", "A=b", "1=1", ""):
        with pytest.raises(SystemExit):
            main(["main.s", "-D", define])


def test_disassembling_a_linked_program() -> None:
    program = read_elf(made("main.s", "helper.s"), "p")
    again = assemble(disassemble(program), "p")
    assert (again.text, again.rodata, again.symbols, again.kernels) == (
        program.text, program.rodata, program.symbols, program.kernels,
    )  # fmt: skip
