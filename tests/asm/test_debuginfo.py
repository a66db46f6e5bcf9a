"""What is known of inlined calls, IR and variables: directives, section .sohu.debug, DWARF."""

from __future__ import annotations

import io
import re
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from sohu.asm import Program, assemble, read_elf, write_elf
from sohu.asm.assembler import assemble_object
from sohu.asm.debuginfo import (
    DebugInfo,
    IrOp,
    KernelDebug,
    LiveRange,
    Location,
    Place,
    Run,
    Scope,
    Variable,
    constant,
    wrong,
)
from sohu.asm.disassembler import disassemble
from sohu.asm.elf_debug import _HEADER, _KERNEL, debug_section
from sohu.asm.elf_object import read_object, write_object
from sohu.asm.link import link
from sohu.asm.options import Options
from sohu.asm.warnings import WarningPolicy
from sohu.isa import Fault

SOURCE = """\
        .file   1 "kernel.py"
        .file   2 "lib/helpers.py"
        .kernel scale
        .param  n, i64
        .loc    1 10 5
        add     x6, n, 1
        .loc    2 3 12
        mul     x7, x6, 2
        .loc    2 7 9
        mul     x8, x7, x7
        .loc    2 3 12
        add     x7, x8, 0
        .loc    1 11 5
        sd      x7, sp, -8
        halt
        .debug  7, "scale", 1, 8
        .inlined 1, 0, "double", 2, 2, [1, 11, 9], [2, 3, 4, 5]
        .inlined 2, 1, "square", 2, 6, [2, 4, 12], [3, 4]
        .op     2, "%a = add %n, %0 : index", [1, 2]
        .op     5, "%b = mul %a, %1 : index", [2, 3, 4, 5]
        .var    "n", 0, x5, [1, 7]
        .var    "a", 0, x6, [2, 6]
        .var    "r", 0, x2, [6, 7], offset=-8
        .var    "eps", 0, -1e-05, [0, 7]
        .var    "rows", 0, 128, [0, 7]
        .var    "f", 0, x9, [1, 3], type=f32
        .var    "f", 0, x2, [3, 5], offset=-16, type=f32
        .var    "gone", 0, 0, []
        .var    "nan", 0, nan, [0, 7]
        .var    "inf", 0, -inf, [6, 7]
        .var    "a", 1, x7, [3, 4]
        .var    "t", 2, t7, [4, 5]
        .endkernel
"""
OTHER = SOURCE.replace("scale", "other").replace("kernel.py", "other.py")


@pytest.fixture(scope="module")
def program() -> Program:
    return assemble(SOURCE, "scale.s")


@pytest.fixture(scope="module")
def two() -> Program:
    return link([assemble_object(SOURCE, "scale.s"), assemble_object(OTHER, "other.s")])


# -- what it says --------------------------------------------------------------------------------------


def test_the_stack_is_innermost_first(program: Program) -> None:
    def stack(pc: int) -> list[tuple[str, str, int, int]]:
        return [(f.function, f.file, f.line, f.column) for f in program.debug.stack(pc)]

    assert stack(0x10) == [("scale", "kernel.py", 10, 5)]
    assert stack(0x20) == [("double", "lib/helpers.py", 3, 12), ("scale", "kernel.py", 11, 9)]
    assert stack(0x30) == [
        ("square", "lib/helpers.py", 7, 9),
        ("double", "lib/helpers.py", 4, 12),
        ("scale", "kernel.py", 11, 9),
    ]
    assert [f.scope for f in program.debug.stack(0x30)] == [2, 1, 0]
    assert stack(0x50) == [("scale", "kernel.py", 11, 5)]
    assert stack(0) == stack(0x10) and stack(0x1000) == stack(-16) == []


def test_operations(program: Program) -> None:
    ops = [program.debug.op(pc) for pc in range(0, 0x70, 16)]
    add, mul = IrOp(2, "%a = add %n, %0 : index"), IrOp(5, "%b = mul %a, %1 : index")
    assert ops == [None, add, mul, None, mul, None, None]


def test_variables_by_pc_and_level(program: Program) -> None:
    debug = program.debug
    assert debug.variables(0x10) == {
        "n": Location("register", 5),
        "eps": Location("constant", 0, "f32", -1e-05),
        "rows": Location("constant", 0, "i64", 128),
        "f": Location("register", 9, "f32"),
        "nan": constant(float("nan")),
    }
    assert debug.variables(0x30)["a"] == Location("register", 7)  # the inner one hides the outer one
    assert debug.variables(0x30, 0) == {}  # square has a variable, which is not there yet
    assert debug.known(0x30, 0) == ["t"]
    assert debug.variables(0x30, 1) == {"a": Location("register", 7)}
    assert debug.variables(0x30, 2)["a"] == Location("register", 6)
    assert debug.variables(0x30)["f"] == Location("memory", 2, "f32", -16)
    assert debug.variables(0x60)["r"] == Location("memory", 2, "i64", -8)
    assert "gone" in debug.known(0x10) and "gone" not in debug.variables(0x10)


def test_ranges(program: Program) -> None:
    debug = program.debug
    assert debug.ranges("a") == [
        LiveRange(0x20, 0x60, Location("register", 6)),
        LiveRange(0x30, 0x40, Location("register", 7)),
    ]
    assert debug.ranges("a", 0x10) == [LiveRange(0x20, 0x60, Location("register", 6))]
    assert debug.ranges("a", 0x30) == [LiveRange(0x30, 0x40, Location("register", 7))]
    assert debug.ranges("a", 0x30, 2) == [LiveRange(0x20, 0x60, Location("register", 6))]
    assert [r.start for r in debug.ranges("f")] == [0x10, 0x30]
    assert debug.ranges("gone", 0x10) == debug.ranges("nobody") == []


def test_locations_as_text() -> None:
    places = [
        Location("tile", 5),
        Location("register", 7),
        Location("memory", 2, "i64", -8),
        Location("constant", 0, "f32", 0.5),
    ]
    assert [str(p) for p in places] == ["t5", "x7", "[x2-8]", "0.5"]


def test_code_without_it_says_nothing() -> None:
    debug = assemble("add x5, x5, 1\nhalt\n").debug
    assert not debug and debug.stack(0) == () and debug.op(0) is None and debug.variables(0) == {}
    assert debug.known(0) == [] and debug.ranges("x", 0) == []


# -- files ---------------------------------------------------------------------------------------------


def test_files_and_text_hold_all_of_it(program: Program) -> None:
    data = write_elf(program)
    loaded = read_elf(data)
    assert loaded.debug == program.debug and loaded.lines == program.lines
    assert write_elf(loaded) == data
    assert write_elf(assemble(disassemble(loaded))) == data


def test_the_linker_moves_it(two: Program) -> None:
    first, second = two.debug.kernels
    assert (first.entry, second.entry) == (0, 0x70) and replace(second, entry=0).variables == first.variables
    assert [f.function for f in two.debug.stack(0xA0)] == ["square", "double", "other"]
    assert [f.file for f in two.debug.stack(0xA0)] == ["lib/helpers.py", "lib/helpers.py", "other.py"]
    assert [r.start for r in two.debug.ranges("r")] == [0x60, 0xD0]
    objects = [write_object(assemble_object(s, n)) for s, n in ((SOURCE, "scale.s"), (OTHER, "other.s"))]
    assert [write_object(read_object(o)) for o in objects] == objects
    assert write_elf(link([read_object(o) for o in objects])) == write_elf(two)
    assert write_elf(assemble(disassemble(read_elf(write_elf(two))))) == write_elf(two)


def test_code_that_was_changed_is_not_described() -> None:
    changed = SOURCE.replace("        halt\n", "        drain\n        halt\n")
    found: list[Any] = []
    assert not assemble(changed, "scale.s", Options(warnings=WarningPolicy([])), found).debug
    assert [d.code for d in found] == ["W002"]


def test_long_lists_go_over_several_lines() -> None:
    runs = tuple(Run(2 * i, 2 * i + 1, 0) for i in range(250))
    places = tuple(Place(r.start, r.end, Location("register", 5)) for r in runs)
    body = "\n".join(["        add x5, x5, 1"] * 500)
    plain = assemble(f'        .file 1 "k.py"\n        .kernel k\n        .loc 1 1\n{body}\n        .endkernel\n')
    made = KernelDebug(0, 500, (Scope("k", "k.py", 1),), (), (IrOp(1, "%0"),), runs, (Variable("v", 0, places),))
    plain.debug = DebugInfo([made], plain.lines)
    text = disassemble(plain)
    assert text.count('.var    "v"') == 3 and text.count(".op ") == 3
    assert assemble(text).debug == plain.debug


# -- DWARF ---------------------------------------------------------------------------------------------


def dwarf_stacks(data: bytes) -> dict[int, list[tuple[str, int, int]]]:
    """By pc the function, and line and column of its call, of each level, innermost first, as pyelftools reads it."""
    info = ELFFile(io.BytesIO(data)).get_dwarf_info()
    (unit,) = info.iter_CUs()
    lists = info.range_lists()
    out: dict[int, list[tuple[str, int, int]]] = {}

    def name(die: Any) -> str:
        if "DW_AT_abstract_origin" in die.attributes:
            die = die.get_DIE_from_attribute("DW_AT_abstract_origin")
        return die.attributes["DW_AT_name"].value.decode()

    def visit(die: Any) -> None:
        at = die.attributes
        ranges: list[tuple[int, int]] = []
        if die.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in at:
            low = at["DW_AT_low_pc"].value
            ranges = [(low, low + at["DW_AT_high_pc"].value)]
        elif die.tag == "DW_TAG_inlined_subroutine":
            found = lists.get_range_list_at_offset(at["DW_AT_ranges"].value, unit)
            ranges = [(r.begin_offset, r.end_offset) for r in found]
        line, column = (at[k].value if k in at else 0 for k in ("DW_AT_call_line", "DW_AT_call_column"))
        for low, high in ranges:
            for pc in range(low, high, 16):
                out.setdefault(pc, []).insert(0, (name(die), line, column))
        for child in die.iter_children():
            visit(child)

    visit(unit.get_top_DIE())
    return out


def test_dwarf_says_the_same_of_inlined_calls(two: Program) -> None:
    found = dwarf_stacks(write_elf(two))
    assert len(found) == 14
    for pc, levels in found.items():
        stack = two.debug.stack(pc)
        if stack:
            assert [f for f, _, _ in levels] == [s.function for s in stack], hex(pc)
            assert [(line, column) for _, line, column in levels[:-1]] == [(s.line, s.column) for s in stack[1:]]


def test_binutils_and_llvm_read_it(two: Program, tmp_path: Path) -> None:
    path = tmp_path / "two.elf"
    path.write_bytes(write_elf(two))
    readers = [t for t in ("readelf", "llvm-dwarfdump") if shutil.which(t)]
    if not readers:
        pytest.skip("neither readelf nor llvm-dwarfdump is here")
    if "readelf" in readers:
        done = subprocess.run(["readelf", "--debug-dump=info,Ranges", path], capture_output=True, text=True, check=True)
        assert not done.stderr
        assert done.stdout.count("DW_TAG_inlined_subroutine") == 4
        assert re.search(r"DW_AT_name\s+: square", done.stdout) and re.search(r"DW_AT_call_line\s+: 11", done.stdout)
        assert "0000000000000020 0000000000000050" in done.stdout  # double, with square in it
    if "llvm-dwarfdump" in readers:
        done = subprocess.run(["llvm-dwarfdump", "--verify", path], capture_output=True, text=True, check=True)
        assert "No errors" in done.stdout and "warning" not in done.stdout, done.stdout
        text = subprocess.run(["llvm-dwarfdump", path], capture_output=True, text=True, check=True).stdout
        assert re.search(r'DW_AT_call_file\s+\(".*lib/helpers.py"\)', text)


# -- files that are damaged ------------------------------------------------------------------------------


def damaged(program: Program, change: Any) -> str:
    """What is said of a file whose .sohu.debug was changed; "" when it is taken."""
    whole = write_elf(program)
    (section,) = debug_section(program.debug.kernels)
    good = bytes(section.data)
    bad = change(bytearray(good))
    assert len(bad) == len(good)
    at = whole.index(good)
    try:
        read_elf(whole[:at] + bytes(bad) + whole[at + len(good) :], "k.elf")
    except Fault as e:
        assert e.category == "loader"
        return e.message
    return ""


def put(at: int, value: int) -> Any:
    def change(data: bytearray) -> bytearray:
        struct.pack_into("<I", data, at, value)
        return data

    return change


def record(program: Program) -> int:
    """Where in the section the first kernel begins."""
    (section,) = debug_section(program.debug.kernels)
    size = _HEADER.unpack_from(section.data)[3]
    return _HEADER.size + size + -size % 4


def test_damage_is_refused_with_a_reason(program: Program) -> None:
    first = record(program)
    scopes = first + _KERNEL.size
    runs = scopes + 3 * 28
    for at, value, says in [
        (0, 2, "it has version 2; this toolchain reads 1"),
        (4, 2, "it ends within a kernel"),
        (4, 0, "something follows its last table"),
        (8, 1, "texts, not 1"),
        (12, 0xFFFFFFF0, "it ends within its texts"),
        (first, 16, "no kernel of 7 instructions begins at 0x10"),
        (first + 4, 8, "no kernel of 8 instructions begins at 0x0"),
        (first + 8, 0xFFFFFFFF, "it ends within the description of kernel 'scale'"),
        (first + 28, 0xFFFFFFFF, "it ends within the description of kernel 'scale'"),
        (scopes, 0xFFFF, "there is no text 65535"),
        (scopes + 12, 0, "own function"),
        (scopes + 28 + 12, 5, "function 1 is called by function 5, which does not come before it"),
        (runs, 0xFFFF, "the code of its functions overlaps, is empty or is not the kernel's"),
        (runs + 8, 9, "code of one of its functions that is not there"),
    ]:
        assert says in damaged(program, put(at, value)), (at, value)


def test_any_changed_byte_is_refused_or_read(program: Program) -> None:
    """Nothing but Fault comes of it, whatever the file says."""
    (section,) = debug_section(program.debug.kernels)
    refused = 0
    for at in range(len(section.data)):
        for value in (0, 0x7F, 0xFF):

            def change(data: bytearray, at: int = at, value: int = value) -> bytearray:
                data[at] = value
                return data

            refused += bool(damaged(program, change))
    assert refused > len(section.data)


def test_a_description_that_contradicts_itself(program: Program) -> None:
    (good,) = program.debug.kernels
    assert not wrong(good)
    v = good.variables[0]
    for bad, says in [
        (replace(good, size=0), "a kernel of 0 instructions"),
        (replace(good, scopes=()), "does not begin with"),
        (replace(good, scopes=(replace(good.scopes[0], function="a b"),)), "is none"),
        (replace(good, ops=good.ops[::-1]), "out of order"),
        (replace(good, scope_runs=(Run(1, 2, 0),)), "code of one of its functions that is not there"),
        (replace(good, variables=(v, v)), "described twice"),
        (replace(good, variables=(replace(v, name="a.b"),)), "is none"),
        (replace(good, variables=(replace(v, scope=3),)), "is none"),
        (replace(good, variables=(replace(v, places=(Place(1, 9, v.places[0].location),)),)), "places of variable"),
    ]:
        assert says in wrong(bad), bad


def test_names_do_not_steer_a_terminal(program: Program) -> None:
    """Names are identifiers: what a debugger prints has no control characters in it."""
    (good,) = program.debug.kernels
    for name in ("\x1b[2J", "a\nb", "", "1a"):
        assert wrong(replace(good, variables=(Variable(name, 0, ()),)))
        assert wrong(replace(good, scopes=(Scope(name, "k.py", 1),), scope_runs=(), variables=()))
