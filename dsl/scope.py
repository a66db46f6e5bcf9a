"""What the frontend keeps while it interprets a function: its source, its names, views of tensors."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sohu.dsl.errors import CompileError, Loc
from sohu.dsl.ir import Dim, MemType, Value


@dataclass(frozen=True)
class View:
    """A tensor in HBM, or part of it, as Python sees it: the view, and its elements once loaded.

    The load is made where the view is made, and thrown away later if nobody reads it.
    """

    mem: Value
    tile: Value | None

    @property
    def dims(self) -> tuple[Dim, ...]:
        """Dimensions of the view."""
        assert isinstance(self.mem.type, MemType)
        return self.mem.type.dims


@dataclass(frozen=True)
class Gone:
    """A name that has no value any more, and why."""

    why: str


@dataclass(frozen=True)
class Method:
    """A method of a tile or tensor, bound to it."""

    name: str
    apply: Callable[..., Any]


@dataclass
class Source:
    """A parsed function and where it stands in its file."""

    tree: ast.FunctionDef
    file: str
    first_line: int
    indent: int
    names: Callable[[str], Any]


def source_of(fn: types.FunctionType) -> Source:
    """The AST of a function; raises CompileError (K001) when its source cannot be read."""
    try:
        lines, first = inspect.getsourcelines(fn)
    except (OSError, TypeError):
        raise CompileError(
            "K001",
            f"the source of {fn.__name__} cannot be read",
            None,
            help="define kernels in a file, not in a string",
        ) from None
    text = textwrap.dedent("".join(lines))
    tree = ast.parse(text).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise CompileError("K001", f"{fn.__name__} is no plain function (def)", None)
    closure = inspect.getclosurevars(fn)

    def names(name: str) -> Any:
        for scope in (closure.nonlocals, fn.__globals__, vars(builtins)):
            if name in scope:
                return scope[name]
        raise KeyError(name)

    indent = len(lines[0]) - len(lines[0].lstrip())
    return Source(tree, inspect.getsourcefile(fn) or fn.__code__.co_filename, first, indent, names)


@dataclass
class Frame:
    """One function being interpreted: its names, and where it was called from."""

    source: Source
    names: dict[str, Any] = field(default_factory=dict)
    caller: Loc | None = None
    depth: int = 0


def as_load(target: ast.expr) -> ast.expr:
    """The target of an assignment as an expression that reads it."""
    copy = ast.parse(ast.unparse(target), mode="eval").body
    for a, b in zip(ast.walk(copy), ast.walk(target), strict=False):
        ast.copy_location(a, b)
    return copy


def assigned_names(body: list[ast.stmt]) -> list[str]:
    """Names that statements assign, in order."""
    names: dict[str, None] = {}
    for s in body:
        for node in ast.walk(s):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names[node.id] = None
    return list(names)


def read_first(body: list[ast.stmt], name: str) -> bool:
    """Whether a name may be read before the body assigns it (in source order, which errs on the safe side)."""
    events: list[tuple[int, int, bool]] = []
    for s in body:
        for node in ast.walk(s):
            if isinstance(node, ast.Name) and node.id == name:
                store = isinstance(node.ctx, ast.Store)
                events.append((s.lineno, int(store), store))
    return bool(events) and not min(events)[2]
