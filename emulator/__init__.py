"""The machine running: memories, engines, semaphores, schedules and timing."""

from sohu.emulator.device import Argument, Arguments, Device, Loaded, Result
from sohu.emulator.errors import ArgumentError, MachineError
from sohu.emulator.group import Group
from sohu.emulator.listener import Listener
from sohu.emulator.machine import Machine
from sohu.emulator.memory import Allocation
from sohu.emulator.parts import Queue, Stop
from sohu.emulator.snapshot import Snapshot
from sohu.emulator.snapshot_file import SnapshotFile
from sohu.emulator.tensor import Tensor
from sohu.emulator.translate import Frame, Issued, Op

__all__ = [
    "Allocation", "Argument", "ArgumentError", "Arguments", "Device", "Frame", "Group", "Issued", "Listener", "Loaded",
    "Machine", "MachineError", "Op", "Queue", "Result", "Snapshot", "SnapshotFile", "Stop", "Tensor",
]  # fmt: skip
