"""Blocks compiled to functions: they do what single instructions do, and stop where those stop."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import Program, assemble
from sohu.emulator import Device, Listener, MachineError, Stop, blocks, codegen, inline
from sohu.isa import ROWS, Engine, Flow
from sohu.isa.operands import XI, FImm, Imm, X, XOut

from tests.emulator.support import after_prologue, random_floats


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block is compiled when it is first reached."""
    monkeypatch.setattr(blocks, "HOT", 0)


def state(program: Program, *, slow: bool, args: Any = ()) -> tuple[Any, ...]:
    """Registers, semaphores and count after a kernel, and what stopped it."""
    device = Device("small", output=lambda _: None)
    if slow:
        device.machine.listeners.append(Listener())
    error = None
    try:
        device.launch(program, "k", args)
    except MachineError as e:
        error = (e.category, e.pc, e.message)
    m = device.machine
    return m.x[:], m.sems[:], m.instructions, error, m.pc, [(f.start, f.end, f.left) for f in m.loops]


def alike(source: str) -> tuple[Any, ...]:
    program = assemble(f" .kernel k\n{source}\n halt\n .endkernel\n", "k.s")
    fast, slow = state(program, slow=False), state(program, slow=True)
    assert fast == slow
    return fast


SCALARS = [r for r in ROWS if r.engine is Engine.SEQ and r.flow is Flow.NEXT and not r.data and not r.takes_machine]
SCALARS = [r for r in SCALARS if any(isinstance(o.kind, XOut) for o in r.operands) and "t" not in r.mnemonic[:1]]
EDGES = [0, 1, -1, 2, 63, 64, -64, (1 << 31) - 1, -(1 << 31), (1 << 63) - 1, -(1 << 63), 0x3F800000, 0x7FC00000]


@pytest.mark.parametrize("row", SCALARS, ids=lambda r: r.mnemonic)
def test_scalar_rows(row: Any) -> None:
    """With registers and immediates, at the edges of 64 bits."""
    rng = random.Random(row.opcode)
    lines = []
    for n in range(60):
        a, b = rng.choice(EDGES), rng.choice([e for e in EDGES if e or row.mnemonic not in ("div", "rem")])
        lines += [f" li x5, {a}", f" li x6, {b}"]
        text, registers = [], ["x5", "x6"]
        for o in row.operands:
            if isinstance(o.kind, XOut):
                text.append(f"x{7 + n % 20}" if 7 + n % 20 != 10 else "x7")
            elif isinstance(o.kind, FImm):
                text.append(rng.choice(["1.5", "-inf", "nan"]))
            elif isinstance(o.kind, Imm):
                text.append(str(rng.randint(0, 1)))
            elif type(o.kind) is XI and rng.random() < 0.4:
                text.append(str(max(min(b, (1 << 31) - 1), -(1 << 31)) or 1))
            elif isinstance(o.kind, (X, XI)):
                text.append(registers.pop(0) if registers else "x5")
            else:
                pytest.skip(f"{o.name} is no scalar")
        lines.append(f" {row.mnemonic} {', '.join(text)}")
    alike("\n".join(lines))


def test_most_scalar_rows_are_inlined() -> None:
    simple = [r.mnemonic for r in SCALARS if inline.expression(r.semantics) is not None]
    assert {"add", "sub", "mul", "and", "slt", "div", "fadd"} <= set(simple)


CONTROL = {
    "a loop of one block": " li x5, 7\n li x6, 0\n1: add x6, x6, 3\n sub x5, x5, 1\n bne x5, 0, 1b\n",
    "a loop ends with a nop": " li x6, 0\n loop 5, e\n add x6, x6, 1\n nop\ne: add x6, x6, 10\n",
    "a loop is one nop": " loop 5, e\n nop\ne: add x6, x6, 10\n",
    "loops in loops end together": " loop 3, e\n add x5, x5, 1\n loop 4, e\n loop 2, e\n add x7, x7, 1\ne:\n",
    "a loop ends with a branch": " loop 6, e\n add x5, x5, 1\n and x6, x5, 1\n beq x6, 0, e\ne: add x7, x7, 1\n",
    "a branch leads to the end": " loop 6, e\n add x5, x5, 1\n and x6, x5, 1\n beq x6, 0, e\n add x8, x8, 1\ne:\n",
    "a loop that is skipped": " li x5, -3\n loop x5, e\n add x6, x6, 1\ne: add x7, x7, 1\n",
    "calls": " call f\n call f\n j e\nf: add x11, x11, 5\n ret\ne: add x12, x12, 1\n",
    "a call in a loop": " loop 4, e\n call f\ne: j out\nf: add x11, x11, 1\n ret\nout: nop\n",
    "wrapping": " li x5, 0x7fffffffffffffff\n add x6, x5, 1\n mul x7, x5, x5\n sll x8, x5, 3\n sub x9, x6, 1\n",
    "x0 stays zero": " add x0, x0, 5\n add x5, x0, 1\n li x0, 9\n",
    "division by zero in a loop": " li x5, 3\n1: sub x5, x5, 1\n div x6, 12, x5\n j 1b\n".replace("12", "x5"),
    "a trap": " loop 3, e\n add x5, x5, 1\n nop\ne: trap 7\n",
    "loops too deep": " loop 2, e\n" * 9 + " nop\ne: nop\n",
    "semaphores": " li x5, 40\n1: mxu.sync signal s3 += 5\n vpu.sync wait s3>=5\n sub x5, x5, 1\n bne x5, 0, 1b\n",
    "parked": " loop 6, e\n vpu.sync wait s3>=1 signal s5\n add x5, x5, 1\ne: mxu.sync signal s3\n drain\n",
    "deadlock by a full queue": " loop 20, e\n vpu.sync wait s3>=1\ne: nop\n",
    "a semaphore passes its limit": " li x5, 17000000\n loop x5, e\n mxu.sync signal s1 += 255\ne: nop\n",
}


@pytest.mark.parametrize("name", [n for n in CONTROL if "limit" not in n])
def test_control(name: str) -> None:
    alike(CONTROL[name])


def test_a_semaphore_is_watched_in_compiled_loops() -> None:
    program = assemble(f" .kernel k\n{CONTROL['a semaphore passes its limit']} halt\n", "k.s")
    *_, error, _, _ = state(program, slow=False)
    assert error is not None and error[0] == "semaphore" and "s1 passes" in error[2]


LOOP = " .kernel k\n li x5, 0\n1: add x5, x5, 1\n add x6, x6, 2\n bge x5, 0, 1b\n halt\n"


@pytest.mark.parametrize("limit", [1, 2, 100, 199, 200, 201, 202, 203, 1000, 12345])
def test_a_limit_is_exact(limit: int) -> None:
    device = Device("small", max_instructions=limit)
    with pytest.raises(MachineError) as e:
        device.launch(assemble(LOOP, "k.s"), "k")
    m = device.machine
    assert e.value.category == "limit" and m.instructions == limit
    assert m.pc == 16 * (1 + (limit - 1) % 3) and e.value.pc == m.pc
    assert m.x[5] == (limit + 1) // 3


def test_stops_within_a_compiled_loop() -> None:
    device = Device("small")
    device.start(assemble(LOOP, "k.s"), "k")
    m = device.machine
    for n in range(1, 5):
        assert m.run({32}) is Stop.BREAKPOINT and (m.pc, m.x[5], m.x[6]) == (32, n, 2 * n - 2)
    assert m.run({16}) is Stop.BREAKPOINT and (m.pc, m.x[5], m.x[6]) == (16, 4, 8)
    assert m.instructions == 1 + 3 * 4


def test_an_endless_loop_is_interrupted() -> None:
    device = Device("small")
    device.start(assemble(LOOP, "k.s"), "k")
    m = device.machine
    for _ in range(3):
        before = m.instructions
        timer = threading.Timer(0.1, m.interrupt)
        timer.start()
        began = time.monotonic()
        assert m.run() is Stop.INTERRUPTED and time.monotonic() - began < 5
        assert m.instructions > before and (m.instructions - 1) % 3 == (m.pc - 16) // 16
        assert m.x[6] == 2 * (m.x[5] if m.pc != 32 else m.x[5] - 1)


def test_tile_rows_and_engines_in_a_loop() -> None:
    """Sizes and starts from registers, scalars at issue, conversion of dtypes: as single instructions do it."""
    source = """
        .kernel k
        .param x, in, bf16, [40, 24]
        .param y, out, f32, [40, 24]
        .tile a, sram, bf16, [8, 24]
        .tile b, sram, f32, [8, 24]
        li x5, 0
        lf x7, 0.5
        loop 5, e
        tslice t40, x, 0, x5, 8
        tset a, a, 0, 8
        dma.load a, t40                        signal s0
        vmuls b, a, x7         wait s0>=x6+1   signal s1
        fadd x7, x7, 0.25
        tslice t41, y, 0, x5, 8
        dma.store t41, b       wait s1>=x6+1
        add x6, x6, 1
        add x5, x5, 8
e:      drain
        halt
    """
    program = assemble(source, "k.s")
    x = random_floats((40, 24)).astype(ml_dtypes.bfloat16)
    got = []
    for slow in (False, True):
        device = Device("small")
        if slow:
            device.machine.listeners.append(Listener())
        for _ in range(3):
            got.append(device.launch(program, "k", [x]).outputs["y"].numpy())
    scale = np.repeat(0.5 + 0.25 * np.arange(5, dtype=np.float32), 8)[:, None]
    assert all(np.array_equal(g, x.astype(np.float32) * scale) for g in got)


def test_faults_of_operands_name_their_instruction() -> None:
    source = """
        .kernel k
        .tile a, sram, f32, [8, 8]
        .tile b, sram, f32, [8, 4]
        li x5, 3
1:      vadds a, a, 1.0
        sub x5, x5, 1
        bne x5, 0, 1b
        vfill a, 1.0
        vadd a, a, b
        vfill a, 2.0
        halt
    """
    program = assemble(source, "k.s")
    fast, slow = state(program, slow=False), state(program, slow=True)
    assert fast == slow and fast[3][0] == "operand" and fast[3][1] == fast[4]


def test_blocks_end_at_their_longest() -> None:
    count = 3 * blocks.LONGEST + 17
    fast = alike(" add x5, x5, 1\n" * count)
    assert fast[0][5] == count and fast[2] == count + 1


def test_starting_within_a_block() -> None:
    device = Device("small")
    program = assemble(" .kernel k\n" + " add x5, x5, 1\n" * 10 + " halt\n", "k.s")
    after_prologue(device, program)
    for _ in range(4):
        device.machine.step()
    assert device.machine.run() is Stop.HALTED and device.machine.x[5] == 10 and device.machine.instructions == 11


def test_generated_source_holds_only_integers_of_a_program() -> None:
    """A program's own words reach generated code as integers; nothing else of it does."""
    seen: list[str] = []
    original = codegen.function

    def record(parameters: Any, lines: Any, constants: Any) -> Any:
        seen.extend(lines)
        return original(parameters, lines, constants)

    program = assemble(
        ' .kernel k\n .tile import_os, sram, f32, [4]\n dbg.print "__import__(1)", x5\n vfill import_os, 1.0\n halt\n',
        "k.s",
    )
    with pytest.MonkeyPatch.context() as m:
        m.setattr(blocks, "function", record)
        Device("small", output=lambda _: None).launch(program, "k")
    assert seen and not any("import" in line for line in seen)
