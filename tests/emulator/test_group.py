"""Groups of 1, 2, 3, 4 and 8 chips: collectives against plain NumPy, in every order; signals; groups within groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from sohu.asm import Program, assemble
from sohu.emulator import ArgumentError, Device, Group, MachineError, Stop
from sohu.isa import ROWS, CostArgs, SohuError, Space, f32

from tests.emulator.support import Array, kernel
from tests.emulator.test_timing import CHIP

SIZES = (2, 3, 4, 8)
SCHEDULES: tuple[Any, ...] = (None, "timed", 0, 1)
BF16 = ml_dtypes.bfloat16
DTYPES = {np.dtype(np.float32): "f32", np.dtype(BF16): "bf16", np.dtype(np.int32): "i32", np.dtype(np.uint8): "u8"}


class Case(NamedTuple):
    """A collective: its tile operands as arrays on each chip, what follows them, and what they become."""

    mnemonic: str
    operands: list[dict[str, Array]]  # per chip, in order
    more: str
    expected: list[dict[str, Array]]


def whole(rng: np.random.Generator, n: int, shape: tuple[int, ...], dtype: Any = np.float32) -> list[Array]:
    """Whole numbers: sums are exact."""
    return [rng.integers(-50, 50, shape).astype(dtype) for _ in range(n)]


def full(n: int, shape: tuple[int, ...], dtype: Any = np.float32) -> list[Array]:
    return [np.full(shape, 99, dtype) for _ in range(n)]


def _case(mnemonic: str, more: str, expected: Mapping[str, Sequence[Array]], **operands: Sequence[Array]) -> Case:
    n = len(next(iter(operands.values())))
    each = [{k: v[i] for k, v in operands.items()} for i in range(n)]
    want = [{k: v[i].astype(operands[k][i].dtype) for k, v in expected.items()} for i in range(n)]
    return Case(mnemonic, each, more, want)


def allreduce(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r, c), BF16)
    total = np.sum([s.astype(np.float32) for s in src], axis=0)
    return _case("allreduce", "", {"dst": [total] * n}, dst=full(n, (r, c)), src=src)


def allreduce_max(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r, c), np.int32)
    return _case("allreduce.max", "", {"dst": [np.max(src, axis=0)] * n}, dst=full(n, (r, c), np.int32), src=src)


def reducescatter(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r * n, c))
    parts = np.split(np.sum(src, axis=0), n)
    return _case("reducescatter", "", {"dst": parts}, dst=full(n, (r, c), BF16), src=src)


def allgather(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r, c), BF16)
    return _case("allgather", "", {"dst": [np.concatenate(src)] * n}, dst=full(n, (r * n, c)), src=src)


def alltoall(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r * n, c))
    blocks = [np.split(s, n) for s in src]
    want = [np.concatenate([blocks[i][j] for i in range(n)]) for j in range(n)]
    return _case("alltoall", "", {"dst": want}, dst=full(n, (r * n, c), BF16), src=src)


def alltoallv(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    counts = [rng.integers(0, r + 1, n).astype(np.int32) for _ in range(n)]
    src = whole(rng, n, (r * n, c))
    dst, received = full(n, (r * n + 1, c)), full(n, (n,), np.int32)
    starts = [np.cumsum(k) - k for k in counts]
    want = [d.copy() for d in dst]
    for j in range(n):
        rows = np.concatenate([src[i][starts[i][j] : starts[i][j] + counts[i][j]] for i in range(n)])
        want[j][: len(rows)] = rows
    got = [np.array([counts[i][j] for i in range(n)]) for j in range(n)]
    expected = {"dst": want, "received": got}
    return _case("alltoallv", "", expected, dst=dst, received=received, src=src, counts=counts)


def broadcast(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r, c))
    return _case("broadcast", f", {n - 1}", {"dst": [src[-1]] * n}, dst=full(n, (r, c), BF16), src=src)


def broadcast_by_register(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r, c), np.int32)
    return _case("broadcast", ", x30", {"dst": [src[1]] * n}, dst=full(n, (r, c), np.int32), src=src)


def ring(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src = whole(rng, n, (r, c), BF16)
    to = [np.array([(i + 1) % n for i in range(n)], np.int32)] * n
    return _case("permute", "", {"dst": [src[i - 1] for i in range(n)]}, dst=full(n, (r, c)), src=src, to=to)


def send(rng: np.random.Generator, n: int, r: int, c: int) -> Case:
    src, dst = whole(rng, n, (r, c)), full(n, (r, c))
    to = [np.array([n - 1] + [-1] * (n - 1), np.int32)] * n
    return _case("permute", "", {"dst": [*dst[:-1], src[0]]}, dst=dst, src=src, to=to)


CASES: list[Callable[[np.random.Generator, int, int, int], Case]] = [
    allreduce, allreduce_max, reducescatter, allgather, alltoall, alltoallv, broadcast, broadcast_by_register,
    ring, send,
]  # fmt: skip


def in_hbm(case: Case) -> Program:
    """The collective on parameters, where they lie."""
    one = case.operands[0]
    params = "".join(
        f".param {k}, inout, {DTYPES[v.dtype]}, [{', '.join(map(str, v.shape))}]\n" for k, v in one.items()
    )
    return kernel(f"li x30, 1\n cce.{case.mnemonic} {', '.join(one)}{case.more}", params)


def in_sram(case: Case) -> Program:
    """The collective on tiles with room, whose sizes come from registers: loaded before, stored after."""
    one = case.operands[0]
    sizes: dict[int, str] = {}
    for v in one.values():
        for d in v.shape:
            sizes.setdefault(d, f"x{20 + len(sizes)}")
    params = tiles = ""
    loads, stores = ["li x30, 1"], []
    for k, v in one.items():
        dims = ", ".join(f"{sizes[d]}<={d + 3}" for d in v.shape)
        params += f".param {k}, inout, {DTYPES[v.dtype]}, [{', '.join(map(str, v.shape))}]\n"
        tiles += f".tile t_{k}, sram, {DTYPES[v.dtype]}, [{dims}]\n"
        loads.append(f"dma.load t_{k}, {k} signal s1")
        stores.append(f"dma.store {k}, t_{k} wait s2>=1")
    sized = "\n".join(f"li {reg}, {d}" for d, reg in sizes.items())
    body = [
        sized,
        *loads,
        f"cce.{case.mnemonic} {', '.join(f't_{k}' for k in one)}{case.more} wait s1>={len(one)} signal s2",
    ]
    return kernel("\n".join([*body, *stores]), params + tiles)


def check(group: Group, program: Program, case: Case) -> None:
    given = [{k: v.copy() for k, v in chip.items()} for chip in case.operands]
    group.launch(program, "k", given)
    for i, (got, want) in enumerate(zip(given, case.expected, strict=True)):
        for k in got:
            np.testing.assert_array_equal(got[k], want.get(k, case.operands[i][k]), f"{k} of chip {i}")


@pytest.mark.parametrize("make", CASES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", SIZES)
def test_collectives(make: Callable[[np.random.Generator, int, int, int], Case], n: int) -> None:
    rng = np.random.default_rng(n)
    for schedule in SCHEDULES:
        group = Group(n, "small", schedule=schedule)
        for rows, columns in ((1, 1), (3, 5), (8, 33)):
            case = make(rng, n, rows, columns)
            check(group, in_hbm(case), case)
            check(group, in_sram(case), case)


@pytest.mark.parametrize("make", CASES, ids=lambda f: f.__name__)
def test_a_group_of_one_is_a_chip_by_itself(make: Callable[[np.random.Generator, int, int, int], Case]) -> None:
    if make is broadcast_by_register:
        return  # its root is rank 1
    case = make(np.random.default_rng(1), 1, 3, 5)
    given = {k: v.copy() for k, v in case.operands[0].items()}
    Device("small").launch(in_sram(case), "k", given)
    for k, v in case.expected[0].items():
        np.testing.assert_array_equal(given[k], v)
    check(Group(1, "small"), in_sram(case), case)
    body = "vfill a, 2.0 signal s1\n cce.allreduce a, a, group=9 wait s1>=1"
    for run in (Device("small").launch, Group(1, "small").launch):
        run(kernel(body, ".tile a, sram, f32, [4]"), "k")


def test_the_same_tile_in_and_out_and_tiles_that_overlap() -> None:
    shifted = """
        tslice t30, a, 0, x0, 4
        li x5, 1
        tslice t31, a, 0, x5, 4
        dma.load a, x signal s1
        cce.allreduce t30, t31 wait s1>=1 signal s2
        cce.allreduce a, a signal s2
        dma.store x, a wait s2>=2
    """
    xs = whole(np.random.default_rng(0), 3, (5,))
    want = [x.copy() for x in xs]
    for x in want:
        x[:4] = np.sum([y[1:] for y in xs], axis=0)
    total = np.sum(want, axis=0)
    for schedule in SCHEDULES:
        given = [x.copy() for x in xs]
        program = kernel(shifted, ".param x, inout, f32, [5]\n.tile a, sram, f32, [5]")
        Group(3, "small", schedule=schedule).launch(program, "k", [[g] for g in given])
        assert all(np.array_equal(g, total) for g in given)


def test_a_ring_of_tiles_that_overlap_what_they_become() -> None:
    body = """
        tslice t30, a, 0, x0, 4
        li x5, 1
        tslice t31, a, 0, x5, 4
        dma.load a, x signal s1
        dma.load to, ring signal s1
        cce.permute t31, t30, to wait s1>=2 signal s2
        dma.store x, a wait s2>=1
    """
    decl = ".param x, inout, f32, [5]\n.param ring, in, i32, [3]\n.tile a, sram, f32, [5]\n.tile to, sram, i32, [3]"
    xs = whole(np.random.default_rng(0), 3, (5,))
    for schedule in SCHEDULES:
        given = [x.copy() for x in xs]
        ring = np.array([1, 2, 0], np.int32)
        Group(3, "small", schedule=schedule).launch(kernel(body, decl), "k", [[g, ring] for g in given])
        for i, g in enumerate(given):
            assert g.tolist() == [xs[i][0], *xs[i - 1][:4]]


# Chips that do different amounts of work between collectives, in two buffers, with the ring of a pipeline at the end
MANY = """
    li     x20, 0
    chipid x21
    chips  x22
    dma.load to, ring      signal loaded
    dma.load a, x          signal loaded
    loop   6, 9f
      add   x23, x21, x20
      rem   x23, x23, x22
      add   x20, x20, 1
      loop  x23, 1f
        vadds w, w, 1.0
      1:
      vadds b, a, 1.0      wait loaded>=2    signal ready
      vpu.sync             wait stored>=x20-1
      cce.allreduce c, b   wait ready>=x20   signal summed
      cce.permute d, c, to                   signal sent
      vmuls a, d, 0.5      wait sent>=x20    signal used
      dma.store y, a       wait used>=x20    signal stored
      vadds a, a, 0.25     wait stored>=x20
    9:
"""
MANY_TILES = """
    .param x, in, f32, [16]
    .param ring, in, i32, [N]
    .param y, out, f32, [16]
    .sem loaded
    .sem ready
    .sem summed
    .sem sent
    .sem used
    .sem stored
    .tile a, sram, f32, [16]
    .tile b, sram, f32, [16]
    .tile c, sram, f32, [16]
    .tile d, sram, f32, [16]
    .tile w, sram, f32, [64]
    .tile to, sram, i32, [{n}]
"""


@pytest.mark.parametrize("n", SIZES)
def test_chips_that_run_apart_give_the_same_in_all_orders(n: int) -> None:
    program = kernel(MANY, MANY_TILES.format(n=n))
    xs = whole(np.random.default_rng(n), n, (16,))
    to = np.roll(np.arange(n, dtype=np.int32), -1)
    a = [x.copy() for x in xs]
    for _ in range(6):
        total = np.sum([v + np.float32(1) for v in a], axis=0, dtype=np.float32)
        y = [total * np.float32(0.5)] * n
        a = [v + np.float32(0.25) for v in y]
    for schedule in (None, "timed", *range(25)):
        results = Group(n, "small", schedule=schedule).launch(program, "k", [[x, to] for x in xs])
        for r, want in zip(results, y, strict=True):
            np.testing.assert_allclose(r.outputs["y"].numpy(), want, rtol=1e-6, err_msg=str(schedule))
    again = [Group(n, "small", schedule=s).launch(program, "k", [[x, to] for x in xs]) for s in (None, 3, "timed")]
    assert len({b"".join(r.outputs["y"].numpy().tobytes() for r in each) for each in again}) == 1


def test_groups_within_the_group_have_ranks_of_their_own() -> None:
    # a 2 x 2 mesh: sums along rows, then what the columns have, from the bottom up
    groups = {1: (0, 1), 2: (2, 3), 3: (2, 0), 4: (3, 1), 5: (1,)}
    text = """
        .param x, in, f32, [1, 4]
        .param y, out, f32, [2, 4]
        .tile a, sram, f32, [1, 4]
        .tile b, sram, f32, [2, 4]
        {}
    """
    program = {}
    for chip in range(4):
        row, column = 1 + chip // 2, 3 + chip % 2
        body = f"""
            dma.load a, x signal s1
            cce.allreduce a, a, group={row} wait s1>=1
            cce.allgather b, a, group={column} signal s2
            dma.store y, b wait s2>=1
        """
        program[chip] = kernel(body, text.format(""))
    xs = [np.full((1, 4), 10.0**i, np.float32) for i in range(4)]
    for schedule in SCHEDULES:
        group = Group(4, "small", groups=groups, schedule=schedule)
        results = group.launch([program[i] for i in range(4)], "k", [[x] for x in xs])
        assert [r.outputs["y"].numpy()[:, 0].tolist() for r in results] == [[1100, 11]] * 4
    alone = kernel("vfill a, 2.0 signal s1\n cce.allreduce a, a, group=5 wait s1>=1", ".tile a, sram, f32, [4]")
    idle = kernel("nop")
    Group(4, "small", groups=groups).launch([idle, alone, idle, idle], "k")


@pytest.mark.parametrize(
    ("body", "chips", "says"),
    [
        ("cce.allreduce a, a, group=7", (0, 1, 2), "there is no group 7"),
        ("cce.allreduce a, a, group=1", (0,), "chip 0 is not in group 1 (chips 1, 2)"),
    ],
)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_wrong_groups_are_refused(schedule: Any, body: str, chips: tuple[int, ...], says: str) -> None:
    group = Group(3, "small", groups={1: (1, 2)}, schedule=schedule)
    with pytest.raises(MachineError) as e:
        group.launch(kernel(f"nop\n {body}\n nop", ".tile a, sram, f32, [4]"), "k")
    assert (e.value.category, e.value.operand, e.value.pc) == ("operand", "group", 2 * 16)
    assert e.value.message == says and e.value.chip in chips


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({0: (0, 2, 1)}, "group 0 is all chips"),
        ({1: (0, 3)}, "are no different chips of 3"),
        ({1: (0, 0)}, "are no different chips of 3"),
        ({1: ()}, "are no different chips of 3"),
        ({256: (0,)}, "groups have the numbers 0 to 255"),
    ],
)
def test_tables_of_groups_are_checked(groups: Any, says: str) -> None:
    with pytest.raises(SohuError, match=says):
        Group(3, "small", groups=groups)
    with pytest.raises(SohuError, match="a group of 0 chips"):
        Group(0, "small")


# -- signals -------------------------------------------------------------------------------------------

TOKEN = """
    chipid x20
    chips  x21
    add    x22, x20, 1
    rem    x22, x22, x21
    beq    x20, 0, 1f
    sync   wait s1>=1
1:  cce.signal x22   signal s1+=2
    bne    x20, 0, 2f
    sync   wait s1>=1
2:  vfill a, 1.0  wait s1>=2
"""


@pytest.mark.parametrize("n", (1, *SIZES))
def test_a_token_goes_round(n: int) -> None:
    for schedule in SCHEDULES:
        group = Group(n, "small", schedule=schedule)
        group.launch(kernel(TOKEN, ".tile a, sram, f32, [4]"), "k")
        assert [m.sems[1] for m in group.machines] == [2] * n
        assert [m.x[20] for m in group.machines] == list(range(n))


def test_a_signal_wakes_what_is_parked_on_another_chip() -> None:
    waits = kernel("vfill a, 3.0 wait s5>=1 signal s6\n sync wait s6>=1", ".tile a, sram, f32, [4]")
    sends = kernel("loop 20, 9f\n nop\n9: cce.signal 0 signal s5")
    for schedule in SCHEDULES:
        group = Group(2, "small", schedule=schedule)
        group.launch([waits, sends], "k")
        assert group.machines[0].memories.sram[:16].view(np.float32).tolist() == [3] * 4
        assert group.machines[1].sems[5] == 0  # it goes to the other chip alone


def test_a_signal_to_no_chip_is_refused() -> None:
    with pytest.raises(MachineError, match="there is no chip 2: 2 run") as e:
        Group(2, "small").launch(kernel("cce.signal 2 signal s1"), "k")
    assert e.value.operand == "chip" and e.value.chip == 0


# -- time ----------------------------------------------------------------------------------------------

LINK = CHIP.link_latency


def test_a_collective_starts_on_all_chips_when_the_last_has_come() -> None:
    # a fill takes 15; chip 1 does nine of them from 2 on, and waits for the last
    tiles = ".tile a, sram, f32, [5]\n.tile b, sram, f32, [5]"
    programs = [
        kernel("vfill b, 1.0 signal s1\n" * fills + f"cce.allreduce a, a wait s1>={fills}", tiles)
        for fills in (1, 9, 1)
    ]
    cost = ROWS["cce.allreduce"].cost(CostArgs(CHIP, ((5,),) * 2, (f32,) * 2, (Space.SRAM,) * 2, {}, group=3))
    assert cost > LINK
    results = Group(3, CHIP, schedule="timed").launch(programs, "k")
    assert [r.cycles for r in results] == [2 + 9 * 15 + cost] * 3
    assert [r.stats["busy.CCE"] for r in results] == [cost] * 3
    assert [r.stats["stall.CCE"] for r in results] == [9 * 15 - 1, 9 * 15 - 9, 9 * 15 - 1]  # since they issued


def test_a_signal_takes_the_latency_of_a_link() -> None:
    sends, waits = kernel("nop\n nop\n cce.signal 1 signal s1"), kernel("sync wait s1>=1")
    r = Group(2, CHIP, schedule="timed").launch([sends, waits], "k")
    assert [x.cycles for x in r] == [2 + LINK, 2 + LINK + 1 + 1]  # sync and halt


def test_one_chip_in_timed_order_takes_as_long_in_a_group() -> None:
    program = kernel(MANY, MANY_TILES.format(n=1))
    args = [np.ones(16, np.float32), np.zeros(1, np.int32)]
    alone = Device(CHIP, schedule="timed").launch(program, "k", args)
    (together,) = Group(1, CHIP, schedule="timed").launch(program, "k", [args])
    beside = Device(CHIP, timing=True).launch(program, "k", args)
    assert alone.cycles == together.cycles == beside.cycles


def test_all_chips_come_to_a_cycle_together() -> None:
    n = 3
    program = kernel(MANY, MANY_TILES.format(n=n))
    args = [[x, np.roll(np.arange(n, dtype=np.int32), -1)] for x in whole(np.random.default_rng(0), n, (16,))]
    whole_run = Group(n, CHIP, schedule="timed")
    want = whole_run.launch(program, "k", args)
    for step in (1, 50):
        group = Group(n, CHIP, schedule="timed")
        group.start(program, "k", args)
        cycle = 0
        while group.run(until_cycle=cycle) is not Stop.HALTED:
            assert all(m.halted or m.time == cycle for m in group.machines)
            cycle += step
        got = group.finish()
        assert [r.cycles for r in got] == [r.cycles for r in want]
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(a.outputs["y"].numpy(), b.outputs["y"].numpy())
    with pytest.raises(SohuError, match="only timed order"):
        Group(2, "small").run(until_cycle=3)
    group = Group(2, "small", schedule="timed")
    group.start(kernel("nop"), "k")
    with pytest.raises(SohuError, match="come to a cycle together"):
        group.machines[0].run(until_cycle=3)


# -- launches ------------------------------------------------------------------------------------------


def test_arguments_are_one_set_for_each_chip() -> None:
    group = Group(2, "small")
    program = kernel("nop", ".param n, i64, reg=x20")
    group.launch(program, "k", [{"n": 1}, {"n": 2}])
    assert [m.x[20] for m in group.machines] == [1, 2]
    with pytest.raises(ArgumentError, match="arguments for 1 chips, and the group has 2"):
        group.launch(program, "k", [{"n": 1}])
    with pytest.raises(ArgumentError, match="programs for 3 chips"):
        group.launch([program] * 3, "k", [{"n": 1}] * 2)
    with pytest.raises(ArgumentError, match="kernels for 1 chips"):
        group.launch(program, ["k"], [{"n": 1}] * 2)


def test_programs_of_several_kernels() -> None:
    text = " .kernel one\n li x20, 1\n halt\n .kernel two\n li x20, 2\n halt\n"
    group = Group(2, "small")
    group.launch(assemble(text, "k.s"), ["two", "one"])
    assert [m.x[20] for m in group.machines] == [2, 1]


def test_the_counter_of_cycles_wants_timed_order() -> None:
    program = kernel('dbg.cycle "now "')
    with pytest.raises(ArgumentError, match="in timed order only"):
        Group(2, "small").launch(program, "k")
    said: list[str] = []
    Group(2, "small", schedule="timed", output=said.append).launch(program, "k")
    assert sorted(said) == ["chip 0: now 0", "chip 1: now 0"]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_fault_names_its_chip_and_the_group_can_be_used_again(schedule: Any) -> None:
    group = Group(3, "small", schedule=schedule)
    with pytest.raises(MachineError) as e:
        group.launch(kernel('chipid x5\n sub x5, x5, 2\n dbg.assert x5, "not chip 2"\n sync wait s1>=0'), "k")
    assert (e.value.category, e.value.chip) == ("assert", 2)
    assert "  chip 2, pc 0x0020: dbg.assert" in str(e.value)
    case = allreduce(np.random.default_rng(0), 3, 2, 2)
    check(group, in_sram(case), case)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_limits_hold_for_each_chip(schedule: Any) -> None:
    body = "chipid x5\n bne x5, 1, 2f\n1: j 1b\n2: cce.allreduce a, a"
    group = Group(2, "small", schedule=schedule, max_instructions=1000)
    with pytest.raises(MachineError) as e:
        group.launch(kernel(body, ".tile a, sram, f32, [4]"), "k")
    assert (e.value.category, e.value.chip) == ("limit", 1)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_errors_of_a_collective_itself(schedule: Any) -> None:
    body = "cce.reducescatter a, b"
    with pytest.raises(MachineError, match="src has 5 rows, wants 2 times 2") as e:
        Group(2, "small", schedule=schedule).launch(
            kernel(body, ".tile a, sram, f32, [2, 3]\n.tile b, sram, f32, [5, 3]"), "k"
        )
    assert (e.value.category, e.value.operand, e.value.pc) == ("operand", "src", 2 * 16)


def test_an_interrupted_group_goes_on() -> None:
    for schedule in SCHEDULES:
        group = Group(2, "small", schedule=schedule)
        body = 'chipid x5\n dbg.print "on chip ", x5\n cce.allreduce a, a signal s1\n sync wait s1>=1\n li x6, 1'
        said: list[str] = []

        def stop(text: str, group: Group = group, said: list[str] = said) -> None:
            said.append(text)
            group.interrupt()

        for d in group.devices:
            d.machine.output = stop
        group.start(kernel(body, ".tile a, sram, f32, [4]"), "k")
        assert group.run() is Stop.INTERRUPTED and len(said) == 1
        while group.run() is Stop.INTERRUPTED:
            pass
        group.finish()
        assert sorted(said) == ["on chip 0", "on chip 1"]
        assert [m.x[6] for m in group.machines] == [1, 1]


def test_a_chip_of_a_running_group_has_no_snapshot() -> None:
    group = Group(2, "small")
    group.start(kernel("nop"), "k")
    with pytest.raises(SohuError, match="no snapshot by itself"):
        group.devices[0].snapshot()
    group.run()
    group.devices[0].snapshot()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_ball_goes_back_and_forth(schedule: Any) -> None:
    """Waits for another chip in the middle of a loop, which program order has compiled by then."""
    body = """
        chipid x20
        xor    x21, x20, 1
        loop   100, 9f
          add   x22, x22, 1
          sub   x23, x22, x20
          bne   x20, 0, 1f
          cce.signal x21   signal ball
          sync  wait ball>=x22
          add   x24, x24, x22
          j     2f
          1: sync  wait ball>=x22
          cce.signal x21   signal ball
          add   x24, x24, x22
          nop
          2: nop
        9:
    """
    group = Group(2, "small", schedule=schedule)
    results = group.launch(kernel(body, ".sem ball"), "k")
    assert [m.x[24] for m in group.machines] == [5050, 5050]
    assert [m.sems[0] for m in group.machines] == [100, 100]
    assert [r.instructions for r in results] == [3 + 100 * 8 + 1, 3 + 100 * 8 + 1]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_checkers_watch_every_chip(schedule: Any) -> None:
    n = 3
    group = Group(n, "small", schedule=schedule, checks="all")
    for make in CASES:
        case = make(np.random.default_rng(0), n, 3, 5)
        check(group, in_hbm(case), case)
        check(group, in_sram(case), case)
    group.launch(kernel(TOKEN, ".tile a, sram, f32, [4]"), "k")
    args = [[x, np.roll(np.arange(n, dtype=np.int32), -1)] for x in whole(np.random.default_rng(0), n, (16,))]
    filled = MANY.replace("loop   6, 9f", "vfill w, 0.0\n loop 6, 9f")
    group.launch(kernel(filled, MANY_TILES.format(n=n)), "k", args)
    bad = "chipid x5\n beq x5, 1, 1f\n vfill a, 1.0 signal s1\n 1: vpu.sync signal s1\n cce.allreduce a, a wait s1>=1\n"
    with pytest.raises(MachineError) as e:
        group.launch(kernel(bad + "sync wait s1>=1", ".tile a, sram, f32, [4]"), "k")
    assert (e.value.category, e.value.chip) == ("uninitialized", 1), e.value
