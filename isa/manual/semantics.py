"""What the source of a row says: its code without documentation, the helpers it calls, the faults it raises."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sohu.isa.errors import CATEGORIES
from sohu.isa.instruction import Machine, Row
from sohu.isa.tile import Tile

_RAISES = re.compile(r"[Rr]aises? Fault \(([\w\-, ]+)\)")


def code(row: Row) -> str:
    """The semantics as Python: the row's function without decorator and docstring, then the helpers that it calls."""
    return "\n\n\n".join(_bare(f) for f in (row.semantics, *helpers(row)))


def helpers(row: Row) -> list[Callable[..., Any]]:
    """Functions of modules of rows that the semantics calls, directly or through others, in that order."""
    found: dict[str, Callable[..., Any]] = {}

    def visit(f: Callable[..., Any]) -> None:
        for name, used in _used(f):
            if inspect.isfunction(used) and _among_rows(used, row) and name not in found:
                found[name] = used
                visit(used)

    visit(row.semantics)
    return list(found.values())


def borrowed(row: Row) -> list[str]:
    """Functions of other modules of this package that the semantics calls, as module.name."""
    names: dict[str, None] = {}
    for f in (row.semantics, *helpers(row)):
        for _, used in _used(f):
            if inspect.isfunction(used) and used.__module__.startswith("sohu.isa.") and not _among_rows(used, row):
                names[f"{used.__module__}.{used.__name__}"] = None
    return list(names)


def constants(row: Row) -> dict[str, int | float]:
    """Numbers that the code names, from its modules."""
    found: dict[str, int | float] = {}
    for f in (row.semantics, *helpers(row)):
        for name, used in _used(f):
            if isinstance(used, (int, float)) and not isinstance(used, enum.Enum):
                found[name] = used
    return found


def _among_rows(f: Callable[..., Any], row: Row) -> bool:
    return f.__module__ == row.semantics.__module__ or f.__module__.startswith("sohu.isa.rows.")


def _used(f: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """Names that a function has from its module, and what they are."""
    for name in _names(f.__code__):
        if name in f.__globals__:
            yield name, f.__globals__[name]


def _names(of: types.CodeType) -> Iterator[str]:
    yield from of.co_names
    for constant in of.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _parsed(f: Callable[..., Any]) -> tuple[str, ast.FunctionDef]:
    source = textwrap.dedent(inspect.getsource(f))
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    return source, function


def _bare(f: Callable[..., Any]) -> str:
    source, function = _parsed(f)
    lines = source.splitlines()
    skipped = set(range(function.lineno - 1))  # decorators
    body = list(function.body)
    if ast.get_docstring(function) is not None:
        doc = body.pop(0)
        skipped |= set(range(doc.lineno - 1, doc.end_lineno or doc.lineno))
    kept = [line for i, line in enumerate(lines) if i not in skipped]
    if not body:
        kept.append("    pass")
    return "\n".join(kept).rstrip()


def faults(row: Row) -> list[tuple[str, str]]:
    """(category, when) of the faults that the semantics itself raises, from its source.

    `when` is the message, with … for what differs; for those of the machine or a descriptor, what the category means.
    """
    found: dict[tuple[str, str], None] = {}
    for f in (row.semantics, *helpers(row)):
        body = _parsed(f)[1]
        held = {
            n.targets[0].id: n.value
            for n in ast.walk(body)
            if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
        }
        for node in ast.walk(body):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                call = node.exc
                if getattr(call.func, "id", "") == "Fault" and isinstance(call.args[0], ast.Constant):
                    category = str(call.args[0].value)
                    found[category, _message(call.args[1], held) or CATEGORIES[category]] = None
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                for category in _categories(node.func.attr):
                    found[category, f"{CATEGORIES[category]} (`{node.func.attr}`)"] = None
    return list(found)


def _message(node: ast.expr, held: Mapping[str, ast.expr]) -> str:
    """The text of a message, which may be held by a local name; nothing where it is known only when it runs."""
    if isinstance(node, ast.Name) and node.id in held:
        node = held[node.id]
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)
    return ""


def _method(name: str) -> Any:
    """A method of the machine, or of descriptors, that semantics may call."""
    return vars(Machine).get(name) or vars(Tile).get(name)


def _categories(name: str) -> list[str]:
    said = _RAISES.search(inspect.getdoc(_method(name)) or "") if _method(name) else None
    return said[1].split(", ") if said else []
