"""A Pygments lexer for the assembly."""

from __future__ import annotations

from typing import Any, ClassVar

from pygments.lexer import RegexLexer, bygroups
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Text


class AssemblyLexer(RegexLexer):  # type: ignore[misc]  # Pygments has no types
    """Assembly as sohu-asm reads it, and as the debugger prints it."""

    name = "Sohu assembly"
    aliases: ClassVar[list[str]] = ["sohu-asm"]
    filenames: ClassVar[list[str]] = ["*.s"]

    # Longest alternatives first. A line begins in "root" and is read to its end in "operands".
    tokens: ClassVar[dict[str, Any]] = {
        "root": [
            (r"\s+", Text),
            (r"(#|//).*", Comment.Single),
            (r"([\w.]+)(:)", bygroups(Name.Label, Punctuation)),
            (r"\.[a-z]\w*", Keyword.Namespace, "operands"),
            (r"[A-Za-z_][\w.]*", Name.Function, "operands"),
            (r".", Text),
        ],
        "operands": [
            (r"\n", Text, "#pop"),
            (r"[ \t\r\f]+", Text),
            (r"(#|//).*", Comment.Single),
            (r'"([^"\\\n]|\\.)*"', String),
            (r"\b(wait|signal)\b", Keyword),
            (r"\b([xts]\d+|zero|ra|sp|gp|args)\b", Name.Variable),
            (r"0[xX][0-9a-fA-F.]+([pP][+-]?\d+)?|\d+[bf]\b|\d+\.?\d*([eE][+-]?\d+)?", Number),
            (r"\.?[A-Za-z_][\w.]*", Name),
            (r"[-+*/%<>=&|^~]", Operator),
            (r"[\[\]():,]", Punctuation),
            (r".", Text),
        ],
    }
