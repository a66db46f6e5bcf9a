"""Compiled kernels: variables, frames of inlined calls, steps over them, the IR beside the code."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sohu.asm import Program, assemble, read_elf, write_elf
from sohu.debugger import BreakpointHit, CommandError, Exited, Session, Watched
from sohu.debugger.forward import Level
from sohu.emulator import Device

from sohu import In, Index, Out, Scalar, exp, f32, kernel
from sohu import range as range_
from tests.debugger.support import SCALE, make_session, talk
from tests.dsl.support import rand

NAME = "test_compiled.py"


def centred(t: Any, by: Any) -> Any:
    m = t.max(axis=1, keepdims=True)
    t = t - m
    return t * by


def twice(t: Any, by: Any) -> Any:
    a = centred(t, by)
    b = centred(a, by)
    return a + b


@kernel
def deep(x: In[f32, "R C"], y: Out[f32, "R C"], s: Scalar, n: Index, *, rows: int = 4) -> None:
    half = 0.5
    for r in range_(0, x.R, rows):
        t = x[r : r + rows]
        u = twice(t, s)
        t = u + t
        top = t[0:1]
        flat = exp(t)
        y[r : r + rows] = flat * half + top


X = rand(8, 8)
ARGS: dict[str, Any] = {"x": X, "y": np.zeros((8, 8), np.float32), "s": 1.5, "n": 9}


def line_of(text: str) -> int:
    with open(__file__, encoding="utf-8") as f:
        return next(i for i, line in enumerate(f, 1) if line.strip().startswith(text))


@pytest.fixture(scope="module")
def program() -> Program:
    return read_elf(deep.compile(**ARGS, chip="small").elf, "deep.elf")


@pytest.fixture
def session(program: Program) -> Session:
    s = Session(program, args=ARGS, device=Device("small"))
    s.begin()
    return s


def go(s: Session, text: str) -> None:
    """To the first instruction of the source line that begins so."""
    s.add_breakpoint(f"{NAME}:{line_of(text)}", temporary=True)
    assert isinstance(s.cont(), BreakpointHit)


def functions(s: Session) -> list[str]:
    return [f.function for f in s.backtrace()]


def here(s: Session) -> int:
    assert s.line is not None
    return s.line.line


# -- variables -----------------------------------------------------------------------------------------


def test_names_mean_variables_with_the_values_that_python_has(session: Session) -> None:
    go(session, "t = u + t")
    t = X[:4]
    a = (t - t.max(axis=1, keepdims=True)) * np.float32(1.5)
    u = a + (a - a.max(axis=1, keepdims=True)) * np.float32(1.5)
    np.testing.assert_allclose(session.evaluate("u").data, u, rtol=1e-6)
    np.testing.assert_array_equal(session.evaluate("t").data, t)
    assert session.evaluate("r").data == 0 and session.evaluate("rows").data == 4
    assert session.evaluate("half").data == 0.5
    session.next()
    np.testing.assert_allclose(session.evaluate("t").data, u + t, rtol=1e-6)  # the name means another tile now


def test_a_view_has_its_own_shape(session: Session) -> None:
    go(session, "y[r : r + rows] =")
    top, t = session.evaluate("top"), session.evaluate("t")
    assert top.data.shape == (1, 8) and t.data.shape == (4, 8)  # type: ignore[union-attr]
    np.testing.assert_array_equal(top.data, t.data[0:1])  # type: ignore[index]


def test_floats_print_as_floats_and_numbers_as_numbers(session: Session) -> None:
    said = talk(session, "print s", "print half", "print rows")
    assert "s = 1.5  (0x3fc00000 as f32)" in said and "half = 0.5" in said and "rows = 4" in said


def test_a_variable_that_holds_nothing_says_so_and_where_it_does(session: Session) -> None:
    with pytest.raises(CommandError) as early:
        session.evaluate("u")
    assert early.value.message == "u has no value yet here"
    assert re.search(rf"it has one at {NAME}:\d+-\d+, 0x\w+\.\.0x\w+ in t\d+", early.value.help)
    (r,) = session.program.debug.ranges("r")
    session.advance(f"*{r.end:#x}")
    with pytest.raises(CommandError) as dead:
        session.evaluate("r")
    assert dead.value.message == "r is dead here: its place holds something else by now"
    assert re.search(rf"it lives at {NAME}:\d+-\d+, {r.start:#06x}..{r.end:#06x} in x\d+", dead.value.help)
    assert r.end > r.start and session.evaluate(f"${r.location}").data == 4  # the next turn's


def test_names_of_other_functions_mean_nothing_here(session: Session) -> None:
    go(session, "t = u + t")
    with pytest.raises(CommandError) as e:
        session.evaluate("m + 1")
    assert e.value.message == "m is no variable of this code"
    assert re.match(rf"centred has one: it lives at {NAME}:\d+-\d+, 0x", e.value.help)
    with pytest.raises(CommandError, match="nothing is called 'nobody'"):
        session.evaluate("nobody")


def test_what_was_optimized_away_says_so() -> None:
    source = """
        .file   1 "k.py"
        .kernel k
        add     x5, x5, 1
        halt
        .debug  2, "k", 1, 1
        .var    "v", 0, x5, []
        .var    "big", 0, x2, [1, 2], offset=-8
        .endkernel
    """
    s = make_session(source)
    s.start()
    with pytest.raises(CommandError) as e:
        s.evaluate("v")
    assert e.value.message == "v was optimized away: nothing holds its value anywhere"


def test_a_scalar_on_the_stack() -> None:
    source = """
        .file   1 "k.py"
        .kernel k
        li      x5, 1077936128
        sd      x5, sp, -8
        li      x5, -7
        sd      x5, sp, -16
        halt
        .debug  5, "k", 1, 1
        .var    "f", 0, x2, [2, 5], offset=-8, type=f32
        .var    "n", 0, x2, [4, 5], offset=-16
        .endkernel
    """
    s = make_session(source)
    s.start()
    s.stepi(4)
    assert s.evaluate("n").data == -7
    assert "f = 3.0" in talk(s, "print f")
    assert s.evaluate("f * 2").data == 6.0


def test_info_locals(session: Session) -> None:
    go(session, "t = u + t")
    said = talk(session, "info locals")
    rows = {line.split()[0]: line for line in said.splitlines()}
    assert list(rows) == ["rows", "x", "y", "s", "n", "half", "r", "t", "u", "top", "flat"]
    assert re.fullmatch(r"u +t\d+ +f32\[4, 8\]  min .* max .* mean .*", rows["u"])
    assert re.fullmatch(r"flat +- +no value here", rows["flat"])
    assert re.fullmatch(r"r +x\d+ +0", rows["r"]) and re.fullmatch(r"half +a constant +0.5", rows["half"])


def test_registers_are_called_like_the_variables_in_them(session: Session) -> None:
    go(session, "t = u + t")
    at = session.program.debug.variables(session.pc)["r"]
    go(session, "t = u + t")
    assert re.search(rf"x{at.reg} +4 +r$", talk(session, "info registers"), re.MULTILINE)
    s = session.program.debug.variables(session.pc)["s"]
    assert re.search(rf"x{s.reg} +1.5 .*s$", talk(session, "info registers"), re.MULTILINE)


# -- frames --------------------------------------------------------------------------------------------


def test_inlined_calls_are_frames(session: Session) -> None:
    go(session, "t = t - m")
    assert functions(session) == ["centred", "twice", "deep"]
    assert [f.inlined for f in session.backtrace()] == [True, True, False]
    lines = [f.line.line if f.line else 0 for f in session.backtrace()]
    assert lines == [line_of("t = t - m"), line_of("a = centred(t, by)"), line_of("u = twice(t, s)")]
    said = talk(session, "backtrace")
    assert re.search(r"#0  0x\w+  in centred, inlined   instruction", said) and "#2" in said
    assert "a = centred(t, by)" in said and "u = twice(t, s)" in said


def test_names_mean_those_of_the_selected_frame(session: Session) -> None:
    go(session, "return t * by")
    inner = session.evaluate("t").data
    said = talk(
        session, "up", "info locals", "up", "info locals", "print u", "down", "frame", "frame 2", "up", "frame 3"
    )
    assert "#1" in said and "in twice, inlined" in said and "in deep" in said
    assert "u has no value yet here" in said
    assert "this is the outermost frame" in said and "no frame 3" in said and "there are 0 to 2" in said
    assert session.level == 2
    outer = session.evaluate("t").data
    np.testing.assert_array_equal(outer, X[:4])
    assert not np.array_equal(inner, outer)
    assert here(session) == line_of("u = twice(t, s)")
    session.stepi()
    assert session.level == 0 and here(session) != line_of("u = twice(t, s)")


def test_next_goes_over_inlined_calls_and_step_into_them(session: Session) -> None:
    go(session, "t = x[r : r + rows]")
    lines = ["u = twice(t, s)", "t = u + t", "top = t[0:1]", "flat = exp(t)", "y[r : r + rows] =", "for r in"]
    for text in lines:
        session.next()
        assert here(session) == line_of(text)
        assert (session.level, functions(session)) == (
            (2, ["centred", "twice", "deep"]) if "twice" in text else (0, ["deep"])
        )
    session.next(2)
    assert here(session) == line_of("u = twice(t, s)") and session.level == 2
    session.step()
    assert here(session) == line_of("t = t - m") and functions(session)[0] == "centred" and session.level == 0
    session.next()
    assert here(session) == line_of("return t * by")
    session.next()  # out of the function: to the next line of who called it
    assert here(session) == line_of("b = centred(a, by)") and functions(session)[session.level] == "twice"


def test_finish_leaves_an_inlined_function(session: Session) -> None:
    go(session, "m = t.max")
    first = session.backtrace()[0].scope
    session.finish()
    assert here(session) == line_of("m = t.max") and session.backtrace()[0].scope != first  # the second call begins
    session.finish()
    assert functions(session) == ["twice", "deep"] and here(session) == line_of("return a + b")
    session.finish()
    assert functions(session) == ["deep"] and here(session) == line_of("t = u + t")
    with pytest.raises(CommandError, match="nobody called this code"):
        session.finish()


def test_back_over_inlined_calls(session: Session) -> None:
    go(session, "t = u + t")
    session.next(reverse=True)
    assert here(session) == line_of("u = twice(t, s)") and session.level == 2
    session.next(reverse=True)
    assert here(session) == line_of("t = x[r : r + rows]")


def test_breakpoints_at_calls_that_are_inlined_and_at_functions(session: Session) -> None:
    at_call = session.add_breakpoint(f"{NAME}:{line_of('b = centred(a, by)')}")
    assert len(at_call.pcs) == 1
    assert isinstance(session.cont(), BreakpointHit)
    assert functions(session) == ["centred", "twice", "deep"]
    assert session.backtrace()[1].line.line == line_of("b = centred(a, by)")  # type: ignore[union-attr]
    assert len(session.add_breakpoint("centred").pcs) == 2
    with pytest.raises(CommandError) as e:
        session.add_breakpoint("centered")
    assert e.value.help == "did you mean 'centred'?"


# -- IR ------------------------------------------------------------------------------------------------


def test_steps_by_operations_of_the_ir(session: Session) -> None:
    debug = session.program.debug
    go(session, "t = x[r : r + rows]")
    seen = []
    while len(seen) < 12:
        seen.append(debug.op(session.pc))
        session.step(level=Level.OP)
    assert all(a != b for a, b in pairwise(seen)) and None not in seen
    assert [op.number for op in seen if op] == sorted(op.number for op in seen if op)
    with pytest.raises(CommandError, match="no IR in its debug information"):
        s = make_session(SCALE, {"x": np.zeros((4, 8), np.float32), "n": 1, "f": 1.0})
        s.start()
        s.step(level=Level.OP)


def test_disassemble_shows_calls_ir_and_words(session: Session) -> None:
    said = talk(session, "disassemble/i deep")
    assert re.search(rf"in centred, inlined at {NAME}:\d+, {NAME}:\d+", said)
    ir = deep.compile(**ARGS, chip="small").ir.splitlines()
    shown = re.findall(r"^    ir:(\d+) +(.*)$", said, re.MULTILINE)
    assert len(shown) > 10
    for number, text in shown:
        assert ir[int(number) - 1].strip().removesuffix(" {") == text
    assert "ir:" not in talk(session, "disassemble deep")
    words = re.findall(r"^([0-9a-f]{32}) ", talk(session, "disassemble/r deep"), re.MULTILINE)
    assert len(words) == len(session.program)
    assert int(words[0], 16) == int.from_bytes(session.program.text[:16], "little")
    assert "no format 'q'" in talk(session, "disassemble/q deep")


# -- without it ----------------------------------------------------------------------------------------


def test_a_stripped_program_is_debugged_by_its_tiles(program: Program) -> None:
    bare = assemble(deep.compile(**ARGS, chip="small").code, "deep.s")
    assert not bare.debug and write_elf(bare) != write_elf(program)
    s = Session(bare, args=ARGS, device=Device("small"))
    s.begin()
    s.step(3)
    assert [f.function for f in s.backtrace()] == [""]
    assert s.evaluate("x").data.shape == (8, 8)  # type: ignore[union-attr]
    assert "nothing is known of variables here" in talk(s, "info locals")
    assert isinstance(s.cont(), Exited)


def test_debug_information_changes_no_byte_and_no_instruction(program: Program) -> None:
    bare = assemble(deep.compile(**ARGS, chip="small").code, "deep.s")
    assert bare.text == program.text and bare.rodata == program.rodata


@kernel
def in_blocks(x: In[f32, "R C"], y: Out[f32, "R C"]) -> None:
    for r in range_(0, x.R, 4):
        t = x[r : r + 4]
        e = exp(t - t.max(axis=1, keepdims=True))
        y[r : r + 4] = e


def test_a_variable_is_watched_before_it_lives_and_where_it_comes_to_lie() -> None:
    x = rand(12, 5)
    program = in_blocks.compile(x).program
    for name, first in (("e", "vexp"), ("t", "dma.load")):
        s = Session(program, args={"x": x})
        watch = s.add_watch(f"{name}[0, 0]")
        assert watch.pending
        s.run()
        forward = []
        while isinstance(s.stop, Watched):
            assert s.assembly(s.stop.changes[0].pc)[0] == first
            forward.append(s.position)
            s.cont()
        assert isinstance(s.stop, Exited) and len(forward) == 2  # of three blocks; the first gives it its place
        s.begin()
        end = s.goto(forward[-1] + 1)
        back = []
        while isinstance(end := s.cont(reverse=True), Watched):
            back.append(end.instructions + 1)
        assert back[:2] == forward[::-1] and len(back) == 3
