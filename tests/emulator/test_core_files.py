"""Core files: what a launch leaves behind when the machine stops it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble, write_elf
from sohu.emulator import Device, MachineError, SnapshotFile, core
from sohu.isa import Engine, SohuError

from tests.emulator.support import kernel, random_floats

DECLARATIONS = """
 .param x, in, f32, [8, 8]
 .param y, out, f32, [8, 8]
 .tile a, sram, f32, [8, 8]
 .tile b, sram, f32, [8, 8]
"""
FAULTY = """
 li x5, {rounds}
1: add x6, x6, 1
 blt x6, x5, 1b
 dbg.print "once", x6
 dma.load a, x
 vadd b, a, a         wait s1>=1
 tbase t40, y, x6
 dma.store t40, a
"""


def left_by(path: Path, body: str, declarations: str = DECLARATIONS, **ways: Any) -> tuple[SnapshotFile, MachineError]:
    """The core file of a kernel that is stopped, and the error."""
    printed: list[str] = []
    device = Device("small", core=path, output=printed.append, **ways)
    args = [random_floats((8, 8))] if declarations else []
    with pytest.raises(MachineError) as e:
        device.launch(kernel(body, declarations), "k", args)
    assert len(printed) == body.count("dbg.print"), "what is run again prints nothing"
    return SnapshotFile(path), e.value


@pytest.mark.parametrize("ways", [{}, {"timing": True}, {"schedule": 5}, {"schedule": "timed"}], ids=str)
def test_it_holds_the_machine(ways: dict[str, Any], tmp_path: Path) -> None:
    file, error = left_by(tmp_path / "c", FAULTY.format(rounds=1000), **ways)
    assert error.category == "misaligned" or error.category == "out-of-bounds"
    assert error.core == str(tmp_path / "c")
    assert str(error).endswith(f"\n  core: {tmp_path / 'c'} (sohu-dbg --core opens it)")
    assert file.core and file.kernel == "k"
    machine = (device := file.device()).machine
    assert machine.x[5] == machine.x[6] == 1000
    assert len(machine.queue(Engine.VPU).entries) == 1  # the one that waits
    assert machine.fault is not None and str(machine.fault) == str(error).rpartition("\n  core:")[0]
    assert np.array_equal(device.arguments()["x"].numpy(), random_floats((8, 8)))  # type: ignore[union-attr]
    tile = machine.t[machine.program.kernels["k"].tiles[0].reg]
    assert tile is not None
    loaded = np.array_equal(machine.view(tile), random_floats((8, 8)))
    assert loaded == (ways.get("schedule") != "timed")  # there the transfer is still under way


def test_the_last_instructions_are_known(tmp_path: Path) -> None:
    file, error = left_by(tmp_path / "c", FAULTY.format(rounds=1000))
    start = 4 * 16  # after the prologue
    tail = [start + 16 * i for i in range(3, 8)]
    assert file.recent[-5:] == tail and error.pc == tail[-1]
    assert len(file.recent) == core.RECENT
    assert file.recent[:-5] == [start + 32, *[start + 16, start + 32] * 29]
    few, _ = left_by(tmp_path / "c", FAULTY.format(rounds=1))
    assert few.recent == [16 * i for i in range(12)]


def test_long_runs_are_repeated_from_the_last_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "EVERY", 0.02)
    taken = []
    real = core.take
    monkeypatch.setattr(core, "take", lambda *a: taken.append(real(*a)) or taken[-1])
    file, _ = left_by(tmp_path / "c", FAULTY.format(rounds=3_000_000))
    assert len(taken) >= 3  # when it begins, at least once meanwhile, and at the end
    assert 0 < taken[-1].instructions - taken[-2].instructions < taken[-1].instructions
    assert file.recent[-5:] == [4 * 16 + 16 * i for i in range(3, 8)] and len(file.recent) == core.RECENT


@pytest.mark.parametrize(
    ("body", "category", "last"),
    [
        ("trap 3", "trap", 0),
        ("nop\n dma.sync wait s1>=1\n drain", "deadlock", 32),
        ("nop\n dma.sync wait s1>=1", "deadlock", 32),
        ("1: nop\n j 1b", "limit", 0),
    ],
)
def test_whatever_stops_a_program(body: str, category: str, last: int, tmp_path: Path) -> None:
    file, error = left_by(tmp_path / "c", body, "", max_instructions=1000)
    assert error.category == category
    assert file.recent[-1] == last
    fault = file.device().machine.fault
    assert fault is not None and fault.message == error.message


def test_a_launch_that_ends_leaves_none(tmp_path: Path) -> None:
    device = Device("small", core=tmp_path / "c")
    assert device.launch(kernel("li x5, 1"), "k").instructions == 2
    assert list(tmp_path.iterdir()) == []


def test_a_core_file_that_cannot_be_written_hides_no_error(tmp_path: Path) -> None:
    device = Device("small", core=tmp_path / "none" / "c")
    with pytest.raises(MachineError, match="trap") as e:
        device.launch(kernel("trap 3"), "k")
    assert "no core file: cannot write" in e.value.help and e.value.core == ""


def test_the_device_can_be_used_again(tmp_path: Path) -> None:
    device = Device("small", core=tmp_path / "c")
    x = random_floats((8, 8))
    for _ in range(3):
        with pytest.raises(MachineError):
            device.launch(kernel(FAULTY.format(rounds=10), DECLARATIONS), "k", [x])
        assert device.machine.fault is not None and device.machine.x[5] == 10
        out = device.launch(kernel("dma.load a, x\n dma.store y, a", DECLARATIONS), "k", [x]).outputs["y"]
        assert np.array_equal(out.numpy(), x)


def test_sohu_run_leaves_one_on_request(tmp_path: Path) -> None:
    source = " .kernel k\n li x5, 3\n add x6, x5, 1\n trap 9\n halt\n"
    (tmp_path / "k.elf").write_bytes(write_elf(assemble(source, "k.s")))

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "sohu", "run", "k.elf", "--chip", "small", *options]
        return subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run()
    assert done.returncode == 3 and "core" not in done.stderr and len(list(tmp_path.iterdir())) == 1
    done = run("--core")
    assert done.returncode == 3 and done.stderr.endswith("  core: k.core (sohu-dbg --core opens it)\n")
    assert SnapshotFile(tmp_path / "k.core").device().machine.x[6] == 4
    done = run("--core", "other")
    assert SnapshotFile(tmp_path / "other").core


def test_a_snapshot_is_no_core_file(tmp_path: Path) -> None:
    device = Device("small")
    device.start(kernel("li x5, 1"), "k")
    device.save(tmp_path / "s")
    assert not SnapshotFile(tmp_path / "s").core and SnapshotFile(tmp_path / "s").recent == []
    with pytest.raises(SohuError, match="cannot write"):
        device.save(tmp_path / "none" / "s")
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_what_checkers_find_leaves_one_too(tmp_path: Path) -> None:
    body = "dma.load a, x\n li x9, 5\n lf x8, 0.0\n vadd a, a, a\n vmuls b, a, 0.0\n vdiv a, b, b\n nop"
    file, error = left_by(tmp_path / "c", body, checks="all")
    assert error.category not in ("limit", "trap")
    assert file.recent[-1] == error.pc and len(file.recent) > 5
    assert error.notes and str(file.device().machine.fault) == str(error).rpartition("\n  core:")[0]


def test_checkers_that_were_off_rest_until_the_next_launch() -> None:
    device = Device("small")
    bad = kernel("nop\n vadd b, a, a\n dma.store y, b", DECLARATIONS)  # of a, which nobody has written
    args = [random_floats((8, 8))]
    device.start(bad, "k", args)
    before = device.snapshot()
    device.machine.run()
    device.finish()
    device.machine.check("all")
    device.restore(before)
    device.machine.run()  # none looks
    device.finish()
    for _ in range(2):
        device.start(bad, "k", args)
        before = device.snapshot()
        with pytest.raises(MachineError):
            device.machine.run()
        device.restore(before)
        with pytest.raises(MachineError):  # they were on
            device.machine.run()


def test_a_core_is_not_written_over_another_file(tmp_path: Path) -> None:
    """A program that is named where the core's file belongs stays whole."""
    file = tmp_path / "k.elf"
    file.write_bytes(b"\x7fELF and more")
    with pytest.raises(SohuError, match="is no core file"):
        Device("small", core=file)
    assert file.read_bytes() == b"\x7fELF and more"
    Device("small", core=tmp_path / "new.core")
