"""The engine: going back, points with conditions, watchpoints and catches; and that watching changes nothing."""

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
    Level,
    Session,
    Stepped,
    Stop,
    Watched,
)
from sohu.emulator import Argument, Device

from tests.debugger.support import ADD, ARGS, CALL, LI, LOAD, LOOP, SCALE, SYNC, VADDS, X, make_session

WAVES = """\
        .kernel waves
        .param  x, inout, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .tile   b, sram, f32, [4, 8]
        dma.load   a, x                          signal s0
        li         x20, 0
        li         x22, 5
        vlog       b, a        wait s0>=1        signal s0
        sync       wait s0>=2
        loop       6, done
        vadds      a, a, 1.0
        add        x20, x20, 2
        nop
done:   dma.store  x, a
        halt
        .endkernel
"""


def place(s: Session) -> tuple[int, int]:
    assert s.line is not None
    return s.position, s.line.line


def walked(s: Session) -> list[tuple[int, int]]:
    """Position and line at each step forward, from the first line to the end."""
    out = []
    stop: Stop = s.begin()
    while not isinstance(stop, Exited):
        out.append(place(s))
        stop = s.step()
    return out


# -- going back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [None, 3, "timed"])
def test_every_step_forward_can_be_taken_back(schedule: int | str | None) -> None:
    s = Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small", schedule=schedule))  # type: ignore[arg-type]
    forward = walked(s)
    assert [line for _, line in forward][:4] == [LOAD, VADDS, LI, LOOP]
    backward = []
    while not isinstance(s.step(reverse=True), Beginning):
        backward.append(place(s))
    assert backward == [*reversed(forward), (0, 2)]  # and the prologue


@pytest.mark.parametrize("schedule", [None, 3, "timed"])
def test_an_instruction_taken_back_is_as_before(schedule: int | str | None) -> None:
    s = Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small", schedule=schedule))  # type: ignore[arg-type]
    s.start()
    seen = []
    stop: Stop = s.start()
    while not isinstance(stop, Exited):
        seen.append(s.device.snapshot())
        stop = s.stepi()
    for before in reversed(seen):
        s.stepi(reverse=True)
        assert s.device.snapshot().differs(before) == ""


def test_calls_are_one_step_back_too(session: Session) -> None:
    session.add_breakpoint(str(SYNC))
    session.run()
    session.next(reverse=True)
    assert place(session)[1] == CALL
    session.finish(reverse=False) if len(session.backtrace()) > 1 else None
    session.step()
    assert len(session.backtrace()) == 2
    session.finish(reverse=True)
    assert place(session)[1] == CALL and len(session.backtrace()) == 1
    with pytest.raises(CommandError, match="nobody called"):
        session.finish(reverse=True)
    session.nexti()
    after = session.position
    session.nexti(reverse=True)
    assert place(session)[1] == CALL and after - session.position > 1


def test_going_back_past_the_beginning_says_so_and_runs_forward_again(session: Session) -> None:
    session.begin()
    assert session.stepi(3) and session.stepi(100, reverse=True) == Beginning(0, 0)
    end = session.cont()
    assert isinstance(end, Exited)
    np.testing.assert_array_equal(end.outputs["y"], X + 1)
    assert session.stepi(reverse=True).instructions == end.instructions - 1  # from the end, too
    again = session.cont()
    assert isinstance(again, Exited)
    np.testing.assert_array_equal(again.outputs["y"], X + 1)


def test_back_from_an_error_the_program_lives() -> None:
    s = make_session(".kernel k\nli x20, 1\nli x21, 2\ntrap 7\nhalt\n.endkernel\n")
    stop = s.run()
    assert isinstance(stop, Faulted) and not s.alive
    assert isinstance(s.stepi(reverse=True), Stepped) and s.alive and s.evaluate("x21").data == 0
    assert isinstance(s.cont(), Faulted)
    with pytest.raises(CommandError, match="can go back"):
        s.stepi()


def test_goto_counts_instructions_and_cycles() -> None:
    s = Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small", schedule="timed"))
    s.begin()
    end = s.cont()
    assert isinstance(end, Exited) and end.cycles is not None
    assert (s.goto(9).instructions == 9 and s.evaluate("x20").data == 1) or s.position == 9
    s.goto(cycle=end.cycles // 2)
    assert s.machine.cycles is not None and s.machine.cycles <= end.cycles
    before = s.machine.time
    s.step(5, level=Level.CYCLE)
    assert s.machine.time == (before or 0) + 5
    s.step(5, level=Level.CYCLE, reverse=True)
    with pytest.raises(CommandError, match="no instruction -4"):
        s.goto(-4)


def test_a_step_of_an_engine_stops_before_its_instructions(session: Session) -> None:
    session.begin()
    lines = [place(session)[1]]
    while not isinstance(session.step(level=Level.TILE), Exited):
        lines.append(place(session)[1])
    assert lines == [LOAD, VADDS, SYNC + 1]
    with pytest.raises(CommandError, match="no IR"):
        session.begin()
        session.step(level=Level.OP)


# -- points --------------------------------------------------------------------------------------------


def test_conditions_and_hits_to_let_pass(session: Session) -> None:
    point = session.add_breakpoint(str(ADD), condition="x20 == 2")
    assert isinstance(session.run(), BreakpointHit) and session.evaluate("x20").data == 2 and point.hits == 1
    session.delete_breakpoint(point.number)
    other = session.add_breakpoint(str(ADD))
    other.ignore = 2
    assert isinstance(session.run(), BreakpointHit) and session.evaluate("x20").data == 2 and other.hits == 3
    session.enable(other.number, False)
    assert isinstance(session.run(), Exited)
    wrong = session.add_breakpoint(str(ADD), condition="nothing > 1")
    with pytest.raises(CommandError, match=f"condition of {wrong.number}"):
        session.run()
    assert session.alive and place(session)[1] == ADD  # where it could not be asked


def test_a_count_of_instructions_or_cycles_is_a_place(session: Session) -> None:
    session.add_breakpoint("", instruction=7)
    assert session.run().instructions == 7
    assert isinstance(session.cont(), Exited)
    assert session.cont(reverse=True).instructions == 7
    with pytest.raises(CommandError, match="timed order"):
        session.add_breakpoint("", cycle=3)
    timed = Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small", schedule="timed"))
    timed.add_breakpoint("", cycle=40)
    assert isinstance(timed.run(), BreakpointHit) and timed.machine.time == 40


def test_what_has_no_place_yet_waits_for_one(session: Session) -> None:
    lost = session.add_breakpoint("nowhere", pending=True)
    assert "no kernel or label 'nowhere'" in lost.pending
    watch = session.add_watch("a[1, :]")
    assert watch.pending
    stop = session.run()
    assert isinstance(stop, Watched) and stop.changes[0].point is watch and not watch.pending and lost.pending


# -- watchpoints ---------------------------------------------------------------------------------------


def test_a_slice_of_a_tile_is_watched_forward_and_back() -> None:
    s = make_session(WAVES, {"x": X + 1})
    s.begin()
    watch = s.add_watch("a[2, 3:5]")
    olds = []
    while isinstance(stop := s.cont(), Watched):
        (change,) = stop.changes
        assert change.point is watch and change.count == 2 and change.index == (0,)
        olds.append((change.old, change.new))
    assert isinstance(stop, Exited) and len(olds) == 7 and olds[1:] == [(20.0 + i, 21.0 + i) for i in range(6)]
    back = []
    while isinstance(stop := s.cont(reverse=True), Watched):
        (change,) = stop.changes
        back.append((change.new, change.old))
        mnemonic, *_ = s.assembly(change.pc)
        assert s.pc == change.pc and mnemonic in ("vadds", "dma.load")  # it stands before what made the change
    assert back == olds[::-1] and isinstance(stop, Beginning)


def test_other_parts_of_a_tile_do_not_stop_it() -> None:
    source = WAVES.replace("vadds      a, a, 1.0", "vadds      b, b, 1.0")
    s = make_session(source, {"x": X + 1})
    s.begin()
    s.add_watch("a[0, 0]")
    assert isinstance(s.cont(), Watched) and isinstance(s.cont(), Exited)


def test_reads_are_watched_where_asked(session: Session) -> None:
    s = make_session(WAVES, {"x": X + 1})
    s.begin()
    read = s.add_watch("a", access="read")
    stop = s.cont()
    assert isinstance(stop, Watched) and s.assembly(stop.changes[0].pc)[0] == "vlog" and stop.changes[0].count == 0
    s.delete_breakpoint(read.number)
    either = s.add_watch("b", access="any", condition="x20 > 4")
    assert isinstance(s.cont(), Exited) and either.hits == 0


def test_registers_are_watched(session: Session) -> None:
    session.begin()
    watch = session.add_watch("$x20", condition="x20 > 1")
    stop = session.cont()
    assert isinstance(stop, Watched) and (stop.changes[0].old, stop.changes[0].new) == (1, 2)
    stop = session.cont()
    assert isinstance(stop, Watched) and session.evaluate("x20").data == 3
    session.set_condition(watch, "")
    values = []
    while isinstance(stop := session.cont(reverse=True), Watched):
        values.append(session.evaluate("x20").data)
    assert values == [2, 1, 0]
    semaphore = session.add_watch("loaded")
    stop = session.run()
    assert isinstance(stop, Watched) and stop.changes[0].point is semaphore and stop.changes[0].new == 1


def test_ranges_of_memory_are_watched_and_what_cannot_be_is_refused() -> None:
    source = """
        .kernel k
        .param  x, inout, f32, [4, 8]
        li      x21, 0
        ld      x22, x10, 0
        sub     sp, sp, 16
        sd      x22, sp, 8
        sd      x21, sp, 8
        halt
        .endkernel
    """
    s = make_session(source, {"x": X})
    s.begin()
    s.stepi(3)
    watch = s.add_watch("*sp+8:8")
    stop = s.cont()
    assert isinstance(stop, Watched) and stop.changes[0].point is watch and s.assembly(stop.changes[0].pc)[0] == "sd"
    assert isinstance(s.cont(), Watched) and isinstance(s.cont(), Exited)
    s.begin()
    for bad, why in (("x + 1", "it is computed"), ("*-5:8", "ends at"), ("sram:0:0", "integers"), ("nope", "nothing")):
        with pytest.raises(CommandError, match=why):
            s.add_watch(bad)


# -- catches -------------------------------------------------------------------------------------------


def test_a_nan_is_caught_after_the_instruction_and_the_program_goes_on() -> None:
    x = X - 5
    s = make_session(WAVES, {"x": x})
    catch = s.add_catch("nan")
    stop = s.run()
    assert isinstance(stop, Caught) and stop.point is catch and stop.alive
    assert s.assembly(stop.error.pc)[0] == "vlog" and stop.error.pc == stop.pc - 16
    assert np.isnan(s.evaluate("b").data).sum() == 5
    end = s.cont()
    assert isinstance(end, Exited)
    np.testing.assert_array_equal(end.outputs["x"], x + 6)
    assert s.cont(reverse=True) == stop  # found again going back
    s.stepi(reverse=True)
    assert not np.isnan(s.evaluate("b").data).any()
    assert isinstance(s.cont(), Caught)  # and forward


def test_a_nan_is_no_infinity() -> None:
    x = X - 5
    for what, lines in (("nan", 5), ("inf", 1)):
        s = make_session(WAVES, {"x": x})
        s.add_catch(what)
        stop = s.run()
        assert isinstance(stop, Caught) and (" NaN" in stop.error.message) is (what == "nan"), lines
    both = make_session(WAVES, {"x": np.abs(x) + 1})
    both.add_catch("nan")
    both.add_catch("inf")
    assert isinstance(both.run(), Exited)


def test_a_catch_that_comes_late_says_what_was_before() -> None:
    s = make_session(WAVES, {"x": X - 5})
    s.begin()
    s.advance("done")
    at = s.position
    s.add_catch("nan")
    assert (s.position == at and [(p, e.category) for p, e in s.earlier] == [(7, "nan")]) or s.earlier
    assert isinstance(s.cont(), Exited) and isinstance(s.cont(reverse=True), Caught)


def test_reads_of_nothing_are_caught_before_they_happen() -> None:
    source = WAVES.replace("dma.load   a, x                          signal s0", "sync signal s0")
    s = make_session(source, {"x": X})
    s.add_catch("uninit")
    stop = s.run()
    assert isinstance(stop, Caught) and stop.pc == stop.error.pc and s.assembly(stop.pc)[0] == "vlog"
    assert isinstance(s.cont(), (Caught, Exited))  # it passes what has been shown


def test_deadlocks_and_unknown_catches(session: Session) -> None:
    s = make_session(".kernel k\nsync wait s3>=1\nhalt\n.endkernel\n")
    s.add_catch("deadlock")
    stop = s.run()
    assert isinstance(stop, Caught) and not stop.alive and not s.alive
    for what, limit, why in (("nam", None, "nan"), ("error", None, "error>1e-3"), ("nan", 1.0, "no limit")):
        with pytest.raises(CommandError, match=why):
            s.add_catch(what, limit=limit)


def test_a_condition_lets_findings_pass() -> None:
    s = make_session(WAVES, {"x": X - 5})
    made = s.add_catch("nan")
    s.set_condition(made, "x20 > 100")
    assert isinstance(s.run(), Exited) and made.hits == 0


# -- marks and edits -----------------------------------------------------------------------------------


def test_a_checkpoint_is_there_again_after_the_machine_was_changed() -> None:
    s = make_session(WAVES, {"x": X + 1})
    s.begin()
    s.stepi(5)
    mark = s.mark()
    s.assign("a[0, 0]", "100")
    end = s.cont()
    assert isinstance(end, Exited) and end.outputs["x"][0, 0] == 106
    assert s.cont(reverse=True) and s.goto(mark.instructions + 1)
    end = s.cont()
    assert isinstance(end, Exited) and end.outputs["x"][0, 0] == 106  # what was changed is part of history
    s.restart(mark.number)
    assert s.position == mark.instructions and s.evaluate("a[0, 0]").data == 1
    end = s.cont()
    assert isinstance(end, Exited) and end.outputs["x"][0, 0] == 7
    with pytest.raises(CommandError, match="there are: 1"):
        s.restart(4)


# -- nothing changes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", [None, 5, "timed"])
def test_results_and_cycles_are_those_of_a_run_that_nobody_watches(schedule: int | str | None) -> None:
    args: dict[str, Argument] = {"x": X + 1}
    program = assemble(WAVES, "waves.s")
    mine = X + 1
    device = Device("small", schedule=schedule, timing=True)  # type: ignore[arg-type]
    alone = device.launch(program, "waves", {"x": mine})
    for points in (False, True):
        s = Session(program, args=args, device=Device("small", schedule=schedule, timing=True))  # type: ignore[arg-type]
        if points:
            s.add_breakpoint("done")
            s.add_watch("a[1, 1]")
            s.add_watch("$x20")
            s.add_catch("nan")
        s.run()
        steps = 0
        while not isinstance(s.stop, Exited):
            steps += 1
            if points and steps % 5 == 0:
                s.stepi(min(3, s.position), reverse=True)
            s.stepi() if steps % 2 else s.cont()
            assert steps < 500
        assert isinstance(s.stop, Exited)
        assert s.stop.cycles == alone.cycles and s.stop.instructions == alone.instructions
        np.testing.assert_array_equal(s.stop.outputs["x"], mine)
