"""The machine's fixed shape: memories, engines, register files, the roles of registers (docs/abi.md)."""

from __future__ import annotations

import enum

ISA_VERSION = (1, 1)  # major: old programs may not run; minor: only additions
INSTRUCTION_BYTES = 16
NUM_SCALARS = 32
NUM_TILES = 64
NUM_SEMAPHORES = 64
MAX_RANK = 4
LOOP_DEPTH = 8
MIN_QUEUE_DEPTH = 8
DMA_QUEUES = 4

# Scalar registers with a role. All others belong to the kernel.
RA, SP, GP, ARGS = 1, 2, 3, 10
SCALAR_ALIASES = {"zero": 0, "ra": RA, "sp": SP, "gp": GP, "args": ARGS}


class Space(enum.IntEnum):
    """Memories that a tile descriptor can name."""

    HBM = 0
    SRAM = 1
    ACC = 2

    def __str__(self) -> str:
        return self.name.lower()


class Engine(enum.Enum):
    """Who executes an instruction. All but SEQ and DEBUG are asynchronous, each with its own queues."""

    SEQ = "sequencer"
    DMA = "DMA"
    MXU = "MXU"
    VPU = "VPU"
    CCE = "CCE"
    DEBUG = "debug"

    @property
    def is_async(self) -> bool:
        """True for engines with queues; False for what the sequencer executes itself."""
        return self not in (Engine.SEQ, Engine.DEBUG)

    @property
    def queues(self) -> int:
        """Number of in-order queues."""
        return DMA_QUEUES if self is Engine.DMA else int(self.is_async)


REACHES: dict[Engine, frozenset[Space]] = {
    Engine.SEQ: frozenset({Space.SRAM, Space.ACC, Space.HBM}),
    Engine.DMA: frozenset({Space.HBM, Space.SRAM}),
    Engine.MXU: frozenset({Space.SRAM, Space.ACC}),
    Engine.VPU: frozenset({Space.SRAM, Space.ACC}),
    Engine.CCE: frozenset({Space.HBM, Space.SRAM}),
    Engine.DEBUG: frozenset(Space),
}


class Flow(enum.Enum):
    """What an instruction does to the pc. The emulator implements these, and no instruction by name."""

    NEXT = "next"
    BRANCH = "branch"  # to the label operand when the semantics returns true
    JUMP = "jump"  # to the label operand
    CALL = "call"  # JUMP, and x1 = pc + 16
    RET = "ret"  # to x1
    LOOP = "loop"  # repeat up to the label operand as often as the semantics returns
    HALT = "halt"
