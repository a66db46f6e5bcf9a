"""Snapshots of a whole machine in memory: as many as one likes, each as cheap as what changed since the last one.

A snapshot holds the machine's state (state.py) and the 4 KiB pages of SRAM, ACC and of the HBM that programs may
write; pages that are all zero are left out, and pages that are as they were are shared with the snapshot before.
Blocks that programs may only read are not copied: they must still be there when the snapshot is put back.
Files: snapshot_file.py.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Program
from sohu.emulator.memory import PAGE, Allocation, Memories
from sohu.emulator.state import State, capture, need_alone, restore
from sohu.emulator.translate import Code
from sohu.isa import INSTRUCTION_BYTES, SohuError, Space

if TYPE_CHECKING:
    from sohu.emulator.checks import Check
    from sohu.emulator.device import Device

ZERO = bytes(PAGE)
_PRESENT, _SWAPPED = 1 << 63, 1 << 62  # Linux, Documentation/admin-guide/mm/pagemap.rst
_AT_ONCE = 1 << 16  # pages looked up at once


class Held(NamedTuple):
    """A block of HBM, and whether programs might write it then (Tensor.freeze)."""

    block: Allocation
    writable: bool


@dataclass(frozen=True)
class Snapshot:
    """A machine between two instructions. Made by Device.snapshot, put back by Device.restore.

    pages: contents by memory and page number; a page that is missing is zero. shadows: what the checkers that were
    at work knew.
    """

    program: Program
    state: State
    blocks: tuple[Held, ...]
    pages: Mapping[Space, Mapping[int, bytes]]
    code: Code
    launch: Any  # what Device needs to finish it
    shadows: Mapping[Check, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Not the bytes of all memory."""
        return (
            f"<Snapshot of {self.program.name}: pc {self.pc:#06x}, {self.instructions:,} instructions, "
            f"{self.nbytes:,} bytes of memory>"
        )

    @property
    def instructions(self) -> int:
        """How many had executed or issued since the launch."""
        return self.state.instructions

    @property
    def pc(self) -> int:
        """Of the instruction that comes next."""
        return self.state.index * INSTRUCTION_BYTES

    @property
    def nbytes(self) -> int:
        """Bytes of its pages, those that it shares with other snapshots too."""
        return PAGE * sum(map(len, self.pages.values()))

    def differs(self, other: Snapshot) -> str:
        """Where two snapshots are not the same: "x", "sems", "sram 0x1f000"; "" when nowhere.

        A run that is repeated from a snapshot comes to equal snapshots.
        """
        if what := self.state.differs(other.state):
            return what
        for space, mine in self.pages.items():
            theirs = other.pages[space]
            if mine != theirs:
                page = min(p for p in mine.keys() | theirs.keys() if mine.get(p) != theirs.get(p))
                a, b = (np.frombuffer(pages.get(page, ZERO), np.uint8) for pages in (mine, theirs))
                return f"{space} {page * PAGE + int(np.flatnonzero(a != b)[0]):#x}"
        return ""


def take(device: Device, previous: Snapshot | None = None) -> Snapshot:
    """A snapshot; `previous` is an older one of the device, whose pages it shares where they are the same.

    Raises SohuError for a chip of a group that runs.
    """
    need_alone(device.machine)
    return take_part(device, previous)


def take_part(device: Device, previous: Snapshot | None = None) -> Snapshot:
    """The same of any chip, also of one that shares something with others."""
    memories = device.memories
    blocks = held(device)
    memories.settle()
    pages: dict[Space, dict[int, bytes]] = {}
    for space in Space:
        old = previous.pages[space] if previous is not None else {}
        pages[space] = dict(_changed(memories, space, old, spans(device, space, blocks)))
    return of_state(device, blocks, pages)


def held(device: Device) -> tuple[Held, ...]:
    """The blocks of HBM, as they are."""
    return tuple([Held(b, b.writable) for b in device.hbm.allocations])


def of_state(
    device: Device, blocks: tuple[Held, ...], pages: Mapping[Space, Mapping[int, bytes]], *, shadows: bool = True
) -> Snapshot:
    """A snapshot of a device whose memory holds these pages, with what checkers know or without."""
    machine = device.machine
    at_work = machine.hooks.checks if shadows else ()
    saved = {c: c.save() for c in machine.hooks.whole.checks if c in at_work}
    launch = (device._running, device.kernel, machine.outputs)
    return Snapshot(machine.program, capture(machine), blocks, pages, machine._code, launch, saved)


def put_back(device: Device, snapshot: Snapshot, *, shadows: bool = True) -> None:
    """Make the device what it was; see Device.restore."""
    make_room(device, snapshot)
    memories = device.memories
    for space in Space:
        pieces = pieces_of(device, space, snapshot.blocks)
        pages = snapshot.pages[space]
        write(memories, space, pages, pieces, sorted({*touched(memories, space, page_spans(pieces)), *pages}))
    put_state_back(device, snapshot, shadows=shadows)


def make_room(device: Device, snapshot: Snapshot) -> None:
    """Have the blocks of HBM that a snapshot holds, with their rights. Raises SohuError where that cannot be."""
    if snapshot.code.machine is not device.machine:
        raise SohuError("the snapshot is of another device", help="save it to a file to open it on a new one")
    for block, writable in snapshot.blocks:
        if not (block.live or _copied(device, block, writable)):
            raise SohuError(f"{block} has been freed since, and a snapshot holds no copy of what programs only read")
    for block, writable in snapshot.blocks:
        device.hbm.revive(block)
        if writable and not block.writable:
            block.writable = True
            block.widened.clear()
            device.hbm.rights_changed()
    device.memories.settle()


def put_state_back(device: Device, snapshot: Snapshot, *, shadows: bool) -> None:
    """All but memory. Checkers know again what they knew; if one does not, they rest until the next launch."""
    machine = device.machine
    machine.load(snapshot.program, snapshot.code)
    restore(machine, snapshot.state)
    device._running, device.kernel, machine.outputs = snapshot.launch
    if not shadows:
        return
    whole = machine.hooks.whole
    if all(snapshot.shadows.get(c) is not None for c in whole.checks):
        for c in whole.checks:
            c.load(snapshot.shadows[c])
        if not set(whole.checks) <= set(machine.hooks.checks):
            machine.hooks = whole
    elif not machine.halted:
        machine.hooks = machine.hooks.resting()


# -- which bytes ---------------------------------------------------------------------------------------


def _copied(device: Device, block: Allocation, writable: bool) -> bool:
    return writable or block is device._parameters


def pieces_of(device: Device, space: Space, blocks: Iterable[Held]) -> list[tuple[int, int]]:
    """The byte ranges of a memory that a snapshot holds: of HBM what programs may write, and the parameters."""
    if space is not Space.HBM:
        return [(0, len(device.memories.map(space)))]
    return [(b.start, b.end) for b, writable in blocks if _copied(device, b, writable) and b.start < b.end]


def spans(device: Device, space: Space, blocks: Iterable[Held]) -> list[tuple[int, int]]:
    """The pages [first, end) that hold these ranges, apart and in order."""
    return page_spans(pieces_of(device, space, blocks))


def page_spans(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Byte ranges in order of address, as ranges of pages that lie apart."""
    out: list[tuple[int, int]] = []
    for low, high in ranges:
        first, end = low // PAGE, -(-high // PAGE)
        if out and first <= out[-1][1]:
            out[-1] = out[-1][0], max(end, out[-1][1])
        else:
            out.append((first, end))
    return out


def touched(memories: Memories, space: Space, spans: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Those pages of some ranges that the host has given memory to; all others read as zero.

    Where the host does not tell, all of them.
    """
    for first, there in presence(memories, space, spans):
        yield from (np.flatnonzero(there) + first).tolist()


def bytes_of(memories: Memories, space: Space) -> NDArray[np.uint8]:
    """All of a memory, in place."""
    return {Space.HBM: memories.hbm.bytes, Space.SRAM: memories.sram, Space.ACC: memories.acc}[space]


def presence(
    memories: Memories, space: Space, spans: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Ranges of pages: the first one, and of each whether the host has given memory to it (or does not tell)."""
    base = int(bytes_of(memories, space).__array_interface__["data"][0]) // PAGE
    try:
        file = os.open("/proc/self/pagemap", os.O_RDONLY)
    except OSError:
        file = -1
    try:
        for first, end in spans:
            for start in range(first, end, _AT_ONCE):
                count = min(_AT_ONCE, end - start)
                entries = np.empty(0, np.uint64)
                if file >= 0:
                    entries = np.frombuffer(os.pread(file, 8 * count, 8 * (base + start)), np.uint64)
                if len(entries) < count:
                    yield start, np.ones(count, bool)
                else:
                    yield start, (entries & np.uint64(_PRESENT | _SWAPPED)) != 0
    finally:
        if file >= 0:
            os.close(file)


def _changed(
    memories: Memories, space: Space, old: Mapping[int, bytes], spans: list[tuple[int, int]]
) -> Iterator[tuple[int, bytes]]:
    map = memories.map(space)
    for page in touched(memories, space, spans):
        data = map[page * PAGE : page * PAGE + PAGE]
        if len(data) < PAGE:  # the end of a memory
            data = data.ljust(PAGE, b"\0")
        was = old.get(page)
        if was is not None and data == was:
            yield page, was
        elif data != ZERO:
            yield page, data


def write(
    memories: Memories, space: Space, pages: Mapping[int, bytes], pieces: list[tuple[int, int]], now: list[int]
) -> None:
    """Give byte ranges the contents that they had; `now`: the pages that may hold something else, in order."""
    map = memories.map(space)
    at = 0
    for low, high in pieces:
        at = max(0, bisect_left(now, low // PAGE, at - 1 if at else 0))
        while at < len(now) and (start := now[at] * PAGE) < high:
            a, b = max(low, start), min(high, start + PAGE)
            data = pages.get(now[at], ZERO)
            if b - a < PAGE:
                data = data[a - start : b - start]
            if map[a:b] != data:
                map[a:b] = data
            at += 1
