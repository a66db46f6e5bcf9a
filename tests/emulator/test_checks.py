"""The checkers beside the corpus: how they are chosen, what they leave alone, what their errors look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble, write_elf
from sohu.emulator import Device, MachineError
from sohu.emulator.checks import CHECKS, Check, chosen
from sohu.emulator.checks.nonfinite import quick_test
from sohu.emulator.checks.overflow import limits
from sohu.emulator.checks.places import Place, overlap
from sohu.emulator.group import Group
from sohu.emulator.run_cli import run as sohu_run
from sohu.emulator.schedules import Spec
from sohu.isa import Fault, SohuError, Space, Tile, bf16, e8m0, f16, f32, fp8e4m3, fp8e5m2, i8, i32
from sohu.isa.numerics import convert

from tests.emulator.support import kernel, run, stopped

TWO = ".param x, in, f32, [4]\n.tile a, sram, f32, [4]\n.tile b, sram, f32, [4]\n.sem full\n.sem made"
EVERY = tuple(n for n, declared in CHECKS.items() if declared.in_all)
X = np.arange(4, dtype=np.float32)


# -- which are on ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (None, ()),
        ("none", ()),
        ("", ()),
        ("all", EVERY),
        ("all,-race", tuple(n for n in EVERY if n != "race")),
        ("-race", tuple(n for n in EVERY if n != "race")),
        ("nan, race", ("nan", "race")),
        (["race", "nan"], ("nan", "race")),
        ("all,none,nan", ("nan",)),
    ],
)
def test_checkers_are_chosen_by_name(spec: Any, names: tuple[str, ...]) -> None:
    assert set(chosen(spec)) == set(names)


def test_an_unknown_checker_is_named() -> None:
    with pytest.raises(SohuError, match="there is no checker 'rase'") as info:
        Device("small", checks="rase")
    assert info.value.help == "did you mean 'race'?"
    with pytest.raises(SohuError) as info:
        chosen("xyzzy")
    assert "there are: " in info.value.help


def test_they_are_switched_between_launches() -> None:
    device = Device("small", checks="all")
    assert [type(c) for c in device.machine.hooks.checks] and all(
        isinstance(c, Check) for c in device.machine.hooks.checks
    )
    body = 'vexp b, a\n dbg.print "", x0'
    assert stopped(body, TWO, [X], device).category == "uninitialized"
    device.machine.check("all,-uninitialized")
    run(body, TWO, [X], device)
    device.start(kernel(body, TWO), "k", [X])
    with pytest.raises(SohuError, match="between launches"):
        device.machine.check("none")
    device.machine.run()
    device.machine.check("none")
    assert not device.machine.hooks


def test_the_command_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elf = tmp_path / "k.elf"
    elf.write_bytes(write_elf(assemble(f" .kernel k\n{TWO}\n vexp b, a\n halt\n", "k.s")))
    np.save(tmp_path / "x.npy", X)
    args = [str(elf), "--arg", f"x={tmp_path / 'x.npy'}", "--chip", "small"]
    assert sohu_run(args) == 0
    assert sohu_run([*args, "--check", "race,nan"]) == 0
    capsys.readouterr()
    assert sohu_run([*args, "--check", "all"]) == 3
    assert "error[uninitialized]: operand src: everything of `a`" in capsys.readouterr().err
    assert sohu_run([*args, "--check", "everything"]) == 1
    assert "there is no checker 'everything'" in capsys.readouterr().err


# -- what an error looks like ------------------------------------------------------------------------------


def test_both_sides_of_a_race_are_shown(tmp_path: Path) -> None:
    source = tmp_path / "two.s"
    body = " dma.load   a, x    signal full\n        vexp       b, a               # too early\n halt\n"
    source.write_text(f" .kernel k\n{TWO}\n{body}")
    with pytest.raises(MachineError) as info:
        Device("small", checks="race").launch(assemble(source.read_text(), str(source)), "k", [X])
    e = info.value
    assert str(e).replace(str(source), "two.s").splitlines() == [
        "two.s:8: error[race]: operand src: VPU reads `a` (sram 0x0..0x10) while DMA0 still writes it",
        "    8 |         vexp       b, a               # too early",
        "      |         ^",
        "  read   0x0040  vexp b, a                   two.s:8   vexp       b, a               # too early",
        "  write  0x0030  dma.load a, x  signal full  two.s:7   dma.load   a, x    signal full",
        "  the dma.load signals `full`, but nothing on the VPU queue waits for it",
        "  help: add `wait full>=1` to the `vexp`, or to one before it in its queue",
    ]
    assert [(n.text, n.pc) for n in e.notes[:2]] == [("read", 0x40), ("write", 0x30)]
    assert e.notes[2].pc is None and e.notes[0].line is not None and e.notes[0].line.line == 8


def test_a_deadlock_says_what_keeps_the_signal() -> None:
    body = " dma.load a, x wait made>=1 signal full\n vexp b, a wait full>=1 signal made"
    e = stopped(body, TWO, [X])
    assert e.message.splitlines()[-3:] == [
        "  made >= 1 needs a signal of `vexp b, a  wait full>=1  signal made` at pc 0x0040, which waits in the queue "
        "of VPU",
        "  full >= 1 needs a signal of `dma.load a, x  wait made>=1  signal full` at pc 0x0030, which waits in the "
        "queue of DMA0",
        "  a circle: DMA0 waits for VPU waits for DMA0",
    ]
    assert e.help == "one of them must go first: issue its signal before its own wait"


# -- races -------------------------------------------------------------------------------------------------


def checked(body: str, declarations: str = TWO, args: Any = (X,), checks: str = "all", seeds: int = 3) -> None:
    """The program has nothing that a checker finds, in several orders."""
    for schedule in (None, "timed", *range(seeds)):
        run(body, declarations, args, Device("small", checks=checks, schedule=schedule))  # type: ignore[arg-type]


def test_a_chain_of_signals_orders() -> None:
    checked(
        """
        dma.load a, x signal full
        dma.sync q=1 wait full>=1 signal made
        mxu.sync wait made>=1 signal made
        vexp b, a wait made>=2
        """
    )


def test_what_is_issued_after_a_wait_of_the_sequencer_is_ordered() -> None:
    one = ".tile one, sram, f32, [1]\n"
    checked("dma.load a, x signal full\n sync wait full>=1\n vexp b, a\n mxu.sync\n vneg a, b", one + TWO)
    checked("dma.load a, x\n vfill one, 1.0 signal made\n sld x5, one wait made>=1\n vfill one, 2.0", one + TWO)


def test_the_sequencer_orders_what_it_stored_before_it_issued() -> None:
    checked("taddr x20, y\n sd x0, x20, 0\n sd x0, x20, 8\n dma.load a, y", ".param y, inout, f32, [4]\n" + TWO,
            [X.copy(), X])  # fmt: skip


def test_signals_of_two_queues_are_both_needed() -> None:
    checked("dma.load a, x signal full\n dma.load b, x, q=1 signal full\n vadd a, a, b wait full>=2")
    e = stopped(
        "dma.load a, x signal full\n dma.load b, x, q=1 signal full\n vadd a, a, b wait full>=1",
        TWO, [X], Device("small", checks="race"),
    )  # fmt: skip
    assert e.category == "race" and "others do too" in str(e)


def test_credits_of_the_sequencer_count() -> None:
    """Two credits at the start, and one more for each buffer that is free again."""
    body = """
        sync signal made+=1
        vfill b, 0.0
        loop 6, 9f
          add x20, x20, 1
          dma.load a, x     wait made>=x20    signal full
          vadd b, b, a      wait full>=x20    signal made
        9:
    """
    checked(body)
    e = stopped(body.replace("made+=1", "made+=2"), TWO, [X], Device("small", checks="race"))
    assert e.category == "race"


def test_a_race_is_the_same_in_every_order() -> None:
    body = "dma.load a, x signal full\n vfill b, 1.0\n vexp a, a\n dma.sync q=2 wait full>=1"
    sides = set()
    for schedule in (None, *range(12)):
        e = stopped(body, TWO, [X], Device("small", checks="race", schedule=schedule))
        sides.add(tuple(sorted(n.pc for n in e.notes if n.pc is not None)))
        assert e.category == "race" and "the dma.load signals `full`" in str(e)
    assert sides == {(3 * 16, 5 * 16)}


def test_rows_of_two_interleaved_tiles_do_not_meet() -> None:
    memory = Device("small").memories
    even = Tile(Space.SRAM, f32, 0, (8, 4), (8, 1))
    odd = Tile(Space.SRAM, f32, 16, (8, 4), (8, 1))
    last = Tile(Space.SRAM, f32, 12, (8, 4), (8, 1))

    def place(tile: Tile) -> Place:
        return Place(tile, *tile.extent(), None)

    assert not overlap(memory, place(even), place(odd))
    assert overlap(memory, place(even), place(last)) and overlap(memory, place(last), place(odd))


# -- unwritten elements ------------------------------------------------------------------------------------


def test_copies_of_what_is_missing_are_no_use_of_it() -> None:
    checked("vmov b, a\n vcast b, a\n vfill b, 0.0\n vexp b, b")


def test_a_tile_written_in_parts_is_whole() -> None:
    decl = ".tile a, sram, f32, [6, 8]\n.tile b, sram, f32, [6, 8]"
    parts = "\n".join(f"tslice t20, a, 0, {r}, 2\n tslice t21, t20, 1, {c}, 4\n vfill t21, 1.0" for r in (0, 2, 4)
                      for c in (0, 4))  # fmt: skip
    checked(f"{parts}\n vexp b, a", decl, ())
    assert stopped(f"{parts[: parts.rindex('vfill')]}\n vexp b, a", decl, (), Device("small", checks="all")).operand


def test_what_the_host_has_filled_or_seen_is_written() -> None:
    device = Device("small", checks="all")
    body, decl = "dma.load a, y\n drain\n vexp b, a", ".param y, inout, f32, [4]\n" + TWO.split("\n", 1)[1]
    empty = device.empty((4,), f32, "y")
    assert stopped(body, decl, [empty], device).category == "uninitialized"
    empty.view()[...] = 1
    run(body, decl, [empty], device)
    run(body, decl, [device.zeros((4,), f32)], device)


def test_a_second_launch_reads_what_the_first_has_written() -> None:
    device = Device("small", checks="all")
    decl = ".param y, inout, f32, [4]\n" + TWO.split("\n", 1)[1]
    y = device.empty((4,), f32, "y")
    run(
        "tslice t20, y, 0, 0, 3\n tslice t21, a, 0, 0, 3\n vfill a, 1.0\n drain\n dma.store t20, t21", decl, [y], device
    )
    e = stopped("dma.load a, y\n drain\n vexp b, a", decl, [y], device)
    assert "element [3] of `a`" in e.message
    run("dma.load a, y\n drain\n tslice t21, a, 0, 0, 3\n tslice t22, b, 0, 0, 3\n vexp t22, t21", decl, [y], device)


def test_many_parts_and_many_spoils() -> None:
    """More writes than are remembered one by one."""
    decl = ".tile a, sram, f32, [1024]\n.tile b, sram, f32, [1024]\n.tile e, sram, f32, [1]\n.tile f, sram, f32, [1]"
    body = """
        loop 1024, 9f
          tslice t20, a, 0, x20, 1
          vfill t20, 1.0
          vmov f, e
          add x20, x20, 1
        9:
        vexp b, a
    """
    checked(body, decl, (), seeds=0)
    e = stopped(body.replace("1024, 9f", "1023, 9f"), decl, (), Device("small", checks="all"))
    assert "element [1023] of `a`" in e.message


# -- numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [f32, bf16, f16, fp8e4m3, fp8e5m2, e8m0], ids=str)
def test_the_quick_test_sees_every_nan_and_infinity(dtype: Any) -> None:
    size = dtype.itemsize
    codes = np.arange(256 if size == 1 else 65536, dtype=np.uint32)
    raw = (codes << 16 if size == 4 else codes).astype(f"u{size}").view(dtype.np)
    with np.errstate(all="ignore"):
        bad = ~np.isfinite(raw.astype(np.float32))
    assert bad.any()
    for one, is_bad in zip(raw.reshape(-1, 1), bad, strict=True):
        test = quick_test(one, dtype)
        assert test is not None
        huge = dtype == f32 and abs(float(one[0])) > 1e19
        with np.errstate(all="ignore"):
            assert test() == is_bad or huge, one
    assert quick_test(np.zeros(3, np.int32), i32) is None


@pytest.mark.parametrize("dtype", [bf16, f16, fp8e4m3, fp8e5m2], ids=str)
def test_limits_are_where_rounding_leaves_the_format(dtype: Any) -> None:
    low, high = limits(dtype)
    below = np.nextafter(np.float32(high), np.float32(0))
    with np.errstate(all="ignore"):
        assert np.isfinite(convert(np.array([below]), dtype.np, saturate=False).astype(np.float32)).all()
        above = convert(np.array([np.nextafter(np.float32(high), np.float32(np.inf))]), dtype.np, saturate=False)
        assert not np.isfinite(above.astype(np.float32)).any()
    assert low == -high and limits(i8) == (-129, 128)


def test_masks_and_states_of_minus_infinity_are_left_alone() -> None:
    decl = (
        ".tile s, sram, f32, [2, 4]\n.tile m, sram, f32, [2, 1]\n.tile l, sram, f32, [2, 1]\n.tile o, sram, f32, [2, 4]"
    )
    body = """
        lf x20, 0.5
        vfill s, -inf
        vfill m, -inf
        vfill l, 0.0
        vfill o, 0.0
        vosm s, s, m, l, o, x20, x0, x0
        vfill s, 1.0
        vosm s, s, m, l, o, x20, x0, x0, causal=1
        vdiv o, o, l
        vmax s, s, m
        vexp m, m
    """
    checked(body, decl, ())


def test_numbers_of_a_parked_instruction_are_those_of_its_issue() -> None:
    body = "lf x20, -inf\n vfill a, x20 wait made>=1\n lf x20, 1.0\n sync signal made"
    checked(body)


def test_saturation_by_computed_scales_is_none() -> None:
    decl = (
        ".param x, in, f32, [4, 8]\n.tile a, sram, f32, [4, 8]\n.tile q, sram, i8, [4, 8]\n.tile s, sram, f32, [4, 1]"
    )
    x = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32) * 1e6
    checked("dma.load a, x\n drain\n vquant.row q, s, a\n vdequant a, q, s\n vquant q, a, s", decl, [x])


# -- groups of chips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [None, 0, "timed"])
def test_chips_of_a_group_are_checked(schedule: Spec) -> None:
    text = """
        .kernel k
        .tile a, sram, f32, [2, 2]
        .tile b, sram, f32, [2, 2]
        .sem made
        .sem summed
        vfill         a, 1.0                 signal made
        cce.allreduce b, a    wait made>=1   signal summed
        vexp          b, b    wait summed>=1
        cce.signal    x20     signal made
        halt
    """
    Group(2, "small", schedule=schedule, checks="all").launch(assemble(text, "k.s"), "k")
    with pytest.raises(MachineError) as info:
        early = assemble(text.replace("wait summed>=1", ""), "k.s")
        Group(2, "small", schedule=schedule, checks="race").launch(early, "k")
    assert info.value.category == "race" and "CCE" in info.value.message
    with pytest.raises(MachineError) as info:
        nothing = assemble(text.replace("vfill         a, 1.0", "vpu.sync"), "k.s")
        Group(2, "small", schedule=schedule, checks="all").launch(nothing, "k")
    assert info.value.category == "uninitialized" and info.value.operand == "src"


# -- one that comes from outside ---------------------------------------------------------------------------


def test_hooks_are_called_with_what_they_say() -> None:
    seen: list[str] = []

    class Watch(Check):
        def launch(self) -> None:
            seen.append("launch")

        def before(self, op: Any, bound: Any, value: int) -> None:
            seen.append(f"before {op.inst.row.mnemonic} {len(bound.tiles)} {value}")

        def after(self, op: Any, bound: Any, value: int) -> None:
            seen.append(f"after {op.inst.row.mnemonic}")

        def signalled(self, op: Any, sem: int, value: int) -> None:
            seen.append(f"signalled {op.inst.row.mnemonic} s{sem} {value}")

        def waited(self, op: Any, value: int) -> None:
            seen.append(f"waited {value}")

        def touched(self, op: Any, low: int, high: int, write: bool) -> None:
            seen.append(f"touched {op.inst.row.mnemonic} {high - low} {write}")

        def drained(self) -> None:
            seen.append("drained")

        def cleared(self, sem: int) -> None:
            seen.append(f"cleared s{sem}")

        def halted(self) -> None:
            seen.append("halted")

    device = Device("small")
    device.machine.hooks = type(device.machine.hooks)([Watch(device.machine)])
    body = "vfill a, 1.0 signal s5+=2\n sync wait s5>=2\n sd x0, sp, -8\n drain\n semreset s5"
    run(body, ".tile a, sram, f32, [4]", device=device)
    assert seen == [
        "launch", "touched tld 64 False", "before vfill 1 0", "after vfill", "signalled vfill s5 2", "waited 2",
        "touched sd 8 True", "drained", "cleared s5", "halted",
    ]  # fmt: skip


def test_what_a_hook_raises_names_the_instruction() -> None:
    class Never(Check):
        def before(self, op: Any, bound: Any, value: int) -> None:
            raise Fault("assert", "not here", operand="dst")

    device = Device("small")
    device.machine.hooks = type(device.machine.hooks)([Never(device.machine)])
    e = stopped("nop\n vfill a, 1.0", ".tile a, sram, f32, [4]", device=device)
    assert e.pc == 2 * 16 and e.operand == "dst" and e.instruction.startswith("vfill a")
