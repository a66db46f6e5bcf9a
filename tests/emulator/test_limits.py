"""Limits of time and memory, and Ctrl-C: each takes effect between two instructions, and the machine stays usable."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble, write_elf
from sohu.emulator import Device, Group, MachineError, Stop, run_cli
from sohu.emulator.limits import CtrlC, resident
from sohu.isa import SohuError, f32

from tests.emulator.support import kernel, random_floats

ENDLESS = "li x5, 0\n1: add x5, x5, 1\n j 1b"
# Matrix products that take long, and no loop: nothing but their own ends to stop at
MATRICES = """
 .param x, in, f32, [1024, 1024]
 .tile a, sram, f32, [1024, 1024]
 .tile b, sram, f32, [1024, 1024]
 .tile c, acc, f32, [1024, 1024]
"""
PRODUCTS = "dma.load a, x\n dma.load b, x\n" + "\n".join(["mm c, a, b\n add x5, x5, 1"] * 2000)


WAYS: list[dict[str, Any]] = [{}, {"timing": True}, {"schedule": 3}, {"schedule": "timed"}]


@pytest.mark.parametrize("ways", WAYS, ids=str)
def test_time_is_limited(ways: dict[str, Any]) -> None:
    device = Device("small", max_seconds=0.2, **ways)
    began = time.monotonic()
    with pytest.raises(MachineError, match=r"the run has taken 0\.2 seconds, the limit that was set") as e:
        device.launch(kernel(ENDLESS), "k")
    assert 0.2 <= time.monotonic() - began < 2
    m = device.machine
    assert e.value.category == "limit" and m.fault is e.value and not m.halted
    # it stands before an instruction: each add and each jump has counted
    assert m.instructions == 2 * m.x[5] + (m.pc == 16)
    assert m.pc == e.value.pc
    with pytest.raises(MachineError, match="the limit that was set"):
        m.run()  # the time of a launch is that of all its runs
    device.launch(kernel("li x5, 7"), "k")
    assert m.x[5] == 7


def test_time_is_limited_between_large_instructions() -> None:
    device = Device(max_seconds=0.5)
    began = time.monotonic()
    with pytest.raises(MachineError, match="the limit"):
        device.launch(kernel(PRODUCTS, MATRICES), "k", [random_floats((1024, 1024))])
    taken, products = time.monotonic() - began, device.machine.x[5]
    assert 0 < products < 1000
    assert taken - 0.5 < 20 * taken / products + 1  # a block has a hundred of them


def test_memory_is_limited() -> None:
    device = Device(max_memory=64 << 20)
    huge = device.empty((1 << 28,), f32)  # 1 GiB that the program touches, 1 MiB at a time
    body = """
     li x6, 1024
     li x8, 262144
     loop x6, 9f
      tslice t40, h, 0, x7, x8
      dma.store t40, a
      add x7, x7, x8
     9: nop
    """
    declarations = ".param h, inout, f32, [N]\n .tile a, sram, f32, [262144]\n"
    with pytest.raises(MachineError, match=r"the run has taken .* bytes of the host's memory") as e:
        device.launch(kernel(body, declarations), "k", [huge])
    assert e.value.category == "limit"
    assert resident() - device.machine._base < 400 << 20
    huge.free()
    device.launch(kernel("li x5, 7"), "k")  # the memory has been given back


def test_memory_that_arguments_take_counts() -> None:
    device = Device("small", max_memory=16 << 20)
    with pytest.raises(MachineError, match=r"the limit that was set is 16,777,216"):
        device.launch(kernel("nop", ".param x, in, f32, [N]"), "k", [np.ones(8 << 20, np.float32)])


def test_limits_that_are_not_reached_change_nothing() -> None:
    device = Device("small", max_seconds=100, max_memory=1 << 30, max_instructions=10**6)
    before = threading.active_count()
    for _ in range(20):
        device.launch(kernel("li x5, 7\n loop 100, 9f\n add x5, x5, 1\n9: nop"), "k")
        assert device.machine.x[5] == 107
    assert threading.active_count() <= before + 1  # one thread watches them all


# -- Ctrl-C --------------------------------------------------------------------------------------------


def press(seconds: float) -> threading.Timer:
    """Ctrl-C after a while."""
    timer = threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    return timer


@pytest.mark.parametrize("ways", [*WAYS, {"max_seconds": 60}], ids=str)
def test_ctrl_c_is_taken_between_instructions(ways: dict[str, Any]) -> None:
    timers: list[threading.Timer] = []
    device = Device("small", output=lambda _: timers.append(press(0.02 * (len(timers) + 1))), **ways)
    m = device.machine
    program = kernel('dbg.print "go", x0\n1: add x5, x5, 1\n add x6, x6, 1\n blt x5, x7, 1b')
    for _ in range(10):
        device.start(program, "k")
        m.x[7] = 1 << 40
        with pytest.raises(KeyboardInterrupt):
            m.run()
        timers[-1].join()
        # no instruction is half executed: what the counters say is what the pc says
        assert m.x[5] - m.x[6] == (m.pc == 32)
        assert m.instructions == 1 + 3 * m.x[6] + {16: 0, 32: 1, 48: -1}[m.pc]
        m.step()
        m.x[7] = m.x[5]
        assert m.run() is Stop.HALTED and m.x[5] - m.x[6] in (0, 1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_large_instructions() -> None:
    timers: list[threading.Timer] = []
    device = Device(output=lambda _: timers.append(press(0.5)))
    x = random_floats((1024, 1024))
    with pytest.raises(KeyboardInterrupt):
        device.launch(kernel('dbg.print "go", x0\n' + PRODUCTS, MATRICES), "k", [x])
    timers[0].join()
    m = device.machine
    assert 0 < m.x[5] < 1000 and not m.halted
    assert m.instructions * 16 == m.pc
    m.step()
    assert m.instructions * 16 == m.pc


def test_whoever_handles_ctrl_c_is_left_to_do_so() -> None:
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda *_: pressed.append(1))
    try:
        with CtrlC(lambda: pytest.fail("it is not ours")):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [1]


def test_a_second_ctrl_c_does_not_wait() -> None:
    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt), CtrlC(lambda: calls.append(1)):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
        pytest.fail("it has waited")
    assert calls == [1] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_run_too() -> None:
    device, out = Device("small"), []
    thread = threading.Thread(target=lambda: out.append(device.launch(kernel("li x5, 7"), "k").instructions))
    thread.start()
    thread.join()
    assert out == [2]


# -- the command ---------------------------------------------------------------------------------------


def command(folder: Path, source: str, *options: str) -> subprocess.Popen[str]:
    (folder / "k.s").write_text(source)
    (folder / "k.elf").write_bytes(write_elf(assemble(source, "k.s")))
    argv = [sys.executable, "-m", "sohu", "run", "k.elf", "--chip", "small", *options]
    return subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


LOOPING = ' .kernel k\n dbg.print "running", x0\n1: add x5, x5, 1\n j 1b\n halt\n'


def test_sohu_run_says_where_ctrl_c_stopped_it(tmp_path: Path) -> None:
    process = command(tmp_path, LOOPING)
    assert process.stdout is not None and process.stdout.readline()  # it runs
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.startswith(("interrupted at k.s:3, pc 0x0010, after ", "interrupted at k.s:4, pc 0x0020, after "))
    assert err.endswith(" instructions\n") and err.count("\n") == 1


def test_sohu_run_with_limits(tmp_path: Path) -> None:
    _, err = (process := command(tmp_path, LOOPING, "--max-seconds", "0.1")).communicate(timeout=20)
    assert process.returncode == 3 and "error[limit]: the run has taken 0.1 seconds, the limit that was set" in err
    _, err = (process := command(tmp_path, LOOPING, "--max-memory", "1K")).communicate(timeout=20)
    assert process.returncode == 3 and "error[limit]: the run has taken" in err


@pytest.mark.parametrize("option", ["--max-seconds", "--max-memory"])
@pytest.mark.parametrize("bad", ["0", "-1", "x", "inf", "nan", "", "G"])
def test_sohu_run_refuses_what_is_no_limit(option: str, bad: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        run_cli.run(["k.elf", f"{option}={bad}"])
    assert e.value.code == 2
    kind = "number of seconds" if option == "--max-seconds" else "number of bytes"
    assert f"argument {option}: invalid {kind} value: '{bad}'" in capsys.readouterr().err


def test_bytes_can_be_given_with_a_unit() -> None:
    parse = run_cli.parser().parse_args
    assert [parse(["k.elf", "--max-memory", t]).max_memory for t in ("1000", "64k", "1.5M", "2G")] == [
        1000,
        64 << 10,
        3 << 19,
        2 << 30,
    ]


def test_unusable_limits_are_refused() -> None:
    for limits in ({"max_seconds": 0}, {"max_seconds": float("nan")}, {"max_memory": -1}):
        with pytest.raises(SohuError, match="is no limit"):
            Device("small", **limits)  # type: ignore[arg-type]


def test_ctrl_c_in_a_group_of_chips() -> None:
    timers: list[threading.Timer] = []

    def output(text: str) -> None:
        if "go" in text and not timers:
            timers.append(press(0.2))

    group = Group(2, "small", output=output)
    program = kernel('dbg.print "go", x0\n1: add x5, x5, 1\n add x6, x6, 1\n blt x5, x7, 1b')
    group.start(program, "k")
    for m in group.machines:
        m.x[7] = 1 << 40
    with pytest.raises(KeyboardInterrupt):
        group.run()
    timers[0].join()
    for m in group.machines:
        assert m.x[5] - m.x[6] == (m.pc == 32)
        m.x[7] = m.x[5]
    assert group.run() is Stop.HALTED
