"""Several chips under the debugger: one focus, points that say which chip they stopped, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sohu.asm import assemble
from sohu.debugger import (
    Beginning,
    BreakpointHit,
    Caught,
    CommandError,
    Exited,
    Faulted,
    GroupSession,
    Interrupted,
    Level,
    Stepped,
    Stop,
    Watched,
    debug,
)
from sohu.debugger.cli import main
from sohu.debugger.shell import Shell
from sohu.emulator import Group
from sohu.isa import SohuError

from tests.debugger.support import SPIN

# Chips that do different amounts of work, meet in an all-reduce, and hand a token round
ROUNDS = """\
        .kernel rounds
        .param  x, in,  f32, [8]
        .param  y, out, f32, [8]
        .param  n, i64, reg=x26
        .tile   a, sram, f32, [8]
        .tile   b, sram, f32, [8]
        .sem    loaded
        .sem    made
        .sem    summed
        .sem    token
        .sem    halved
        chipid  x20
        chips   x21
        add     x22, x20, 1
        blt     x22, x21, 1f
        li      x22, 0
1:      li      x23, 0
        dma.load a, x                            signal loaded
        sync    wait loaded>=1
round:  add     x23, x23, 1
        li      x24, 0
        add     x25, x23, x20
work:   add     x24, x24, 1
        blt     x24, x25, work
        vadds   b, a, 1.0                        signal made
meet:   cce.allreduce b, b      wait made>=x23   signal summed
        sync    wait summed>=x23
        vmuls   a, b, 0.5                        signal halved
        cce.signal x22                           signal token
pass:   sync    wait token>=x23
        blt     x23, x26, round
        dma.store y, a          wait halved>=x23
        halt
        .endkernel
"""
WORK = 23  # a line of it
PROGRAM = assemble(ROUNDS, "rounds.s")
ARGS = [{"x": np.full(8, i, np.float32), "n": 3} for i in range(3)]
SCHEDULES: tuple[Any, ...] = (None, "timed", 5)


def session_of(schedule: Any = None, source: str = ROUNDS, args: Any = ARGS, **more: Any) -> GroupSession:
    program = PROGRAM if source is ROUNDS else assemble(source, "test.s")
    return GroupSession(program, args=args, group=Group(3, "small", schedule=schedule), **more)


def talk(session: GroupSession, *lines: str) -> str:
    out = StringIO()
    shell = Shell(session, out)
    session.output = shell.write
    for line in lines:
        shell.execute(line)
    return out.getvalue()


def state(session: GroupSession) -> Any:
    """Where all chips stand, and what their registers hold."""
    return [(m.instructions, m.pc, tuple(m.x), tuple(m.sems), m.halted) for m in session.machines]


@pytest.fixture(scope="module", params=SCHEDULES, ids=str)
def bare(request: pytest.FixtureRequest) -> tuple[Any, list[bytes], list[int | None]]:
    """A schedule, and what comes of a run that nobody watches."""
    results = Group(3, "small", schedule=request.param).launch(PROGRAM, "rounds", ARGS)
    return request.param, [r.outputs["y"].numpy().tobytes() for r in results], [r.cycles for r in results]


def ends_as(session: GroupSession, bare: tuple[Any, list[bytes], list[int | None]]) -> bool:
    got, cycles = [], []
    for chip in range(3):
        session.look_at(chip)
        assert isinstance(session.stop, Exited)
        got.append(session.stop.outputs["y"].tobytes())
        cycles.append(session.stop.cycles)
    return got == bare[1] and cycles == bare[2]


# -- nothing changes -----------------------------------------------------------------------------------


def test_results_and_cycles_are_those_of_the_bare_run(bare: tuple[Any, Any, Any]) -> None:
    plain = session_of(bare[0])
    assert isinstance(plain.run(), Exited)
    assert ends_as(plain, bare)

    busy = session_of(bare[0], checks="all")
    busy.add_breakpoint(str(WORK))
    busy.add_breakpoint("pass", condition="x23 == 2")
    busy.start()
    busy.add_watch("x24")
    stops: list[Stop] = []
    while not isinstance(stop := busy.cont(), Exited):
        stops.append(stop)
        if len(stops) % 3 == 0:
            busy.look_at(len(stops) % 2)
            if not busy.machine.halted:
                busy.stepi(2)
    assert len(stops) > 20
    assert ends_as(busy, bare)


def test_the_way_back_is_the_way(bare: tuple[Any, Any, Any]) -> None:
    """The stops that are come to going back are those of the way forward, chip by chip; then the same end."""
    session = session_of(bare[0])
    session.add_breakpoint("meet")
    session.add_breakpoint("pass").chip = 1
    seen = []
    stop = session.run()
    while isinstance(stop, BreakpointHit):
        seen.append((session.focus, stop.pc, stop.instructions, state(session)))
        stop = session.cont()
    assert len(seen) == 3 * 3 + 3
    back = []
    while isinstance(stop := session.cont(reverse=True), BreakpointHit):
        back.append((session.focus, stop.pc, stop.instructions, state(session)))
    assert isinstance(stop, Beginning)
    assert back == seen[::-1]
    for p in list(session.points):
        session.delete_breakpoint(p)
    session.cont()
    assert ends_as(session, bare)


def test_steps_are_undone(bare: tuple[Any, Any, Any]) -> None:
    session = session_of(bare[0])
    session.begin()
    session.look_at(1)
    session.stepi()
    seen = [state(session)]
    for _ in range(40):
        session.stepi()
        seen.append(state(session))
    counts = [s[1][0] for s in seen]
    assert counts == list(range(counts[0], counts[0] + 41))
    for k in range(39, 0, -1):
        session.stepi(reverse=True)
        assert state(session) == seen[k]
    session.goto(counts[30])
    assert state(session) == seen[30]
    lines = []
    for _ in range(6):
        session.next()
        lines.append((session.line.line if session.line else 0, session.position))
    for want in lines[-2::-1]:
        session.next(reverse=True)
        assert (session.line.line if session.line else 0, session.position) == want


# -- points --------------------------------------------------------------------------------------------


def test_a_breakpoint_says_which_chip_came_to_it() -> None:
    session = session_of()
    session.add_breakpoint("pass")
    hits = []
    stop = session.run()
    while isinstance(stop, BreakpointHit):
        assert session.machine.pc == stop.pc
        hits.append(session.focus)
        stop = session.cont()
    assert sorted(hits) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_breakpoint_of_one_chip_lets_the_others_pass() -> None:
    session = session_of()
    out = talk(session, "break pass chip 2", "tbreak work -chip 1 if x23 == 2", "run", "c", "info breakpoints")
    assert "Breakpoint 1 at " in out and out.count("on chip 2") == 1
    first, second = out.index("Breakpoint 1 in pass"), out.index("Temporary breakpoint 2 in work")
    assert "chip 2" in out[first : first + 120] and "chip 1" in out[second : second + 120]
    assert session.machine.x[20] == 1 and session.machine.x[23] == 2
    while isinstance(session.cont(), BreakpointHit):
        assert session.focus == 2
    session.add_breakpoint("pass")
    stop = session.run()
    both = set()
    while isinstance(stop, BreakpointHit):
        both.add((session.focus, *(b.number for b in stop.breakpoints)))
        stop = session.cont()
    assert both == {(0, 3), (1, 3), (2, 1, 3)}
    assert "there are chips 0 to 2" in talk(session, "break pass chip 3")


def test_the_first_instruction_of_each_chip_can_be_stopped_at() -> None:
    session = session_of()
    session.add_breakpoint("*rounds")
    stop: Stop = session.run()
    chips = []
    while isinstance(stop, BreakpointHit):
        chips.append((session.focus, stop.instructions))
        stop = session.cont()
    assert chips == [(0, 0), (1, 0), (2, 0)]


def test_a_watchpoint_is_of_one_chip() -> None:
    session = session_of()
    session.add_breakpoint("work").chip = 1
    session.run()
    assert session.focus == 1
    session.delete_breakpoint(1)
    session.add_watch("b[2:4]")
    values = []
    while isinstance(stop := session.cont(), Watched):
        assert session.focus == 1
        assert stop.changes[0].point.chip == 1
        values.append((stop.changes[0].old, stop.changes[0].new))
    assert len(values) == 6  # two writes in each round
    assert [a[1] for a in values[:-1]] == [b[0] for b in values[1:]]
    assert values[0][1] == 2.0  # chip 1 has ones, and adds one
    back = []
    while isinstance(stop := session.cont(reverse=True), Watched):
        assert session.focus == 1
        back.append((stop.changes[0].new, stop.changes[0].old))
    assert back == values[::-1]


def test_a_watched_register_of_one_chip() -> None:
    session = session_of()
    session.start()
    talk(session, "watch $x23 chip 2")
    seen = []
    while isinstance(stop := session.cont(), Watched):
        seen.append((session.focus, stop.changes[0].new))
    assert seen == [(2, 1), (2, 2), (2, 3)]


def test_a_catch_names_the_chip_and_goes_on() -> None:
    poisoned = [{"x": np.full(8, np.inf if i == 1 else i, np.float32), "n": 1} for i in range(3)]
    source = ROUNDS.replace("        vadds   b, a, 1.0 ", "        vsub    b, a, a   ")
    session = session_of(source=source, args=poisoned)
    session.add_catch("nan")
    stop = session.run()
    assert isinstance(stop, Caught) and stop.error.chip == 1 and session.focus == 1
    assert isinstance(session.cont(), (Caught, Exited))
    session = session_of(source=source, args=poisoned)
    session.add_catch("nan").chip = 0
    stop = session.run()
    while isinstance(stop, Caught):
        assert stop.error.chip == 0
        stop = session.cont()
    assert isinstance(stop, Exited)


def test_counts_and_cycles_can_be_stopped_at() -> None:
    session = session_of("timed")
    session.add_breakpoint("instruction 20", instruction=20)
    session.add_breakpoint("cycle 600", cycle=600)
    stop: Stop = session.run()
    seen = []
    while isinstance(stop, BreakpointHit):
        seen.append((stop.breakpoints[0].number, session.focus if stop.breakpoints[0].number == 1 else session.time))
        stop = session.cont()
    assert sorted(seen, key=str) == [(1, 0), (1, 1), (1, 2), (2, 600.0)]
    session.goto(cycle=600)
    assert session.time is not None and session.time <= 600
    before = state(session)
    session.step(5, level=Level.CYCLE)
    session.step(5, level=Level.CYCLE, reverse=True)
    assert state(session) == before


# -- the focus -----------------------------------------------------------------------------------------


def test_steps_are_the_focus_chips() -> None:
    session = session_of()
    session.begin()
    before = [m.instructions for m in session.machines]
    session.stepi(3)
    assert [m.instructions for m in session.machines] == [before[0] + 3, 0, 0]
    session.look_at(2)
    stop = session.stepi()
    assert isinstance(stop, Stepped) and session.focus == 2
    counts = [m.instructions for m in session.machines]
    assert counts[2] == 1 and counts[0] > before[0] + 3  # those before it in the order have run until they must wait
    session.advance("pass")
    assert session.focus == 2 and session.machine.x[23] == 1


def test_a_chip_that_has_halted_takes_no_steps() -> None:
    session = session_of()
    session.add_breakpoint("pass", condition="x23 == 3").chip = 1
    session.run()
    session.look_at(0)
    while not session.machine.halted:
        session.next()
    assert session.running
    with pytest.raises(CommandError, match="chip 0 has halted"):
        session.stepi()
    session.points.clear()
    assert isinstance(session.cont(), Exited)


def test_names_mean_the_focus_chips() -> None:
    session = session_of()
    out = talk(
        session, "break pass chip 2", "run", "chip", "chip all print $x20", "chip 0", "print $x20", "chip 1 p $x20"
    )
    assert "chip 2 of 3" in out
    assert "chip 0:\n$1 = $x20 = 0\nchip 1:\n$2 = $x20 = 1\nchip 2:\n$3 = $x20 = 2\n" in out
    assert session.focus == 0 and "$4 = $x20 = 0" in out and "$5 = $x20 = 1" in out
    assert "there is no chip 7" in talk(session, "chip 7")
    assert "is not for one chip alone" in talk(session, "chip 1 next")
    assert "'x' is no chip" in talk(session, "chip x")


def test_points_and_ends_say_of_which_chip() -> None:
    session = session_of()
    out = talk(session, "break pass chip 2", "watch $x20 chip 1", "info breakpoints", "delete", "run")
    assert "  1  pass (chip 2)\n" in out and "  2  watch $x20 (chip 1)\n" in out
    assert f"has ended on all 3 chips; chip {session.focus}: " in out


def test_info_chips_and_explain_say_who_waits_for_whom() -> None:
    session = session_of()
    out = talk(session, "break round chip 2", "run", "info chips", "explain")
    assert "* chip 2: at 0x" in out
    assert f"chip 0: at {session.machines[0].pc:#06x}" in out
    assert "(rounds.s:26) for chip 2 to come to it" in out.replace("\n", " ")
    assert "Chip 0 waits for chip 2, chip 1 waits for chip 2." in out


def test_an_engine_can_be_looked_at() -> None:
    session = session_of()
    out = talk(session, "break round chip 2", "run", "chip 0", "engine cce", "info queues", "explain", "engine")
    assert "CCE: 1 of" in out and "DMA" not in out.split("engine CCE is looked at")[1]
    assert "The sequencer" not in out
    talk(session, "steptile")
    inst = session.symbols.inst(session.pc)
    assert inst is not None and inst.row.mnemonic == "cce.signal"
    assert "there is no engine 'cc'" in talk(session, "engine cc")
    assert "all engines are looked at" in talk(session, "engine all")


# -- errors --------------------------------------------------------------------------------------------


def test_a_deadlock_of_chips_is_told_by_all_of_them() -> None:
    source = ROUNDS.replace("        cce.signal x22  ", "        beq x20, 2, pass\n        cce.signal x22  ")
    session = session_of(source=source)
    stop = session.run()
    assert isinstance(stop, Faulted) and stop.error.category == "deadlock" and stop.error.chip == session.focus == 0
    out = talk(session, "explain", "info chips").replace("\n", " ")
    assert "Chip 0: The sequencer waits at `sync` (test.s:31) for token >= 1, which is 0" in out
    assert "Nothing can move: chip 0 waits for chips 1, 2" in out
    session.look_at(1)
    assert session.pc == session.machine.pc
    assert isinstance(session.cont(reverse=True), Beginning)
    assert isinstance(session.cont(), Faulted)


def test_a_skipped_collective_is_shown_with_its_chip() -> None:
    source = """\
        .kernel k
        .tile   a, sram, f32, [4]
        chipid  x20
        vfill   a, 1.0                  signal s1
        beq     x20, 1, 1f
        cce.allreduce a, a wait s1>=1
1:      halt
"""
    session = session_of(source=source, args=None)
    stop = session.run()
    assert isinstance(stop, Faulted) and stop.error.category == "collective"
    assert "chip 1 skipped this collective" in stop.error.message
    assert session.focus == stop.error.chip == 0


def test_ctrl_c_stops_all_and_they_go_on() -> None:
    session = session_of(source=SPIN, args=None)
    session.add_breakpoint("top", condition="x20 == 100000000")
    threading.Timer(0.3, session.interrupt).start()
    assert isinstance(session.run(), Interrupted)
    assert session.focus == 0
    at = session.position
    assert at > 100
    threading.Timer(0.2, session.interrupt).start()
    assert isinstance(session.cont(), Interrupted)
    assert session.position > at
    session.goto(at // 2)
    assert session.position == at // 2


# -- changes -------------------------------------------------------------------------------------------


def test_what_is_changed_belongs_to_the_run() -> None:
    session = session_of()
    talk(session, "break pass chip 1", "run", "delete", "set $x26 = 2", "set a[0] = 100")
    at, instruction = session.timeline.position, session.position
    assert session.focus == 1
    assert isinstance(session.cont(), Faulted)  # chip 1 leaves after two rounds, the others wait for it
    session.look_at(1)
    session.goto(instruction)
    assert session.timeline.position == at
    assert session.machines[1].x[26] == 2 and session.machines[0].x[26] == 3


def test_a_checkpoint_holds_all_chips() -> None:
    session = session_of()
    out = talk(session, "break pass", "run", "checkpoint")
    assert "Checkpoint 1" in out
    before = state(session)
    talk(session, "c", "c", "set $x24 = 77", "restart 1")
    assert state(session) == before
    talk(session, "delete", "c")
    assert isinstance(session.stop, Exited)


def test_arguments_are_for_all_or_for_one() -> None:
    session = session_of(args={"x": np.ones(8, np.float32), "n": 1})
    session.give(["n=2", "1:n=4"])
    assert [a["n"] for a in session.arguments] == [2, 4, 2]
    with pytest.raises(SohuError, match="there is no chip 3"):
        session.give(["3:n=1"])
    with pytest.raises(SohuError, match="arguments for 2 chips"):
        session_of(args=ARGS[:2])


def test_saved_points_know_their_chip(tmp_path: Path) -> None:
    file = tmp_path / "points.json"
    session = session_of()
    talk(session, "start", "break pass chip 0", "watch $x23 chip 1", f"save {file}")
    again = session_of()
    talk(again, f"load {file}")
    assert [p.chip for p in again.points.values()] == [0, 1]


# -- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    from sohu.asm import write_elf

    monkeypatch.chdir(tmp_path)
    Path("rounds.s").write_text(ROUNDS)
    Path("rounds.elf").write_bytes(write_elf(PROGRAM))
    for i in range(3):
        np.save(f"x{i}.npy", ARGS[i]["x"])
    yield tmp_path


GIVEN = ["--arg", "n=3", "--arg", "x=x0.npy", "--arg", "1:x=x1.npy", "--arg", "2:x=x2.npy"]


def test_the_command_takes_chips(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = ["-ex", "break pass", "-ex", "run", "-ex", "when", "-ex", "delete", "-ex", "c"]
    assert main(["-nx", "-batch", "--chips", "3", "rounds.elf", *GIVEN, *commands]) == 0
    out = capsys.readouterr().out
    assert "[it is chip 2 that stopped]" in out and "chip 2, instruction" in out and "instructions of all chips" in out


def test_json_says_which_chip(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = ["-ex", "break pass", "-ex", "run"]
    assert main(["-nx", "--json", "-batch", "--chips", "3", "rounds.elf", *GIVEN, *commands]) == 0
    stop = next(o for line in capsys.readouterr().out.splitlines() if (o := json.loads(line))["event"] == "stop")
    assert (stop["chip"], stop["reason"]) == (2, "breakpoint")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--chips", "0"], "1 to 64"),
        (["--chips", "2", "--timing"], "--schedule timed"),
        (["--chips", "2", "--arg", "2:n=1"], "there is no chip 2"),
    ],
)
def test_wrong_options(files: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str) -> None:
    try:
        code = main(["-nx", "-batch", "rounds.elf", *options])
    except SystemExit as e:
        code = int(e.code or 0)
    assert code == 2
    assert says in capsys.readouterr().err


def test_debug_takes_a_group(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("chip 2\nc\n"))
    session = debug(PROGRAM, args=ARGS, group=Group(3, "small"))
    assert isinstance(session.stop, Exited) and session.machine.chip == 2
