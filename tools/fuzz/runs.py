"""Mutated binaries, executed: each is refused, ends, or is stopped with one categorized error; nothing else happens.

Around the memories of the chips that run them lie pages that nobody may touch: whatever does kills the process, which
the fuzzer reports. What HBM holds beside the blocks that a program may write must be the same afterwards.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import mmap
import random
import resource
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sohu.asm import Kernel, Param, Program, assemble, read_elf, write_elf
from sohu.dsl.kernels import attention, lookup, matmul, mlp, norm, rotary, softmax
from sohu.emulator import Device, MachineError, SnapshotFile, Tensor, memory
from sohu.isa import CATEGORIES, INSTRUCTION_BYTES, ROWS, TILE_BYTES, SohuError, bf16, f32, load_chip

from tools.fuzz import elfs
from tools.fuzz.corpus import sound
from tools.fuzz.target import Target, expect

INSTRUCTIONS = 1500  # that a launch may execute
SECONDS = 0.5  # that it may take
HBM = 16 << 20  # bytes
MEMORY = 512 << 20  # bytes that the process may grow by
_GUARD = 1 << 20
_TRIES = 100
_FIXED_NOREPLACE = 0x100000  # of Linux
_elsewhere: list[mmap.mmap] = []
_SIZES = (0, 1, 2, 3, 7, 8, 16, 17, 33, 64)
_ELEMENTS = 1 << 16  # of an argument, at most
_SCALARS = (0, 1, 2, 3, 5, 8, 17, 64, -1, 1000, 1 << 31, -(1 << 63), (1 << 63) - 1)
_FLOATS = (0.0, 1.0, -0.5, 1e-5, 3e38, float("inf"), float("nan"))
_FIELDS = struct.Struct("<QBBBB4B4I4q")  # of a descriptor
_WORDS = (0, 1, 2, 3, 4, 7, 8, 16, 31, 64, 128, 255, 4096, 65535, 1 << 20, (1 << 20) - 4, 1 << 31, (1 << 32) - 1)
_CLEAN_EVERY = 50
_SHARE_SAVED = 0.02  # of the launches whose last state is written to a file


# -- what mutations start from -------------------------------------------------------------------------


def _like(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, np.float32)


@cache
def seeds() -> tuple[bytes, ...]:
    """Compiled kernels of the library, and the repository's assembly files that have kernels."""
    small: dict[str, Any] = {"chip": "small"}
    compiled = [
        matmul.matmul.compile(_like(70, 90), _like(90, 40), bm=32, bn=32, bk=32, **small),
        matmul.linear.compile(_like(8, 32), _like(48, 32), bm=8, bn=16, **small),
        softmax.softmax.compile(_like(30, 70), rows=16, **small),
        softmax.softmax.compile(bf16, rows=8, bounds={"C": 64}, **small),
        norm.rmsnorm.compile(_like(8, 48), _like(48), rows=8, **small),
        rotary.rope.compile(_like(4, 3, 16), _like(32, 8), _like(32, 8), **small),
        attention.cache_append.compile(_like(4, 3, 16), _like(3, 64, 16), rows=2, **small),
        attention.attention.compile(_like(4, 3, 3, 16), _like(3, 64, 16), _like(3, 64, 16), bq=2, bk=16, **small),
        mlp.gated_mlp.compile(_like(4, 32), *[_like(48, 32)] * 3, bm=2, bn=16, **small),
        lookup.embedding.compile(np.zeros(4, np.int32), _like(100, 32), rows=2, **small),
        lookup.argmax.compile(_like(4, 100), rows=2, bv=64, **small),
    ]
    written = (assemble(text, "a.s") for text in sound())
    return (*[c.elf for c in compiled], *[write_elf(p) for p in written if p.kernels])


@cache
def _places(seed: bytes) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]:
    """Of a seed: offset and size of .text, .rodata and .sohu.kernels; offset of the last one's header."""
    table, count, names = struct.unpack_from("<Q", seed, 40)[0], *struct.unpack_from("<HH", seed, 60)
    found = {}
    strings = struct.unpack_from("<Q", seed, table + 64 * names + 24)[0]
    for i in range(1, count):
        at = table + 64 * i
        name = struct.unpack_from("<I", seed, at)[0] + strings
        found[seed[name : seed.index(b"\0", name)]] = (*struct.unpack_from("<QQ", seed, at + 24), at)
    text, rodata, kernels = found[b".text"], found.get(b".rodata", (0, 0, 0)), found[b".sohu.kernels"]
    return text[:2], rodata[:2], kernels[:2], kernels[2]


# -- mutations -----------------------------------------------------------------------------------------


def make(rng: random.Random) -> bytes:
    """A compiled program with some changes, of which most leave it one that loads."""
    seed = rng.choice(seeds())
    if rng.random() < 0.03:
        return elfs.changed(seed, rng)
    out = bytearray(seed)
    text, rodata, kernels, header = _places(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        kind = rng.random()
        if kind < 0.6:
            _change_code(out, *text, rng)
        elif kind < 0.85 and rodata[1] >= TILE_BYTES:
            _change_descriptor(out, *rodata, rng)
        else:
            _change_kernels(out, seed[kernels[0] : sum(kernels)], header, rng)
    return bytes(out)


@cache
def _opcodes() -> tuple[int, ...]:
    return tuple(row.opcode for row in ROWS)


def _without_reserved(out: bytearray, at: int) -> None:
    """Clear the reserved bits of an instruction, which would stop it before anything else can."""
    word = int.from_bytes(out[at : at + INSTRUCTION_BYTES], "little")
    if (row := ROWS.by_opcode.get(word & 0xFFF)) is not None:
        out[at : at + INSTRUCTION_BYTES] = (word & ~row.reserved_mask).to_bytes(INSTRUCTION_BYTES, "little")


def _change_code(out: bytearray, start: int, size: int, rng: random.Random) -> None:
    at = start + rng.randrange(size // INSTRUCTION_BYTES) * INSTRUCTION_BYTES
    end = at + INSTRUCTION_BYTES
    kind = rng.random()
    if kind < 0.4:
        out[at + rng.randrange(INSTRUCTION_BYTES)] ^= 1 << rng.randrange(8)
    elif kind < 0.5:
        out[at + rng.randrange(INSTRUCTION_BYTES)] = rng.randrange(256)
    elif kind < 0.65:  # another instruction with these operands
        word = int.from_bytes(out[at : at + 2], "little") & 0xF000 | rng.choice(_opcodes())
        out[at : at + 2] = word.to_bytes(2, "little")
    elif kind < 0.75:  # a number in it, if that is where one stands
        out[at + 8 : end] = rng.choice(_WORDS).to_bytes(8, "little")
    else:  # another instruction of the program, in its place or swapped with it
        other = start + rng.randrange(size // INSTRUCTION_BYTES) * INSTRUCTION_BYTES
        mine, theirs = out[at:end], out[other : other + INSTRUCTION_BYTES]
        out[at:end] = theirs
        if kind < 0.85:
            out[other : other + INSTRUCTION_BYTES] = mine
    if rng.random() < 0.7:
        _without_reserved(out, at)


def _change_descriptor(out: bytearray, start: int, size: int, rng: random.Random) -> None:
    at = start + rng.randrange(size // TILE_BYTES) * TILE_BYTES
    if rng.random() < 0.2:
        out[at + rng.randrange(TILE_BYTES)] ^= 1 << rng.randrange(8)
        return
    fields = list(_FIELDS.unpack_from(out, at))
    i = rng.randrange(len(fields))
    bits = 64 if i == 0 or i >= 13 else 8 if i < 9 else 32
    value = rng.choice((fields[i] + rng.choice((-1, 1)), fields[i] * 2, -fields[i], rng.choice(_WORDS)))
    value &= (1 << bits) - 1
    fields[i] = value - (1 << 64) if i >= 13 and value >> 63 else value
    _FIELDS.pack_into(out, at, *fields)


def _change_kernels(out: bytearray, described: bytes, header: int, rng: random.Random) -> None:
    """Another value in the description of kernels, mostly one that means something there."""
    top = json.loads(described)
    kernel = rng.choice(top["kernels"])
    kind = rng.random()
    if kind < 0.2 and kernel["params"]:
        p = rng.choice(kernel["params"])
        p["direction"] = rng.choice(("in", "out", "inout") if "dtype" in p else ("i64", "f32"))
    elif kind < 0.5 and (tensors := [p for p in kernel["params"] if "dtype" in p]):
        p = rng.choice(tensors)
        change = rng.randrange(3)
        if change == 0:
            p["dtype"] = rng.choice(("f32", "bf16", "f16", "i32", "i8", "fp8e4m3", "fp4x2"))
        elif change == 1:
            p["dims"][rng.randrange(len(p["dims"]))] = rng.choice((0, 1, 5, 64, "C", "R", "Z"))
        else:
            p["dims"] = rng.choice((p["dims"][1:], p["dims"] * 2, p["dims"][::-1]))
    elif kind < 0.7 and (held := [*kernel["params"], *kernel["tiles"]]):
        rng.choice(held)["reg"] = rng.randrange(64)
    elif kind < 0.8 and kernel["params"]:
        kernel["params"].pop(rng.randrange(len(kernel["params"])))
    elif kernel["bounds"]:
        kernel["bounds"][rng.choice(list(kernel["bounds"]))] = rng.choice(_WORDS)
    data = json.dumps(top).encode()
    struct.pack_into("<QQ", out, header + 24, len(out), len(data))
    out += data


# -- the chips that run them ---------------------------------------------------------------------------


@contextmanager
def _guards() -> Iterator[None]:
    """Makes memories between pages that cannot be touched."""
    real = memory._reserve
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_int64]
    forbidden: set[int] = set()  # pages
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

    def forbid(at: int | None, fixed: int) -> bool:
        """Pages that cannot be touched, there or anywhere; False when there is something else."""
        found = libc.mmap(at, _GUARD, 0, flags | fixed, -1, 0)
        if found == ctypes.c_void_p(-1).value or at not in (None, found):
            return False
        forbidden.update(range(found, found + _GUARD, mmap.PAGESIZE))
        return True

    def reserve(size: int) -> mmap.mmap:
        """A memory with a guard on either side; those that lie beside something else are kept and not used."""
        whole = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        for _ in range(_TRIES):
            made = real(size)
            start = np.frombuffer(made, np.uint8).ctypes.data
            below, above = start - mmap.PAGESIZE, start + whole
            if (below in forbidden or forbid(start - _GUARD, _FIXED_NOREPLACE)) and (
                above in forbidden or forbid(above, _FIXED_NOREPLACE)
            ):
                return made
            _elsewhere.append(made)
            forbid(None, 0)
        raise AssertionError("the host gives no memory between guards")

    memory._reserve = reserve
    try:
        yield
    finally:
        memory._reserve = real


def _silent(_: str) -> None:
    """What a program prints."""


class Chip:
    """A small chip between guards, used for case after case."""

    def __init__(self, **way: Any) -> None:
        chip = dataclasses.replace(load_chip("small"), hbm_bytes=HBM)
        with _guards():
            self.device = Device(chip, max_instructions=INSTRUCTIONS, max_seconds=SECONDS, output=_silent, **way)
        self.hbm = self.device.hbm
        self.clean = assemble(_CLEAN, "clean.s")
        self.wanted = self._clean_run()
        self.cases = 0

    def run(self, program: Program, rng: random.Random) -> None:
        """Run each of its kernels; raises Wrong for whatever is not as it must be."""
        for kernel in list(program.kernels.values())[:2]:
            self._launch(program, kernel, rng)
        self.cases += 1
        if self.cases % _CLEAN_EVERY == 0:
            expect(self._clean_run() == self.wanted, "afterwards, a sound program gives another result")

    def _launch(self, program: Program, kernel: Kernel, rng: random.Random) -> None:
        device, machine = self.device, self.device.machine
        before = {id(a) for a in self.hbm.allocations}
        device.memories.sram[:] = 0
        device.memories.acc[:] = 0
        loaded, args = None, {}
        try:
            loaded = device.load(program)
            args = self._arguments(kernel, rng)
            device.start(loaded, kernel.name, args)
            held = self._guarded_bytes()
            try:
                machine.run()
            except MachineError as e:
                text = str(e)
                expect(e.category in CATEGORIES, f"no category: {e.category}")
                expect(text.startswith(f"{e.where}: error[{e.category}]: "), f"a message of another form: {text!r}")
                expect(0 <= e.pc <= len(program.text), f"the pc is {e.pc:#x}")
            expect(machine.instructions <= INSTRUCTIONS, f"{machine.instructions} instructions have run")
            if rng.random() < _SHARE_SAVED:
                self._saved_and_opened()
            for block, was in zip(self._unwritable(), held, strict=True):
                expect(self.hbm.map[block[0] : block[1]] == was, f"hbm {block[0]:#x}..{block[1]:#x} has changed")
        except SohuError as e:
            expect("\n" not in e.message, f"a message of several lines: {e.message!r}")
        finally:
            for value in args.values():
                if isinstance(value, Tensor):
                    value.free()
            if loaded is not None:
                device.unload(loaded)
        left = [a for a in self.hbm.allocations if id(a) not in before]
        expect(not left, f"memory is left: {left}")

    def _saved_and_opened(self) -> None:
        """Whatever state it has come to, a file of it opens as the same."""
        end = self.device.snapshot()
        with tempfile.NamedTemporaryFile(prefix="sohu-fuzz-") as file:
            path = Path(file.name)
            self.device.save(path)
            opened = SnapshotFile(path).device(output=_silent)
        what = opened.snapshot().differs(end)
        expect(not what, f"saved and opened, it has another {what}")
        self.device.restore(end)
        what = self.device.snapshot().differs(end)
        expect(not what, f"restored, it has another {what}")

    def _unwritable(self) -> list[tuple[int, int]]:
        """The parts of the window below the highest block that no program may write."""
        out, at = [], 0
        for block in self.hbm.allocations:
            if block.writable:
                out.append((at, block.start))
                at = block.end
        return [*out, (at, min(HBM, self.hbm.allocations[-1].end + memory.PAGE))]

    def _guarded_bytes(self) -> list[bytes]:
        return [self.hbm.map[start:end] for start, end in self._unwritable()]

    def _arguments(self, kernel: Kernel, rng: random.Random) -> dict[str, Any]:
        sizes: dict[str | int, int] = {}
        args: dict[str, Any] = {}
        for p in kernel.params:
            if not p.is_tensor:
                args[p.name] = rng.choice(_SCALARS) if p.direction == "i64" else rng.choice(_FLOATS)
                continue
            shape = []
            for d in p.dims:
                most = kernel.bounds.get(d, 1 << 32) if isinstance(d, str) else d
                size = sizes.setdefault(d, min(rng.choice(_SIZES), most) if isinstance(d, str) else d)
                shape.append(size)
            args[p.name] = self._tensor(p, shape, rng)
        return args

    def _tensor(self, p: Param, shape: list[int], rng: random.Random) -> Tensor:
        if np.prod(shape, dtype=object) > _ELEMENTS:
            raise SohuError("a case that asks for too much")
        assert p.dtype is not None
        tensor = self.device.empty(shape, p.dtype, p.name)
        size = tensor.nbytes
        start = rng.randrange(64)
        self.hbm.bytes[tensor.address : tensor.address + size] = _noise(p.dtype is f32)[start : start + size]
        return tensor

    def _clean_run(self) -> bytes:
        x = self.device.tensor(np.linspace(-3, 3, 64, dtype=np.float32).reshape(8, 8))
        self.device.machine.max_seconds = None  # whatever else the host does, this one comes to its end
        loaded = self.device.load(self.clean)
        result = self.device.launch(loaded, "clean", [x])
        self.device.unload(loaded)
        self.device.machine.max_seconds = SECONDS
        return result.outputs["y"].numpy().tobytes() + str(result.cycles).encode()


_CLEAN = """
 .kernel clean
 .param x, in, f32, [R, 8]
 .param y, out, f32, [R, 8]
 .tile a, sram, f32, [8, 8]
 .tile s, sram, f32, [8, 1]
 dma.load a, x                signal s1
 vexp a, a        wait s1>=1
 vsum.row s, a
 vdiv a, a, s                 signal s2
 dma.store y, a   wait s2>=1
 drain
 semreset s1
 halt
"""


@cache
def _noise(floats: bool) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    count = 4 * _ELEMENTS + 64
    if floats:
        return rng.standard_normal(count // 4).astype(np.float32).view(np.uint8)
    return rng.integers(0, 8, count).astype(np.uint8)


_SCHEDULES = (0, 1, 2, 3, "timed", "timed")
_WAYS: tuple[dict[str, Any], ...] = (
    *[{}] * 10,
    *[{"timing": True}] * 2,
    *[{"checks": "all"}] * 2,
    *[{"schedule": s} for s in _SCHEDULES],
)


@cache
def _chips() -> tuple[Chip, ...]:
    """One for each way, in which a case can run; some ways are more likely."""
    made: dict[str, Chip] = {}
    return tuple(made[str(way)] if str(way) in made else made.setdefault(str(way), Chip(**way)) for way in _WAYS)


@cache
def _grown_from() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def check(data: bytes) -> None:
    """The loader refuses it, or each of its kernels runs within all limits."""
    chips = _chips()
    before = _grown_from()
    try:
        program = read_elf(data, "a.elf")
    except SohuError as e:
        expect(bool(e.message) and "\n" not in e.message, f"a message of several lines: {e.message!r}")
        return
    rng = random.Random(zlib.crc32(data))
    rng.choice(chips).run(program, rng)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    expect(grown <= MEMORY, f"the process has grown by {grown:,} bytes")


TARGET = Target("runs", "mutated binaries, executed on the small chip", "binaries", 1_000_000, 250, ".elf", make, check)
