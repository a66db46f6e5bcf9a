"""Core files and snapshots in the debugger: all can be looked at, a core file cannot run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import Session
from sohu.debugger.stops import Exited, Faulted, Stepped
from sohu.emulator import Device, MachineError, SnapshotFile

from tests.debugger.support import ARGS, SCALE, Folder, X, talk

# as SCALE, and in the function it writes past the end of y
FAULTY = SCALE.replace("add        x21, x20, x20", "tbase t40, y, x20\n dma.store t40, a")
RUN = ("--arg", "x=x.npy", "--arg", "n=5", "--arg", "f=2.5")


@pytest.fixture
def core(tmp_path: Path) -> Path:
    path = tmp_path / "scale.core"
    device = Device("small", core=path)
    with pytest.raises(MachineError):
        device.launch(assemble(FAULTY, "scale.s"), "scale", ARGS)
    return path


def test_a_core_file_shows_what_stopped_the_program(
    core: Path, folder: Folder, golden: Callable[[str, str], None]
) -> None:
    (folder.path / "scale.s").write_text(FAULTY)
    looks = ["backtrace", "info registers", "info tiles", "info queues", "info semaphores", "info args", "info recent"]
    looks += ["print a[1, :]", "x/4fw a", "list", "disassemble", "print n + x20", "info line twice"]
    done = folder.debug("--core", str(core), "-batch", *[w for look in looks for w in ("-ex", look)])
    assert (done.returncode, done.stderr) == (0, "")
    golden("core.txt", re.sub(r"hbm 0x[0-9a-f]+(\.\.0x[0-9a-f]+)?", "hbm (somewhere)", done.stdout))


def test_nothing_runs_in_a_core_file(core: Path) -> None:
    session = Session.of_file(SnapshotFile(core))
    assert isinstance(session.stop, Faulted) and session.stop.error.category == "misaligned"
    for command in ("continue", "step", "next", "stepi", "nexti", "finish"):
        assert "cannot go on\nhelp: a core file can only be looked at" in talk(session, command).replace(
            "  help", "help"
        )
    for command in ("run", "start", "starti"):
        assert "nothing can be started in it" in talk(session, command)
    assert "a[0,0] = 1" in talk(session, "print a[0,0]")
    assert "the program is not being run" in talk(session, "kill", "info queues")


def test_a_core_file_and_its_program(core: Path, folder: Folder) -> None:
    folder.add("faulty", FAULTY)
    done = folder.debug("faulty.elf", str(core), "-batch", "-ex", "print x20")
    assert done.returncode == 0 and "x20 = 1\n" in done.stdout
    done = folder.debug("scale.elf", str(core), "-batch")
    assert done.returncode == 2 and "scale.core is of another program than scale.elf" in done.stderr
    for wrong in (["--core", str(core), "faulty.elf", str(core)], [], ["-batch"]):
        assert folder.debug(*wrong).returncode == 2


def test_a_file_that_is_none(folder: Folder) -> None:
    done = folder.debug("--core", "scale.elf", "-batch")
    assert (done.returncode, done.stderr) == (2, "sohu-dbg: scale.elf is no snapshot or core file\n")
    (folder.path / "bad.core").write_bytes(b"SOHUSNAP\1\0\0\0\0\0\0\0" + bytes(100))
    done = folder.debug("--core", "bad.core", "-batch")
    assert done.returncode == 2 and "bad.core is a damaged snapshot: its contents and its hash differ" in done.stderr


def test_a_snapshot_goes_on(tmp_path: Path) -> None:
    device = Device("small")
    device.start(assemble(SCALE, "scale.s"), "scale", ARGS)
    for _ in range(7):
        device.machine.step()
    device.save(tmp_path / "s")
    session = Session.of_file(SnapshotFile(tmp_path / "s"))
    assert isinstance(session.stop, Stepped) and session.stop.instructions == 7
    assert session.evaluate("n").data == 5
    assert "what ran last is known of core files only" in talk(session, "info recent")
    stop = session.cont()
    assert isinstance(stop, Exited) and np.array_equal(stop.outputs["y"], X + 1)
    assert "nothing can be started in it" in talk(session, "run")
