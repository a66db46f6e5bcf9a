"""Snapshots: what runs from one is the same bit for bit, under every schedule and wherever it was taken."""

from __future__ import annotations

import dataclasses
import json
import random
import struct
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.emulator import Device, MachineError, Snapshot, SnapshotFile, Tensor
from sohu.emulator.memory import PAGE
from sohu.isa import SohuError, Space, f32, load_chip

from tests.emulator.support import kernel, random_floats
from tests.emulator.test_mutated_programs import SOURCE

PROGRAM = assemble(SOURCE, "k.s")
WAYS: list[tuple[Any, bool]] = [(None, False), (None, True), (3, False), (17, True), ("timed", True)]

# Two engines far behind the sequencer: in program order, what waits parks
PARKED = """
 .param x, in, f32, [8, 8]
 .param y, out, f32, [8, 8]
 .tile a, sram, f32, [8, 8]
 .tile b, sram, f32, [8, 8]
 .tile c, sram, f32, [8, 8]
"""
PARKED_BODY = """
 li x20, 1
 lf x21, 0.5
 vadds b, a, x21      wait s1>=x20     signal s2
 vmuls c, b, 3.0                       signal s3
 lf x21, 7.0
 dma.store y, c       wait s3>=1
 dma.load a, x, q=1                    signal s1
 li x20, 9
 add x22, x22, 1
 drain
"""


def started(schedule: Any = None, timing: bool = False) -> Device:
    device = Device("small", schedule=schedule, timing=timing, output=lambda _: None)
    device.start(PROGRAM, "k", [random_floats((16, 16)), 2])
    return device


def every_state(device: Device) -> list[Snapshot]:
    """Snapshots before each instruction of a launch, and after the last."""
    found = [device.snapshot()]
    while not device.machine.halted:
        device.machine.step()
        found.append(device.snapshot(found[-1]))
    return found


@pytest.mark.parametrize(("schedule", "timing"), WAYS)
def test_what_runs_from_a_snapshot_is_the_same(schedule: Any, timing: bool) -> None:
    device = started(schedule, timing)
    states = every_state(device)
    result = device.finish()
    wanted = result.outputs["o"].numpy()
    assert max(len(s.state.queues[0]) + len(s.state.queues[4]) for s in states) > 0 or schedule is None
    for i in random.Random(0).sample(range(len(states)), len(states)):
        device.restore(states[i])
        assert device.snapshot().differs(states[i]) == ""
        device.machine.run()
        assert device.snapshot().differs(states[-1]) == ""
        again = device.finish()
        assert (again.instructions, again.cycles) == (result.instructions, result.cycles)
        assert again.outputs["o"].numpy().tobytes() == wanted.tobytes()


@pytest.mark.parametrize("schedule", [None, *range(6), "timed"])
def test_instructions_in_queues_keep_the_operands_they_issued_with(schedule: Any, tmp_path: Path) -> None:
    device = Device("small", schedule=schedule)
    x = random_floats((8, 8))
    device.start(kernel(PARKED_BODY, PARKED), "k", [x])
    states = every_state(device)
    assert max(sum(map(len, s.state.queues)) for s in states) >= 2
    assert np.array_equal(device.finish().outputs["y"].numpy(), (x + np.float32(0.5)) * np.float32(3))
    for s in states:
        device.restore(s)
        path = tmp_path / "s"
        device.save(path)
        other = SnapshotFile(path).device()
        other.machine.run()
        assert other.snapshot().differs(states[-1]) == ""
        # as launched from here: the tensors that the kernel writes are found again
        assert np.array_equal(other.finish().outputs["y"].numpy(), (x + np.float32(0.5)) * np.float32(3))


@pytest.mark.parametrize(("schedule", "timing"), WAYS)
def test_a_file_opens_on_a_new_device(schedule: Any, timing: bool, tmp_path: Path) -> None:
    device = started(schedule, timing)
    files = []
    for i in range(59):
        files.append(tmp_path / f"{i}.snap")
        device.save(files[-1])
        device.machine.step()
    assert device.machine.halted
    end, result = device.snapshot(), device.finish()
    for path in files[::4]:
        file = SnapshotFile(path)
        other = file.device(output=lambda _: None)
        assert file.kernel == other.kernel == "k" and not file.core
        assert file.program.text == PROGRAM.text
        other.machine.run()
        assert other.snapshot().differs(end) == ""
        again = other.finish()
        assert again.cycles == result.cycles
        assert again.outputs["o"].numpy().tobytes() == result.outputs["o"].numpy().tobytes()


def test_a_snapshot_is_shown_without_its_bytes() -> None:
    text = repr(started().snapshot())
    assert len(text) < 200 and "k.s: pc 0x" in text


def test_only_what_changed_is_copied() -> None:
    device = Device("small")
    big = device.tensor(random_floats((1024, 256)))  # 256 pages
    first = device.snapshot()
    big.view()[5, 0] = 7
    second = device.snapshot(first)
    a, b = first.pages[Space.HBM], second.pages[Space.HBM]
    page = (big.address + 5 * 1024) // PAGE
    assert [p for p in b if b[p] is not a.get(p)] == [page]
    assert second.differs(first) == f"hbm {big.address + 5 * 1024:#x}" or second.differs(first).startswith("hbm ")
    device.restore(first)
    assert device.snapshot().differs(first) == "" and big.view()[5, 0] != 7


def test_pages_of_zeros_cost_nothing() -> None:
    device = Device("sohu")
    huge = device.zeros((1 << 20, 4096), f32)  # 16 GiB that nobody touches
    huge.view()[17, 5] = 1
    before = device.snapshot()
    assert before.nbytes <= 2 * PAGE
    huge.view()[1 << 19] = 3
    device.restore(before)
    assert huge.view()[17, 5] == 1 and not huge.view()[1 << 19].any()


def test_what_changed_since_is_told() -> None:
    device = started()
    for _ in range(20):
        device.machine.step()
    before = device.snapshot()
    for change, what in [
        (lambda: device.machine.x.__setitem__(9, 1), "x"),
        (lambda: device.machine.sems.__setitem__(60, 1), "sems"),
        (lambda: device.memories.acc.__setitem__(4099, 1), "acc 0x1003"),
        (lambda: device.machine.t.__setitem__(0, None), "t"),
    ]:
        change()
        assert device.snapshot(before).differs(before) == what
        device.restore(before)
        assert device.snapshot(before).differs(before) == ""


def test_tensors_freed_since_are_back() -> None:
    device = Device("small")
    x = device.tensor(random_floats((64, 64)))
    wanted, before = x.numpy(), device.snapshot()
    x.free()
    device.restore(before)
    assert x.live and np.array_equal(x.numpy(), wanted)
    later = device.tensor(random_floats((8, 8), 1))
    kept = later.numpy()
    device.restore(before)
    assert np.array_equal(later.numpy(), kept)  # made since then: left alone
    x.free()
    thief = device.zeros((40, 40), f32)
    with pytest.raises(SohuError, match="has been given away since"):
        device.restore(before)
    assert thief.live and not thief.numpy().any()


def test_tensors_that_programs_only_read_are_not_copied() -> None:
    device = Device("small")
    weights = device.tensor(random_floats((512, 512)), writable=False)
    x = device.tensor(random_floats((8, 8)))
    before = device.snapshot()
    assert before.nbytes <= 3 * PAGE
    x.freeze()  # since then
    device.restore(before)
    assert x.writable and device.snapshot(before).differs(before) == ""
    weights.free()
    with pytest.raises(SohuError, match="has been freed since, and a snapshot holds no copy"):
        device.restore(before)


def test_files_hold_what_programs_only_read(tmp_path: Path) -> None:
    device = Device("small")
    wanted = random_floats((64, 64))
    wanted.tofile(tmp_path / "w")
    with open(tmp_path / "w", "rb") as file:
        mapped = device.map(file, 0, (64, 64), f32)
    frozen = device.tensor(wanted, writable=False)
    device.start(kernel("nop", ".param x, in, f32, [R, C]\n.param w, in, f32, [R, C]"), "k", [mapped, frozen])
    device.save(tmp_path / "s")
    given = SnapshotFile(tmp_path / "s").device().arguments()
    for name in ("x", "w"):
        tensor = given[name]
        assert isinstance(tensor, Tensor) and not tensor.writable and np.array_equal(tensor.numpy(), wanted)


def test_another_device_refuses_a_snapshot() -> None:
    with pytest.raises(SohuError, match="the snapshot is of another device"):
        Device("small").restore(Device("small").snapshot())


def test_a_fault_is_part_of_it(tmp_path: Path) -> None:
    device = Device("small")
    device.start(assemble(" .kernel k\n li x5, 3\n trap 4\n halt", "t.s"), "k")
    with pytest.raises(MachineError) as e:
        device.machine.run()
    device.save(tmp_path / "s")
    other = SnapshotFile(tmp_path / "s").device()
    assert str(other.machine.fault) == str(e.value) and other.machine.x[5] == 3


def test_a_machine_without_a_program_is_saved_too(tmp_path: Path) -> None:
    device = Device("small")
    mine = device.tensor(random_floats((9, 9)), "mine")
    device.save(tmp_path / "s")
    other = SnapshotFile(tmp_path / "s").device()
    assert other.snapshot().differs(device.snapshot()) == ""
    assert [b.name for b in other.hbm.allocations] == ["the parameter block", "the stack", "mine"]
    assert other.hbm.free_ranges == device.hbm.free_ranges
    other.launch(kernel("li x5, 1"), "k")
    assert mine.live


# -- files that are damaged ----------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[17, "timed"])
def good(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    device = started(request.param, True)
    for _ in range(30):
        device.machine.step()
    path = tmp_path_factory.mktemp("good") / "s"
    device.save(path)
    return path.read_bytes()


def refused(data: bytes, path: Path) -> str:
    """Why a file is refused."""
    path.write_bytes(data)
    with pytest.raises(SohuError) as e:
        SnapshotFile(path).device()
    assert "\n" not in e.value.message and str(path) in e.value.message
    return e.value.message.replace(str(path), "FILE")


def test_damaged_files_are_refused(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert refused(b"", path) == "FILE is no snapshot or core file"
    assert refused(b"\x7fELF" + good, path) == "FILE is no snapshot or core file"
    assert "has version 9 of the format" in refused(good[:8] + b"\x09" + good[9:], path)
    assert "its contents and its hash differ" in refused(good[:-1] + b"x", path)
    assert "its contents and its hash differ" in refused(good[:-1], path)
    rng = random.Random(0)
    for _ in range(100):
        damaged = bytearray(good)
        damaged[rng.randrange(12, len(good))] ^= 1 << rng.randrange(8)
        assert "its contents and its hash differ" in refused(bytes(damaged), path)
        refused(good[: rng.randrange(len(good))], path)
    with pytest.raises(SohuError, match="cannot read"):
        SnapshotFile(tmp_path / "none")


def rehashed(good: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """A file with a changed description, whose hash is right."""
    size = struct.unpack_from("<Q", good, 24)[0]
    meta = json.loads(good[32 : 32 + size])
    change(meta)
    data = json.dumps(meta).encode()
    body = good[:24] + struct.pack("<Q", len(data)) + data + good[32 + size : -32]
    return body + blake2b(body, digest_size=32).digest()


def test_a_description_that_lies_is_refused(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_bytes(rehashed(good, lambda m: None))
    SnapshotFile(path).device()
    for change, why in [
        (lambda m: m["state"]["x"].append(0), "x of the state is no list of 32"),
        (lambda m: m["state"]["x"].__setitem__(5, 1 << 63), "a register is"),
        (lambda m: m["state"].__setitem__("index", 10**9), "index of the state is 1000000000"),
        (lambda m: m["blocks"].reverse(), "contradicts itself"),
        (lambda m: m["blocks"].append([4096, 8192, 8192, True, ""]), "overlap"),
        (lambda m: m["blocks"].pop(), "is no tensor in HBM"),
        (lambda m: m.__setitem__("image", None), "the program is not in HBM"),
        (lambda m: m.__setitem__("image", []), "image of the file is []"),
        (lambda m: m["chip"].__setitem__("sram_bytes", 1 << 62), "the host refuses"),
        (lambda m: m["chip"].pop("name"), "missing name"),
        (lambda m: m.__setitem__("kernel", "g"), "no kernel 'g'"),
        (lambda m: m["state"]["queues"][0].append([0, [], [], 0]), "holds no such instruction"),
        (lambda m: m["state"]["clock"]["events"].append([1.0, 2, 3]), "events are not those of its queues"),
    ]:
        assert why in refused(rehashed(good, change), path), why


@pytest.mark.parametrize("first", [0, 1000, 1 << 18, (1 << 52) - 1, (1 << 64) - 1])
def test_pages_outside_all_blocks_are_refused(good: bytes, first: int, tmp_path: Path) -> None:
    at = good.index(b"pages\0\0\0") + 16
    space, _, page = struct.unpack_from("<IIQ", good, at)
    assert space == Space.HBM and page
    body = good[: at + 8] + struct.pack("<Q", first) + good[at + 16 : -32]
    assert "it holds pages of hbm that are nobody's" in refused(
        body + blake2b(body, digest_size=32).digest(), tmp_path / "s"
    )


def test_a_memory_need_not_be_whole_pages() -> None:
    device = Device(dataclasses.replace(load_chip("small"), sram_bytes=3 * PAGE + 64))
    before = device.snapshot()
    assert before.nbytes == 0
    device.memories.sram[-1] = 7
    after = device.snapshot(before)
    assert after.differs(before) == f"sram {3 * PAGE + 63:#x}"
    assert device.snapshot(after).pages[Space.SRAM][3] is after.pages[Space.SRAM][3]
    device.restore(before)
    assert device.snapshot().differs(before) == ""
