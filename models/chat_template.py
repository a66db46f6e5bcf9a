"""Chat templates: Jinja text that comes inside a model file, and so is run in a sandbox."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sohu.models.errors import ModelError, optional

Message = Mapping[str, str]
"""`{"role": "system" | "user" | "assistant", "content": text}`."""

_MAX_TEMPLATE = 64 << 10
_MAX_SECONDS = 20  # by the clock; chat_sandbox.py bounds processor time, where the system can
_SANDBOX = Path(__file__).with_name("chat_sandbox.py")


def render(template: str, messages: Sequence[Message], *, add_generation_prompt: bool, **tokens: str) -> str:
    """The text of a conversation as `template` lays it out; `tokens` are bos_token, eos_token and the like.

    The template runs in a process of its own (chat_sandbox.py), whose time and memory are bounded.
    Raises ModelError when a message lacks role or content, or the template refuses, fails or runs away.
    """
    optional("jinja2")
    for message in messages:
        if not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise ModelError(f"a chat message needs 'role' and 'content' as text, not {dict(message)!r:.80}")
    if len(template) > _MAX_TEMPLATE:
        raise ModelError(
            f"the model's chat template has {len(template):,} characters; at most {_MAX_TEMPLATE:,} are run"
        )
    names = {
        "messages": [dict(message) for message in messages],
        "add_generation_prompt": add_generation_prompt,
        **tokens,
    }
    asked = json.dumps({"template": template, "names": names}).encode("ascii")
    try:
        # -P: the folder of the program is no place to import from
        done = subprocess.run(
            [sys.executable, "-P", str(_SANDBOX)], input=asked, capture_output=True, timeout=_MAX_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError("the model's chat template runs away: it takes too long") from error
    except OSError as error:
        raise ModelError(f"the model's chat template cannot be run: {error.strerror}") from error
    if done.returncode:
        raise ModelError("the model's chat template runs away: it was stopped for the time or memory it takes")
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise ModelError(f"the model's chat template {answer['error']}")
    return str(answer["text"])
