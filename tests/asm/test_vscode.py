"""The VS Code extension: its files fit together, and its grammar sees the tokens that the assembler's scanner sees."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from sohu.asm.editing.outline import TYPES
from sohu.asm.tokens import Kind, scan

from tools import editors
from tools.fuzz import corpus
from tools.tree import ROOT

FOLDER = ROOT / "editors" / "vscode"
PATTERNS = [(re.compile(p["match"]), p) for p in editors.grammar()["patterns"]]
SCOPES = {
    Kind.LABEL: "entity.name.label", Kind.DIRECTIVE: "keyword.control.directive", Kind.KEY: "variable.parameter.key",
    Kind.WORD: "keyword.other.sync", Kind.LOCAL: "entity.name.label.local", Kind.NUMBER: "constant.numeric",
    Kind.STRING: "string.quoted.double", Kind.SUBSTITUTION: "variable.parameter.macro", Kind.COMMENT: "comment.line",
    Kind.MNEMONIC: "support.function.mnemonic", Kind.OPERATOR: "keyword.operator", Kind.PUNCTUATION: "punctuation",
}  # fmt: skip


def coloured(line: str) -> Iterator[tuple[int, str, str]]:
    """(column, text, scope) as TextMate finds them: at each place the earliest match, the first pattern of equals."""
    at = 0
    while at < len(line):
        found = [(m.start(), i, m, p) for i, (r, p) in enumerate(PATTERNS) if (m := r.search(line, at)) and m[0]]
        if not found:
            return
        _, _, m, p = min(found, key=lambda f: f[:2])
        if "name" in p:
            yield m.start(), m[0], p["name"].removesuffix(".sohu")
        else:
            for i, capture in ((i, c) for i, c in p["captures"].items() if m[int(i)] is not None):
                yield m.start(int(i)), m[int(i)], capture["name"].removesuffix(".sohu")
        at = m.end()


def test_the_grammar_is_current() -> None:
    assert editors.TARGET.read_text(encoding="utf-8") == editors.text(), "python -m tools.editors"


def test_it_sees_the_tokens_that_the_scanner_sees() -> None:
    seen = 0
    for line in {line for source in corpus.sources() for line in source.split("\n")}:
        tokens = scan(line)
        # more labels than the grammar sees, or in the body of a macro: the server's semantic tokens have them right
        labels = sum(t.text == ":" for t in tokens)
        if len(line) > 300 or any(t.kind is Kind.ERROR for t in tokens) or labels > 2 or ("\\" in line and labels):
            continue
        found = {(column, text): scope for column, text, scope in coloured(line)}
        for t in tokens:
            if "\\" in t.text and t.kind not in (Kind.STRING, Kind.SUBSTITUTION, Kind.COMMENT):
                continue  # a name that a macro puts together
            scope = found.get((t.start, t.text))
            if t.kind is Kind.NAME:
                assert scope is not None, (line, t)
            else:
                assert scope == SCOPES[t.kind], (line, t, found)
            seen += 1
    assert seen > 1000


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_script_is_valid() -> None:
    subprocess.run(["node", "--check", FOLDER / "extension.js"], check=True, timeout=60)


def test_the_package_names_what_there_is() -> None:
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    contributes = package["contributes"]
    names = [package["main"], contributes["languages"][0]["configuration"], contributes["grammars"][0]["path"]]
    assert all((FOLDER / name).is_file() for name in names)
    assert contributes["grammars"][0]["scopeName"] == editors.grammar()["scopeName"]
    assert contributes["grammars"][0]["language"] == contributes["languages"][0]["id"]
    assert set(contributes["semanticTokenScopes"][0]["scopes"]) <= set(TYPES)
    assert contributes["configuration"]["properties"]["sohu.server.command"]["scope"] == "machine"
    json.loads((FOLDER / "language-configuration.json").read_text(encoding="utf-8"))
