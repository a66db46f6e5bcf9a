"""Macros, repetitions, conditions, files: what they expand to, and where its lines are said to come from."""

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import AsmError, assemble
from sohu.asm.cli import main
from sohu.asm.options import Options
from sohu.isa import DTYPES


def same(source: str, plain: str) -> None:
    """Both sources give the same code, data and labels."""
    a, b = assemble(source), assemble(plain)
    assert (a.text, a.rodata) == (b.text, b.rodata)
    assert {s: v.address for s, v in a.symbols.items()} == {s: v.address for s, v in b.symbols.items()}


def text(source: str, **defines: float) -> str:
    """What the source puts into .rodata, as text."""
    return assemble(".rodata\n" + source, options=Options(defines=dict(defines))).rodata.decode()


# -- macros --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("1, 2, 3", "1|2|3"),
        ("1, , 3", "1|7|3"),
        ("1, c=3", "1|7|3"),
        ("c=3", "|7|3"),
        ("c=3, b=2, a=1", "1|2|3"),
        ("  1 ,2   ,  3  # comment, with commas", "1|2|3"),
        ('"a, b", 2, "3"', "a, b|2|3"),
        ("(1, 2), [3, 4], 5", "(1, 2)|[3, 4]|5"),
        ("x=1, b == 2, 3", "x=1|b == 2|3"),
        ("a b, t0 wait s1>=x5+1, 3", "a b|t0 wait s1>=x5+1|3"),
    ],
)
def test_arguments(arguments: str, found: str) -> None:
    assert text(f'.macro m a, b=7, c:req\n.ascii "\\a|\\b|\\c"\n.endm\nm {arguments}') == found


def test_the_rest_of_the_arguments_stays_as_it_is() -> None:
    assert text('.macro m first, rest:vararg\n.ascii \\rest\n.endm\nm 1, "a, b", "c"') == "a, bc"
    count = ".macro count n, rest:vararg\n.byte \\n\n.ifnb \\rest\ncount \\rest\n.endif\n.endm\ncount 1, 2, 3"
    assert text(count) == "\1\2\3"


def test_only_whole_names_are_parameters() -> None:
    macro = '.macro m a, a2\n.ascii "\\a2 \\a()b \\a\\()b \\\\ \\x41 \\@ \\@"\n# \\ab\n.endm\n'
    assert text(macro + "m 1, 2") == "2 1()b 1b \\ A 0 0"
    again = '.macro m\n.ascii "\\@"\n.endm\nm\nm\n.purgem m\n.macro m\n.ascii "(\\@)"\n.endm\nm'
    assert text(again) == "01(2)"


def test_labels_and_numeric_labels_in_macros() -> None:
    same(
        ".macro m n\n1: add x5, x5, \\n\nl\\@: bne x5, 0, 1b\nj l\\@\n.endm\nm 1\nm 2\nhere: m 3",
        "1: add x5, x5, 1\nl0: bne x5, 0, 1b\nj l0\n1: add x5, x5, 2\nl1: bne x5, 0, 1b\nj l1\n"
        "here: 1: add x5, x5, 3\nl2: bne x5, 0, 1b\nj l2",
    )


def test_macros_in_macros() -> None:
    same(
        ".macro outer name, n\n.macro \\name a\n.rept \\n\nli x5, \\a\n.endr\n.endm\n.endm\nouter twice, 2\ntwice 7",
        "li x5, 7\nli x5, 7",
    )
    same(".macro down n\n.if \\n\nli x5, \\n\ndown (\\n - 1)\n.endif\n.endm\ndown 3", "li x5, 3\nli x5, 2\nli x5, 1")


def test_exitm_leaves_the_macro_and_what_is_open_in_it() -> None:
    same(
        ".macro m n\n.rept 5\n.if \\n\nnop\n.exitm\n.endif\nhalt\n.exitm\n.endr\n.endm\nm 1\nm 0\nret",
        "nop\nhalt\nret",
    )


# -- repetitions ---------------------------------------------------------------------------------


def test_repetitions() -> None:
    same(".rept 3\nnop\n.rept 2\nhalt\n.endr\n.endr", "nop\nhalt\nhalt\n" * 3)
    same(".irp r, x5, x6\nli \\r, 1\n.irp v, 2, 3\nadd \\r, \\r, \\v\n.endr\n.endr", "".join(
        f"li {r}, 1\nadd {r}, {r}, 2\nadd {r}, {r}, 3\n" for r in ("x5", "x6")
    ))  # fmt: skip
    assert text('.irpc c, "a ,b"\n.ascii "<\\c\\+>"\n.endr') == "<a0>< 1><,2><b3>"
    assert text('.irp v\n.ascii "<\\v>"\n.endr') == "<>"
    assert text(".rept 0\nrubbish here\n.endr") == ""
    assert text('.macro m\n.rept 2\n.ascii "\\@\\+"\n.endr\n.endm\nm\nm') == "00011011"


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=20), st.integers(1, 5))
def test_loops_unrolled_are_the_lines_themselves(values: list[int], times: int) -> None:
    listed = ", ".join(map(str, values))
    same(
        f".rept {times}\n.irp v, {listed}\n1: add x5, x6, \\v\nbne x5, 0, 1b\n.endr\n.endr\n",
        "".join(f"1: add x5, x6, {v}\nbne x5, 0, 1b\n" for v in values) * times,
    )


# -- conditions ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (".if 1", True), (".if 0", False), (".if -1", True), (".if 0.5", True),
        (".if 2 > 1 && !(1 == 2)", True), (".if 1 & 2 == 2", False), (".if 1 < 0 || 3 >= 3", True),
        (".ifeq n - 3", True), (".ifne n - 3", False), (".iflt n - 4", True), (".ifge n", True), (".ifle n", False),
        (".ifgt n - 3", False), (".ifdef n", True), (".ifdef m", False), (".ifndef m", True), (".ifdef x5", True),
        (".ifdef later", False), (".ifdef before", True), (".ifb", True), (".ifb # x", True), (".ifnb x", True),
        ('.ifb ""', True), (".ifc a b, a b", True), ('.ifc "a b", a b', True), (".ifc a, b", False),
        (".ifnc a, b", True), (".if after - before == 16", True),
    ],
)  # fmt: skip
def test_conditions(condition: str, holds: bool) -> None:
    source = f"before: nop\nafter: nop\n.equ n, 3\n{condition}\nhalt\n.else\nret\n.endif\nlater: nop"
    same(source, f"before: nop\nafter: nop\n{'halt' if holds else 'ret'}\nlater: nop")


@pytest.mark.parametrize(("n", "found"), [(1, "one"), (2, "two"), (3, "three"), (4, "")])
def test_one_branch_is_read(n: int, found: str) -> None:
    source = '.if n == 1\n.ascii "one"\n.elseif n == 2\n.if 0\n.else\n.ascii "two"\n.endif\n.elseif n == 3\n'
    source += '.ascii "three"\n.elseif unknown\n.else\nrubbish ] \n.endif'
    if n == 4:
        source = source.replace(".elseif unknown\n", "").replace("rubbish ] \n", "")
    assert text(source, n=n) == found


def test_set_again_and_again() -> None:
    source = ".set n, 0\n.rept 4\n.byte n\n.set n, n + 3\n.endr\n.byte n"
    assert text(source) == "\0\3\6\11\14"
    same(".set n, 5\nli x5, n\n.set n, n * 2\nli x6, n\nli x7, later\n.equ later, n + 1\n.set n, 0",
         "li x5, 5\nli x6, 10\nli x7, 11")  # fmt: skip


def test_values_of_names_are_those_of_their_place() -> None:
    """On every way a line can be read: plain, with an expression, as data, as what to wait for."""
    same(
        ".set n, 1\nli x5, n\nli x6, n+1\nli x7, (n)\nvmov t0, t1 wait s0>=n\n.set n, 2\n"
        "li x5, n\nli x6, n+1\nli x7, (n)\nvmov t0, t1 wait s0>=n",
        "li x5, 1\nli x6, 2\nli x7, 1\nvmov t0, t1 wait s0>=1\nli x5, 2\nli x6, 3\nli x7, 2\nvmov t0, t1 wait s0>=2",
    )
    same(".reg a, x5\nli a, 1\n.unreg a\n.reg a, x6\nli a, 1", "li x5, 1\nli x6, 1")


# -- expressions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("min(3, 1, 2)", 1), ("max(3, 1 + 4)", 5), ("abs(-7)", 7), ("align(100, 64)", 128), ("align(128, 64)", 128),
        ("log2(4096)", 12), ("bytes(bf16) * 3", 6), ("1 + (2 < 3) * 10", 11), ("!5 + !0", 1), ("1 << 2 == 4", 1),
        ("3 & 1 != 1", 0), ("1 == 1 == 1", 1), ("0 || 2 && 3", 1), ("min(1.5, 2) < 2", 1), ("end - start", 32),
        ("(end - start) / 16", 2), ("align(end - start, 64)", 64), ("later - start", 48),
    ],
)  # fmt: skip
def test_expressions(expression: str, value: int) -> None:
    """Each as an operand, which can wait for names, and as a constant."""
    lines = ["start: nop", "nop", "end:", f"li x5, {expression}", "later: halt"]
    same("\n".join(lines), "start: nop\nnop\nend:\n" + f"li x5, {value}\nlater: halt")
    if "later" not in expression:
        lines[3] = f".equ n, {expression}\n.if n != {value}\n.error\n.endif\nli x5, n"
        same("\n".join(lines), "start: nop\nnop\nend:\n" + f"li x5, {value}\nlater: halt")


# -- files ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    return tmp_path


def test_include_looks_beside_the_file_and_then_along_I(folder: Path) -> None:
    (folder / "lib/a.s").write_text('.include "deep/b.s"\nli x5, B\n')
    (folder / "lib/deep/b.s").write_text('.include "../deep/c.s"\n.equ B, C + 1\n')
    (folder / "lib/deep/c.s").write_text(".equ C, 4\r\n")
    main_s = folder / "main.s"
    main_s.write_text('.include "lib/a.s"\n.include "c.s"\nli x6, B\n')
    program = assemble(main_s.read_text(), "main.s", Options(include=("nowhere", "lib/deep")))
    assert program.text == assemble("li x5, 5\nli x6, 5").text
    assert [(entry.file, entry.line) for entry in program.lines] == [("lib/a.s", 2), ("main.s", 3)]
    assert main(["main.s", "-I", "lib/deep", "-D", "B=1"]) == 0
    assert main(["main.s"]) == 1


def test_incbin(folder: Path) -> None:
    (folder / "d.bin").write_bytes(bytes(range(10)))
    (folder / "a.s").write_text("")
    source = '.rodata\n.incbin "d.bin"\n.incbin "d.bin", 8\n.incbin "d.bin", 2, 3\n.incbin "d.bin", 10\n'
    assert assemble(source, "a.s").rodata == bytes([*range(10), 8, 9, 2, 3, 4])


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "fp4x2"])
def test_npy(dtype: str, folder: Path) -> None:
    array = np.asfortranarray(np.arange(1, 7).reshape(2, 3).astype(DTYPES[dtype].np))
    np.save("a.npy", array)
    program = assemble(f'.rodata\n.npy "a.npy", {dtype}\n', "a.s")
    assert program.rodata == np.ascontiguousarray(array).tobytes()
    if array.dtype.isbuiltin == 1:
        assert assemble('.rodata\n.npy "a.npy"\n', "a.s").rodata == program.rodata


def test_bfloat16_that_numpy_saves_without_a_name(folder: Path) -> None:
    np.save("a.npy", np.ones(3, ml_dtypes.bfloat16))
    assert assemble('.rodata\n.npy "a.npy", bf16\n').rodata == b"\x80\x3f" * 3


def test_files_that_are_none(folder: Path) -> None:
    for name in ("/dev/zero", "lib", "a\\0b", ""):
        with pytest.raises(AsmError) as raised:
            assemble(f'.include "{name}"\n.rodata\n.incbin "{name}"\n.npy "{name}"')
        assert {d.code for d in raised.value.diagnostics} <= {"A050", "A041"}
        assert len(raised.value.diagnostics) == 3


# -- places --------------------------------------------------------------------------------------


def test_code_of_a_macro_is_at_its_call_that_of_a_repetition_in_its_lines() -> None:
    source = "nop\n.macro m\nnop\nnop\n.endm\nm\n.rept 2\nnop\nhalt\n.endr\n.irp a, 1, 2\nm\n.endr\nret"
    lines = assemble(source, "a.s").lines
    assert [(entry.pc // 16, entry.line) for entry in lines] == [
        (0, 1), (1, 6), (3, 8), (4, 9), (5, 8), (6, 9), (7, 12), (11, 14)
    ]  # fmt: skip


def test_mistakes_are_in_the_order_in_which_lines_are_read() -> None:
    with pytest.raises(AsmError) as raised:
        assemble("first x\n.macro m\n.rept 1\nsecond x\n.endr\nthird x\n.endm\nm\nfourth x\n")
    assert [d.line for d in raised.value.diagnostics] == [1, 4, 6, 9]


def test_a_repetition_keeps_its_lines_once() -> None:
    program = assemble(".rept 100000\nnop\n.endr")
    assert len(program) == 100_000


@pytest.mark.parametrize(
    "source",
    [
        ".macro a\na\na\n.endm\na",
        ".macro a\nb\nb\n.endm\n.macro b\na\na\n.endm\na",
        ".rept 1000000\n.rept 1000000\nnop\n.endr\n.endr",
        ".rept 1000\n.rept 1000\n.rept 1000\nnop\n.endr\n.endr\n.endr",
        ".macro a x\na \\x\\x\n.endm\na 1234567890",
        ".irp a, " + "x, " * 20_000 + "\n.irp b, " + "x, " * 20_000 + "\nnop\n.endr\n.endr",
        ".macro a\n.rept 1000\nnop\n.endr\na\n.endm\na",
    ],
)
def test_what_never_ends_is_ended(source: str) -> None:
    with pytest.raises(AsmError) as raised:
        assemble(source, options=Options(max_expansion=20_000))
    assert [d.code for d in raised.value.diagnostics] in (["A051"], ["A001"])


def test_lines_are_counted_over_all_expansions() -> None:
    assemble(".rept 100\n.rept 10\nnop\n.endr\n.endr", options=Options(max_expansion=1300))
    with pytest.raises(AsmError, match="more than 1299 lines"):
        assemble(".rept 100\n.rept 10\nnop\n.endr\n.endr", options=Options(max_expansion=1299))
