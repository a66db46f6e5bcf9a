"""Mistakes in source: each is found, all in one run, at the right place, and says what to do."""

import pytest
from sohu.asm import AsmError, Diagnostic, assemble
from sohu.asm.diagnostics import MAX_ERRORS
from sohu.asm.options import Options
from sohu.asm.warnings import WarningPolicy

KERNEL = ".kernel k\n.param x, in, f32, [R, C]\n.tile buf, sram, f32, [4, 4]\n.sem ready\n"


def mistakes(source: str, *flags: str) -> list[Diagnostic]:
    with pytest.raises(AsmError) as raised:
        assemble(source, "bad.s", Options(warnings=WarningPolicy(flags)))
    return raised.value.diagnostics


@pytest.mark.parametrize(
    ("source", "code", "says", "marked"),
    [
        ("li x1, 1 " + "#" * (1 << 16), "A001", "at most 65536", "l"),
        ("li x1, \0", "A002", "unexpected character", "\0"),
        ("li x1, " + "9" * 5000, "A003", "5000 digits", "9" * 5000),
        ("li x1, a0\n" + "".join(f".equ a{i}, a{i + 1}\n" for i in range(5000)), "A025", "100 deep", "a101"),
        (f".irp b, {'x' * 50_000}\n" + "# \\b\n" * 1400 + ".endr\n", "A051", "67108864 characters", ".irp"),
    ],
    ids=["line", "nul", "number", "definitions", "characters"],
)  # fmt: skip
def test_what_is_too_large_for_a_file_of_its_own(source: str, code: str, says: str, marked: str) -> None:
    """The others are in diagnostics/, see test_diagnostics_golden.py."""
    (found,) = mistakes(source)
    assert (found.code, found.source[found.column - 1 :][: found.length]) == (code, marked)
    assert says in found.message


def test_all_mistakes_of_a_file_are_found_in_order() -> None:
    source = "\n".join(["vad t0, t1", "nop", "x5: nop", "lost: j 1f, ]", "j lost", "j nowhere", ".loc 9 9"])
    found = mistakes(source)
    assert [(d.line, d.code) for d in found] == [(1, "A010"), (3, "A022"), (4, "A002"), (6, "A020"), (7, "A041")]


def test_a_declaration_that_fails_does_not_make_its_uses_fail() -> None:
    source = ".kernel k\n.tile a, sram, f33, [4]\n.param n, i65\n.tile c, sram, f32, [4]\nvmov a, c\nhalt"
    assert [d.line for d in mistakes(source)] == [2, 3]


def test_declarations_without_a_kernel_are_one_mistake() -> None:
    source = ".tile a, sram, f32, [4]\n.tile b, sram, f32, [4]\nvmov a, b"
    assert [(d.line, d.code) for d in mistakes(source)] == [(1, "A030")]


def test_how_it_looks() -> None:
    with pytest.raises(AsmError) as raised:
        assemble("\n\tvadd\tt, t, s   # sum\n", "softmax.s")
    assert str(raised.value) == (
        "softmax.s:2:7: error[A020]: no tile is called 't'\n"
        "    2 |  vadd t, t, s   # sum\n"
        "      |       ^\n"
        "   help: tiles have names inside a .kernel only"
    )
    coloured = raised.value.render(colour=True)
    assert coloured.startswith("\033[1msoftmax.s:2:7:\033[0m \033[1;31merror[A020]:\033[0m ")


def test_a_note_says_where_the_other_one_is() -> None:
    (found,) = mistakes("a: nop\n\na: nop")
    assert found.render().endswith("   note: it was defined at bad.s:1")


def test_a_long_line_is_shown_in_part() -> None:
    (found,) = mistakes("li x1, 0 " + "+ 0 " * 1000 + "+ ( + 5 5)")
    shown, caret = found.render().split("\n")[1:3]
    assert len(shown) < 120
    assert shown[caret.index("^")] == "5"


def test_a_long_name_is_quoted_in_part() -> None:
    (found,) = mistakes("b" * 60_000 + " t0")
    assert len(found.render()) < 500
    assert found.message.startswith("unknown instruction 'bbb") and found.message.endswith("bbb'")


def test_control_characters_do_not_reach_the_terminal() -> None:
    (found,) = mistakes('dbg.mark "\x1b[31m", 5')
    assert "\x1b" not in found.render()
    (found,) = mistakes("li x1, 5 \ud800")
    assert found.render().encode()


def test_there_is_an_end_to_it() -> None:
    with pytest.raises(AsmError) as raised:
        assemble("bad\n" * 5000, "bad.s")
    assert len(raised.value.diagnostics) == MAX_ERRORS
    assert str(raised.value).endswith(f"bad.s: and {5000 - MAX_ERRORS} more errors")
    assert raised.value.message == "5000 errors in bad.s"


def test_reading_stops_when_there_are_too_many() -> None:
    found = mistakes(".rept 100000\nvmuul t0\n.endr\nvmuul t1\nj nowhere")
    assert [d.line for d in found] == [2]


def test_the_same_of_the_same_place_is_said_once() -> None:
    assert [d.line for d in mistakes(".equ a, lost\nli x5, a\nli x6, a\n.rept 100\nvmuul t0\n.endr")] == [1, 5]
    calls = mistakes('.macro m\n.error "no"\n.endm\nm\nm')
    assert [d.stack[0].line for d in calls] == [4, 5]
