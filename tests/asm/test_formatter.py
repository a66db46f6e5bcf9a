"""`sohu-asm --format`: columns, and nothing but columns."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sohu.asm import AsmError, Program, assemble
from sohu.asm.formatter import format_source
from sohu.asm.tokens import Kind, scan

from tools.fuzz import corpus, sources

SOURCE = corpus.sources()[-1]

ROOT = Path(__file__).parents[2]
FILES = [*sorted((ROOT / "examples").rglob("*.s")), *sorted((ROOT / "tests").rglob("golden/*.s"))]

UGLY = """\
#  softmax,   by hand


.kernel softmax
   .param x,in,bf16,[ R,C ]      // the input
  .param weights , inout ,f32, [C]
.tile buffer,sram,f32,[128,x9 <= 4096] , at = 0x100
 .sem loaded


    li x5 ,(1+2)*3   # first
1:dma.load  buffer, x , q = 1 signal   loaded
vmuls buffer,buffer , 2.0   wait loaded >= x7+1  signal loaded += 2 # twice
                            # as large
again: bne x5,0,1b
a_long_label : another: nop # here
  # indented
# not indented
\thalt
li x1 0x ;
dbg.mark "two  blanks, # and no comment"
"""


def test_how_it_looks(golden: Callable[[str, str], None]) -> None:
    golden("formatted.s", format_source(UGLY))


def bytes_of(source: str, name: str = "a.s") -> Program | None:
    """What the source assembles to, without the places of its lines; None where it does not."""
    try:
        program = assemble(source, name)
    except AsmError:
        return None
    program.lines = []
    return program


def check(source: str) -> None:
    shown = format_source(source)
    assert format_source(shown) == shown
    assert [t.text.rstrip() for line in source.split("\n") for t in scan(line.removesuffix("\r"))] == [
        t.text.rstrip() for line in shown.split("\n") for t in scan(line.removesuffix("\r"))
    ]
    assert bytes_of(shown) == bytes_of(source)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_files(path: Path) -> None:
    check(path.read_text(encoding="utf-8"))


def spaced(rng: random.Random, source: str) -> str:
    """The source with other blanks, where blanks mean nothing."""
    out = []
    for line in source.split("\n"):
        at = 0
        text = rng.choice(["", " ", "\t", "          "])
        for t in scan(line):
            gap = line[at : t.start]
            loose = gap or t.kind in (Kind.PUNCTUATION, Kind.COMMENT)
            text += rng.choice([" ", "\t", "    "]) if gap else " " * (bool(loose) and rng.random() < 0.3)
            text += t.text
            at = t.end
        out += [text] + [" "] * (rng.random() < 0.1)
    return rng.choice(["\n", "\r\n"]).join(out)


@given(st.integers(0, 2**64))
def test_any_spacing(seed: int) -> None:
    rng = random.Random(seed)
    source = spaced(rng, SOURCE)
    assert bytes_of(source) == bytes_of(SOURCE)
    check(source)


@given(st.integers(0, 2**64))
def test_damaged_sources(seed: int) -> None:
    check(sources.make(random.Random(seed)).decode("utf-8", "replace"))


@given(st.text(st.sampled_from('ab0.x1,:"#/\\[]()=<>+- \t\f\r\n\0\u2028é\U0001f40d'), max_size=60))
def test_any_text(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "line", ["li x1, 12ab", 'dbg.mark "open', "li x1 ; 2", "vmov t0, t1 wait s0>=1 wait s1>=1", "   [ 1 ]  "]
)
def test_a_line_that_cannot_be_taken_apart_stays(line: str) -> None:
    assert format_source(f"nop\n{line}\nnop") == f"        nop\n{line}\n        nop\n"


def test_blanks_that_keep_tokens_apart_stay() -> None:
    assert format_source("li x1, a > = b") == "li x1, a > = b\n"


def test_ends_of_lines_stay() -> None:
    assert format_source("nop\r\nnop\r\n") == "        nop\r\n        nop\r\n"
    assert format_source("") == ""


def test_blank_lines() -> None:
    assert format_source("\n\n\nnop\n\n \n\nnop\n\n\n") == "        nop\n\n        nop\n"


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "assembly").glob("*.s")), ids=lambda p: p.name)
def test_programs_that_include_others(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before = bytes_of(text, str(path))
    assert before is not None and bytes_of(format_source(text), str(path)) == before


def test_a_name_that_a_macro_puts_together_stays_in_one_piece() -> None:
    for line in ("row\\n", "v\\op", "\\op\\().row", "\\op", "mm.\\a\\()x"):
        assert format_source(f"{line}  t0, t1").split() == [line, "t0,", "t1"]
