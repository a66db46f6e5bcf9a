"""The second executor, and random programs on both; `make fuzz` runs many more (tools/fuzz/programs.py)."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sohu.asm import AsmError, assemble
from sohu.emulator import Device, Listener, bind, machine, translate
from sohu.isa import ROWS, Row
from sohu.isa.machine import ARGS, GP, RA, SP, Space
from sohu.isa.manual.examples import KERNEL, assembly, parse
from sohu.isa.operands import f32_bits

from tests.emulator.reference.formats import value
from tests.emulator.reference.machine import Block, Machine
from tests.emulator.reference.rows import ENGINES
from tests.emulator.reference.sequencer import SEQUENCER
from tests.emulator.support import named, run
from tools.fuzz import programs
from tools.fuzz.generate import Generator
from tools.fuzz.run import TARGETS, problem
from tools.fuzz.target import Wrong

TARGET = TARGETS["programs"]
PROGRAMS = 60
# programs in which a planted mistake is looked for
SEARCHED = 200


def program(seed: Any) -> bytes:
    return TARGET.make(random.Random(f"test {seed}"))


def test_it_knows_every_row() -> None:
    assert ENGINES.keys() == {r.mnemonic for r in ROWS if r.engine.is_async}
    assert SEQUENCER.keys() == {r.mnemonic for r in ROWS if not r.engine.is_async}


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.mnemonic)
def test_the_example_of_a_row(row: Row) -> None:
    """What the manual shows is what the second executor does."""
    example = parse(row)
    loaded = assemble(assembly(example), "example")
    kernel = loaded.kernels[KERNEL]
    before = {t.name: t for t in (*example.tiles_after, *example.tiles)}
    device = Device("small")
    hbm = device.hbm
    device.start(loaded, KERNEL, {t.name: np.empty_like(t.values) for t in before.values() if t.space is Space.HBM})
    blocks = [Block(b.start, bytearray(hbm.map[b.start : b.end]), b.writable) for b in hbm.allocations]
    sizes = device.memories.sram.size, device.memories.acc.size
    second = Machine(loaded.text, blocks, *sizes, strings=device.machine.string, semantics=ENGINES)
    second.pc = device.machine.pc
    for reg in (RA, SP, GP, ARGS):
        second.x[reg] = device.machine.x[reg]
    registers = {p.name: p.reg for p in kernel.params} | {t.name: t.reg for t in kernel.tiles}
    for _ in registers:
        second._step()
    for t in example.tiles:
        second.write(second.tile(registers[t.name]), t.values.reshape(-1).view(f"u{t.values.itemsize}").tolist())
    assert second.run() == example.fault
    for want in example.tiles_after:
        tile = second.tile(registers[want.name])
        assert (tile.dtype, tile.dims) == (want.dtype.name, want.values.shape)
        got = np.array([value(tile.dtype, c) for c in second.read(tile)]).reshape(tile.dims)
        assert np.allclose(got, want.values.astype(np.float64), 1e-5, 0, equal_nan=True), want.name
    if row.clock:  # time is not counted here
        return
    for s in example.scalars_after:
        assert second.x[s.reg] == (f32_bits(s.value) if isinstance(s.value, float) else s.value)
    if not row.data:  # arrays are NumPy's to print
        assert second.printed == example.prints


def test_random_programs() -> None:
    """Some, the same ones in every run; they reach most of what instructions can be."""
    hit: Counter[str] = Counter()
    for seed in range(PROGRAMS):
        why = problem(TARGET, program(seed), hit)
        assert not why, (seed, why)
    rows = {cell.partition(" ")[0] for cell in hit}
    assert len(rows) > 0.8 * len(ROWS)
    assert hit.keys() <= set(programs.cells())


def search(*only: str) -> str:
    """What is first found wrong in some programs, of these instructions mostly."""
    for seed in range(SEARCHED):
        text = Generator(random.Random(f"search {seed}"), only).program()
        if why := problem(TARGET, text.encode()):
            return why
    return ""


def off_by_a_bit(name: str, operand: str) -> Callable[..., None]:
    """The semantics of a row, the last bit of one of its results wrong."""
    right = ROWS[name].semantics

    def wrong(*args: Any, **held: Any) -> None:
        names = [o.name for o in ROWS[name].operands]
        held |= dict(zip(names, args, strict=False))
        right(**held)
        out = held[operand]
        if out.size and out.dtype.kind == "f":
            out[...] = np.nextafter(out, np.float32(np.inf))

    return wrong


@pytest.mark.parametrize(("name", "operand"), [("vadd", "dst"), ("vcumsum.row", "dst"), ("vfma", "dst")])
def test_the_last_bit_of_a_result(monkeypatch: pytest.MonkeyPatch, name: str, operand: str) -> None:
    right, wrong = ROWS[name].semantics, off_by_a_bit(name, operand)
    object.__setattr__(ROWS[name], "semantics", wrong)
    try:
        why = search(name)
    finally:
        object.__setattr__(ROWS[name], "semantics", right)
    assert f"{name}: element" in why


def test_an_input_that_is_overwritten_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    right = bind._copied

    def no_copies(*args: Any) -> set[int]:
        right(*args)  # it refuses some
        return set()

    monkeypatch.setattr(bind, "_copied", no_copies)
    assert re.search(r"v(rms|ln): element", search("vrms", "vln"))


def test_a_size_that_is_read_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors that keep the sizes of the first time they were used."""
    right = bind.resolve
    first: dict[int, Any] = {}

    def wrong(tile: Any, x: list[int]) -> Any:
        return tile if tile.dimregs is None else first.setdefault(id(tile), (tile, right(tile, x)))[1]

    monkeypatch.setattr(bind, "resolve", wrong)
    assert search()


def test_a_signal_that_comes_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that lets its second instruction go first."""
    right = machine.Machine.execute

    def wrong(self: machine.Machine, q: Any) -> None:
        if len(q.entries) > 1 and q.entries[1].op.wait is None:
            q.entries[0], q.entries[1] = q.entries[1], q.entries[0]
        right(self, q)

    monkeypatch.setattr(machine.Machine, "execute", wrong)
    assert search()


def test_what_differs_between_running_fast_and_being_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    right = translate.Translator._straight

    def wrong(self: Any) -> Any:
        run = right(self)
        if self.row.mnemonic != "sltu":
            return run
        x, d = self.machine.x, self.dest[1]

        def run_and_spoil() -> int:
            nxt = run()
            if not self.machine.listeners and d:
                x[d] ^= 2
            return int(nxt)

        return run_and_spoil

    monkeypatch.setattr(translate.Translator, "_straight", wrong)
    assert re.match(r"x\[\d+\] is", search())


def test_a_smaller_case_that_does_not_assemble_is_none() -> None:
    text = program(0)
    with pytest.raises(AsmError):
        programs.check(text.replace(b".kernel k", b".kernel"))
    assert not programs.check(text.replace(b"# program", b"# part").replace(b".kernel k", b".kernel"))


def test_a_difference_is_told_in_one_line() -> None:
    with pytest.raises(Wrong, match="1 bytes of sram differ, the first at 0x1: 02 here, 03 there"):
        programs._same({"sram": b"\1\2"}, {"sram": b"\1\3"}, "here", "there")


OPEN_ORDER = """
    tswap t40, w, 0, 1
    dma.load b, t40     signal s0
    dma.load a, v       signal s0
    mm c, a, b          wait s0>=2
"""


def test_being_watched_changes_no_bit_of_a_product() -> None:
    rng = np.random.default_rng(0)
    args = {n: rng.standard_normal(s).astype(np.float32) for n, s in (("w", (32, 48)), ("v", (16, 48)))}
    declarations = """
    .param w, in, f32, [32, 48]
    .param v, in, f32, [16, 48]
    .tile a, sram, f32, [16, 48]
    .tile b, sram, f32, [48, 32]
    .tile c, acc, f32, [16, 32]
    """
    sums = []
    for listeners in ([], [Listener()]):
        device = Device("small")
        device.machine.listeners += listeners
        run(OPEN_ORDER, declarations, args, device)
        sums.append(named(device.machine, "c").copy())
    assert np.array_equal(*sums)


def test_a_large_product_of_one_panel_ends() -> None:
    """Few rows and columns, many terms: there is nothing to share."""
    declarations = """
    .param v, in, f32, [16, 2048]
    .param w, in, f32, [2048, 16]
    .tile a, sram, f32, [16, 2048]
    .tile b, sram, f32, [2048, 16]
    .tile c, acc, f32, [16, 16]
    """
    body = "dma.load a, v\n dma.load b, w signal s0\n mm c, a, b wait s0>=1"
    args = {"v": np.ones((16, 2048), np.float32), "w": np.ones((2048, 16), np.float32)}
    device, _ = run(body, declarations, args, Device("small", workers=2))
    assert (named(device.machine, "c") == 2048).all()


def test_infinities_on_worker_threads_warn_nobody() -> None:
    declarations = """
    .param v, in, f32, [256, 128]
    .param w, in, f32, [128, 256]
    .tile a, sram, f32, [256, 128]
    .tile b, sram, f32, [128, 256]
    .tile c, acc, f32, [256, 256]
    """
    body = "dma.load a, v\n dma.load b, w signal s0\n mm c, a, b wait s0>=1"
    args = {"v": np.zeros((256, 128), np.float32), "w": np.full((128, 256), np.inf, np.float32)}
    for _ in range(3):  # a warning would be an error here
        device, _result = run(body, declarations, args, Device("small", workers=2))
        assert np.isnan(named(device.machine, "c")).all()


def test_an_empty_tile_beside_a_large_one() -> None:
    """There are no rows to share among the workers."""
    declarations = ".tile s, sram, f32, [x5<=1, 1, 65536]\n .tile w, sram, f32, [65536]"
    run("li x5, 0\n vrms s, s, w, 0.5", declarations, (), Device("small", workers=2))
