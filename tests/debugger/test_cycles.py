"""Cycles in timed order: where the machine stands, not when what it has begun will end."""

from sohu.debugger import Session
from sohu.debugger.forward import Level
from sohu.debugger.stops import BreakpointHit, Stepped

from tests.debugger.support import ARGS, SCALE, VADDS, make_session, talk


def timed() -> Session:
    """At the instruction after the load, which is under way."""
    session = make_session(SCALE, ARGS, schedule="timed")  # type: ignore[arg-type]
    session.add_breakpoint(f"test.s:{VADDS}")
    assert isinstance(session.run(), BreakpointHit)
    return session


def test_the_cycle_is_the_one_up_to_which_effects_are_there() -> None:
    session = timed()
    cycles = session.machine.cycles
    assert session.cycle is not None and cycles is not None and session.cycle < cycles  # when the load will end
    assert f"cycle {session.cycle}\n" in talk(session, "when")
    session.goto(cycle=cycles)
    assert session.cycle == cycles


def test_a_step_of_a_cycle_at_a_breakpoint_does_not_hit_it_again() -> None:
    session = timed()
    (point,) = session.points.values()
    at = session.cycle
    assert at is not None and point.hits == 1
    assert isinstance(session.step(level=Level.CYCLE), Stepped)
    assert session.cycle == at + 1 and point.hits == 1
    session.step(3, level=Level.CYCLE)
    session.step(2, level=Level.CYCLE, reverse=True)
    assert session.cycle == at + 2


def test_queues_are_as_deep_as_the_configuration_says() -> None:
    deep = timed().device.chip.queue_depth
    assert f": 1 of {deep}\n" in talk(timed(), "info queues")
