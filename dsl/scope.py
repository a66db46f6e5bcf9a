"""What the frontend keeps while it interprets a function: its names, views of tensors, names that are gone."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sohu.dsl.builder import Builder
from sohu.dsl.errors import Loc, Scope
from sohu.dsl.ir import ORDER, Binding, Dim, MemType, Op, Value, root
from sohu.dsl.ranges import Index
from sohu.dsl.source import Source
from sohu.isa import DType


class View:
    """A tensor in HBM, or part of it, as Python sees it. Its elements are loaded when they are first wanted.

    The load stands where the view was made, so that a view made before a loop is loaded before the loop; of a
    tensor that the kernel writes, it stands where the elements are wanted if there may have been a store since.
    """

    def __init__(self, b: Builder, mem: Value, parent: View | None = None, see: Callable[[Value], Value] | None = None):
        """parent, see: this view is `see` of another one, whose load it shares."""
        self.b = b
        self.mem = mem
        self.hint = ""
        self._parent, self._see = parent, see
        self._block = b.blocks[-1]
        self._after: Op | None = self._block.ops[-1] if self._block.ops else None
        self._version = b.version(root(mem))
        self._tile: Value | None = None
        self._seen: Value | None = None  # what it shows of its parent's elements

    @property
    def values(self) -> list[Value]:
        """Where its elements can be found: in a tile, if they were wanted, else in the tensor."""
        return [v for v in (self._tile, self._seen, self.mem) if v is not None]

    @property
    def dims(self) -> tuple[Dim, ...]:
        """Dimensions of the view."""
        assert isinstance(self.mem.type, MemType)
        return self.mem.type.dims

    @property
    def loadable(self) -> bool:
        """Whether the sizes of the view have a bound, so that it can be loaded."""
        return all(self.b.ranges.bounded(d.size) for d in self.dims)

    def tile(self) -> Value:
        """The elements; raises CompileError (K012) when nothing bounds a size."""
        b, version = self.b, self.b.version(root(self.mem))
        if self._tile is None or version != self._version:
            if self._parent is not None and self._see is not None:
                self._seen = self._see(self._parent.tile())
                return self._seen
            if version == self._version:
                self._tile = b.load(self.mem, self._block, self._after)
            else:
                self._version = version
                self._tile = b.load(self.mem)
            self._tile.hint = self.hint
        return self._tile


@dataclass(frozen=True)
class Gone:
    """A name that has no value any more, and why."""

    code: str
    why: str
    help: str = ""


@dataclass(frozen=True)
class Method:
    """A method of a tile or tensor, bound to it, and where that is said."""

    name: str
    apply: Callable[..., Any]
    base: Any
    node: ast.expr


@dataclass
class Frame:
    """One function being interpreted.

    names: its local names; dtypes: of its dtype variables, by name; dims: the named dimensions of its tensors,
    by tensor; read_only: tensors it declares as In; caller: where it was called; loops: how many loops of the
    chip are open in it; scope: what debuggers call it.
    """

    source: Source
    names: dict[str, Any]
    dtypes: dict[str, DType]
    dims: dict[Value, dict[str, Index]] = field(default_factory=dict)
    read_only: dict[Value, str] = field(default_factory=dict)
    caller: Loc | None = None
    depth: int = 0
    loops: int = 0
    scope: Scope | None = None


def bind(b: Builder, frame: Frame, name: str, value: Any) -> None:
    """Give a local name a value."""
    frame.names[name] = value
    if frame.scope is not None:
        b.bindings.append((frame.scope, name, value, b.blocks[-1], next(ORDER)))


def bindings(b: Builder) -> list[Binding]:
    """What names were bound to, as far as a debugger can show it."""
    return [Binding(scope, name, _shown(value), block, order) for scope, name, value, block, order in b.bindings]


def _shown(value: Any) -> list[Value] | int | float:
    if isinstance(value, View):
        return value.values
    if isinstance(value, Value):
        return [value]
    return value if isinstance(value, (int, float)) else []


def as_load(target: ast.expr) -> ast.expr:
    """The target of an assignment as an expression that reads it."""
    match target:
        case ast.Name(id=name):
            copy: ast.expr = ast.Name(name, ast.Load())
        case ast.Attribute(value=value, attr=attr):
            copy = ast.Attribute(value, attr, ast.Load())
        case ast.Subscript(value=value, slice=index):
            copy = ast.Subscript(value, index, ast.Load())
        case _:
            return target
    return ast.copy_location(copy, target)


def assigned_names(body: list[ast.stmt]) -> list[str]:
    """Names that statements assign, in order."""
    names: dict[str, None] = {}
    for s in body:
        for node in ast.walk(s):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names[node.id] = None
    return list(names)
