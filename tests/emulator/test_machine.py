"""The sequencer: scalars, control flow, descriptors, the state at entry; stepping, breakpoints, listeners."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sohu.emulator import Device, Issued, Listener, Machine, Op, Stop
from sohu.isa import SohuError, Space, Tile, f32

from tests.emulator.support import after_prologue, kernel, named, random_floats, registers, run

MAX, MIN = (1 << 63) - 1, -(1 << 63)


@pytest.mark.parametrize(
    ("instruction", "result"),
    [
        ("add x7, x5, x6", 4),
        ("add x7, x5, -8", -1),
        ("sub x7, x6, x5", -10),
        ("mul x7, x5, x6", -21),
        ("div x7, x6, 2", -2),
        ("rem x7, x6, 2", 1),
        ("min x7, x5, x6", -3),
        ("max x7, x5, x6", 7),
        ("and x7, x5, 5", 5),
        ("or x7, x5, 8", 15),
        ("xor x7, x5, x6", 7 ^ -3),
        ("sll x7, x5, 65", 14),
        ("sra x7, x6, 1", -2),
        ("slt x7, x6, x5", 1),
        ("seq x7, x6, x5", 0),
        ("mv x7, x6", -3),
        ("add x7, x8, 1", MIN),
        ("mul x7, x8, 2", -2),
        ("sll x7, x5, 63", MIN),
        ("sub x7, x9, 1", MAX),
        ("div x7, x9, -1", MIN),
        ("lf x7, 1.0", 0x3F800000),
        ("chipid x7", 0),
    ],
)
def test_scalar_arithmetic_wraps_at_64_bits(instruction: str, result: int) -> None:
    setup = f"li x5, 7\n li x6, -3\n li x8, {MAX}\n li x9, {MIN}\n"
    assert registers(setup + instruction, 7) == [result]


def test_x0_reads_zero_whatever_is_written() -> None:
    assert registers("li x0, 5\n add x0, x0, 3\n add x5, x0, 1", 0, 5) == [0, 1]


@pytest.mark.parametrize(
    ("branch", "taken"),
    [("beq x5, x5", 1), ("beq x5, x6", 0), ("bne x5, 3", 0), ("blt x6, x5", 1), ("blt x5, 3", 0), ("bge x5, 3", 1)],
)
def test_branches(branch: str, taken: int) -> None:
    assert registers(f"li x5, 3\n li x6, -3\n {branch}, 1f\n j 2f\n1: li x7, 1\n2:", 7) == [taken]


def test_loops_nest_and_share_an_end() -> None:
    body = """
        loop 3, 9f
          add x5, x5, 1
          loop 4, 9f
            loop 2, 9f
              add x6, x6, 1
        9:
    """
    assert registers(body, 5, 6) == [3, 24]


@pytest.mark.parametrize("count", [0, -1])
def test_a_loop_of_no_rounds_is_skipped(count: int) -> None:
    assert registers(f"li x5, {count}\n loop x5, 9f\n add x6, x6, 1\n9: add x7, x7, 1", 6, 7) == [0, 1]


def test_an_inner_loop_of_no_rounds_still_ends_the_outer_round() -> None:
    assert registers("loop 3, 9f\n add x5, x5, 1\n loop 0, 9f\n add x6, x6, 1\n9:", 5, 6) == [3, 0]


def test_an_empty_loop_body_does_nothing() -> None:
    device, _ = run("loop 5, 9f\n9: add x5, x5, 1")
    assert device.machine.x[5] == 1 and device.machine.loops == []


def test_a_branch_to_the_end_label_goes_on_with_the_next_round() -> None:
    body = "loop 5, 9f\n add x5, x5, 1\n beq x5, 3, 9f\n add x6, x6, 1\n9:"
    assert registers(body, 5, 6) == [5, 4]


def test_a_function_called_from_a_loop_has_loops_of_its_own() -> None:
    body = """
        loop 3, 9f
          call double
        9:
        halt
    double:
        loop 2, 8f
          add x5, x5, 1
        8:
        ret
    """
    assert registers(body, 5) == [6]


def test_the_stack_keeps_return_addresses() -> None:
    body = """
        li x5, 10
        call sum
        halt
    sum:
        bne x5, 0, 1f
        ret
    1:  add x6, x6, x5
        sub x5, x5, 1
        sub sp, sp, 16
        sd ra, sp, 0
        call sum
        ld ra, sp, 0
        add sp, sp, 16
        ret
    """
    assert registers(body, 6) == [55]


def test_state_at_entry() -> None:
    device = Device("small")
    dirty = "li x9, 9\n tld t9, gp, 4096\n vfill t9, 1.0 signal s9\n halt\n .rodata\n .align 64\n"
    program = kernel("sync wait s1>=0", ".param n, i64\n.tile a, sram, f32, [4]")
    device.launch(kernel("li x9, 9\n vfill a, 1.0 signal s9", ".tile a, sram, f32, [4], reg=t9"), "k")
    assert dirty and device.machine.x[9] == 9 and device.machine.sems[9] == 1
    device.start(program, "k", [7])
    m = device.machine
    loaded = device.load(program)
    at_entry = {1: -16, 2: device._stack.end, 3: loaded.address, 10: device._parameters.start}
    assert m.x == [at_entry.get(i, 0) for i in range(32)]
    assert m.t == [None] * 64 and m.sems == [0] * 64 and m.loops == [] and m.pc == 0
    assert m.x[2] % 64 == 0 and m.x[3] % 4096 == 0 and m.x[10] % 64 == 0
    assert m.load64(m.x[10]) == 7


def test_descriptors_are_made_read_and_stored() -> None:
    body = """
        tslice t10, h, 0, 1, 2
        tswap  t11, t10, 0, 1
        tinsert t12, t11, 0
        tdrop  t13, t12, 0
        tget   x5, t13, 0
        tset   t14, t13, 1, 1
        taddr  x6, t10
        add    x7, x6, 4
        tbase  t15, t14, x7
        sub    sp, sp, 64
        tst    t15, sp, 0
        tld    t16, sp, 0
        tmv    t17, t16
    """
    device, _ = run(body, ".param h, in, f32, [R, C]", [random_floats((3, 5))])
    t, x = device.machine.t, device.machine.x
    base = x[6] - 20
    assert t[13] == Tile(Space.HBM, f32, base + 20, (5, 2), (1, 5)) and x[5] == 5
    assert t[17] == t[16] == t[15] == Tile(Space.HBM, f32, base + 24, (5, 1), (1, 5))


def test_sizes_come_from_registers_when_the_instruction_issues() -> None:
    body = """
        vfill a, 0.0
        li x20, 2
        vfill a_, 1.0
        li x20, 4
        tget x5, a_, 0
        tmv t30, a_
        li x20, 1
        vfill a_, 2.0
    """
    tiles = ".tile a, sram, f32, [6], at=0\n.tile a_, sram, f32, [x20<=6], at=0"
    device, _ = run(body, tiles)
    assert named(device.machine, "a").tolist() == [2, 1, 0, 0, 0, 0]
    assert device.machine.x[5] == 4
    assert device.machine.t[30] == Tile(Space.SRAM, f32, 0, (4,))  # a copy has the sizes of its moment


def test_sld_reads_integers_and_the_bits_of_floats() -> None:
    decl = ".tile i, sram, i32, [1, 1]\n.tile b, sram, bf16, [1]\n.tile u, sram, u8, [1]\n.tile f, acc, f32, [1]"
    device = Device("small")
    program = kernel("sld x5, i\n sld x6, b\n sld x7, u\n sld x8, f", decl)
    after_prologue(device, program)
    for name, value in (("i", -5), ("b", 1.5), ("u", 200), ("f", -2.0)):
        named(device.machine, name)[...] = value
    device.machine.run()
    assert device.machine.x[5:9] == [-5, 0x3FC00000, 200, 0xC0000000]


def test_what_a_program_prints_reaches_the_host() -> None:
    lines: list[str] = []
    device = Device("small", output=lines.append)
    body = """
        li x5, 42
        vfill a, 1.5
        dbg.print "x5 = ", x5
        dbg.printt "a = ", a
        dbg.mark "here"
        dbg.assert x5, "no"
    """
    run(body, ".tile a, sram, bf16, [2]", device=device)
    assert lines == ["x5 = 42", "a = [1.5 1.5]"]


# -- running in pieces ------------------------------------------------------------------------------------

COUNT = "li x5, 0\nagain: add x5, x5, 1\n blt x5, 10, again\n li x6, 1"


def test_steps_are_single_instructions() -> None:
    device = Device("small")
    program = kernel(COUNT)
    device.start(program, "k")
    m = device.machine
    pcs = []
    while not m.halted:
        pcs.append(m.pc)
        m.step()
    assert pcs[:4] == [0, 16, 32, 16] and len(pcs) == m.instructions == 23 and m.x[5] == 10
    with pytest.raises(SohuError, match="has halted"):
        m.step()


def test_run_stops_before_a_breakpoint_and_goes_on_from_it() -> None:
    device = Device("small")
    device.start(kernel(COUNT), "k")
    m = device.machine
    assert m.run({16}) is Stop.BREAKPOINT and (m.pc, m.x[5], m.instructions) == (16, 0, 1)
    assert m.run({16}) is Stop.BREAKPOINT and (m.pc, m.x[5], m.instructions) == (16, 1, 3)
    assert m.run(lambda m: m.x[5] == 7) is Stop.BREAKPOINT and m.x[5] == 7
    assert m.run({4096}) is Stop.HALTED and m.x[6] == 1 and m.instructions == 23
    assert m.run() is Stop.HALTED
    assert device.finish().instructions == 23


def test_the_pc_after_a_body_is_its_start_until_the_last_round() -> None:
    device = Device("small")
    device.start(kernel("loop 2, 9f\n nop\n nop\n9:"), "k")
    m = device.machine
    pcs = []
    while not m.halted:
        pcs.append(m.pc // 16)
        m.step()
    assert pcs == [0, 1, 2, 1, 2, 3]


@pytest.mark.parametrize("until", [None, frozenset({10**6}), lambda m: False])
def test_an_interrupt_comes_back_between_instructions(until: Any) -> None:
    device = Device("small")
    m = device.machine
    interrupts = iter([True])

    def output(_: str) -> None:
        if next(interrupts, False):
            m.interrupt()

    m.output = output
    device.start(kernel('dbg.print "go", x0\nagain: add x5, x5, 1\n blt x5, 20000, again'), "k")
    assert m.run(until) is Stop.INTERRUPTED
    assert not m.halted and m.x[5] < 20000
    assert m.run() is Stop.HALTED and m.x[5] == 20000 and m.instructions == 40002


def test_ctrl_c_leaves_a_usable_machine() -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    device = Device("small", output=interrupted)
    with pytest.raises(KeyboardInterrupt):
        device.launch(kernel('li x5, 1\n dbg.print "x", x5'), "k")
    assert device.machine.pc == 16 and device.machine.x[5] == 1
    assert device.launch(kernel(COUNT), "k").instructions == 23


class Recorder(Listener):
    """Writes down all it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int]] = []

    def will_issue(self, machine: Machine, op: Op) -> None:
        assert machine.pc == op.pc
        self.events.append(("will issue", op.index))

    def did_issue(self, machine: Machine, op: Op) -> None:
        self.events.append(("did issue", op.index))

    def will_execute(self, machine: Machine, issued: Issued) -> None:
        self.events.append(("will execute", issued.op.index))

    def did_execute(self, machine: Machine, issued: Issued) -> None:
        self.events.append(("did execute", issued.op.index))


def test_a_listener_hears_issue_and_execution_apart() -> None:
    device = Device("small")
    program = kernel("vfill a, 1.0 wait s1>=1\n nop\n dma.sync signal s1", ".tile a, sram, f32, [4]")
    device.start(program, "k")
    recorder = Recorder()
    device.machine.listeners.append(recorder)
    device.machine.run()
    expected = []
    for issues, executes in ((0, []), (1, []), (2, []), (3, [3, 1]), (4, [])):
        expected += [("will issue", issues), ("did issue", issues)]
        for i in executes:
            expected += [("will execute", i), ("did execute", i)]
    assert recorder.events == expected


@pytest.mark.parametrize("schedule", [None, 3])
@pytest.mark.parametrize("timing", [False, True])
def test_listening_changes_nothing(schedule: int | None, timing: bool) -> None:
    x = random_floats((7, 8))
    body = """
        loop 3, 9f
          dma.load a, h signal s1
          add x5, x5, 1
          vexp a, a wait s1>=x5 signal s2
          dma.store o, a wait s2>=x5 signal s3
          sync wait s3>=x5
        9:
    """
    decl = ".param h, in, f32, [R, C]\n.param o, out, f32, [R, C]\n.tile a, sram, f32, [7, 8]"
    results = []
    for listen in (False, True):
        device = Device("small", schedule=schedule, timing=timing)
        if listen:
            device.machine.listeners.append(Recorder())
        r = device.launch(kernel(body, decl), "k", [x])
        results.append((r.outputs["o"].numpy().tobytes(), r.instructions, r.cycles, list(device.machine.x)))
    assert results[0] == results[1]
    assert np.frombuffer(results[0][0], np.float32).max() > 0
