"""What an editor asks of a source, without any editor."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import assemble
from sohu.asm.editing import (
    Index,
    Item,
    Span,
    complete,
    describe,
    diagnose,
    folds,
    semantic_tokens,
    signature,
    symbols,
)
from sohu.asm.editing.outline import MODIFIERS, TYPES
from sohu.isa import ROWS, SohuError

from tools.fuzz.sources import make
from tools.tree import ROOT

SOURCE = """\
        # two kernels
        # that share names
        .equ    ROWS, 16
        .macro  twice a
        vadd    \\a, \\a, \\a
        .endm
        .kernel one
        .param  x, in, f32, [R, 64]
        .param  n, i64
        .tile   buf, sram, f32, [ROWS, 64]
        .sem    loaded
        li      x5, ROWS * 2
1:      dma.load   buf, x, q=1                 signal loaded
loop_:  vexp       buf, buf  wait loaded>=n+1
        twice      buf
        bne        n, 0, 1b
        beq        n, 1, loop_
        halt
        .endkernel
        .kernel two
        .tile   buf, acc, f32, [8, 8]
        .bound  R, 4
        vexp    buf, buf
        halt
"""
LINES = SOURCE.split("\n")


def place(line: str, word: str, nth: int = 0) -> tuple[int, int]:
    """Line and column of a word on the line that has this text in it."""
    at = next(i for i, text in enumerate(LINES) if line in text)
    column = -1
    for _ in range(nth + 1):
        column = LINES[at].index(word, column + 1)
    return at, column


def words(spans: list[Span]) -> list[tuple[int, str]]:
    return [(s.line, LINES[s.line][s.start : s.end]) for s in spans]


@pytest.fixture(scope="module")
def index() -> Index:
    return Index(SOURCE)


def test_definition(index: Index) -> None:
    assert words(index.definition(*place("vexp       buf", "buf"))) == [(9, "buf")]
    assert words(index.definition(*place("vexp    buf", "buf", 1))) == [(20, "buf")]
    assert words(index.definition(*place("bne", "1b"))) == [(12, "1")]
    assert words(index.definition(*place("beq", "loop_"))) == [(13, "loop_")]
    assert words(index.definition(*place("twice      buf", "twice"))) == [(3, "twice")]
    assert words(index.definition(*place("ROWS * 2", "ROWS"))) == [(2, "ROWS")]
    assert words(index.definition(*place("wait loaded", "loaded"))) == [(10, "loaded")]
    assert index.definition(*place("vexp       buf", "vexp")) == []
    assert index.definition(999, 0) == index.definition(0, 999) == []


def test_references(index: Index) -> None:
    assert words(index.references(*place(".tile   buf, sram", "buf"))) == [
        (9, "buf"), (12, "buf"), (13, "buf"), (13, "buf"), (14, "buf"),
    ]  # fmt: skip
    assert words(index.references(*place("ROWS * 2", "ROWS"), definitions=False)) == [(9, "ROWS"), (11, "ROWS")]


def test_rename(index: Index) -> None:
    def renamed(at: tuple[int, int], name: str) -> str:
        lines = SOURCE.split("\n")
        for span in reversed(index.renamed(*at, name)):
            text = lines[span.line]
            lines[span.line] = text[: span.start] + name + text[span.end :]
        return "\n".join(lines)

    fits = SOURCE.replace("        .bound  R, 4\n", "")
    before = assemble(fits).text
    for line, word in [("buf, sram", "buf"), ("beq", "loop_"), ("ROWS * 2", "ROWS"), ("wait", "loaded"), ("bne", "n")]:
        changed = renamed(place(line, word, line == "bne"), "another")
        assert changed != SOURCE
        assert assemble(changed.replace("        .bound  R, 4\n", "")).text == before
    assert renamed(place("wait", "loaded"), "ready").count("ready") == 3


@pytest.mark.parametrize("name", ["x5", "vexp", "wait", "two words", "", ".tile", "x", "ROWS", "one"])
def test_a_name_that_cannot_be_taken(index: Index, name: str) -> None:
    with pytest.raises(SohuError):
        index.renamed(*place(".tile   buf, sram", "buf"), name)


def test_nothing_to_rename(index: Index) -> None:
    with pytest.raises(SohuError, match="no name of this file"):
        index.renamed(*place("vexp       buf", "vexp"), "a")


def offered(text: str, marker: str = "|") -> list[Item]:
    line = next(i for i, t in enumerate(text.split("\n")) if marker in t)
    column = text.split("\n")[line].index(marker)
    return complete(Index(text.replace(marker, "")), line, column)


HEAD = """\
.kernel k
.param x, in, f32, [R, C]
.param n, i64
.tile buf, sram, f32, [4, 4]
.sem ready
.reg scratch, t
.reg count
.equ SIZE, 4
there: nop
"""


@pytest.mark.parametrize(
    ("line", "has", "lacks"),
    [
        ("ve|", {"vexp", ".tile"}, {"buf"}),
        ("  |", {"vexp", "dma.load"}, {"buf"}),
        ("a: dma.l|", {"dma.load"}, {"buf"}),
        (".ti|", {".tile", ".kernel"}, {"buf"}),
        ("vexp b|", {"buf", "x", "t5", "scratch"}, {"n", "x5", "ready", "there", "vexp", "count"}),
        ("vexp buf, |", {"buf", "x"}, {"wait"}),
        ("vexp buf, buf |", {"wait", "signal"}, {"buf"}),
        ("vexp buf, buf wait |", {"ready", "s3"}, {"buf", "x5"}),
        ("vexp buf, buf wait ready>=|", {"n", "x5", "SIZE"}, {"buf", "x"}),
        ("add x5, n|", {"n", "x7", "count"}, {"buf", "scratch"}),
        ("add x5, n, |", {"n", "x7", "SIZE"}, {"buf"}),
        ("j |", {"there"}, {"buf", "SIZE"}),
        ("dma.load buf, x, |", {"q="}, {"buf"}),
        ("dma.load buf, x |", {"wait"}, {"buf"}),
        ("semreset r|", {"ready"}, {"buf"}),
        (".tile y, |", {"sram", "acc"}, {"f32"}),
        (".tile y, sram, |", {"f32", "bf16"}, {"sram"}),
        (".param y, |", {"in", "i64"}, {"sram"}),
    ],
)
def test_completion(line: str, has: set[str], lacks: set[str]) -> None:
    texts = {i.text for i in offered(HEAD + line)}
    assert has <= texts and not lacks & texts


@pytest.mark.parametrize("line", ["vexp buf, buf # wa|", 'dbg.mark "te|', "li x5, 12|", 'dbg.mark "a" # "|'])
def test_nothing_is_offered_where_nothing_fits(line: str) -> None:
    assert offered(HEAD + line) == []


def test_completion_replaces_the_word_that_is_there() -> None:
    item = next(i for i in offered("  dma.l|") if i.text == "dma.load")
    assert item.start == 2 and item.detail == ROWS["dma.load"].summary


def test_signature() -> None:
    index = Index("vadd t0, t1, \nli x5\n.tile a, sram\ndma.load t0, t1, q=")
    found = signature(index, 0, 13)
    assert found is not None and found.label.startswith("vadd dst, a, b")
    assert [name for name, _ in found.parameters] == ["dst", "a", "b"] and found.active == 2
    assert "tile, in: `[...?]`" in found.parameters[1][1]
    assert (found := signature(index, 1, 4)) is not None and found.active == 0
    assert signature(index, 1, 1) is None
    assert (found := signature(index, 2, 10)) is not None and found.label.startswith(".tile NAME")
    assert (found := signature(index, 3, 19)) is not None and found.active == 2


def test_hover(index: Index) -> None:
    def said(line: str, word: str) -> str:
        found = describe(index, *place(line, word))
        assert found is not None
        return found[0]

    assert said("vexp       buf", "vexp").startswith("# vexp")
    assert ".kernel NAME" in said(".kernel one", ".kernel")
    assert "tile `buf` of kernel `one`" in said("vexp       buf", "buf")
    assert ".equ    ROWS, 16" in said("ROWS * 2", "ROWS")
    assert "scalar register `x5`" in said("li      x5", "x5")
    assert "semaphore has reached" in said("wait loaded", "wait")
    assert "4 bytes" in said(".tile   buf, sram", "f32")
    assert describe(index, 0, 12) is None


def test_every_instruction_and_directive_is_described() -> None:
    from sohu.asm.directives import DIRECTIVES
    from sohu.asm.editing.complete import documentation

    assert all(documentation("instruction", name) for name in ROWS.by_mnemonic)
    assert all(documentation("directive", name) for name in DIRECTIVES)


def test_symbols(index: Index) -> None:
    found = symbols(index)
    assert [(s.name, s.kind, s.lines) for s in found] == [
        ("ROWS", "constant", (2, 2)), ("twice", "macro", (3, 3)),
        ("one", "kernel", (6, 18)), ("two", "kernel", (19, 24)),
    ]  # fmt: skip
    assert [(c.name, c.kind) for c in found[2].children] == [
        ("x", "param"), ("n", "param"), ("buf", "tile"), ("loaded", "semaphore"), ("loop_", "label"),
    ]  # fmt: skip
    assert found[2].children[2].detail == "sram, f32, [ROWS, 64]"


def test_folds(index: Index) -> None:
    assert [(f.first, f.last) for f in folds(index)] == [(0, 1), (3, 5), (6, 18), (19, 24)]
    nested = Index(".if 1\n.rept 2\nnop\n.endr\n.else\n.endif\n.endif\n.irp a, 1\n.endr")
    assert [(f.first, f.last) for f in folds(nested)] == [(1, 3), (0, 5), (7, 8)]


def test_semantic_tokens(index: Index) -> None:
    found = {(t.span.line, LINES[t.span.line][t.span.start : t.span.end]): t for t in semantic_tokens(index)}
    for key, type in {
        (12, "dma.load"): "function", (14, "twice"): "macro", (12, "x"): "parameter",
        (12, "buf"): "variable", (13, "loaded"): "event", (11, "ROWS"): "enumMember", (11, "x5"): "variable",
        (9, "sram"): "type", (12, "q"): "property", (13, "wait"): "keyword", (7, "R"): "typeParameter",
        (15, "1b"): "label", (0, "# two kernels"): "comment",
    }.items():  # fmt: skip
        assert found[key].type == type
    assert found[9, "buf"].modifiers == ("definition",)
    assert all(t.type in TYPES and set(t.modifiers) <= set(MODIFIERS) for t in found.values())


def test_diagnose() -> None:
    (error,) = diagnose(".kernel k\n  vexp t0, t99\n", "a.s")
    assert (error.severity, error.code, error.span) == ("error", "A020", Span(1, 11, 14))
    (warning,) = diagnose(".kernel k\nj 1f\nnop\n1: halt\n", "a.s")
    assert (warning.severity, warning.name, warning.is_unused) == ("warning", "unreachable", True)
    (twice,) = diagnose("a: nop\na: nop\n", "a.s")
    assert twice.related == (("it was defined", "a.s", 0),)
    (inside,) = diagnose(".macro m r\nvexp \\r, \\r\n.endm\nnop\nm x5\n", "a.s")[:1]
    assert inside.span == Span(4, 0, -1) and inside.related[0][1:] == ("a.s", 1)


def test_the_page_on_editors_runs() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "editors.md").read_text(), re.MULTILINE | re.DOTALL)
    exec(code, {})  # noqa: S102  # our own page


@given(st.integers(0, 2**64))
def test_nothing_upsets_it(seed: int) -> None:
    rng = random.Random(seed)
    text = make(rng).decode(errors="replace")
    index = Index(text)
    list(folds(index)), list(semantic_tokens(index)), symbols(index)
    for _ in range(10):
        line = rng.randrange(len(index.lines))
        column = rng.randint(0, min(len(index.lines[line]), 200))
        complete(index, line, column)
        signature(index, line, column)
        describe(index, line, column)
        index.references(line, column)
        index.definition(line, column)
