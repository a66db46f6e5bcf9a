"""The TextMate grammar of the VS Code extension, out of the assembler's tables: `python -m tools.editors` writes it.

It names no instruction and no directive: what begins a statement is one. The server's semantic tokens know better.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from sohu.asm.lexer import DECLARATION_WORDS
from sohu.asm.names import REGISTERS

from tools.tree import ROOT

TARGET = ROOT / "editors" / "vscode" / "syntaxes" / "sohu.tmLanguage.json"

_NAME = r"[^\W\d][\w.]*"
# A statement begins at the beginning of a line, or after labels: two of them at most have colours.
_LABEL = rf"(?:((?:\.?{_NAME}|[0-9]+)(?:\\(?:{_NAME}|@))*)[ \t]*(:)[ \t]*)"
_BEGIN = rf"^[ \t]*{_LABEL}?{_LABEL}?"
_LABELS = ("entity.name.label", "punctuation") * 2
_NUMBER = (
    r"0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?[pP][+-]?[0-9]+|(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    r"|[0-9]+[eE][+-]?[0-9]+|0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+"
)


def _words(words: Iterable[str]) -> str:
    """A pattern of whole words, longer ones first."""
    return "(?:" + "|".join(re.escape(w) for w in sorted(words, key=lambda w: (-len(w), w))) + r")(?![\w.])"


def _one(scope: str, pattern: str) -> dict[str, Any]:
    return {"name": f"{scope}.sohu", "match": pattern}


def _captured(pattern: str, *scopes: str) -> dict[str, Any]:
    return {"match": pattern, "captures": {str(i): {"name": f"{s}.sohu"} for i, s in enumerate(scopes, 1)}}


def grammar() -> dict[str, Any]:
    """The grammar. Patterns are tried in this order at each place, as Python's `re` and TextMate both read them."""
    patterns = [
        _one("comment.line", r"(?:#|//).*$"),
        {
            **_one("string.quoted.double", r'"(?:[^"\\]|\\.)*"'),
            "captures": {"0": {"patterns": [_one("constant.character.escape", r"\\(?:x[0-9a-fA-F]{2}|.)")]}},
        },
        _captured(rf"{_BEGIN}(\.{_NAME})(?![\w.]*[ \t]*:)", *_LABELS, "keyword.control.directive"),
        _captured(rf"{_BEGIN}({_NAME})(?![\w.]*[ \t]*:)", *_LABELS, "support.function.mnemonic"),
        _captured(rf"^[ \t]*{_LABEL}{_LABEL}?", *_LABELS),
        _one("variable.parameter.macro", rf"\\(?:{_NAME}|@|\(\))"),
        _one("keyword.other.sync", r"(?<![\w.])" + _words(["wait", "signal"])),
        _one("variable.language.register", r"(?<![\w.])" + _words(REGISTERS)),
        _one("storage.type", r"(?<![\w.])" + _words(DECLARATION_WORDS)),
        _captured(rf"(?<![\w.])({_NAME})(=)(?!=)", "variable.parameter.key", "keyword.operator"),
        _one("entity.name.label.local", r"(?<![\w.])[0-9]+[bf](?![\w.])"),
        _one("constant.numeric", rf"(?<![\w.])(?:{_NUMBER})(?![\w.])"),
        _one("variable.other", rf"\.?{_NAME}|\.(?!\w)"),
        _one("keyword.operator", r"<<|>>|[<>=!+]=|&&|\|\||[-+*/%&|^~!=<>?]"),
        _one("punctuation", r"[\[\](),:]"),
    ]
    return {"name": "Sohu assembly", "scopeName": "source.sohu", "fileTypes": ["s", "sohu"], "patterns": patterns}


def text() -> str:
    """The file."""
    return json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write it."""
    temporary = TARGET.with_suffix(".tmp")
    temporary.write_text(text(), encoding="utf-8")
    temporary.replace(TARGET)


if __name__ == "__main__":
    main()
