"""Mutated snapshot and core files: each is refused in one sentence, or opens as a machine that can be run."""

from __future__ import annotations

import json
import random
import struct
import tempfile
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from sohu.asm import assemble
from sohu.emulator import Device, MachineError, SnapshotFile
from sohu.emulator.snapshot_file import save
from sohu.isa import SohuError

from tools.fuzz import elfs
from tools.fuzz.target import Target, expect

INSTRUCTIONS = 500  # that an opened machine may execute
_HEAD, _SECTION, _DIGEST = 16, 16, 32
_VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 7, 8, 63, 64, 1 << 12, 1 << 20, 1 << 31, 1 << 32, 1 << 63, 1 << 64, 10**400,
    0.0, 0.5, -1.0, 1e308, "", "k", "timed", "out-of-bounds", "\n", [], {}, [[]], [0, 1], [1, 2, 3], {"f64": 0},
)  # fmt: skip
_WAYS: tuple[dict[str, Any], ...] = ({}, {"timing": True}, {"schedule": 17}, {"schedule": "timed"})
_PROGRAM = """
 .kernel k
 .param x, in, f32, [R, 8]
 .param y, out, f32, [R, 8]
 .param n, i64
 .tile a, sram, f32, [8, 8]
 .tile b, sram, f32, [8, 8]
 .tile c, acc, f32, [8, 8]
 .tile w, sram, f32, [8, 8]
 li x20, 3
 lf x21, 0.5
 loop 3, 9f
   dma.load a, x, q=1                      signal s1
   add x22, x22, 1
   vadds b, a, x21      wait s1>=x22       signal s2
   mm c, b, w           wait s2>=x22       signal s3
   vmul b, b, b         wait s3>=x22       signal s4
   dma.store y, b       wait s4>=x22       signal s5
9: nop
 sync                   wait s5>=x20
 halt
"""


@cache
def seeds() -> tuple[bytes, ...]:
    """Snapshots of a kernel on its way, in each of some ways to run."""
    program = assemble(_PROGRAM, "k.s")
    out = []
    with tempfile.TemporaryDirectory(prefix="sohu-fuzz-") as folder:
        path = Path(folder) / "s"
        for way in _WAYS:
            device = Device("small", output=_silent, **way)
            x = np.arange(64, dtype=np.float32).reshape(8, 8)
            device.start(program, "k", {"x": x, "n": 5})
            for steps in (12, 3, 3, 30):
                for _ in range(steps):
                    if not device.machine.halted:
                        device.machine.step()
                save(device, path, {"recent": [0, 16]} if steps == 30 else None)
                out.append(path.read_bytes())
    return tuple(out)


def _silent(_: str) -> None:
    """What a program prints."""


def _sections(data: bytes) -> list[tuple[bytes, bytes]]:
    """Names and contents, without the last."""
    at, out = _HEAD, []
    while at < len(data) - _DIGEST - _SECTION:
        name, size = struct.unpack_from("<8sQ", data, at)
        out.append((name, data[at + _SECTION : at + _SECTION + size]))
        at += _SECTION + size
    return out


def make(rng: random.Random) -> bytes:
    """A file with some changes, whose hash is right, mostly."""
    seed = rng.choice(seeds())
    sections = [list(s) for s in _sections(seed)]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        kind, section = rng.random(), rng.choice(sections)
        if kind < 0.75:
            sections[0][1] = _other_json(sections[0][1], rng)
        elif kind < 0.85 and len(sections) > 1:
            sections[1][1] = elfs.changed(seed_elf(seed), rng)
        elif kind < 0.95 and len(section[1]) > 16:
            changed = bytearray(section[1])
            changed[rng.randrange(16)] = rng.choice((0, 1, 2, 3, 255, rng.randrange(256)))
            section[1] = bytes(changed)
        elif kind < 0.97:
            section[0] = rng.choice((b"meta", b"elf", b"pages", b"end", b"other", bytes(8)))
        else:
            section[1] = section[1][: rng.randrange(len(section[1]) + 1)]
    body = bytearray(seed[:_HEAD])
    for name, contents in sections:
        body += struct.pack("<8sQ", name, len(contents)) + contents
    body += struct.pack("<8sQ", b"end", _DIGEST)
    if rng.random() < 0.03:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body) + blake2b(body, digest_size=_DIGEST).digest()


@cache
def seed_elf(seed: bytes) -> bytes:
    """The program in a file."""
    return _sections(seed)[1][1]


def _other_json(data: bytes, rng: random.Random) -> bytes:
    try:
        top: Any = json.loads(data)
    except ValueError:
        return data
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            places.append((value, key))
            if isinstance(inner, dict | list) and len(inner) < 600:
                walk(inner)

    walk(top)
    holder, key = rng.choice(places)
    kind = rng.random()
    if kind < 0.6:
        holder[key] = rng.choice(_VALUES)
    elif kind < 0.75 and isinstance(holder[key], int):
        holder[key] += rng.choice((-64, -16, -1, 1, 16, 64, 4096))
    elif kind < 0.85:
        del holder[key]
    elif kind < 0.95 and isinstance(holder, list):
        holder.insert(key, rng.choice((holder[key], rng.choice(holder), rng.choice(_VALUES))))
    else:
        other = rng.choice(places)
        holder[key], other[0][other[1]] = other[0].get(other[1]) if isinstance(other[0], dict) else None, holder[key]
    try:
        return json.dumps(top).encode()
    except ValueError:
        return data[: rng.randrange(len(data))]


def check(data: bytes) -> None:
    """It is refused in one sentence; or opens, is the same when saved and opened again, and runs within limits."""
    with tempfile.TemporaryDirectory(prefix="sohu-fuzz-") as folder:
        path = Path(folder) / "s"
        path.write_bytes(data)
        try:
            device = SnapshotFile(path).device(output=_silent)
        except SohuError as e:
            expect("\n" not in e.message and str(path) in e.message, f"a message of another form: {e.message!r}")
            return
        device.save(path)
        again = SnapshotFile(path).device(output=_silent)
        what = again.snapshot().differs(device.snapshot())
        expect(not what, f"saved and opened, it has another {what}")
        device.machine.max_instructions = device.machine.instructions + INSTRUCTIONS
        device.machine.max_seconds = 1.0
        try:
            device.machine.run()
            device.arguments()
        except MachineError:
            pass
        except SohuError as e:
            expect("\n" not in e.message, f"a message of several lines: {e.message!r}")


TARGET = Target("cores", "mutated snapshots, opened", "files", 200_000, 50, ".snap", make, check)
