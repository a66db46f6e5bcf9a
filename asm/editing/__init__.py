"""What an editor asks of a source: where names are defined and used, what could stand here, what is wrong.

Plain functions over a text that may be half written: they read tokens (tokens.py), and assemble nothing but for
diagnostics. Lines and columns count from 0, in characters. The language server (sohu.asm.lsp) is a thin layer above.
"""

from sohu.asm.editing.complete import Item, Signature, complete, signature
from sohu.asm.editing.describe import describe
from sohu.asm.editing.diagnose import Problem, diagnose
from sohu.asm.editing.index import Entity, Index, Occurrence, Span
from sohu.asm.editing.outline import Fold, SemanticToken, Symbol, folds, semantic_tokens, symbols

__all__ = [
    "Entity",
    "Fold",
    "Index",
    "Item",
    "Occurrence",
    "Problem",
    "SemanticToken",
    "Signature",
    "Span",
    "Symbol",
    "complete",
    "describe",
    "diagnose",
    "folds",
    "semantic_tokens",
    "signature",
    "symbols",
]
