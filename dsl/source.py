"""The source of a Python function: its syntax tree, with places as they are in its file."""

from __future__ import annotations

import ast
import builtins
import functools
import linecache
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sohu.dsl.errors import CompileError, Loc, Scope

Node = ast.FunctionDef | ast.Lambda


@dataclass(frozen=True)
class Source:
    """A parsed function and where it stands. `names` looks up what is not local; raises KeyError."""

    node: Node
    body: list[ast.stmt]
    file: str
    lines: list[str]
    names: Callable[[str], Any]

    def loc(self, node: ast.AST, caller: Loc | None = None, scope: Scope | None = None) -> Loc:
        """Where a node of the tree stands in the file."""
        line, end = getattr(node, "lineno", 1), getattr(node, "end_lineno", None)
        column = self._column(line, getattr(node, "col_offset", 0))
        if end is None:
            return Loc(self.file, line, column, caller=caller, scope=scope)
        last = self._column(end, getattr(node, "end_col_offset", 0))
        return Loc(self.file, line, column, end, last, caller, scope)

    def _column(self, line: int, offset: int) -> int:
        """Column, from 1, of a byte offset: the parser counts bytes, people characters."""
        text = self.lines[line - 1] if line <= len(self.lines) else ""
        return offset + 1 if text.isascii() else len(text.encode()[:offset].decode(errors="replace")) + 1


def source_of(fn: types.FunctionType) -> Source:
    """The source of a function or lambda; raises CompileError (K001) when it cannot be read."""
    code = fn.__code__
    file = code.co_filename
    linecache.checkcache(file)
    lines = linecache.getlines(file, fn.__globals__)
    if not lines:
        raise CompileError(
            "K001",
            f"the source of {fn.__name__} cannot be read",
            None,
            help="define kernels in a file or a notebook, not in a string",
        )
    try:
        found = [n for n in _functions("".join(lines)) if _is_of(n, code)]
    except SyntaxError:
        found = []
    if len(found) != 1:
        raise CompileError(
            "K001",
            f"{fn.__name__} is not found in its source: the file has changed, or this is no plain function (def)",
            Loc(file, code.co_firstlineno),
            help="import it anew",
        )
    node = found[0]
    body: list[ast.stmt] = []
    body += [ast.copy_location(ast.Return(node.body), node.body)] if isinstance(node, ast.Lambda) else node.body
    cells = dict(zip(code.co_freevars, fn.__closure__ or (), strict=True))

    def names(name: str) -> Any:
        if name in cells:
            try:
                return cells[name].cell_contents
            except ValueError:  # of the enclosing function, not assigned yet
                raise KeyError(name) from None
        return fn.__globals__[name] if name in fn.__globals__ else vars(builtins)[name]

    return Source(node, body, file, lines, names)


@functools.lru_cache(maxsize=64)
def _functions(text: str) -> tuple[Node, ...]:
    return tuple(n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.Lambda)))


def _is_of(node: Node, code: types.CodeType) -> bool:
    if isinstance(node, ast.Lambda):
        if code.co_name != "<lambda>" or node.lineno != code.co_firstlineno:
            return False
        body = node.body
        span = (body.lineno, body.end_lineno, body.col_offset, body.end_col_offset)
        return span in set(code.co_positions())
    first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
    return first == code.co_firstlineno and node.name == code.co_name
