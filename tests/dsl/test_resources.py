"""Registers and memory: spilled scalars, memory used again, tile registers shared, and what does not fit."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from sohu.dsl import CompiledKernel, CompileError, In, Index, Kernel, Out, Scalar, f32, i32, kernel
from sohu.dsl.memory import place_buffers
from sohu.dsl.mir import Buffer, MInst, MKernel, MLoop, VReg
from sohu.dsl.regalloc import SCALARS, allocate
from sohu.emulator import Device
from sohu.isa import NUM_TILES, ROWS, Space, Table, instruction
from sohu.isa.machine import Engine
from sohu.isa.operands import X

import sohu
from tests.dsl.support import SMALL, rand, run, same


def compiled(k: Kernel, *args: Any, **kw: Any) -> CompiledKernel:
    return k.compile(*args, chip=SMALL, **kw)


# -- scalars ---------------------------------------------------------------------------------------


def test_more_live_scalars_than_registers() -> None:
    @kernel
    def many(y: Out[i32, "40"], a: Index, b: Index):
        values = ()
        for i in range(40):
            values = (*values, a * (i + 2) + b)
        for i, v in enumerate(values):
            y[i : i + 1] = sohu.arange((1,), v)

    assert run(many, a=3, b=-7).tolist() == [3 * (i + 2) - 7 for i in range(40)]
    assert " sd " in compiled(many).asm


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_spilled_scalars_in_loops(turns: int) -> None:
    """Values from outside, carried values, loop counts and indices: all are reloaded where they are used."""

    @kernel
    def loops(y: Out[i32, "30"], z: Out[i32, "30"], a: Index, turns: Index):
        outside = ()
        for i in range(30):
            outside = (*outside, a + i * i)
        carried = tuple(outside)
        count = turns + 1
        for k in sohu.range(turns):
            for j in sohu.range(count):
                new = ()
                for c, o in zip(carried, outside, strict=True):
                    new = (*new, c + o * k - j)
                carried = new
        for i in range(30):
            y[i : i + 1] = sohu.arange((1,), carried[i])
            z[i : i + 1] = sohu.arange((1,), outside[i])

    outside = [5 + i * i for i in range(30)]
    carried = outside
    for k in range(turns):
        for j in range(turns + 1):
            carried = [c + o * k - j for c, o in zip(carried, outside, strict=True)]
    y, z = run(loops, a=5, turns=turns)
    assert y.tolist() == carried and z.tolist() == outside


def test_spilled_parameters_are_read_from_their_block() -> None:
    names = [f"p{i}" for i in range(20)]
    params = ", ".join(f"{n}: Index" for n in names)
    sums = "\n".join(f"    v{i} = {n} * n" for i, n in enumerate(names))
    stores = "\n".join(f"    y[{i} : {i + 1}] = sohu.arange((1,), {n} + v{i})" for i, n in enumerate(names))
    source = (
        "import sohu\nfrom sohu.dsl import Index, Out, Scalar, f32, i32, kernel\n\n@kernel\n"
        f'def wide(y: Out[i32, "20"], z: Out[f32, "1"], {params}, s: Scalar, n: Index):\n'
        f"{sums}\n{stores}\n    z[:] = s\n"
    )
    k = from_text(source, "wide")
    given = {n: i * 3 - 20 for i, n in enumerate(names)}
    y, z = run(k, **given, s=2.5, n=4)
    assert y.tolist() == [v * 5 for v in given.values()] and z.tolist() == [2.5]
    assert re.search(r"\bld +x\d+, x10, ", compiled(k).asm)  # x10 is where the parameters are


def from_text(source: str, name: str) -> Kernel:
    import linecache

    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {}
    exec(compile(source, file, "exec"), scope)  # noqa: S102  # this test's own text
    found = scope[name]
    assert isinstance(found, Kernel)
    return found


def machine_code(*nodes: Any) -> MKernel:
    return MKernel("made", list(nodes), {}, [])


def li(v: VReg, n: int = 0) -> MInst:
    return MInst(ROWS["li"], [v, n], None)


def test_an_instruction_that_reads_more_spilled_scalars_than_there_is_room_for() -> None:
    def reads(a: Any, b: Any, c: Any, d: Any) -> None:
        """Read four scalar registers at once."""

    reads.__annotations__ = dict.fromkeys("abcd", X)
    four = instruction("four", 0xC00, Engine.SEQ, table=Table())(reads)
    late = [VReg("x", f"late{i}") for i in range(4)]
    busy = [VReg("x", f"busy{i}", pinned=True) for i in range(len(SCALARS))]
    uses = [MInst(ROWS["mv"], [VReg("x"), b], None) for b in busy]
    code = machine_code(*map(li, (*late, *busy)), *uses, MInst(four, [*late], None))
    with pytest.raises(CompileError, match="reads more than 3 spilled scalars") as caught:
        allocate(code)
    assert caught.value.code == "K062"


def test_more_counters_than_registers() -> None:
    busy = [VReg("x", f"busy{i}", pinned=True) for i in range(len(SCALARS) + 1)]
    code = machine_code(*map(li, busy), *(MInst(ROWS["mv"], [VReg("x"), b], None) for b in busy))
    with pytest.raises(CompileError, match="more loop counters than scalar registers") as caught:
        allocate(code)
    assert caught.value.code == "K062"


def test_what_enters_a_loop_lives_to_its_end() -> None:
    """Registers and buffers first touched before a loop, or in an outer one, are not given away in the loop."""
    outside, inside, later = VReg("x", "outside"), VReg("x", "inside"), VReg("x", "later")
    body = [MInst(ROWS["mv"], [inside, outside], None), li(later), MInst(ROWS["mv"], [inside, later], None)]
    code = machine_code(li(outside), MLoop(2, body, None))
    registers = allocate(code)
    assert registers[outside] not in (registers[inside], registers[later])


# -- memory ----------------------------------------------------------------------------------------

BIG = {"N": 128, "C": 512}  # 256 KiB of f32; the small chip has 1 MiB


def test_memory_is_used_again() -> None:
    @kernel
    def chain(x: In[f32, "N C"], w: In[f32, "N C"], y: Out[f32, "N C"], z: Out[f32, "N C"]):
        t = x[...]
        for i in range(8):
            t = t * 1.5 + i
        y[...] = t
        u = w[...]
        for _ in range(6):
            u = u + x[...]
        z[...] = u

    c = compiled(chain, bounds=BIG)
    sram = [t.tile for t in c.program.kernels["chain"].tiles if t.tile.space is Space.SRAM]
    ends = [t.extent() for t in sram]
    assert sum(high - low for low, high in ends) > SMALL.sram_bytes >= max(high for _, high in ends)
    x, w = rand(128, 512), rand(128, 512, seed=1)
    t = x
    for i in range(8):
        t = t * np.float32(1.5) + np.float32(i)
    y, z = run(chain, x, w, seeds=range(12))
    same(y, t)
    same(z, w + 6 * x, 1e-5)


@pytest.mark.parametrize("turns", [0, 1, 4])
def test_memory_is_used_again_in_loops(turns: int) -> None:
    @kernel
    def loop(x: In[f32, "N C"], y: Out[f32, "N C"], z: Out[f32, "N C"], turns: Index):
        acc = x[...] * 0.5
        for _ in sohu.range(turns):
            a = x[...] + acc
            b = a * 2
            y[...] = b
            c = x[...] - 1
            acc = c * 0.25
        z[...] = acc

    x = rand(128, 500)
    acc, b = x * np.float32(0.5), np.zeros_like(x)
    for _ in range(turns):
        b = (x + acc) * 2
        acc = (x - 1) * np.float32(0.25)
    y = np.zeros_like(x)
    checks = "all" if turns else "all,-uninitialized"  # y is not written then
    y, z = run(loop, x, y, np.zeros_like(x), turns, seeds=range(12), checks=checks)[1:3]
    same(y, b)
    same(z, acc)


def test_a_value_overwritten_before_anybody_read_it() -> None:
    """The writer of the first value and that of the second are different engines."""

    @kernel
    def last(x: In[f32, "N C"], y: Out[f32, "C"], n: Index):
        t = sohu.full((x.C,), 7.0)
        for i in sohu.range(n):
            t = x[i]
        y[:] = t

    x = rand(4, 2000)
    for n in (0, 1, 4):
        same(run(last, x, n=n, seeds=range(12)), x[n - 1] if n else np.full(2000, 7, np.float32))


def test_what_does_not_fit_says_which_tiles_and_where() -> None:
    @kernel
    def wide(x: In[f32, "N C"], y: Out[f32, "N C"]):
        a = x[...] + 1
        b = a * 2
        y[...] = a @ b

    with pytest.raises(CompileError) as caught:
        compiled(wide, bounds={"N": 400, "C": 400})
    assert caught.value.code == "K060" and "do not fit" in str(caught.value)
    assert "a f32[400, 400] 640,000 B" in caught.value.message
    k = wide.compile(bounds={"N": 400, "C": 400})  # the full chip has room
    assert k.chip.name == "sohu"


def test_buffers_are_packed_largest_first_and_never_meet() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        buffers, nodes = [], []
        for i in range(30):
            size = int(rng.integers(100, 1100)) * 64
            buffers.append(Buffer(f"b{i}", Space.SRAM, sohu.isa.u8, (size,), VReg("t", f"b{i}", pinned=True)))
        spans = [sorted(rng.integers(0, 60, 2).tolist()) for _ in buffers]
        for at in range(60):
            alive = [b for b, (low, high) in zip(buffers, spans, strict=True) if low <= at <= high]
            nodes.append(MInst(ROWS["vpu.sync"], [], None, reads=list(alive)))
        code = MKernel("made", list(nodes), {}, list(buffers))
        place_buffers(code, SMALL)
        for n in nodes:
            taken = sorted((b.address, b.address + b.nbytes) for b in n.reads if isinstance(b, Buffer))
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(taken))


def test_more_tiles_than_tile_registers() -> None:
    """Tiles of one shape that are never alive together share a register and a place."""

    @kernel
    def rows(x: In[f32, "80 C"], y: Out[f32, "80 C"], s: Scalar):
        before = x[79] * s
        for i in range(80):
            t = x[i] * s
            y[i] = t + x[i, 0:1] - before
            before = t

    x = rand(80, 6)
    t = x * np.float32(0.5)
    same(run(rows, x, s=0.5), t + x[:, :1] - np.roll(t, 1, axis=0), 1e-6)
    tiles = compiled(rows, bounds={"C": 6}).program.kernels["rows"].tiles
    assert len(tiles) < NUM_TILES and sum(t.name.startswith("tmp") for t in tiles) > 0


def test_default_device_takes_kernels_of_all_sizes() -> None:
    @kernel
    def copy(x: In[f32, "N"], y: Out[f32, "N"]):
        y[:] = x[:]

    for n in (1, 1000, 10):
        assert (copy(rand(n), device=Device("small")) == rand(n)).all()
