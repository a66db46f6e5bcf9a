"""Every category of fault, planted: pc, source line, operand and message are right, on both paths."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import Kernel, Program, assemble
from sohu.emulator import Device, Listener, MachineError
from sohu.emulator.checks import CHECKS
from sohu.emulator.schedules import Spec
from sohu.isa import CATEGORIES, ROWS, Inst, encode

from tests.emulator.support import kernel, random_floats, run, stopped

A = ".tile a, sram, f32, [4, 8]\n"
INTEGERS = ".tile a, sram, i32, [4]\n"
H = ".param h, in, f32, [R, C]\n"

# category, body (the marked line is at fault), declarations, operand, a piece of the message
PLANTED: list[tuple[str, str, str, str, str]] = [
    ("out-of-bounds", "vexp a, a  #!", ".tile a, sram, f32, [1024], at=1047552", "dst", "sram ends at 0x100000"),
    ("out-of-bounds", "tslice t20, h, 0, 1, 4\n tbase t21, t20, x0\n dma.load a, t21  #!", H + A,
     "src", "not allocated"),
    ("out-of-bounds", "tset t20, h, 0, 9\n dma.load a, t20  #!", H + ".tile a, sram, f32, [9, 4]",
     "src", "past the end of h"),
    ("out-of-bounds", "ld x5, x0, 0  #!", "", "", "not allocated"),
    ("out-of-bounds", "li x5, -8\n ld x5, x5, 0  #!", "", "", "not allocated"),
    ("out-of-bounds", "sd x5, sp, 0  #!", "", "", "not allocated"),
    ("out-of-bounds", "tslice t20, h, 0, -1, 4  #!", H, "", "starts before the tile"),
    ("out-of-bounds", "vfill i, 9.0\n dma.gather g, h, i  #!",
     H + ".tile i, sram, i32, [2]\n.tile g, sram, f32, [2, 4]",
     "index", "index[0] = 9 is outside a table of 4 rows"),
    ("out-of-bounds", "li x1, 4096\n ret  #!", "", "", "no instruction to return to"),
    ("out-of-bounds", "ret  #!", "", "", "no instruction to return to"),
    ("misaligned", "li x1, 8\n ret  #!", "", "", "no instruction to return to"),
    ("misaligned", "ld x5, sp, -4  #!", "", "", "no multiple of 8"),
    ("misaligned", "sd x5, sp, -12  #!", "", "", "no multiple of 8"),
    ("misaligned", "tld t5, sp, -60  #!", "", "", "no multiple of 8"),
    ("misaligned", "tst a, sp, -65  #!", A, "", "no multiple of 8"),
    ("misaligned", "li x5, 2\n tbase t20, a, x5\n vexp t20, t20  #!", A, "dst", "base is no multiple of 4"),
    ("operand", "vexp t20, a  #!", A, "dst", "t20 holds no tile"),
    ("operand", "tslice t21, t20, 0, 0, 1  #!", "", "src", "t20 holds no tile"),
    ("operand", "vexp b, a  #!", A + ".tile b, sram, i32, [4, 8]", "dst", "has dtype i32, vexp takes bf16, f16, f32"),
    ("operand", "vexp h, a  #!", H + A, "dst", "is in hbm, vexp wants it in sram or acc"),
    ("operand", "dma.load a, a  #!", A, "src", "is in sram, dma.load wants it in hbm"),
    ("operand", "vadd a, a, b  #!", A + ".tile b, sram, f32, [4, 7]", "b", "does not broadcast"),
    ("operand", "vadd a, a, b  #!", A + ".tile b, sram, i32, [4, 8]", "", "mixes integers and floats"),
    ("operand", "mm c, a, a  #!", A + ".tile c, acc, f32, [4, 8]", "b", "does not fit K=8 in a"),
    ("operand", "vsum.row a, a  #!", A, "dst", "does not fit size 1"),
    ("operand", "sld x5, a  #!", A, "src", "the tile has 32"),
    ("operand", "li x20, -3\n vexp a, a  #!", ".tile a, sram, f32, [x20<=4]", "dst", "x20 holds -3"),
    ("operand", "tld t5, sp, -64  #!", "", "", "no tile descriptor"),
    ("operand", "vfill a, nan  #!", INTEGERS, "value", "nan is no whole number in the range of i32"),
    ("operand", "vadds a, a, 2.5  #!", INTEGERS, "value", "2.5 is no whole number"),
    ("operand", "vmuls a, a, -1e10  #!", INTEGERS, "value", "is no whole number in the range"),
    ("operand", "vmaxs a, a, inf  #!", INTEGERS, "value", "inf is no whole number"),
    ("operand", "vmins a, a, 2147483648  #!", INTEGERS, "value", "in the range of i32"),
    ("operand", "lf x20, 0.5\n vrsubs a, a, x20  #!", INTEGERS, "value", "0.5 is no whole number"),
    *(("operand", f"{row} d, e  #!", f".tile d, sram, {t}, [{shape}]\n.tile e, sram, f32, {empty}", "src", "no largest")
      for row, t, shape, empty in (
          ("vmax.row", "f32", "2, 1", [2, 0]), ("vmin.row", "f32", "2, 1", [2, 0]),
          ("vargmax.row", "i32", "2, 1", [2, 0]),
          ("vmax.col", "f32", "1, 2", [0, 2]), ("vmin.col", "f32", "1, 2", [0, 2]),
      )),
    ("operand", "loop 1, 9f\n" * 9 + "nop\n9:", "", "", "nest deeper than 8"),
    ("operand", "vexp a, a  #!", ".tile a, sram, f32, [4, 4], strides=[0, 1]", "dst", "elements overlap"),
    ("operand", "vexp a, a  #!", ".tile a, sram, f32, [4, 4], strides=[2, 1]", "dst", "elements overlap"),
    ("operand", "vosm p, p, m, m, o, x0, x0, x0  #!",
     ".tile p, sram, f32, [2, 3]\n.tile m, sram, f32, [2, 1]\n.tile o, sram, f32, [2, 5]", "l", "overlaps m"),
    ("read-only", "sd x5, gp, 0  #!", "", "", "which a program may only read"),
    ("read-only", "sd x5, args, 0  #!", "", "", "the parameter block"),
    ("read-only", "tst a, args, 0  #!", A, "", "the parameter block"),
    ("read-only", "tbase t20, h, gp\n dma.store t20, a  #!", ".param h, in, f32, [R]\n.tile a, sram, f32, [4]",
     "dst", "the program"),
    ("deadlock", "sync wait s1>=1  #!", "", "", "for s1 >= 1, which is 0"),
    ("deadlock", "sld x5, a wait s1>=1  #!", ".tile a, sram, f32, [1]", "", "for s1 >= 1, which is 0"),
    ("deadlock", "vfill a, 1.0 wait s1>=2\n drain  #!", A, "", "VPU at pc 0x0010 (k.s:4)"),
    ("semaphore", "loop 2, 9f\n vfill a, 1.0 wait s1>=1\n semreset s2  #!\n9:", A, "", "engines may be at work"),
    ("semaphore", "vpu.sync signal s1\n sync wait s1>=1\n semreset s1  #!", "", "", "engines may be at work"),
    ("semaphore", "vpu.sync\n drain\n loop 2, 9f\n semreset s1  #!\n dma.sync\n9:", "", "", "engines may be"),
    ("trap", "trap 77  #!", "", "", "code 77"),
    ("trap", "div x5, x5, x0  #!", "", "", "division by zero"),
    ("assert", 'dbg.assert x0, "x0 is never set"  #!', "", "", "x0 is never set"),
]  # fmt: skip


def _expected_line(text: str) -> int | None:
    marked = [i for i, line in enumerate(text.splitlines(), 1) if "#!" in line]
    return marked[0] if marked else None


def _device(path: str) -> Device:
    schedule: Spec = {"random": 5, "timed": "timed"}.get(path)  # type: ignore[assignment]
    device = Device("small", schedule=schedule)
    if path == "observed":
        device.machine.listeners.append(Listener())
    return device


@pytest.mark.parametrize("path", ["fast", "observed", "random", "timed"])
@pytest.mark.parametrize(("category", "body", "decl", "operand", "message"), PLANTED)
def test_planted_faults(category: str, body: str, decl: str, operand: str, message: str, path: str) -> None:
    text = f" .kernel k\n{decl}\n{body}\n halt\n"
    args: dict[str, Any] = {}
    if "param h, in, f32, [R, C]" in decl:
        args["h"] = random_floats((4, 4))
    elif "param h" in decl:
        args["h"] = random_floats((4,))
    device = _device(path)
    with pytest.raises(MachineError) as info:
        device.launch(assemble(text, "k.s"), "k", args)
    e = info.value
    assert e.category == category and e.operand == operand and message in e.message, str(e)
    assert device.machine.fault is e and not device.machine.halted
    assert e.line is not None
    if (line := _expected_line(text)) is not None:
        assert e.line.line == line, str(e)
    assert str(e).startswith(f"k.s:{e.line.line}: error[{category}]: ")
    assert f"  pc {e.pc:#06x}: " in str(e)
    assert e.exit_code == 3


def test_all_categories_of_running_programs_are_planted() -> None:
    planted = {p[0] for p in PLANTED} | {"limit", "illegal-instruction", "reserved-bits"}
    of_checkers = {c.category for c in CHECKS.values()}  # planted in tests/emulator/bugs
    assert planted | of_checkers == set(CATEGORIES) - {"loader", "collective"}  # test_divergence.py plants that one


def _binary(*words: int) -> Program:
    text = b"".join(w.to_bytes(16, "little") for w in words)
    return Program(text, kernels={"k": Kernel("k", 0, len(text))}, name="k.elf")


HALT = encode(Inst(ROWS["halt"], ()))
NOP = encode(Inst(ROWS["nop"], ()))


@pytest.mark.parametrize("path", ["fast", "observed", "random"])
@pytest.mark.parametrize(
    ("word", "category", "message"),
    [
        (0, "illegal-instruction", "opcode 0x000"),
        (0xABC, "illegal-instruction", "opcode 0xabc"),
        (HALT | 1 << 127, "reserved-bits", "reserved bits 127"),
    ],
)
def test_what_is_no_instruction_faults_only_when_it_is_reached(
    word: int, category: str, message: str, path: str
) -> None:
    _device(path).launch(_binary(NOP, HALT, word), "k")
    with pytest.raises(MachineError) as info:
        _device(path).launch(_binary(NOP, word, HALT), "k")
    e = info.value
    assert (e.category, e.pc, e.line) == (category, 16, None) and message in e.message
    assert str(e).startswith(f"pc 0x0010: error[{category}]")


def test_running_off_the_end_of_text() -> None:
    with pytest.raises(MachineError, match="ran past the end") as info:
        Device("small").launch(_binary(NOP), "k")
    assert (info.value.category, info.value.pc) == ("out-of-bounds", 16)


def test_semaphores_do_not_wrap() -> None:
    device = Device("small")
    device.start(kernel("sync signal s3+=200"), "k")
    device.machine.sems[3] = 2**32 - 200
    with pytest.raises(MachineError, match="s3 passes 4294967295") as info:
        device.machine.run()
    assert info.value.category == "semaphore"
    device.start(kernel("sync signal s3+=200"), "k")
    device.machine.sems[3] = 2**32 - 201
    device.machine.run()
    assert device.machine.sems[3] == 2**32 - 1


@pytest.mark.parametrize("path", ["fast", "observed", "random"])
def test_the_instruction_limit(path: str) -> None:
    device = _device(path)
    device.machine.max_instructions = 10_000
    with pytest.raises(MachineError, match="10,000 instructions have run") as info:
        device.launch(kernel("again: add x5, x5, 1\n j again"), "k")
    assert info.value.category == "limit"
    assert device.machine.instructions == 10_000 and device.machine.x[5] == 5_000
    device.machine.max_instructions = 3
    assert device.launch(kernel("nop\n nop"), "k").instructions == 3


def test_a_fault_in_a_parked_instruction_names_that_instruction() -> None:
    body = "dma.gather g, h, i wait s1>=1\n nop\n vfill i, 7.0 signal s1"
    decl = H + ".tile i, sram, i32, [2]\n.tile g, sram, f32, [2, 4]"
    e = stopped(body, decl, [random_floats((4, 4))])
    assert e.instruction.startswith("dma.gather g, h, i") and e.pc == 3 * 16 and e.operand == "index"


def test_after_a_fault_the_state_is_there_and_the_device_goes_on() -> None:
    device = Device("small")
    stopped("li x5, 3\n trap 1\n li x5, 4", device=device)
    assert device.machine.x[5] == 3 and device.machine.pc == 16
    device, result = run("li x5, 4", device=device)
    assert device.machine.x[5] == 4 and device.machine.fault is None and result.instructions == 2


def test_the_message_shows_the_source_line(tmp_path: Path) -> None:
    source = tmp_path / "bad.s"
    source.write_text(" .kernel k\n .tile a, sram, f32, [4, 8]\n        vexp   a, t20    # here\n halt\n")
    with pytest.raises(MachineError) as info:
        Device("small").launch(assemble(source.read_text(), str(source)), "k")
    text = re.sub(r"\n +\| +\^", "", str(info.value)).replace(str(source), "bad.s")
    assert text.splitlines() == [
        "bad.s:3: error[operand]: operand src: t20 holds no tile",
        "    3 |         vexp   a, t20    # here",
        "  pc 0x0010: vexp a, t20",
        "  help: load a descriptor with tld first",
    ]


def test_a_freed_tensor_is_unmapped_even_for_code_that_has_used_it() -> None:
    device = Device("small")
    x = device.tensor(np.ones((4, 8), np.float32), "x")
    program = kernel("again: dma.load a, h\n sub x20, x20, 1\n j again", H + A)
    device.start(program, "k", [x])
    m = device.machine
    assert m.run(lambda m: m.x[20] == -3)
    x.free()
    with pytest.raises(MachineError, match="not allocated") as info:
        m.run()
    assert info.value.category == "out-of-bounds" and info.value.operand == "src"
