"""The check of mutated binaries (tools/fuzz/runs.py) finds what it looks for."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble, write_elf
from sohu.emulator import Machine
from sohu.emulator.memory import Hbm
from sohu.isa import SohuError

from tools.fuzz import runs
from tools.fuzz.run import TARGETS, problem

STORES = write_elf(assemble(" .kernel k\n add sp, sp, -64\n li x5, 7\n sd x5, sp, 8\n ld x6, sp, 8\n halt", "k.s"))


def found(data: bytes = STORES) -> str:
    return problem(TARGETS["runs"], data)


def test_nothing_is_wrong_with_it() -> None:
    assert found() == ""


def test_a_write_outside_of_what_programs_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Hbm.store64

    def astray(self: Hbm, address: int, value: int) -> None:
        real(self, address, value)
        self.map[5000:5001] = b"x"  # the parameter block

    monkeypatch.setattr(Hbm, "store64", astray)
    assert "has changed" in found()
    monkeypatch.undo()
    assert found() == ""


def test_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Machine, address: int) -> int:
        raise KeyError("a bug")

    monkeypatch.setattr(Machine, "load64", broken)
    assert "KeyError: 'a bug'" in found()


def test_a_limit_that_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = write_elf(assemble(" .kernel k\n1: add x5, x5, 1\n j 1b\n halt", "k.s"))
    assert found(endless) == ""
    monkeypatch.setattr(runs, "INSTRUCTIONS", 100)  # what is checked, not what is set
    assert "instructions have run" in found(endless)


def test_memory_that_is_not_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.Chip, "_clean_run", lambda self: b"")
    runs._chips.cache_clear()
    monkeypatch.setattr("sohu.emulator.Device.unload", lambda self, loaded: None)
    assert "memory is left" in found()
    runs._chips.cache_clear()


def test_a_machine_that_is_not_as_good_as_new(monkeypatch: pytest.MonkeyPatch) -> None:
    runs._chips.cache_clear()
    assert found() == ""
    monkeypatch.setattr(runs, "_CLEAN_EVERY", 1)
    assert found() == ""
    for chip in runs._chips():
        monkeypatch.setattr(chip, "wanted", b"else")
    assert "a sound program gives another result" in found()


@pytest.mark.parametrize("memory", ["hbm.bytes", "memories.sram", "memories.acc"])
@pytest.mark.parametrize("offset", [-1, 0])
def test_forbidden_pages_kill_the_process(memory: str, offset: int) -> None:
    code = f"""if True:
        import ctypes
        from tools.fuzz.runs import Chip
        chip = Chip()
        array = chip.device.{memory}
        array[0] = array[-1] = 1
        start = array.ctypes.data if {offset} < 0 else array.ctypes.data + array.nbytes
        print("so far", flush=True)
        ctypes.memset(start + {offset}, 1, 1)
        print("nothing happened")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "so far\n" and done.returncode in (-signal.SIGSEGV, -signal.SIGBUS)


def test_cases_go_all_ways() -> None:
    """Most load; they end, and are stopped for many reasons."""
    ends: dict[Any, int] = {}
    real = Machine.run

    def run(self: Machine, *args: Any) -> Any:
        try:
            why: Any = real(self, *args)
            ends[why] = ends.get(why, 0) + 1
        except SohuError as e:
            why = getattr(e, "category", "")
            ends[why] = ends.get(why, 0) + 1
            raise
        return why

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "run", run)
        for i in range(300):
            runs.check(runs.make(random.Random(f"ways {i}")))
    assert sum(ends.values()) > 200 and len(ends) >= 7, ends
    assert np.max(list(ends.values())) < 0.6 * sum(ends.values())
