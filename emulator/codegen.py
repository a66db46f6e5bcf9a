"""Python made of templates: the one place where generated source becomes functions.

Source is put together from templates, integers, and the names of operands, which are identifiers of a row's
definition. Nothing that a program under test contains becomes source in any other form than an integer.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

FILE = "<sohu>"  # of generated code, in tracebacks


@functools.lru_cache(maxsize=4096)
def _compiled(source: str) -> CodeType:
    return compile(source, FILE, "exec")


def function(parameters: Sequence[str], lines: Sequence[str], constants: Mapping[str, Any]) -> Callable[..., Any]:
    """`def f(parameters): lines`, in which each of `constants` is a local name.

    Constants are defaults of parameters that nobody passes: locals are the quickest names that there are. Equal
    source is compiled once.
    """
    head = ", ".join([*parameters, *(["*"] if constants else []), *(f"{n}={n}" for n in constants)])
    text = f"def f({head}):\n{textwrap.indent(chr(10).join(lines), ' ')}\n"
    scope = dict(constants)
    exec(_compiled(text), scope)  # noqa: S102 (see above)
    made: Callable[..., Any] = scope["f"]
    return made
