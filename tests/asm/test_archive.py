"""Archives: GNU ar and sohu's read each other's; damage is refused; a program takes what it needs out of them."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from sohu.asm import LinkError, Object, assemble_object, link, write_object
from sohu.asm.archive import Member, is_archive, read_archive, write_archive
from sohu.asm.libraries import needed, read_library
from sohu.asm.options import Options
from sohu.isa import Fault

needs_ar = pytest.mark.skipif(shutil.which("ar") is None, reason="needs GNU ar")


def made(source: str, name: str = "a.s") -> Object:
    return assemble_object(source, name, Options(externals=True))


F = write_object(made(".globl f\nf: call g\nret\n.rodata\n.byte 1"))
G = write_object(made(".globl g, also\ng: ret\nalso: ret"))
H = write_object(made(".globl h\nh: ret"))
MEMBERS = [
    Member("f.o", F),
    Member("a_name_that_is_longer_than_its_field.o", G),
    Member("fifteen_chars.o", H),
    Member("möbius.txt", b"odd"),
]


def ar(*arguments: str) -> str:
    return subprocess.run(["ar", *arguments], capture_output=True, text=True, check=True).stdout


def refused(data: bytes) -> str:
    with pytest.raises(Fault) as raised:
        read_archive(data, "x.a")
    assert raised.value.category == "loader"
    assert "\n" not in raised.value.message and raised.value.message.startswith("x.a: ")
    return str(raised.value)


def test_it_reads_back_as_it_was() -> None:
    data = write_archive(MEMBERS)
    assert is_archive(data) and read_archive(data) == MEMBERS
    assert read_archive(write_archive([])) == []


@needs_ar
def test_gnu_ar_reads_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lib.a").write_bytes(write_archive(MEMBERS))
    assert ar("t", "lib.a").splitlines() == [m.name for m in MEMBERS]
    ar("x", "lib.a")
    assert [Path(m.name).read_bytes() for m in MEMBERS] == [m.data for m in MEMBERS]
    assert "rw-r--r-- 0/0" in ar("tv", "lib.a")
    if shutil.which("nm"):
        index = subprocess.run(["nm", "-s", "lib.a"], capture_output=True, text=True, check=False).stdout
        for line in ("f in f.o", "g in a_name_that_is_longer_than_its_field.o", "h in fifteen_chars.o"):
            assert line in index


@needs_ar
def test_we_read_gnu_ars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for m in MEMBERS:
        Path(m.name).write_bytes(m.data)
    ar("rcsD", "lib.a", *(m.name for m in MEMBERS))
    theirs = Path("lib.a").read_bytes()
    assert read_archive(theirs) == MEMBERS
    ar("rcT", "thin.a", "f.o")
    assert "a thin archive" in refused(Path("thin.a").read_bytes())


def test_what_is_refused() -> None:
    data = write_archive(MEMBERS)
    assert "not an archive" in refused(b"")
    assert "not an archive" in refused(b"\x7fELF")
    for size in range(len(data) - 1):  # the last byte is padding
        try:
            assert len(read_archive(data[:size], "x.a")) < len(MEMBERS)
        except Fault as e:
            assert e.category == "loader"
    rng = random.Random(1)
    for _ in range(2000):
        broken = bytearray(data)
        for _ in range(rng.choice([1, 3])):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        try:
            read_library(bytes(broken), "x.a")
        except Fault as e:
            assert "\n" not in e.message
    for name in ("", "a/b", "a\n"):
        with pytest.raises(ValueError, match="name of a member"):
            write_archive([Member(name, b"")])


def library(*sources: str) -> list[Object]:
    members = [Member(f"m{i}.o", write_object(made(s))) for i, s in enumerate(sources)]
    return read_library(write_archive(members), "lib.a")


def test_a_program_takes_what_it_needs() -> None:
    lib = library(".globl f\nf: call g\nret", ".globl g\ng: ret", ".globl unused\nunused: ret", ".globl f\nf: nop")
    main = made("call f\nhalt")
    found = needed([main], [lib])
    assert [o.name for o in found] == ["lib.a(m0.o)", "lib.a(m1.o)"]
    assert len(link([main, *found])) == 5
    # what the program defines itself is not taken, and neither is a weak name
    assert needed([made("call f\nhalt\n.globl f\nf: ret")], [lib]) == []
    assert needed([made(".weak f\nli x1, f")], [lib]) == []
    assert [o.name for o in needed([], [lib], ["unused"])] == ["lib.a(m2.o)"]
    # the first library that has it
    other = library(".globl g\ng: halt")
    assert [o.name for o in needed([main], [other, lib])] == ["lib.a(m0.o)", "lib.a(m0.o)"]
    with pytest.raises(LinkError, match="'f' is not defined in any file"):
        link([main, *needed([main], [other])])
