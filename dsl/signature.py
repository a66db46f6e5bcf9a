"""A kernel's parameters, from its Python signature."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sohu.asm.names import is_name
from sohu.dsl.errors import CompileError, Loc
from sohu.dsl.language import ScalarSpec, TensorSpec
from sohu.dsl.source import source_of
from sohu.isa import SohuError

Spec = TensorSpec | ScalarSpec

# Keywords of Kernel.compile and of calls
TAKEN = frozenset({"bounds", "chip", "device", "sizes"})


@dataclass(frozen=True)
class Signature:
    """specs: tensors and scalars, in order; defaults: of scalars; constants: compile-time parameters."""

    specs: dict[str, Spec]
    defaults: dict[str, Any]
    constants: dict[str, Any]


def signature(fn: Any, local: Mapping[str, Any]) -> Signature:
    """Read a kernel's signature; `local` are names of where it is defined, for annotations.

    Raises CompileError: K001 for what is no function with a source, K002 for a signature that is no kernel's.
    """
    if not isinstance(fn, types.FunctionType):
        raise CompileError("K002", f"a kernel is a function (def), not {type(fn).__name__} {fn!r:.40}", None)

    def bad(why: str, parameter: str = "", help: str = "") -> CompileError:
        return CompileError("K002", f"kernel {fn.__name__}: {why}", _place(fn, parameter), help=help)

    annotations: dict[str, Any] = {}
    for name, a in fn.__annotations__.items():
        if name != "return":
            try:
                annotations[name] = _evaluated(a, fn, local)
            except (SohuError, NameError, TypeError, SyntaxError, AttributeError) as e:
                why = e.message if isinstance(e, SohuError) else f"{type(e).__name__}: {e}"
                raise bad(f"annotation of {name}: {why}", name, getattr(e, "help", "")) from None
    if not is_name(fn.__name__):
        raise bad("the name means something else in assembly", help="give it another one")
    specs: dict[str, Spec] = {}
    defaults: dict[str, Any] = {}
    constants: dict[str, Any] = {}
    for p in inspect.signature(fn).parameters.values():
        a = annotations.get(p.name)
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            raise bad(f"*{p.name}: a kernel's parameters are fixed", p.name)
        if p.name in TAKEN:
            raise bad(f"a parameter cannot be called {p.name}: that is a keyword of calls", p.name)
        if p.kind is p.KEYWORD_ONLY and isinstance(a, (TensorSpec, ScalarSpec)):
            raise bad(f"{p.name} comes after *, which is for compile-time parameters", p.name, "put it before the *")
        if p.kind is p.KEYWORD_ONLY:
            if p.default is p.empty:
                raise bad(f"compile-time parameter {p.name} needs a default", p.name)
            constants[p.name] = p.default
            continue
        if not isinstance(a, (TensorSpec, ScalarSpec)):
            raise bad(
                f"the annotation of {p.name} does not say what it is",
                p.name,
                f'{p.name}: In[f32, "R C"] for a tensor, {p.name}: Index or Scalar for a number, '
                "after * for compile time",
            )
        names = (p.name, *(d for d in getattr(a, "dims", ()) if isinstance(d, str)))
        for name in names:
            if not is_name(name):
                raise bad(f"the name {name} means something else in assembly", p.name, "give it another one")
        specs[p.name] = a
        if p.default is not p.empty:
            if isinstance(a, TensorSpec):
                raise bad(f"tensor {p.name} has a default; Out tensors can be left out without one", p.name)
            defaults[p.name] = p.default
    return Signature(specs, defaults, constants)


def _evaluated(annotation: Any, fn: types.FunctionType, local: Mapping[str, Any]) -> Any:
    """An annotation's value. Under `from __future__ import annotations` it is text, the kernel author's own."""
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, fn.__globals__, dict(local))  # noqa: S307  # as typing.get_type_hints does


def _place(fn: types.FunctionType, parameter: str) -> Loc | None:
    try:
        source = source_of(fn)
    except CompileError:
        return None
    a = source.node.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x is not None)]
    node = next((x for x in every if x.arg == parameter), None)
    if node is not None:
        return source.loc(node)
    text = source.lines[source.node.lineno - 1]
    column = text.find(fn.__name__, text.find("def ")) + 1
    line = source.node.lineno
    return Loc(source.file, line, max(column, 1), line, max(column, 1) + len(fn.__name__))
