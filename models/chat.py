"""Answers of a model on the chip, as text that streams, and conversations that keep the chip's cache."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Literal

from sohu.models.chat_template import Message
from sohu.models.errors import ModelError
from sohu.models.llama import LlamaOnChip
from sohu.models.tokenizer import Tokenizer

Finish = Literal["stop", "length", "interrupted"]


class Answer:
    """One continuation of a prompt, made while it is iterated over, which gives pieces of its text.

    `prompt` and `tokens` are ids, without the one that ended the answer; `text` is what has been given so
    far. `finish` says how it ended: "stop" (the model ended it), "length" (max_tokens, or the cache is
    full) or "interrupted" (the iteration was given up). `prompt_seconds` on the host go by until the first
    token, `seconds` in the `steps` after it, each of which feeds one token and gives the next.
    """

    def __init__(self, model: LlamaOnChip, tokenizer: Tokenizer, prompt: Sequence[int], max_tokens: int) -> None:
        """The model's cache must hold what comes before `prompt`. Raises ModelError for an empty prompt."""
        if not prompt:
            raise ModelError("the prompt is empty")
        self.prompt = list(prompt)
        self.tokens: list[int] = []
        self.text = ""
        self.finish: Finish = "interrupted"
        self.prompt_seconds = self.seconds = 0.0
        self.steps = 0
        self._model, self._tokenizer, self._max_tokens = model, tokenizer, max_tokens

    def __iter__(self) -> Generator[str, None, None]:
        """Pieces of text; the model runs for each. Raises ModelError and MachineError as the model does."""
        model, stream = self._model, self._tokenizer.stream(special=False, after=self.prompt)
        feed = self.prompt
        for _ in range(self._max_tokens):
            if self.tokens and model.position == model.max_positions:
                break
            began = time.perf_counter()
            token = model.next(feed)
            took = time.perf_counter() - began
            if feed is self.prompt:
                self.prompt_seconds = took
            else:
                self.steps += 1
                self.seconds += took
            if token in self._tokenizer.stop_ids:
                self.finish = "stop"
                break
            self.tokens.append(token)
            feed = [token]
            if piece := stream.push(token):
                self.text += piece
                yield piece
        if self.finish != "stop":
            self.finish = "length"
        if piece := stream.finish():
            self.text += piece
            yield piece


class Conversation:
    """A chat with a model: what has been said stays in the chip's cache."""

    def __init__(self, model: LlamaOnChip, tokenizer: Tokenizer) -> None:
        """Starts with an empty cache."""
        self.messages: list[Message] = []
        self.last: Answer | None = None
        self._model, self._tokenizer = model, tokenizer
        self._held: list[int] = []  # tokens in the cache
        model.reset()

    def clear(self) -> None:
        """Forget all that has been said."""
        self.messages.clear()
        self._forget()

    def ask(self, text: str, max_tokens: int) -> Generator[str, None, None]:
        """Say something, and iterate over the pieces of the answer; `last` is the Answer they belong to.

        What was answered before an error, or before the iteration was given up, stays in the conversation.
        Raises ModelError when the conversation has grown too long for the cache.
        """
        messages: list[Message] = [*self.messages, {"role": "user", "content": text}]
        ids = self._tokenizer.encode_chat(messages)
        if len(ids) > self._model.max_positions:
            raise ModelError(
                f"the conversation has {len(ids)} tokens; the cache holds {self._model.max_positions}",
                help="start a new one, or make the cache larger",
            )
        if ids[: len(self._held)] != self._held:  # a text is not always encoded as the model spelled it
            self._forget()
        self.last = answer = Answer(self._model, self._tokenizer, ids[len(self._held) :], max_tokens)
        self.messages = messages
        whole = False
        try:
            yield from iter(answer)
            whole = True
        finally:
            self.messages.append({"role": "assistant", "content": answer.text})
            if whole:
                self._held = [*self._held, *answer.prompt, *answer.tokens][: self._model.position]
            else:
                self._forget()  # a kernel may have been stopped half way

    def _forget(self) -> None:
        self._held = []
        self._model.reset()
