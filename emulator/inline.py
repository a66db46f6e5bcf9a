"""The semantics of scalar instructions as source, for code that is generated: a call is saved where they are simple.

A row's semantics stays the one definition of what it does; what is inlined here is read from it. Functions that
are not simple, or whose source cannot be read, are called.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FunctionType
from typing import Any

_CLOSED = (ast.BitAnd, ast.BitOr, ast.BitXor, ast.RShift)  # of numbers of 64 bits, again a number of 64 bits


@dataclass(frozen=True)
class Expression:
    """What a function of scalars returns: `guards` are tests and what is raised where they hold, before it.

    names: globals of the function that the text uses. closed: the result has 64 bits where all parameters have.
    """

    parameters: tuple[str, ...]
    guards: tuple[tuple[ast.expr, ast.Raise], ...]
    value: ast.expr
    names: Mapping[str, Any]
    closed: bool

    def source(self, arguments: Mapping[str, str], rename: Callable[[str, Any], str]) -> tuple[list[str], str]:
        """Statements and an expression. `arguments`: the text for each parameter; `rename`: for each global."""

        def text(node: ast.AST) -> str:
            return ast.unparse(_Substitute(arguments, self.names, rename).visit(_copy(node)))

        return [f"if {text(test)}: {text(fault)}" for test, fault in self.guards], text(self.value)


class _Substitute(ast.NodeTransformer):
    def __init__(
        self, arguments: Mapping[str, str], names: Mapping[str, Any], rename: Callable[[str, Any], str]
    ) -> None:
        self.arguments = arguments
        self.names = names
        self.rename = rename

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.arguments:
            return ast.parse(self.arguments[node.id], mode="eval").body
        if node.id in self.names:
            return ast.Name(self.rename(node.id, self.names[node.id]), node.ctx)
        return node


def _copy(node: ast.AST) -> ast.AST:
    """A tree of its own: transformers change theirs."""
    text = ast.unparse(node)
    return ast.parse(text, mode="eval").body if isinstance(node, ast.expr) else ast.parse(text).body[0]


@functools.cache
def _function(f: Callable[..., Any]) -> tuple[ast.FunctionDef, Mapping[str, Any]] | None:
    """The definition of a function and its globals; None when there is no plain one."""
    if not isinstance(f, FunctionType) or f.__closure__:
        return None
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(f)))
    except (OSError, SyntaxError, TypeError):
        return None
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        return None
    return tree.body[0], f.__globals__


def _without_docstring(node: ast.FunctionDef) -> list[ast.stmt]:
    body = node.body
    first = body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body


def _globals(nodes: list[ast.AST], local: set[str], known: Mapping[str, Any]) -> dict[str, Any] | None:
    """The globals and builtins that the nodes name; None when something is neither those nor local."""
    out: dict[str, Any] = {}
    builtins = known.get("__builtins__", {})
    builtins = builtins if isinstance(builtins, dict) else vars(builtins)
    for node in nodes:
        for n in ast.walk(node):
            if isinstance(n, (ast.Lambda, ast.comprehension, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)):
                return None
            if not isinstance(n, ast.Name) or n.id in local:
                continue
            if n.id in known:
                out[n.id] = known[n.id]
            elif n.id in builtins:
                out[n.id] = builtins[n.id]
            else:
                return None
    return out


@functools.cache
def expression(f: Callable[..., Any]) -> Expression | None:
    """A function of scalars that is guards and one return; None for any other."""
    found = _function(f)
    if found is None:
        return None
    node, known = found
    parameters = tuple(a.arg for a in node.args.args)
    *before, last = _without_docstring(node) or [ast.Pass()]
    guards = []
    for s in before:
        if not (isinstance(s, ast.If) and not s.orelse and len(s.body) == 1 and isinstance(s.body[0], ast.Raise)):
            return None
        guards.append((s.test, s.body[0]))
    if not isinstance(last, ast.Return) or last.value is None:
        return None
    nodes: list[ast.AST] = [last.value, *(n for pair in guards for n in pair)]
    names = _globals(nodes, set(parameters), known)
    if names is None:
        return None
    return Expression(parameters, tuple(guards), last.value, names, _is_closed(last.value, known))


def _is_closed(node: ast.expr, known: Mapping[str, Any]) -> bool:
    match node:
        case ast.Name(id=name):
            return name not in known
        case ast.Constant(value=int(value)):
            return -(1 << 63) <= value < 1 << 63
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, ast.RShift):
            return _is_closed(left, known)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _CLOSED):
            return _is_closed(left, known) and _is_closed(right, known)
        case ast.IfExp(body=body, orelse=orelse):
            return _is_closed(body, known) and _is_closed(orelse, known)
        case ast.Call(func=ast.Name(id="int"), args=[ast.Compare()]):
            return True
    return False
