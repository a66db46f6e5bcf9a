"""Snapshots and core files on disk.

| part | bytes |
|---|---|
| magic, version | `SOHUSNAP`, u32, u32 zero |
| sections | name of 8 bytes, u64 size, contents |
| `meta` | JSON: chip, state, blocks of HBM, launch; of a core file what stopped it (docs/debugger.md) |
| `elf` | the program, as an ELF file |
| `pages`, any number | u32 space, u32 zero, u64 first page, pages of 4 KiB that are not all zero |
| `end` | BLAKE2b (32 bytes) of all that comes before this section's contents |

All numbers are little-endian. A reader trusts nothing: the hash is compared first, and nothing is allocated that the
file does not pay for in bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from sohu.asm import Program, read_elf, write_elf
from sohu.emulator.memory import PAGE, Allocation
from sohu.emulator.snapshot import page_spans, touched
from sohu.emulator.state import Damaged, Reader, State, capture, from_json, items, need_alone, number, restore, to_json
from sohu.isa import INSTRUCTION_BYTES, Chip, SohuError, Space, chip_of

if TYPE_CHECKING:
    from sohu.emulator.device import Device

MAGIC = b"SOHUSNAP"
VERSION = 1
_HEAD = struct.Struct("<8sII")
_SECTION = struct.Struct("<8sQ")
_PAGES = struct.Struct("<IIQ")
_DIGEST = 32
_META, _ELF, _PAGE, _END = b"meta", b"elf", b"pages", b"end"
_LARGEST_META = 64 << 20
_PAGES_AT_ONCE = 1 << 10
_CHUNK = 1 << 20
_WORD = 1 << 63


# -- writing -------------------------------------------------------------------------------------------


def save(device: Device, path: Path, core: dict[str, Any] | None = None) -> None:
    """Write the whole machine to a file, whole or not at all. Raises SohuError when that cannot be.

    core: what a core file says beside that.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("xb") as file:
            _write(device, file, core)
        temporary.replace(path)
    except OSError as e:
        raise SohuError(f"cannot write {path}: {e.strerror}") from None
    finally:
        temporary.unlink(missing_ok=True)


def _write(device: Device, file: BinaryIO, core: dict[str, Any] | None) -> None:
    hash = hashlib.blake2b(digest_size=_DIGEST)

    def put(*parts: bytes | memoryview) -> None:
        for part in parts:
            hash.update(part)
            file.write(part)

    device.memories.settle()
    program = device.machine.program
    meta = json.dumps(_meta(device, core), allow_nan=False).encode()
    put(_HEAD.pack(MAGIC, VERSION, 0), _SECTION.pack(_META, len(meta)), meta)
    elf = write_elf(program)
    put(_SECTION.pack(_ELF, len(elf)), elf)
    for space, first, pages in _runs(device):
        put(_SECTION.pack(_PAGE, _PAGES.size + len(pages)), _PAGES.pack(space, 0, first), pages)
    put(_SECTION.pack(_END, _DIGEST))
    file.write(hash.digest())


def is_snapshot(path: Path) -> bool:
    """True for a file that begins as snapshots do; False for others, and for what cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _meta(device: Device, core: dict[str, Any] | None) -> dict[str, Any]:
    machine = device.machine
    need_alone(machine)
    loaded = device.loaded(machine.program)
    return {
        "chip": dataclasses.asdict(device.chip) | {"mxu_rate": dict(device.chip.mxu_rate)},
        "timing": machine.timing,
        "program": machine.program.name,
        "image": None if loaded is None else loaded.address,
        "kernel": device.kernel,
        "state": to_json(capture(machine)),
        "blocks": [[b.start, b.end, b.reserved, b.writable, b.name] for b in device.hbm.allocations],
        "free": [list(r) for r in device.hbm.free_ranges],
        "core": core,
    }


def _runs(device: Device) -> Iterator[tuple[Space, int, memoryview]]:
    """The pages that are not zero: (memory, first page, contents of it and those that follow)."""
    for space in Space:
        map = device.memories.map(space)
        if space is Space.HBM:
            blocks = device.hbm.allocations
            # what only the host may write can be mapped from a file, of which no page is there before it is read
            written = set(touched(device.memories, space, page_spans((b.start, b.end) for b in blocks if b.writable)))
            for first, end in page_spans((b.start, b.end) for b in blocks if not b.writable):
                written.update(range(first, end))
            there: Iterable[int] = sorted(written)
        else:
            there = touched(device.memories, space, page_spans([(0, len(map))]))
        for first, count in _consecutive(there):
            data = map[first * PAGE : (first + count) * PAGE].ljust(count * PAGE, b"\0")
            full = np.frombuffer(data, np.uint64).reshape(count, -1).any(axis=1)
            for start, pages in _consecutive(np.flatnonzero(full).tolist()):
                yield space, first + start, memoryview(data)[start * PAGE : (start + pages) * PAGE]


def _consecutive(pages: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as (first, count) of those that follow each other, at most _PAGES_AT_ONCE of them."""
    first = count = 0
    for page in pages:
        if count and page == first + count and count < _PAGES_AT_ONCE:
            count += 1
            continue
        if count:
            yield first, count
        first, count = page, 1
    if count:
        yield first, count


# -- reading -------------------------------------------------------------------------------------------


class SnapshotFile:
    """A snapshot or core file, open for reading.

    Raises SohuError that says in one sentence why a file is refused: it cannot be read, is none or damaged, or
    another version of the format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self._read(file)
        except OSError as e:
            raise SohuError(f"cannot read {path}: {e.strerror or e}") from None
        except Damaged as e:
            raise SohuError(f"{path} is a damaged snapshot: {e}") from None

    def _read(self, file: BinaryIO) -> None:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_HEAD.size)
        if head[:8] != MAGIC or len(head) < _HEAD.size:
            raise SohuError(f"{self.path} is no snapshot or core file")
        version = _HEAD.unpack(head)[1]
        if version != VERSION:
            raise SohuError(f"{self.path} has version {version} of the format; this toolchain reads {VERSION}")
        _check_hash(file, size)
        self.page_runs: list[tuple[Space, int, int, int]] = []  # memory, first page, count, offset in the file
        self.elf = b""
        meta = name = b""
        at = _HEAD.size
        while at < size - _DIGEST:
            file.seek(at)
            raw = file.read(_SECTION.size)
            if len(raw) < _SECTION.size:
                raise Damaged("it ends within a section")
            name, length = _SECTION.unpack(raw)
            name = name.rstrip(b"\0")
            at += _SECTION.size
            if length > size - at:
                raise Damaged("a section reaches beyond its end")
            if name == _META:
                if length > _LARGEST_META:
                    raise Damaged("its description is too long")
                meta = file.read(length)
            elif name == _ELF:
                self.elf = file.read(length)
            elif name == _PAGE:
                self._add_pages(file.read(_PAGES.size), length, at)
            elif name != _END:
                raise Damaged(f"a section is called {name!r}")
            at += length
        if name != _END or at != size:
            raise Damaged("something follows its end")
        try:
            self.meta = Reader(json.loads(meta.decode()), "the file")
        except (ValueError, RecursionError):
            raise Damaged("its description is no JSON") from None
        self.program = self._program()
        self.chip: Chip = self._chip()
        core = self.meta.record("core")
        self.core = core is not None
        self.recent = [] if core is None else self._recent(core)

    def _add_pages(self, head: bytes, length: int, at: int) -> None:
        count, rest = divmod(length - _PAGES.size, PAGE)
        if length < _PAGES.size or rest:
            raise Damaged("a section of pages has no whole number of them")
        space, _, first = _PAGES.unpack(head)
        number(space, "a page's memory", 0, len(Space))
        self.page_runs.append((Space(space), first, count, at + _PAGES.size))

    def _program(self) -> Program:
        try:
            return read_elf(self.elf, self.meta.text("program"))
        except SohuError as e:
            raise Damaged(f"its program: {e.message}") from None

    def _chip(self) -> Chip:
        described = self.meta.get("chip")
        if not isinstance(described, dict):
            raise Damaged("it does not say which chip")
        try:
            return chip_of(described, "of the snapshot")
        except SohuError as e:
            raise Damaged(e.message) from None

    def _recent(self, core: Reader) -> list[int]:
        end = len(self.program.text) + INSTRUCTION_BYTES
        return [number(pc, "a pc", 0, end) for pc in core.items("recent", most=1 << 16)]

    @property
    def kernel(self) -> str | None:
        """The kernel that was launched; None when none was, or when it had ended."""
        name = self.meta.get("kernel")
        if name is not None and (not isinstance(name, str) or name not in self.program.kernels):
            raise SohuError(f"{self.path} is a damaged snapshot: there is no kernel {name!r:.40}")
        return name

    def device(self, output: Callable[[str], None] = print) -> Device:
        """A new device in the state that was saved; `output` gets what the program prints from here on."""
        try:
            return self._device(output)
        except Damaged as e:
            raise SohuError(f"{self.path} is a damaged snapshot: {e}") from None
        except OSError as e:
            raise SohuError(f"cannot read {self.path}: {e.strerror or e}") from None

    def _device(self, output: Callable[[str], None]) -> Device:
        from sohu.emulator.device import Device

        state = self._state()
        timing = self.meta.flag("timing")
        try:
            device = Device(self.chip, schedule=state.schedule, timing=timing, output=output)
        except SohuError as e:  # the chip it describes is too large, perhaps
            raise SohuError(f"{self.path} cannot be opened: {e.message}", help=e.help) from None
        blocks, free = self._blocks(device.hbm.size)
        device.hbm.adopt(blocks, free)
        try:
            image = None if self.meta.get("image") is None else self.meta.number("image")
            device.adopt(self.program, image, self.kernel)
            self._fill(device, blocks)
            restore(device.machine, state)
            device.resume()
        except SohuError as e:
            raise Damaged(e.message) from None
        return device

    def _state(self) -> State:
        from sohu.emulator.machine import QUEUES

        state = from_json(self.meta.get("state"), len(self.program), QUEUES)
        if (fault := state.fault) is not None:
            line_at = self.program.line_at
            fault.place(line_at(fault.pc))
            fault.notes = tuple([n if n.pc is None else n._replace(line=line_at(n.pc)) for n in fault.notes])
        return state

    def _blocks(self, size: int) -> tuple[list[Allocation], list[tuple[int, int]]]:
        blocks, free = [], []
        taken: list[tuple[int, int]] = []
        for b in self.meta.items("blocks"):
            start, end, reserved, writable, name = items(b, "a block", 5)
            if not isinstance(writable, bool) or not isinstance(name, str):
                raise Damaged("a block of HBM is none")
            number(start, "a block's address", PAGE, size)
            number(reserved, "what a block has reserved", start, size + 1)
            number(end, "a block's end", start, reserved + 1)
            blocks.append(Allocation(start, end, writable, name, reserved))
            taken.append((start, reserved))
        for r in self.meta.items("free"):
            start, end = items(r, "a free range", 2)
            number(start, "a free range", PAGE, self.chip.hbm_bytes)
            number(end, "a free range", start, self.chip.hbm_bytes + 1)
            free.append((start, min(end, size)))
        if any(a[1] > b[0] for a, b in pairwise(sorted(taken))):
            raise Damaged("blocks of HBM overlap")
        everything = sorted(taken + free)
        if any(a[1] > b[0] for a, b in pairwise(everything)) or taken != sorted(taken):
            raise Damaged("its map of HBM contradicts itself")
        return blocks, [r for r in free if r[0] < r[1]]

    def _fill(self, device: Device, blocks: list[Allocation]) -> None:
        spans = {
            Space.HBM: page_spans((b.start, b.end) for b in blocks),
            Space.SRAM: page_spans([(0, self.chip.sram_bytes)]),
            Space.ACC: page_spans([(0, self.chip.acc_bytes)]),
        }
        with self.path.open("rb") as file:
            for space, first, count, offset in self.page_runs:
                if not any(a <= first and first + count <= b for a, b in spans[space]):
                    raise Damaged(f"it holds pages of {space} that are nobody's")
                file.seek(offset)
                target = memoryview(device.memories.map(space))[first * PAGE : (first + count) * PAGE]
                if file.readinto(target) != len(target):
                    raise Damaged("it ends early")


def _check_hash(file: BinaryIO, size: int) -> None:
    hash = hashlib.blake2b(digest_size=_DIGEST)
    left = size - _DIGEST
    if left < _HEAD.size + _SECTION.size:
        raise Damaged("it ends early")
    file.seek(0)
    while left:
        data = file.read(min(left, _CHUNK))
        if not data:
            raise Damaged("it ends early")
        hash.update(data)
        left -= len(data)
    if file.read(_DIGEST) != hash.digest():
        raise Damaged("its contents and its hash differ")
