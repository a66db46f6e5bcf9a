"""Core files: the whole machine as it was when a program was stopped, with the instructions that ran last.

Nothing is recorded while a program runs. A launch that may leave a core file takes a snapshot when it begins and one
each second; what ran last is found by repeating the run from the latest, of which no instruction can come out
otherwise.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from sohu.emulator.errors import MachineError
from sohu.emulator.listener import Listener
from sohu.emulator.machine import Machine
from sohu.emulator.parts import Stop
from sohu.emulator.snapshot import Snapshot, put_back, take
from sohu.emulator.snapshot_file import save
from sohu.emulator.translate import Op
from sohu.isa import SohuError

if TYPE_CHECKING:
    from sohu.emulator.device import Device

EVERY = 1.0  # seconds between snapshots
RECENT = 64  # instructions


class _Recorder(Listener):
    def __init__(self) -> None:
        self.pcs: list[int] = []

    def will_issue(self, machine: Machine, op: Op) -> None:
        self.pcs.append(op.pc)


def run(device: Device, path: Path) -> Stop:
    """Run what has been started; raises MachineError, after a core file was written, when the machine stops it."""
    machine = device.machine
    latest = take(device)
    while True:
        due = threading.Event()

        def tick(due: threading.Event = due) -> None:
            due.set()
            machine.interrupt()

        timer = threading.Timer(EVERY, tick)
        timer.daemon = True
        timer.start()
        try:
            why = machine.run()
        except MachineError as e:
            timer.cancel()
            try:
                write(device, path, e, latest)
            except SohuError as failed:
                e.help = "; ".join(filter(None, [e.help, f"no core file: {failed.message}"]))
            raise
        finally:
            timer.cancel()
            timer.join()
        if why is not Stop.INTERRUPTED or not due.is_set():
            return why
        latest = take(device, latest)


def write(device: Device, path: Path, error: MachineError, since: Snapshot) -> None:
    """Write the core file of a machine that was stopped, `since` a snapshot of the same launch.

    The error then says where it is. Raises SohuError when it cannot be written.
    """
    end = take(device, since)
    try:
        recent = _repeat(device, since, end)
    finally:
        put_back(device, end)
    save(device, path, {"recent": recent})
    error.core = str(path)


def _repeat(device: Device, since: Snapshot, end: Snapshot) -> list[int]:
    """The pcs of the last instructions before `end`; empty when the run could not be repeated."""
    machine = device.machine
    kept = (
        machine.output,
        machine.listeners,
        machine.max_instructions,
        machine.max_seconds,
        machine.max_memory,
        machine.hooks,
    )
    recorder = _Recorder()
    put_back(device, since)
    machine.output, machine.listeners = _silent, []
    machine.max_seconds = machine.max_memory = None
    try:
        if (first := end.instructions - RECENT) > since.instructions:
            _up_to(machine, first)
        machine.listeners = [recorder]
        # without the one that could not be executed, and without what checkers find
        if _up_to(machine, end.instructions):
            recorder.pcs.append(end.pc)
    finally:
        (
            machine.output,
            machine.listeners,
            machine.max_instructions,
            machine.max_seconds,
            machine.max_memory,
            machine.hooks,
        ) = kept
    same = (machine.instructions, machine.pc) == (end.instructions, end.pc)
    return recorder.pcs[-RECENT:] if same else []


def _up_to(machine: Machine, count: int) -> bool:
    """Run until so many instructions have executed since the launch; False when something else stops it before."""
    machine.max_instructions = count
    try:
        machine.run()
    except MachineError as e:
        machine.fault = None
        return e.category == "limit"
    return False


def _silent(_: str) -> None:
    """What the program prints again."""
