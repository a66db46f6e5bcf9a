"""Tokens of a line, and the Pygments lexer that shows them."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark.exceptions import UnexpectedInput
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, Punctuation, String, Token
from sohu.asm import grammar
from sohu.asm.lexer import SohuLexer
from sohu.asm.tokens import Kind, scan

from tools.fuzz import corpus, sources

SOURCE = corpus.sources()[-1]

ROOT = Path(__file__).parents[2]
SAMPLE = """\
        .kernel k                       # a comment
        .param  x, in, bf16, [R, 64]
        .macro  twice a
        vadd    \\a, \\a, \\a
        .endm
1: go:  dma.load   t0, x, q=1  wait s2>=x7+1  signal s0
        twice      t0
        lf         x4, -1.5e-3
        li         x5, 0x1f + 0b11 * 12
        lf         x6, 0x1.8p3
        dbg.mark   "tab\\t, \\x41"
        bne        x5, 0, 1b
        li         x5, 12ab
"""


def highlighted(text: str) -> list[tuple[object, str]]:
    return list(SohuLexer(stripnl=False, ensurenl=False).get_tokens(text))


def test_every_kind_of_token() -> None:
    tokens = highlighted(SAMPLE)
    assert "".join(text for _, text in tokens) == SAMPLE
    for wanted in [
        (Keyword.Namespace, ".kernel"), (Comment.Single, "# a comment"), (Keyword.Type, "bf16"), (Keyword.Type, "in"),
        (Name, "x"), (Name.Variable.Magic, "\\a"), (Name.Label, "1"), (Name.Label, "go"), (Name.Label, "1b"),
        (Name.Function, "dma.load"), (Name.Function.Magic, "twice"), (Name.Attribute, "q"), (Keyword, "wait"),
        (Name.Variable, "x7"), (Number.Float, "1.5e-3"), (Number.Hex, "0x1f"), (Number.Bin, "0b11"),
        (Number.Integer, "12"), (Number.Float, "0x1.8p3"), (String.Double, '"tab\\t, \\x41"'), (Operator, ">="),
        (Punctuation, "["), (Error, "12ab"),
    ]:  # fmt: skip
        assert wanted in tokens
    assert {t.kind for line in SAMPLE.split("\n") for t in scan(line)} == set(Kind)


def test_pygments_finds_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["entry-points"]["pygments.lexers"]["sohu"].partition(":")
    assert getattr(import_module(module), name) is SohuLexer


@given(st.integers(0, 2**64))
def test_tokens_are_those_of_the_grammar(seed: int) -> None:
    """Where the grammar's own lexer can read a line, this one reads the same."""
    import random

    for line in sources.make(random.Random(seed)).decode("utf-8", "replace").split("\n"):
        try:
            tokens = list(grammar._PARSER.lex(line))
        except UnexpectedInput:
            continue
        if any(t.type in ("TEXT", "RAW") for t in tokens):
            continue  # text that a macro reads for itself
        theirs = [(str(t), t.start_pos) for t in tokens]
        ours = [(t.text, t.start) for t in scan(line) if t.kind is not Kind.COMMENT]
        assert ours == theirs, line


@given(st.text(max_size=200))
def test_every_text_comes_back(text: str) -> None:
    assert "".join(t for _, t in highlighted(text)) == text.replace("\r\n", "\n").replace("\r", "\n")
    for line in text.split("\n"):
        at = 0
        for t in scan(line):
            assert not line[at : t.start].strip(" \t\f\r")
            assert line[t.start : t.end] == t.text
            at = t.end


@pytest.mark.parametrize("text", [SOURCE, SAMPLE.replace("12ab", "12")])
def test_what_is_right_has_no_errors(text: str) -> None:
    assert not [t for t, _ in highlighted(text) if t in Error]
    assert not re.search(r"\S", "".join(x for t, x in highlighted(text) if t is Token.Text))
