"""What each command answers, where test_session does not say it already."""

import re
from pathlib import Path

import numpy as np
import pytest
from sohu.asm.lexer import SohuLexer
from sohu.debugger import CommandError, Session
from sohu.debugger.command import Command, Commands, load_commands
from sohu.debugger.docgen import PAGE, page
from sohu.debugger.source import Sources
from sohu.debugger.style import Style

from tests.debugger.support import SCALE, make_session, talk

DOCS = Path(__file__).parents[2] / "docs" / PAGE


# -- finding commands ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("b", "break"), ("c", "continue"), ("d", "delete"), ("h", "help"), ("l", "list"), ("n", "next"),
        ("p", "print"), ("q", "quit"), ("r", "run"), ("s", "step"), ("si", "stepi"), ("ni", "nexti"),
        ("bt", "backtrace"), ("where", "backtrace"), ("i", "info"), ("fin", "finish"), ("cont", "continue"),
        ("disas", "disassemble"), ("tb", "tbreak"), ("brea", "break"), ("start", "start"),
    ],
)  # fmt: skip
def test_gdbs_words_and_unambiguous_beginnings(word: str, name: str) -> None:
    assert load_commands().find(word).name == name


def test_an_ambiguous_beginning_lists_what_it_can_be() -> None:
    with pytest.raises(CommandError, match="'star' can be start, starti"):
        load_commands().find("star")
    with pytest.raises(CommandError, match="no info command 'xyz'"):
        load_commands().find_sub("info", "xyz")
    assert load_commands().find_sub("info", "reg").name == "info registers"


def test_a_name_is_taken_once() -> None:
    commands = Commands()

    def make(*names: str) -> Command:
        return Command(names[0], names[1:], "other", lambda *_: None, lambda *_: (), None, False, "")

    commands.add(make("one", "o"))
    for names in (("one",), ("o",), ("two", "one")):
        with pytest.raises(ValueError, match="defined twice"):
            commands.add(make(*names))


def test_every_command_has_help_and_is_in_the_manual(session: Session) -> None:
    names = [c.name for c in load_commands()]
    assert len(names) > 25
    for c in load_commands():
        assert c.summary and c.help.count(":") and len(c.summary) < 80, c.name
        assert c.summary in talk(session, f"help {c.name}")
    assert DOCS.read_text(encoding="utf-8") == page(), "make manual"
    overview = talk(session, "help")
    assert all(re.search(rf"^  {re.escape(name)}\b", overview, re.MULTILINE) for name in names)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("12", "'12' is no command"),
        ("step/x", "step takes no format"),
        ("continue now", "'now' is no count"),
        ("continue 0", "'0' is no count"),
        ("continue 2", "the program stands at no breakpoint"),
        ("step 0", "1 or more"),
        ("step 1.5", "1 or more"),
        ("delete x", "'x' is no breakpoint number"),
        ("delete 9", "no breakpoint 9"),
        ("info", "info what?"),
        ("info xyz", "no info command 'xyz'"),
        ("source", "which file?"),
        ("source nope", "cannot read nope: No such file"),
        ("kill", "not being run"),
        ("info tiles", "not being run"),
        ("where", "not being run"),
        ("x/4z 0", "no format '4z'"),
        ("x/4i 3", "is no pc"),
        ("list 900", "scale.s cannot be read"),
        ("disassemble twice, scale", "ends before it begins"),
        ("run n", "wants NAME=VALUE"),
        ("help nope", "no command 'nope'"),
    ],
)
def test_what_cannot_be_done_is_said(session: Session, line: str, answer: str) -> None:
    assert answer in talk(session, line)


# -- looking -------------------------------------------------------------------------------------------


def test_registers_with_their_names(session: Session) -> None:
    text = talk(session, "start", "info registers", "info registers n f $x11 pc loaded")
    assert re.search(r"^x11 +5 +n$", text, re.MULTILINE)
    assert re.search(r"^x12 +2\.5  \(0x40200000 as f32\) +f$", text, re.MULTILINE)
    assert re.search(r"^x3 .* gp$", text, re.MULTILINE)
    assert "the other 26 are 0" in text
    assert text.endswith("n       5\nf       2.5  (0x40200000 as f32)\n$x11    5\npc      80  (0x50)\nloaded  0\n")


def test_tiles_with_dimensions_from_registers() -> None:
    source = ".kernel k\n.param n, i64, reg=x12\n.tile a, sram, f32, [x12<=8, 4]\nli x12, -1\nhalt\n"
    text = talk(make_session(source, {"n": 7}), "starti", "info tiles", "start", "info tiles", "si", "info tiles")
    assert "a  t0   nothing yet" in text
    assert "a  t0   f32[7 (x12), 4] at sram 0x0..0x70" in text
    assert "x12 holds -1, which is no tile dimension" in text


def test_queues_show_what_waits_and_for_what() -> None:
    source = """
        .kernel k
        .tile a, sram, f32, [4]
        .sem go
        vadds a, a, 1.0  wait go>=2
        nop
        halt
    """
    text = talk(make_session(source), "start", "stepi", "info queues", "info semaphores")
    assert "VPU: 1 of" in text and "waits for go >= 2; it is 0" in text
    assert re.search(r"^empty: .*MXU", text, re.MULTILINE)
    assert re.search(r"^s0 +0  go  VPU waits for >= 2", text, re.MULTILINE)


def test_memory() -> None:
    source = """
        .kernel k
        .tile a, sram, bf16, [4]
        .tile b, acc, f32, [4]
        vfill a, 1.5
        vfill b, -2.0
        halt
        .rodata
        .align 8
data:   .byte 1, 2, 255, 4, 5, 6, 7, 8
    """
    s = make_session(source)
    text = talk(s, "start", "si 2", "x/4fh a", "x/2fw b", "x/4xb data", "x/2dh data", "x/g data", "x data")
    lines = [line.partition(":  ")[2].split() for line in text.splitlines() if ":  " in line][-6:]
    assert lines == [
        ["1.5"] * 4,
        ["-2.0"] * 2,
        ["0x01", "0x02", "0xff", "0x04"],
        ["513", "1279"],
        ["0x0807060504ff0201"],
        ["0x04ff0201"],
    ]
    for line, answer in [
        ("x/8 0", "hbm 0x0 is not allocated"),
        ("x/999g data", "is past the end of the program"),
        ("x/999999 data", "cannot be shown"),
        ("x/fb data", "no floats of one byte"),
        ("x 1.5", "an address is an integer"),
        ("x/60000g a", ""),
    ]:
        assert answer in talk(s, line)


def test_disassembly_marks_the_pc_breakpoints_and_goes_on(session: Session) -> None:
    text = talk(
        session,
        "break 11",
        "start",
        "disassemble",
        "disassemble",
        "disassemble",
        "disassemble scale",
        "disassemble 11, 12",
    )
    assert re.search(r"^  => 0x0050  dma.load +a, x +signal loaded +DMA$", text, re.MULTILINE)
    assert re.search(r"^ 1   0x0070  li +x20, 0$", text, re.MULTILINE)
    assert "that was the end of the program" in text
    whole = text.split("that was the end of the program\n")[1]
    assert whole.count("0x00") >= 16 and whole.endswith("scale+0x70:\n" + whole.rsplit("scale+0x70:\n")[1])
    assert len(whole.rsplit("scale+0x70:\n")[1].splitlines()) == 2


def test_source_lines_are_found_in_memory_too(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    import linecache

    lines = [line + "\n" for line in SCALE.splitlines()]
    monkeypatch.setitem(linecache.cache, "scale.s", (len(SCALE), None, lines, "scale.s"))
    text = talk(session, "start", "list", "list", "list")
    assert re.search(r"^  => +9  +dma.load +a, x", text, re.MULTILINE)
    assert ".endkernel" in text and "scale.s ends at line 20" in text


def test_the_position_says_file_line_and_engine(session: Session) -> None:
    text = talk(session, "break 10", "run")
    title, place, instruction = text.splitlines()[-3:]
    assert re.fullmatch(r"Breakpoint 1 in scale\+0x60 +instruction 6", title)
    assert place == "  scale.s:10"  # there is no such file here
    assert re.fullmatch(r" 1=> 0x0060  vadds +a, a, 1.0 +wait loaded>=1  signal loaded +VPU", instruction)


# -- sources and colours -------------------------------------------------------------------------------


def test_the_expression_at_a_column_is_found(tmp_path: Path) -> None:
    path = tmp_path / "k.py"
    path.write_text("é = 'é' + f(a - b, c)\nx = g(\n    1)\n", encoding="utf-8")
    sources = Sources("k.elf")
    line = sources.line(str(path), 1)

    def marked(number: int, column: int) -> str | None:
        span = sources.span(str(path), number, column)
        return None if span is None else sources.line(str(path), number)[slice(*span)]

    assert marked(1, line.encode().index(b"f(") + 1) == "f(a - b, c)"
    assert marked(1, line.encode().index(b"a -") + 1) == "a - b"
    assert marked(2, 5) == "g("  # as far as the line goes
    assert marked(1, 2) is None and marked(1, 0) is None and marked(9, 1) is None
    path.with_name("bad.py").write_text("x = (\n")
    assert sources.span(str(path.with_name("bad.py")), 1, 5) is None


def test_plain_text_has_no_escapes_and_colours_survive_cleaning() -> None:
    evil = "a\x1b[31mb\x1b]0;t\x07c\u202e\r\n\td"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", Style(False).safe(evil))
    painted = Style(True)
    assert painted.safe(painted.paint("error", "x")) == "\x1b[1;31mx\x1b[0m"
    assert painted.safe(evil).count("\x1b") == 1
    assert "\x1b[" in painted.code("vadds a, a, 1.0") and "\x1b" not in Style(False).code("vadds a, a, 1.0")


def test_the_lexer_reads_everything_and_knows_its_words() -> None:
    from pygments.token import Error, Keyword, Name, Number

    tokens = list(SohuLexer(stripnl=False, ensurenl=False).get_tokens(SCALE))
    assert "".join(text for _, text in tokens) == SCALE
    assert not [t for t in tokens if t[0] in Error]
    for wanted in [
        (Name.Function, "vadds"), (Keyword.Namespace, ".kernel"), (Keyword, "wait"), (Name.Label, "done"),
        (Name.Variable, "x20"), (Number.Float, "1.0"),
    ]:  # fmt: skip
        assert wanted in tokens


# -- a kernel written in Python ------------------------------------------------------------------------


def test_a_compiled_kernel_is_debugged_by_its_python_lines() -> None:
    import inspect

    from sohu.dsl.kernels.softmax import softmax
    from sohu.emulator import Device

    x = np.random.default_rng(0).standard_normal((130, 8)).astype(np.float32)
    compiled = softmax.compile(x, chip="small")
    lines, first = inspect.getsourcelines(inspect.unwrap(softmax))
    at = first + next(i for i, line in enumerate(lines) if "e = exp" in line)
    s = Session(compiled.program, args={"x": x}, device=Device("small"))
    text = talk(s, f"break softmax.py:{at}", "run", "print t[0:2, :4]", "next", "continue", "print t", "delete", "c")
    assert f"softmax.py:{at}" in text and "e = exp(t - t.max(axis=1, keepdims=True))" in text
    (caret,) = set(re.findall(r"\n +(\^~+)\n", text.split("=> ")[0] + "\n"))
    assert len(caret) > 5
    np.testing.assert_allclose(s.evaluate("y").data, _softmax(x), rtol=1e-5)
    assert f"t = f32[2, 8]  min {x[128:].min():.6g}" in text  # the short last block


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def test_commands_of_a_breakpoint_may_let_the_program_go_on_however_often() -> None:
    source = """
        .kernel k
        li x20, 0
        loop 3000, end
        add x20, x20, 1
end:    halt
        .endkernel
    """
    text = talk(make_session(source), "break 5", "commands", "silent", "print x20", "continue", "end", "run")
    assert "$3000 = x20 = 2999" in text and "k has ended" in text


def test_commands_without_an_end_are_a_mistake(session: Session, tmp_path: Path) -> None:
    script = tmp_path / "s.dbg"
    script.write_text("break twice\ncommands\nprint 1\n")
    text = talk(session, f"source {script}", "print 2")
    assert "the commands of breakpoint 1 have no end" in text and "= 2" in text
    assert "longer than" in talk(session, "source /dev/zero")


# -- words at a stop -----------------------------------------------------------------------------------


def test_continue_lets_hits_pass(session: Session) -> None:
    out = talk(session, "break 13", "run", "continue 2", "print $x20", "continue", "info breakpoints")
    assert "$1 = $x20 = 2" in out and "has ended" in out and "lets" not in out


def test_a_catch_says_which_of_nan_and_infinity() -> None:
    s = make_session(
        SCALE.replace("a, a, 1.0", "a, a, 3e38"), {"x": np.full((4, 8), 3e38, np.float32), "n": 0, "f": 0.0}
    )
    assert "Catch 1, inf: operand dst: [0, 0]" in talk(s, "catch inf", "run")


def test_changes_with_one_cause_say_it_once(session: Session) -> None:
    out = talk(session, "watch a[0, 1]", "watch a[0, 2]", "start", "continue", "continue")
    assert out.count("by 0x") == out.count("Watch 1:") == out.count("Watch 2:") > 0


def test_a_long_chain_says_how_to_see_more() -> None:
    loop = SCALE.replace("add        x20, x20, 1", "vadds a, a, 1.0").replace("loop       3", "loop       80")
    s = make_session(loop, {"x": np.ones((4, 8), np.float32), "n": 0, "f": 0.0})
    assert "and further back: goto an earlier time, then why a[0, 0]" in talk(s, "break done", "run", "why a[0, 0]")


def test_nothing_can_be_gone_to_before_the_program_runs(session: Session) -> None:
    assert "is not being run" in talk(session, "goto $position - 1")


def test_the_end_says_which_watchpoints_were_never_set(session: Session) -> None:
    out = talk(session, "watch nosuch", "watch a", "run", "delete 2", "continue")
    assert "watchpoint 1 has watched nothing: nothing is called 'nosuch'" in out and "watchpoint 2" not in out
