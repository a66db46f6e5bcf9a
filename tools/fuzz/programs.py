"""Random programs on the emulator and on the second executor: the same registers, memory, output and faults.

A case is an assembly file; comments say which schedule it runs under too, whether the emulator is eager (it compiles,
defers and cuts whatever it can, however small), and what its tensors hold. The emulator runs it; then with a listener,
which notes what each instruction wrote; then under the random schedule. All end with the same bits. The second
executor (tests/emulator/reference/machine.py) checks every noted result against the manual: bits where it defines them,
its bound where it leaves an order open.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from sohu.asm import Program, assemble
from sohu.emulator import Device, Listener, MachineError, blocks, deferred
from sohu.emulator.schedules import Spec
from sohu.emulator.translate import Issued, Op
from sohu.isa import ROWS, Chip, Row, SohuError, load_chip, pieces, products
from sohu.isa.machine import ARGS, GP, RA, SP, Space

from tests.emulator.reference.machine import Block, Machine, Mismatch, Observed
from tests.emulator.reference.rows import ENGINES
from tools.fuzz.contents import contents
from tools.fuzz.generate import Generator
from tools.fuzz.target import Target, Wrong, expect

WHOLE = "# program"  # the first line of a case that must assemble; one made smaller has lost it
_FILL = re.compile(r"^# fill (arena|other) (\d+) (\w+) (\d+) (\S+) (\d+)$", re.MULTILINE)
_HEAD = re.compile(r"^# (?:program|part), schedule (\d+|none|timed), (eager|usual)$", re.MULTILINE)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan)")
_GARBAGE = 0x5A
_HBM_BYTES, _SRAM_BYTES, _ACC_BYTES = 1 << 23, 1 << 16, 1 << 15  # little: all of it is compared
_STEPS = 100_000


def make(rng: random.Random) -> bytes:
    """A program."""
    return Generator(rng).program().encode()


# -- coverage --------------------------------------------------------------------------------------


def _paired(row: Row) -> tuple[str, str] | None:
    """The two operands of a row that does nothing but convert any dtype to any other; their pairs are cells."""
    wide = [o.name for _, o, k in row.data if len(k.dtypes) > 6]
    return (wide[0], wide[1]) if len(wide) == len(row.data) == 2 else None


def _named(row: Row, dtypes: Mapping[str, str], tail: bool) -> Iterator[str]:
    """The cells that an instruction hits."""
    end = " tail" if tail else ""
    pair = _paired(row)
    if not dtypes:
        yield row.mnemonic
    if pair:
        yield f"{row.mnemonic} {dtypes[pair[0]]}<-{dtypes[pair[1]]}{end}"
    for name, dtype in dtypes.items():
        if pair is None or name not in pair:
            yield f"{row.mnemonic} {name}={dtype}{end}"


@cache
def cells() -> list[str]:
    """All there are: row x dtype of each operand (pairs, where it converts) x sizes fixed or from registers (tail)."""
    out: dict[str, None] = {}
    for row in ROWS:
        for tail in (False, True) if row.data else (False,):
            pair = _paired(row)
            names = {o.name: sorted(d.name for d in k.dtypes) for _, o, k in row.data}
            if pair:
                for a in names[pair[0]]:
                    for b in names[pair[1]]:
                        if (a == "fp4x2") == (b == "fp4x2"):
                            rest = {n: d[0] for n, d in names.items() if n not in pair}
                            out |= dict.fromkeys(_named(row, {pair[0]: a, pair[1]: b, **rest}, tail))
            for name, dtypes in names.items():
                if pair is None or name not in pair:
                    out |= dict.fromkeys(f"{row.mnemonic} {name}={d}{' tail' if tail else ''}" for d in dtypes)
            if not names:
                out |= dict.fromkeys(_named(row, {}, False))
    return list(out)


# -- running ---------------------------------------------------------------------------------------


class _Notes(Listener):
    """Notes what instructions wrote."""

    def __init__(self) -> None:
        self.observed = Observed()

    def did_execute(self, machine: Any, issued: Issued) -> None:
        """The outputs of an engine's instruction."""
        assert issued.op.inst is not None and issued.op.queue is not None
        row, made = issued.op.inst.row, {}
        for (_, o, k), tile in zip(row.data, issued.bound.tiles, strict=True):
            if k.writes_data:
                array = np.ascontiguousarray(machine.memories.view(tile).array)
                made[o.name] = array.reshape(-1).view(f"u{array.itemsize}").tolist()
        self.observed.outputs.setdefault(issued.op.queue.name, []).append(made)

    def did_issue(self, machine: Any, op: Op) -> None:
        """What the sequencer loaded from a tile, and the cycles that it stored."""
        if op.inst is None or op.queue is not None:
            return
        row = op.inst.row
        if row.data and (at := [v for o, v in zip(row.operands, op.inst.values, strict=True) if o.kind.writes]):
            self.observed.loaded.append(machine.x[at[0]] if at[0] else 0)
        elif row.clock and len(op.inst.values) == 2:
            base, offset = op.inst.values
            self.observed.cycles.append(machine.memories.hbm.load64(machine.x[base] + offset))


class _Host:
    """A device, and one program with its tensors on it. All of one program have them at the same addresses."""

    def __init__(self, program: Program, text: str, schedule: Spec = None) -> None:
        self.printed: list[str] = []
        self.why = ""
        self.device = Device(_chip(), schedule=schedule, output=self.printed.append, max_instructions=_STEPS)
        self.loaded = self.device.load(program)
        self.first = {}
        for p in program.kernels["k"].params:
            assert isinstance(p.dims[0], int)
            self.first[p.name] = np.zeros(p.dims[0], np.uint8)
        for space, low, dtype, count, policy, seed in _FILL.findall(text):
            data = contents(dtype, int(count), policy, int(seed))
            array = self.first[space]
            if int(low) + len(data) <= array.size:
                array[int(low) : int(low) + len(data)] = np.frombuffer(data, np.uint8)
        self.tensors = {n: self.device.tensor(a, n) for n, a in self.first.items()}
        self.stack = next(b for b in self.device.hbm.allocations if b.name == "the stack")

    def start(self) -> None:
        """The state in which every run of the program begins."""
        self.printed.clear()
        for name, array in self.first.items():
            np.copyto(self.tensors[name].view(), array)
        self.device.hbm.bytes[self.stack.start : self.stack.end] = _GARBAGE
        self.device.memories.sram.fill(_GARBAGE)
        self.device.memories.acc.fill(_GARBAGE)
        self.device.start(self.loaded, "k", self.tensors)

    def run(self, notes: _Notes | None = None) -> dict[str, Any]:
        """The state at the end."""
        machine = self.device.machine
        self.start()
        if notes is not None:
            machine.listeners.append(notes)
        try:
            machine.run()
        except MachineError as e:
            self.why = str(e)
            return {"fault": f"{e.category} at pc {e.pc:#x}"}
        finally:
            machine.listeners.clear()
        return {
            "fault": "",
            "x": list(machine.x),
            "t": [None if t is None else t.pack() for t in machine.t],
            "semaphores": list(machine.sems),
            "instructions": machine.instructions,
            "printed": list(self.printed),
            "stack": bytes(self.device.hbm.map[self.stack.start : self.stack.end]),
            **{n: t.view().tobytes() for n, t in self.tensors.items()},
            "sram": self.device.memories.sram.tobytes(),
            "acc": self.device.memories.acc.tobytes(),
        }

    def reference(self, observed: Observed) -> Machine:
        """The second executor, in the state in which the emulator begins."""
        self.start()
        machine, hbm = self.device.machine, self.device.hbm
        other = Machine(
            self.loaded.program.text,
            [Block(b.start, bytearray(hbm.map[b.start : b.end]), b.writable) for b in hbm.allocations],
            self.device.memories.sram.size,
            self.device.memories.acc.size,
            strings=machine.string,
            observed=observed,
            semantics=ENGINES,
        )
        for space in (Space.SRAM, Space.ACC):
            memory = other.spaces[int(space)].data
            memory[:] = bytes([_GARBAGE]) * len(memory)
        other.pc = machine.pc
        for reg in (RA, SP, GP, ARGS):
            other.x[reg] = machine.x[reg]
        return other


@cache
def _chip() -> Chip:
    return replace(load_chip("small"), hbm_bytes=_HBM_BYTES, sram_bytes=_SRAM_BYTES, acc_bytes=_ACC_BYTES)


# what the emulator does only where it pays, and from which size or count on: an eager run does it for all
_EAGER: tuple[tuple[ModuleType, str, Any], ...] = (
    (blocks, "HOT", 0),
    (deferred, "SMALLEST", 1),
    (products, "LARGE", 30),
    (products, "PANEL", 40),
    (products, "_STEP", 1),
    (pieces, "LARGE", 12),
)


@contextmanager
def _effort(eager: bool) -> Iterator[None]:
    """Blocks are compiled at once, loads of any size deferred, and small products cut into panels."""
    before = [getattr(module, name) for module, name, _ in _EAGER]
    try:
        blocks.HOT = 1  # the second run finds some compiled
        for module, name, value in _EAGER if eager else ():
            setattr(module, name, value)
        yield
    finally:
        for (module, name, _), value in zip(_EAGER, before, strict=True):
            setattr(module, name, value)


def check(data: bytes) -> Counter[str]:
    """All runs end alike, and as the manual says. Gives what was executed."""
    text = data.decode()
    head = _HEAD.search(text)
    schedule: Spec = None
    if head is not None and head[1] != "none":
        schedule = "timed" if head[1] == "timed" else int(head[1])
    try:
        program = assemble(text, "a.s")
        host = _Host(program, text)
    except (SohuError, KeyError):
        if text.startswith(WHOLE):
            raise
        return Counter()  # a case that was made smaller, and is no program any more
    with _effort(head is not None and head[2] == "eager"):
        return _compared(host, program, text, schedule)


def _compared(host: _Host, program: Program, text: str, schedule: Spec) -> Counter[str]:
    notes = _Notes()
    fast = host.run()
    _same(fast, host.run(), "the first time", "the second")
    _same(fast, host.run(notes), "run fast", "with a listener")
    if schedule is not None and not fast["fault"]:
        _same(fast, _Host(program, text, schedule).run(), "in program order", f"under schedule {schedule}")
    other = host.reference(notes.observed)
    try:
        category = other.run()
    except Mismatch as e:
        raise Wrong(str(e)) from None
    ended = f"{category} at pc {other.at_fault:#x}" if category else ""
    expect(ended == fast["fault"], f"the fault is {fast['fault'] or 'none'}, wants {ended or 'none'}\n{host.why}")
    if not category:
        _same(fast, _state(host, other), "on the emulator", "on the second executor", loosely=True)
    return _cells(other)


def _state(host: _Host, other: Machine) -> dict[str, Any]:
    def bytes_at(address: int, size: int) -> bytes:
        block = next(b for b in other.blocks if b.start <= address < b.end)
        return bytes(block.data[address - block.start : address - block.start + size])

    return {
        "fault": "",
        "x": list(other.x),
        "t": [None if t is None else t.pack() for t in other.t],
        "semaphores": list(other.sems),
        "instructions": other.instructions,
        "printed": list(other.printed),
        "stack": bytes_at(host.stack.start, host.stack.end - host.stack.start),
        **{n: bytes_at(t.address, t.nbytes) for n, t in host.tensors.items()},
        "sram": bytes(other.spaces[int(Space.SRAM)].data),
        "acc": bytes(other.spaces[int(Space.ACC)].data),
    }


def _same(a: dict[str, Any], b: dict[str, Any], one: str, two: str, loosely: bool = False) -> None:
    for key in dict.fromkeys([*a, *b]):
        x, y = a.get(key), b.get(key)
        if x == y or (key == "printed" and loosely and _printed_alike(x or [], y or [])):
            continue
        if key in ("x", "t", "semaphores") and x and y:
            i = next(i for i, (p, q) in enumerate(zip(x, y, strict=True)) if p != q)
            raise Wrong(f"{key}[{i}] is {x[i]!r} {one}, and {y[i]!r} {two}")
        if isinstance(x, bytes) and isinstance(y, bytes):
            places = [i for i, (p, q) in enumerate(zip(x, y, strict=True)) if p != q]
            i = places[0]
            which = f"{len(places)} bytes of {key} differ, the first at {i:#x}"
            raise Wrong(f"{which}: {x[i : i + 4].hex()} {one}, {y[i : i + 4].hex()} {two}")
        raise Wrong(f"{key}: {x!r:.300} {one}, and {y!r:.300} {two}")


def _printed_alike(a: list[str], b: list[str]) -> bool:
    """The same lines, numbers in them as NumPy prints them; cycles are not compared."""
    if len(a) != len(b):
        return False
    for x, y in zip(a, b, strict=True):
        if x == y or x.startswith("at "):
            continue
        p, q = ([float(n) for n in _NUMBER.findall(line)] for line in (x, y))
        if len(p) != len(q) or not np.allclose(p, q, rtol=0.05, atol=1e-6, equal_nan=True):
            return False
    return True


def _cells(other: Machine) -> Counter[str]:
    out: Counter[str] = Counter()
    for (row, dtypes, tail), n in other.cells.items():
        names = [o.name for _, o, _ in row.data]
        for cell in _named(row, dict(zip(names, dtypes, strict=True)), tail):
            out[cell] += n
    return out


def kind(why: str) -> str:
    """What a failure is about: the instruction, or what differs."""
    line = why.rstrip().splitlines()[-1] if why.startswith("Traceback") else why.partition(": ")[0]
    return re.sub(r"0x[0-9a-f]+|\d+", "", line)


def parts(data: bytes) -> list[bytes]:
    """Its lines, as those of a case that need not be whole."""
    return data.replace(WHOLE.encode(), b"# part", 1).splitlines(keepends=True)


TARGET = Target(
    "programs", "random programs on the emulator and on the second executor", "programs", 10_000, 20, ".s",
    make, check, cells=cells, kind=kind, parts=parts,
)  # fmt: skip
