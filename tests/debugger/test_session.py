"""The engine: launches, breakpoints, steps, what can be read, and how it ends."""

import numpy as np
import pytest
from sohu.asm import Lines, Program, assemble, read_elf, write_elf
from sohu.debugger import (
    BreakpointHit,
    CommandError,
    Exited,
    Faulted,
    Interrupted,
    Session,
    Started,
    Stepped,
)
from sohu.emulator import ArgumentError, Device
from sohu.isa import SohuError

from tests.debugger.support import (
    ADD,
    ARGS,
    CALL,
    LI,
    LOAD,
    LOOP,
    PROLOGUE,
    SCALE,
    SPIN,
    SYNC,
    VADDS,
    X,
    make_session,
)


def line(s: Session) -> int:
    assert s.line is not None
    return s.line.line


# -- launches ------------------------------------------------------------------------------------------


def test_a_launch_stops_before_the_first_instruction_and_runs_to_its_end(session: Session) -> None:
    assert not session.running
    stop = session.start()
    assert stop == Started(0, 0, "scale") and session.alive
    end = session.cont()
    assert isinstance(end, Exited) and not session.running
    np.testing.assert_array_equal(end.outputs["y"], X + 1)
    assert end.instructions == 5 + 4 + 3 * 4 + 3


def test_start_goes_past_the_prologue_where_names_have_values(session: Session) -> None:
    assert session.begin() == Stepped(PROLOGUE, 5)
    assert line(session) == LOAD
    np.testing.assert_array_equal(session.evaluate("x").data, X)
    assert session.evaluate("n").data == 5


def test_without_a_prologue_start_stops_at_the_entry() -> None:
    s = make_session(SPIN)
    assert isinstance(s.begin(), Started) and s.pc == 0


def test_every_run_starts_from_the_same_data_and_the_callers_arrays_stay() -> None:
    source = """
        .kernel inc
        .param x, inout, f32, [4]
        .tile a, sram, f32, [4]
        dma.load a, x  signal s0
        vadds a, a, 1.0  wait s0>=1  signal s1
        dma.store x, a  wait s1>=1
        halt
    """
    mine = np.zeros(4, np.float32)
    s = make_session(source, {"x": mine})
    for _ in range(2):
        end = s.run()
        assert isinstance(end, Exited)
        np.testing.assert_array_equal(end.outputs["x"], 1)
    np.testing.assert_array_equal(mine, 0)


def test_arguments_that_do_not_fit_are_refused(session: Session) -> None:
    session.args = {"x": X}
    with pytest.raises(ArgumentError, match="n is missing"):
        session.run()
    assert not session.running


def test_which_kernel_must_be_said_when_there_are_several() -> None:
    program = assemble(".kernel one\nhalt\n.endkernel\n.kernel two\nnop\nhalt\n")
    with pytest.raises(SohuError, match="2 kernels") as e:
        Session(program, device=Device("small"))
    assert "one" in e.value.help and "two" in e.value.help
    end = Session(program, "two", device=Device("small")).run()
    assert isinstance(end, Exited) and end.instructions == 2


def test_timing_gives_cycles_and_the_debugger_does_not_change_them() -> None:
    straight = make_session(SCALE, ARGS, timing=True).run()
    stepped = make_session(SCALE, ARGS, timing=True)
    stop = stepped.start()
    while not isinstance(stop, Exited):
        stop = stepped.stepi()
    assert isinstance(straight, Exited)
    assert stop.cycles == straight.cycles and straight.cycles
    np.testing.assert_array_equal(stop.outputs["y"], straight.outputs["y"])


@pytest.mark.parametrize("seed", range(5))
def test_under_a_random_order_steps_reach_the_same_end(seed: int) -> None:
    s = make_session(SCALE, ARGS, schedule=seed)
    stop = s.start()
    while not isinstance(stop, Exited):
        stop = s.next()
    np.testing.assert_array_equal(stop.outputs["y"], X + 1)


# -- breakpoints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "lines"),
    [
        ("scale", [LOAD]),
        ("twice", [18]),
        ("done", [SYNC]),
        ("scale.s:10", [VADDS]),
        ("10", [VADDS]),
        ("1", [LOAD]),  # the first line after it that has code is the kernel's, whose prologue is passed
        ("8", [LOAD]),
        (f"*{PROLOGUE:#x}", [LOAD]),
        ("*twice + 16", [19]),
    ],
)
def test_places(session: Session, where: str, lines: list[int]) -> None:
    pcs = session.add_breakpoint(where).pcs
    assert [at.line for pc in pcs if (at := session.symbols.line_at(pc))] == lines


@pytest.mark.parametrize(
    ("where", "message", "help"),
    [
        ("twise", "no kernel or label 'twise'", "did you mean 'twice'"),
        ("scael.s:3", "no code comes from a file", "did you mean 'scale.s'"),
        ("99", "no code at line 99", "last line with code is 19"),
        ("*8", "0x0008 is no pc", "multiples of 16"),
        ("*0x7000", "is no pc", "below"),
        ("*-16", "is no pc", "below"),
        ("*1.5", "a pc is an integer", ""),
        ("*x", "not being run", "start or run"),
    ],
)
def test_places_that_are_not_there(session: Session, where: str, message: str, help: str) -> None:
    with pytest.raises(CommandError, match=message.replace("*", r"\*")) as e:
        session.add_breakpoint(where)
    assert help in e.value.help
    assert not session.breakpoints


def test_a_breakpoint_stops_before_its_instruction_each_time(session: Session) -> None:
    b = session.add_breakpoint("twice")
    for n in (1, 2, 3):
        stop = session.run() if n == 1 else session.cont()
        assert isinstance(stop, BreakpointHit) and stop.breakpoints == (b,)
        assert session.evaluate("x20").data == n and b.hits == n
    assert isinstance(session.cont(), Exited)


def test_a_breakpoint_at_the_entry_stops_a_run_at_once(session: Session) -> None:
    session.add_breakpoint("*0")
    assert session.run() == BreakpointHit(0, 0, tuple(session.breakpoints.values()))


def test_a_temporary_breakpoint_stops_once_and_a_deleted_one_never(session: Session) -> None:
    session.add_breakpoint("twice", temporary=True)
    other = session.add_breakpoint("done")
    assert isinstance(session.run(), BreakpointHit) and list(session.breakpoints) == [other.number]
    session.delete_breakpoint(other.number)
    assert isinstance(session.cont(), Exited)
    with pytest.raises(CommandError, match="no breakpoint 2"):
        session.delete_breakpoint(2)


def test_numbers_of_breakpoints_are_not_used_again(session: Session) -> None:
    session.delete_breakpoint(session.add_breakpoint("twice").number)
    assert session.add_breakpoint("twice").number == 2


COPIED = """\
        .file 1 "k.py"
        .kernel k
        .loc 1 5 1
        li x20, 1
        .loc 1 7 1
        li x21, 1
        .loc 1 5 9
        li x20, 2
        loop 2, end
        .loc 1 7 1
        li x21, 2
        .loc 1 5 1
        li x20, 3
        .loc 1 8 1
end:    halt
        .endkernel
        .kernel other
        .tile a, sram, f32, [4]
        .prologue
        .loc 1 9 1
        halt
        .endkernel
"""


def test_a_line_breaks_once_in_each_straight_piece_of_its_code() -> None:
    s = make_session_of(assemble(COPIED), "k")
    assert s.add_breakpoint("k.py:5").pcs == (0x00, 0x50)  # not at 0x20, which 0x00 leads to
    assert s.add_breakpoint("7").pcs == (0x10, 0x40)


def test_a_line_belongs_to_the_kernel_in_which_it_begins() -> None:
    s = make_session_of(assemble(COPIED), "other")
    s.start()
    assert s.line is None  # the prologue, after another kernel's code
    s.step()
    assert line(s) == 9


def make_session_of(program: Program, kernel: str) -> Session:
    return Session(program, kernel, device=Device("small"))


# -- steps ---------------------------------------------------------------------------------------------


def test_step_goes_from_line_to_line_and_into_calls(session: Session) -> None:
    session.begin()
    seen = [line(session)]
    while isinstance(session.step(), Stepped):
        seen.append(line(session))
    assert seen == [LOAD, VADDS, LI, LOOP, *(3 * [ADD, CALL, 18, 19]), SYNC, 16, 17]
    assert isinstance(session.stop, Exited)


def test_next_goes_over_calls_and_counts(session: Session) -> None:
    session.begin()
    session.next(3)
    assert line(session) == LOOP
    seen = []
    while isinstance(session.next(), Stepped):
        seen.append(line(session))
    assert seen == [*(3 * [ADD, CALL]), SYNC, 16, 17]


def test_next_stops_at_a_breakpoint_within_the_call(session: Session) -> None:
    session.add_breakpoint("*twice+16")
    session.begin()
    session.next(6)
    assert isinstance(session.stop, BreakpointHit) and line(session) == 19


def test_a_step_over_a_line_is_several_instructions() -> None:
    s = make_session_of(assemble(COPIED.replace(".loc 1 7 1", "nop")), "k")
    s.start()
    assert s.step() == Stepped(0x80, 11)  # the loop too
    assert line(s) == 8


def test_stepi_and_nexti_count_instructions(session: Session) -> None:
    session.begin()
    assert session.stepi(5) == Stepped(PROLOGUE + 5 * 16, 10)  # at the call
    assert session.nexti() == Stepped(PROLOGUE + 4 * 16, 13)  # back at the loop's beginning
    session.stepi()
    assert session.stepi() == Stepped(session.symbols.code("twice"), 15)


def test_finish_returns_from_the_function_at_hand(session: Session) -> None:
    session.add_breakpoint("twice")
    session.run()
    frames = session.backtrace()
    assert [f.line.line for f in frames if f.line] == [18, CALL]
    assert session.finish() == Stepped(PROLOGUE + 4 * 16, 13)
    assert session.evaluate("x21").data == 2
    with pytest.raises(CommandError, match="nobody called"):
        session.finish()


def test_without_lines_there_are_only_instructions() -> None:
    program = assemble(SPIN)
    program.lines = Lines()
    s = make_session_of(program, "spin")
    s.start()
    with pytest.raises(CommandError, match="no line information"):
        s.step()
    with pytest.raises(CommandError, match="no line information"):
        s.add_breakpoint("2")
    assert s.stepi() == Stepped(16, 1)


def test_what_cannot_move_says_so(session: Session) -> None:
    for move in (session.cont, session.step, session.stepi, session.finish):
        with pytest.raises(CommandError, match="not being run"):
            move()


@pytest.mark.parametrize("how", ["cont", "step", "next", "stepi"])
def test_an_endless_loop_is_interrupted(how: str) -> None:
    import threading

    s = make_session(".kernel k\n1: j 1b\n.endkernel\n")
    s.start()
    timer = threading.Timer(0.2, s.interrupt)
    timer.start()
    stop = s.stepi(1 << 60) if how == "stepi" else getattr(s, how)()
    timer.join()
    assert isinstance(stop, Interrupted) and stop.instructions > 100
    assert s.stepi().instructions == stop.instructions + 1


# -- faults --------------------------------------------------------------------------------------------


def test_a_fault_leaves_a_program_that_can_be_looked_at() -> None:
    s = make_session(".kernel k\nli x20, 7\ntrap 3\nhalt\n")
    stop = s.run()
    assert isinstance(stop, Faulted) and stop.error.category == "trap"
    assert (s.pc, line(s)) == (16, 3)
    assert s.evaluate("x20").data == 7
    for move in (s.cont, s.stepi, s.next):
        with pytest.raises(CommandError, match="cannot go on"):
            move()
    assert isinstance(s.run(), Faulted)


def test_a_deadlock_shows_who_waits() -> None:
    s = make_session(
        """
        .kernel k
        .tile a, sram, f32, [4]
        vadds a, a, 1.0  wait s3>=2
        sync wait s4>=1
        halt
        """
    )
    stop = s.run()
    assert isinstance(stop, Faulted) and stop.error.category == "deadlock"
    (head,) = (q.entries[0] for q in s.queues if q.entries)
    assert head.op.inst is not None and head.op.inst.row.mnemonic == "vadds" and head.value == 2


def test_what_is_no_instruction_is_shown_and_faults() -> None:
    program = assemble(".kernel k\nnop\nhalt\n")
    program.text = program.text[:16] + bytes(16)
    s = make_session_of(program, "k")
    assert s.assembly(16)[0] == "(no instruction)"
    stop = s.run()
    assert isinstance(stop, Faulted) and stop.error.category == "illegal-instruction"


# -- looking -------------------------------------------------------------------------------------------


def test_tiles_are_consistent_at_each_stop(session: Session) -> None:
    session.begin()
    session.step()
    np.testing.assert_array_equal(session.evaluate("a").data, X)
    session.step()
    np.testing.assert_array_equal(session.evaluate("a").data, X + 1)


def test_looking_gives_no_way_to_change_anything(session: Session) -> None:
    session.begin()
    data = session.evaluate("x[0:2]").data
    assert isinstance(data, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        data[0, 0] = 7


def test_a_program_survives_the_file(session: Session) -> None:
    program = read_elf(write_elf(session.program), "scale.elf")
    s = Session(program, args=ARGS, device=Device("small"))
    b = s.add_breakpoint("scale.s:10")
    assert s.run() == BreakpointHit(b.pcs[0], 6, (b,))
    np.testing.assert_array_equal(s.evaluate("a[1]").data, X[1])
