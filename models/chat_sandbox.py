"""A program of its own, which renders one chat template within bounds of time and memory.

JSON on standard input: {"template", "names"}, the latter what the template can see; on standard output
{"text"} or {"error"}. Where the bounds are passed, it may also just end. It is run by its path, so that it
loads nothing but Jinja.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any, NoReturn

_MAX_OUTPUT = 4 << 20  # characters
_MAX_MEMORY = 512 << 20  # bytes beyond what the program takes before it starts
_MAX_SECONDS = 3  # of processor time


class _Refused(Exception):
    """The template does what no template may."""


def _limit() -> None:
    """Bound this process: the system's own limits, which Windows has not."""
    try:
        import resource
    except ImportError:
        return
    used = 1 << 30  # where the system does not say
    with suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_AS, used + _MAX_MEMORY),
        (resource.RLIMIT_CPU, _MAX_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(OSError, ValueError):  # some systems have a limit by name only
            resource.setrlimit(what, (most, most))


def _environment() -> Any:
    """A Jinja environment as Hugging Face's chat templates expect it, unable to reach Python.

    The sandbox denies attributes that lead out of the template and every change to its arguments. Against
    plain waste it bounds ranges (Jinja's own limit) and refuses to multiply text.
    """
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if not all(isinstance(x, int | float) and abs(x) < 1 << 31 for x in (left, right)):
                self.handle_refusal(operator)
            if operator == "**" and abs(right) > 64:
                self.handle_refusal(operator)
            return super().call_binop(context, operator, left, right)

        def handle_refusal(self, operator: str) -> NoReturn:
            raise SecurityError(f"'{operator}' is only for small numbers here")

    env = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    env.globals["raise_exception"] = raise_exception
    return env


def _render(env: Any, template: str, names: dict[str, Any]) -> str:
    from jinja2 import TemplateError

    parts, size = [], 0
    try:
        for piece in env.from_string(template).generate(**names):
            size += len(piece)
            if size > _MAX_OUTPUT:
                raise _Refused("runs away: it writes without end")
            parts.append(piece)
    except TemplateError as error:
        raise _Refused(f"refused: {_line(error)}") from error
    except MemoryError as error:
        raise _Refused(f"runs away: it takes more than {_MAX_MEMORY >> 20} MiB of memory") from error
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _Refused(f"failed: {type(error).__name__}: {_line(error)}") from error
    return "".join(parts)


def _line(error: Exception) -> str:
    """What a template says, which may be anything, as part of one line."""
    return " ".join(str(error)[:4096].split())[:120]


def main() -> None:
    """Answer the question on standard input."""
    asked = json.load(sys.stdin.buffer)
    env = _environment()
    _limit()
    try:
        answer = {"text": _render(env, asked["template"], asked["names"])}
    except _Refused as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
