"""Chat templates: Jinja text that comes inside a model file, and so is run in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from sohu.models.errors import ModelError, optional

Message = Mapping[str, str]
"""`{"role": "system" | "user" | "assistant", "content": text}`."""

_MAX_TEMPLATE = 64 << 10
_MAX_OUTPUT = 4 << 20


@lru_cache(maxsize=1)
def _environment() -> Any:
    """A Jinja environment as Hugging Face's chat templates expect it, unable to reach Python.

    The sandbox denies attributes that lead out of the template and every change to its arguments. Against
    waste it bounds ranges (Jinja's own limit) and refuses to multiply text; a hostile template can still
    spend time, as a hostile model can.
    """
    sandbox = optional("jinja2.sandbox")

    class Environment(sandbox.ImmutableSandboxedEnvironment):  # type: ignore[misc, name-defined]
        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if not all(isinstance(x, int | float) and abs(x) < 1 << 31 for x in (left, right)):
                self.handle_refusal(operator)
            if operator == "**" and abs(right) > 64:
                self.handle_refusal(operator)
            return super().call_binop(context, operator, left, right)

        def handle_refusal(self, operator: str) -> NoReturn:
            raise sandbox.SecurityError(f"'{operator}' is only for small numbers here")

    env = Environment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)

    def raise_exception(message: str) -> NoReturn:
        raise optional("jinja2").TemplateError(message)

    env.globals["raise_exception"] = raise_exception
    return env


def render(template: str, messages: Sequence[Message], *, add_generation_prompt: bool, **tokens: str) -> str:
    """The text of a conversation as `template` lays it out; `tokens` are bos_token, eos_token and the like.

    Raises ModelError when a message lacks role or content, or the template refuses, fails or runs away.
    """
    jinja2 = optional("jinja2")
    for message in messages:
        if not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise ModelError(f"a chat message needs 'role' and 'content' as text, not {dict(message)!r:.80}")
    if len(template) > _MAX_TEMPLATE:
        raise ModelError(
            f"the model's chat template has {len(template):,} characters; at most {_MAX_TEMPLATE:,} are run"
        )
    parts, size = [], 0
    try:
        compiled = _environment().from_string(template)
        pieces = compiled.generate(
            messages=[dict(message) for message in messages],
            add_generation_prompt=add_generation_prompt,
            **tokens,
        )
        for piece in pieces:
            size += len(piece)
            if size > _MAX_OUTPUT:
                raise ModelError("the model's chat template runs away: it writes without end")
            parts.append(piece)
    except jinja2.TemplateError as error:
        raise ModelError(f"the model's chat template refused: {_line(error)}") from error
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ModelError(f"the model's chat template failed: {type(error).__name__}: {_line(error)}") from error
    return "".join(parts)


def _line(error: Exception) -> str:
    """What a template says, which may be anything, as part of one line."""
    return " ".join(str(error).split())[:120]
