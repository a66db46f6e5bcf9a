"""The engine when something goes wrong or much happens at once: it says truly where the machine stands."""

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
    Interrupted,
    Session,
    Stepped,
    Stop,
    Watched,
)
from sohu.emulator import Device

from tests.debugger.support import ARGS, LI, SCALE, SPIN, SYNC, X, make_session
from tests.debugger.test_engine import WAVES

# -- mistakes leave it where it truly stands -------------------------------------------------------------


def stands(s: Session) -> tuple[int, bool, bool]:
    return s.position, s.alive, s.machine.fault is None


def test_a_condition_that_cannot_be_computed_leaves_it_where_it_was_found_or_where_it_began(session: Session) -> None:
    session.begin()
    session.add_watch("$x20", condition="q > 3")
    with pytest.raises(CommandError, match="nothing is called 'q'"):
        session.cont()
    assert session.stop == Stepped(session.machine.pc, session.position) and session.position == 10
    session.points.clear()
    session.advance(str(SYNC))
    at = session.position
    session.add_breakpoint(str(LI), condition="q > 3")
    with pytest.raises(CommandError, match="nothing is called 'q'"):
        session.cont(reverse=True)
    assert stands(session) == (at, True, True) and session.evaluate("x20").data == 3


def test_a_mistake_on_the_way_back_from_an_error_or_the_end_changes_nothing(session: Session) -> None:
    end = session.run()
    for mistake in (lambda: session.goto(cycle=5), lambda: session.finish(reverse=True)):
        with pytest.raises(CommandError):
            mistake()
        assert session.stop == end
    with pytest.raises(CommandError, match="not being run"):
        session.cont()
    s = make_session("        .kernel k\n        li x20, 1\n        nop\n        trap 7\n        .endkernel\n")
    s.add_breakpoint("*0", condition="q > 3")
    with pytest.raises(CommandError):
        s.run()
    s.stepi(2)
    assert isinstance(s.cont(), Faulted)
    with pytest.raises(CommandError, match="go back from it"):
        s.mark()
    with pytest.raises(CommandError):
        s.cont(reverse=True)
    assert stands(s) == (2, True, True) and isinstance(s.cont(), Faulted)


def test_what_an_error_stops_on_the_way_to_a_position_is_a_stop() -> None:
    s = make_session(
        "        .kernel k\n        li x20, 1\n        nop\n        trap 7\n        halt\n        .endkernel\n"
    )
    s.start()
    assert isinstance(s.goto(4), Faulted) and not s.alive and s.position == 2


def test_a_checker_that_finds_too_much_before_here_is_refused() -> None:
    source = """
        .kernel k
        .tile a, sram, f32, [8]
        .tile b, sram, f32, [8]
        vmuls a, a, 0.0
        loop 150, end
        vlog b, a
        vmuls b, b, 0.0
end:    nop
        halt
        .endkernel
    """
    s = make_session(source)
    s.begin()
    s.advance("end")
    at = s.position
    with pytest.raises(CommandError, match="100 others"):
        s.add_catch("nan")
    assert stands(s) == (at, True, True) and not s.points
    assert isinstance(s.cont(), Exited)
    s.add_catch("nan") if s.start() else None
    assert isinstance(s.cont(), Caught)


def test_catches_know_what_was_given_and_where_one_was_before() -> None:
    source = WAVES.replace("dma.load   a, x                          signal s0", "sync signal s0")
    s = make_session(source, {"x": X})
    s.begin()
    s.stepi(2)
    mark = s.mark()
    s.assign("a", "1.0")
    s.add_catch("uninit")
    assert isinstance(s.cont(), Exited)
    s.goto(0)
    assert isinstance(s.cont(), Exited)  # what was given is part of history
    s.restart(mark.number)
    assert isinstance(s.cont(), Caught)  # and here it was not yet; the catch is on still


@pytest.mark.parametrize("schedule", [None, 3, 5, "timed"])
def test_semaphores_are_watched_in_every_order(schedule: int | str | None) -> None:
    s = Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small", schedule=schedule))  # type: ignore[arg-type]
    s.begin()
    s.add_watch("loaded")
    seen = [0]
    while isinstance(stop := s.cont(), Watched):
        assert stop.changes[0].old == seen[-1]
        seen.append(stop.changes[0].new)
    assert seen[-1] == 2
    back = []
    while isinstance(stop := s.cont(reverse=True), Watched):
        back.append(stop.changes[0].new)
    assert back == seen[-2::-1]
    with pytest.raises(CommandError, match="only changes"):
        s.add_watch("loaded", access="read")


def test_reads_of_registers_are_watched_too(session: Session) -> None:
    session.begin()
    session.add_watch("$x20", access="read")
    stops = []
    while isinstance(stop := session.cont(), Watched):
        stops.append(session.assembly(stop.changes[0].pc)[:2])
    assert stops == [("add", "x20, x20, 1"), ("add", "x21, x20, x20")] * 3


def test_a_tensor_is_watched_where_the_next_launch_has_it(session: Session) -> None:
    watch = session.add_watch("y", access="any")  # its memory may hold the same from a launch before
    for _ in range(3):
        stop = session.run()
        assert isinstance(stop, Watched) and stop.changes[0].point is watch
        assert isinstance(session.cont(), Exited)
    session.add_watch("a+1")
    assert isinstance(session.run(), Watched)  # what has no place stops nothing else
    assert any("computed" in p.pending for p in session.points.values())


def test_a_cycle_is_a_place_going_back_too() -> None:
    s = Session(assemble(SCALE, "scale.s"), args=ARGS, device=Device("small", schedule="timed"))
    s.add_breakpoint("", cycle=50)
    s.run()
    assert isinstance(s.cont(), Exited)
    stop = s.cont(reverse=True)
    assert isinstance(stop, BreakpointHit) and s.machine.time == 50
    assert isinstance(s.cont(reverse=True), Beginning)


def test_the_launch_before_leaves_nothing_behind() -> None:
    source = """
        .kernel k
        .param  y, inout, f32, [65536]
        li x20, 0
        loop 2000, end
        add x20, x20, 1
end:    halt
        .endkernel
    """
    s = make_session(source, {"y": np.ones(65536, np.float32)})
    assert isinstance(s.run(), Exited)
    s.start()
    s.stepi(300)
    s.timeline.checkpoint()
    s.goto(0)
    s.stepi(300)  # compared with what was recorded
    assert isinstance(s.cont(), Exited) and isinstance(s.cont(reverse=True), Beginning)


def test_going_back_past_many_writes_that_do_not_count_runs_once() -> None:
    source = """
        .kernel k
        li x20, 0
        loop 3000, end
        add x20, x20, 1
end:    halt
        .endkernel
    """
    s = make_session(source)
    s.start()
    s.add_watch("$x20", condition="x20 > 10000")
    s.goto(3001)
    restored = []
    back = s.timeline._restore
    s.timeline._restore = lambda c: (restored.append(c), back(c))[1]  # type: ignore[method-assign]
    assert isinstance(s.cont(reverse=True), Beginning) and len(restored) < 10


PARKED = """
        .kernel k
        .param  x, in, f32, [4, 8]
        .tile   a, sram, f32, [4, 8]
        .tile   b, sram, f32, [4, 8]
        .sem    go
        dma.load   a, x             wait go>=1
        vadds      b, b, 1.0        wait go>=1
        li         x20, 7
        sync       signal go
        nop
        halt
        .endkernel
"""


def test_each_of_several_changes_in_one_step_has_its_own_instruction() -> None:
    s = make_session(PARKED, {"x": X + 1})
    s.begin()
    a, b, go = s.add_watch("a"), s.add_watch("b"), s.add_watch("go")
    after = s.add_breakpoint("11")
    stop = s.cont()
    assert isinstance(stop, Watched) and stop.breakpoints == (after,) and after.hits == 1
    by = {c.point.number: s.assembly(c.pc)[0] for c in stop.changes}
    assert by == {a.number: "dma.load", b.number: "vadds", go.number: "sync"}
    assert isinstance(s.cont(), Exited)
    assert isinstance(s.cont(reverse=True), BreakpointHit)  # the breakpoint after it comes first, going back
    back = s.cont(reverse=True)
    assert isinstance(back, Watched) and {c.point.number: s.assembly(c.pc)[0] for c in back.changes} == by
    assert back.instructions == stop.instructions - 1


def test_going_to_the_end_from_the_end_is_the_end(session: Session) -> None:
    end = session.run()
    assert session.goto(end.instructions) == end and session.goto(end.instructions + 9) == end


def test_an_edit_is_kept_where_something_is_hit() -> None:
    s = make_session(WAVES, {"x": X + 1})
    s.begin()
    s.add_watch("a")
    assert isinstance(s.cont(), Watched)
    s.assign("a", "100.0")
    end = s.cont()
    while isinstance(end, Watched):
        end = s.cont()
    assert isinstance(end, Exited) and (end.outputs["x"] == 106).all()
    s.goto(0)
    stop: Stop = s.cont()
    assert isinstance(stop, Watched)
    while isinstance(stop, Watched):
        stop = s.cont()
    assert isinstance(stop, Exited) and (stop.outputs["x"] == 106).all()


def test_a_checkpoint_has_its_own_past() -> None:
    s = make_session(WAVES, {"x": X + 1})
    s.begin()
    s.advance("done")
    mark = s.mark()
    s.stepi(3, reverse=True)
    s.assign("x20", "500")
    s.restart(mark.number)
    assert s.evaluate("x20").data == 12
    s.stepi(3, reverse=True)
    assert s.evaluate("x20").data in (10, 12)  # not what was given on another way
    s.run()
    s.restart(mark.number)  # of the launch before
    s.stepi(2, reverse=True)
    assert s.position == mark.instructions - 2 and isinstance(s.cont(), Exited)


def test_an_end_that_is_asked_for_between_two_moves_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    s = make_session(SPIN)
    s.start()
    s.goto(5000)
    before = type(s.timeline).goto
    calls = []

    def goto(timeline: object, instruction: int) -> object:
        calls.append(instruction)
        s.interrupt()  # as the handler of Ctrl-C, whenever it comes
        return before(timeline, instruction)  # type: ignore[arg-type]

    monkeypatch.setattr(type(s.timeline), "goto", goto)
    for move in (lambda: s.step(reverse=True), lambda: s.nexti(reverse=True), lambda: s.cont(reverse=True)):
        stop = move()
        assert isinstance(stop, Interrupted) and stop.instructions == s.position == s.machine.instructions
    assert len(calls) <= 4


def test_a_checker_that_finds_what_cannot_go_on_before_here_is_refused() -> None:
    source = """
        .kernel k
        .tile a, sram, f32, [8]
        .tile b, sram, f32, [8]
        li x5, 12
        tset a, a, 0, x5
        vmuls a, a, 0.0
        nop
        nop
        halt
        .endkernel
    """
    s = make_session(source)
    s.begin()
    s.stepi(4)
    at = s.position
    with pytest.raises(CommandError, match="lies before here"):
        s.add_catch("oob")
    assert stands(s) == (at, True, True) and not s.points and isinstance(s.cont(), Exited)


def test_edits_keep_within_the_memory_that_checkpoints_may_have() -> None:
    source = """
        .kernel k
        .tile a, sram, f32, [65536]
        li x20, 0
        loop 400, end
        add x20, x20, 1
end:    halt
        .endkernel
    """
    s = make_session(source)
    s.timeline.memory = 8 << 20
    s.begin()
    s.add_breakpoint("6")
    for number in range(60):
        assert isinstance(s.cont(), BreakpointHit)
        s.assign("a", str(number))
    assert s.timeline.nbytes <= 10 << 20 and s.timeline.start.instruction > 0
    at = s.position
    s.stepi(2, reverse=True)
    assert s.position == at - 2
    for number in (58, 59):
        assert isinstance(s.cont(), BreakpointHit) and (s.evaluate("a").data == number).all()
    with pytest.raises(CommandError, match="there is no instruction 0"):
        s.goto(0)
